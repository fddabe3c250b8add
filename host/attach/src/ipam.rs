//! Addresses for one attachment, from a component: one call is one ledger session.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};
use wharfinger_cni::conf::Fields;
use wharfinger_cni::{Attach, Success};
use wharfinger_ledger::{Owner, Range, Session};
use wharfinger_wasm::{Ipam, Lease, Node, Reason, Request};

use crate::conf::{IpamConf, Source};
use crate::reserve::{DirectoryBook, Taking};
use crate::{Answer, Error, Host, book, error, reserve};

/// A component with all that a call of it needs but the session.
pub(crate) struct Allocator {
    plugin: Box<dyn Ipam>,
    node: Node,
    request: Request,
    pools: Vec<Range>,
    /// As the configuration names it.
    name: String,
    /// Where what it gives is held, if not in the ledger.
    taking: Option<Taking>,
}

impl Allocator {
    /// Asks the component for its pools; the rest is taken from the call.
    pub(crate) fn new(
        host: &Host,
        call: &Attach,
        conf: &IpamConf,
        name: &str,
    ) -> Result<Self, Error> {
        let plugin = host.engine.ipam(name).map_err(|error| error::plugin(error, "/ipam"))?;
        let node = Node { now: host.node.now(), ..host.settings.node.clone() };
        let config = config(host, conf)?;
        let pools = pools(plugin.as_ref(), &node, &config)?;
        let request = request(call, config)?;
        let taking = reserve::of(host, &call.id.network, conf);
        // Without a namespace nothing is to be attached.
        let taking = taking.map(|reserved| Taking::new(reserved, &call.id, call.netns.is_none()));
        Ok(Self {
            plugin,
            node,
            request,
            pools,
            name: name.to_owned(),
            taking: taking.transpose()?,
        })
    }

    /// Whether the component is to be told of the attachment's end.
    pub(crate) fn remote(&self) -> bool {
        self.plugin.remote()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn identity(&self) -> &str {
        self.plugin.identity()
    }

    /// One call of the component within `session`, whose writes wait for the commit.
    pub(crate) fn allocate(&self, host: &Host, session: &mut dyn Session) -> Result<Lease, Error> {
        if self.taking.is_none() {
            session.pools(&self.pools)?;
        }
        let owner = Owner::of_network(&self.request.attachment.id.network, &self.name);
        let book = book::SessionBook::new(session, owner);
        let book = book.noting(host.notes, self.identity());
        let mut book = book.about(host.node, &self.request.attachment);
        host.notes.asked(self.identity(), "allocate");
        let lease = match &self.taking {
            None => self.plugin.allocate(&self.node, &self.request, &mut book),
            Some(taking) => {
                let mut book = DirectoryBook::new(taking, book);
                self.plugin.allocate(&self.node, &self.request, &mut book)
            }
        };
        if let (Some(taking), Ok(lease)) = (&self.taking, &lease) {
            taking.keep(lease)?;
        }
        match &lease {
            Ok(_) => host.notes.answered(&Answer::Fine),
            Err(error) => {
                let error = error.to_string();
                host.notes.answered(&Answer::Failed { error: &error, passed: false });
            }
        }
        lease.map_err(|error| error::plugin(error, "/ipam"))
    }

    /// Says more about a failure to allocate: how full the ranges are, or who holds the address.
    pub(crate) fn explain(&self, host: &Host, domain: &str, error: Error) -> Error {
        match error {
            Error::Plugin(source) if failed(&source) == Some(Reason::Exhausted) => {
                let usage = match &self.taking {
                    None => host.ledger.usage(domain, &self.pools, host.node.now()),
                    Some(taking) => taking.reserved().usage(&self.pools),
                };
                match usage {
                    Ok(usage) => Error::Exhausted { source, usage: Box::new(usage) },
                    Err(_) => Error::Plugin(source),
                }
            }
            Error::Plugin(source) if failed(&source) == Some(Reason::Conflict) => {
                Error::Taken { holder: self.holder(host, domain).map(Box::new), source }
            }
            other => other,
        }
    }

    fn holder(&self, host: &Host, domain: &str) -> Option<error::Holder> {
        let wanted = |ip: &IpAddr| self.request.wanted.contains(ip);
        let entries = host.ledger.list(None).ok()?;
        let record = entries
            .into_iter()
            .map(|entry| entry.record)
            .filter(|record| record.id != self.request.attachment.id)
            .find(|record| record.domain == domain && record.addresses.iter().any(wanted))?;
        Some(error::Holder { id: record.id, since: record.created })
    }
}

/// Why the component said no, where it did.
pub(crate) fn failed(error: &wharfinger_wasm::Error) -> Option<Reason> {
    match error {
        wharfinger_wasm::Error::Failed { reason, .. } => Some(*reason),
        _ => None,
    }
}

/// The ranges that this configuration allocates from.
pub(crate) fn pools(plugin: &dyn Ipam, node: &Node, config: &str) -> Result<Vec<Range>, Error> {
    let pools = plugin.pools(node, config).map_err(|error| error::plugin(error, "/ipam"))?;
    Ok(pools.iter().flat_map(|pool| book::ranges(&pool.ranges)).collect())
}

/// The `ipam` object as the component gets it. It cannot read files, so `resolvConf` comes as
/// the `dns` that it says.
pub(crate) fn config(host: &Host, conf: &IpamConf) -> Result<String, Error> {
    let mut object = conf.object.clone();
    if let Some(path) = Fields::new(&conf.object, "/ipam").str("resolvConf")? {
        let text = host
            .node
            .read(Path::new(path))
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
        object.insert("dns".to_owned(), resolv_conf(&text));
    }
    Ok(Value::Object(object).to_string())
}

/// resolv.conf(5) as CNI's `dns` object.
fn resolv_conf(text: &str) -> Value {
    let (mut nameservers, mut search, mut options, mut domain) = (vec![], vec![], vec![], "");
    for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => nameservers.extend(words.next()),
            Some("domain") => domain = words.next().unwrap_or_default(),
            Some("search") => search = words.collect(),
            Some("options") => options.extend(words),
            _ => {}
        }
    }
    json!({ "nameservers": nameservers, "domain": domain, "search": search, "options": options })
}

/// Whose attachment it is, as components see it.
pub(crate) fn attachment(call: &Attach) -> wharfinger_wasm::Attachment {
    let args = wharfinger_cni::args::arg_strings(call);
    let pod = wharfinger_cni::args::pod(&call.args).map(|pod| wharfinger_wasm::Pod {
        namespace: pod.namespace,
        name: pod.name,
        uid: pod.uid,
    });
    wharfinger_wasm::Attachment { id: call.id.clone(), pod, args }
}

fn request(call: &Attach, config: String) -> Result<Request, Error> {
    Ok(Request {
        attachment: attachment(call),
        config,
        network_config: Value::Object(call.conf.raw.clone()).to_string(),
        wanted: wharfinger_cni::args::wanted_ips(call)?,
    })
}

/// A lease as the abbreviated result that it is.
pub(crate) fn success(lease: Lease) -> Success {
    let ip = |leased: &wharfinger_wasm::LeasedAddress| wharfinger_cni::Ip {
        interface: None,
        address: leased.address,
        gateway: leased.gateway,
    };
    Success {
        interfaces: Vec::new(),
        ips: lease.addresses.iter().map(ip).collect(),
        routes: lease.routes,
        dns: lease.dns,
    }
}

/// Every problem in the configuration, found by the component itself.
pub(crate) fn valid(host: &Host, conf: &IpamConf) -> Result<(), Error> {
    let Source::Component(name) = &conf.source else { return Ok(()) };
    let plugin = host.engine.ipam(name).map_err(|error| error::plugin(error, "/ipam"))?;
    let problems = plugin.validate(&host.settings.node, &config(host, conf)?);
    let problems = problems.map_err(|error| error::plugin(error, "/ipam"))?;
    if problems.is_empty() {
        return Ok(());
    }
    let line = |p: &wharfinger_wasm::Problem| format!("/ipam{}: {}", p.pointer, p.message);
    Err(Error::Problems(problems.iter().map(line).collect()))
}
