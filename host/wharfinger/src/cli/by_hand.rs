//! The verbs by hand, as a runtime would call them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use wharfinger_attach::chain;
use wharfinger_cni::{
    Attach, AttachmentId, CniError, Env, NetConf, Node, Plugin, Success, ValidAttachment,
};
use wharfinger_ledger::Record;

use super::cluster::{self, Collect};
use super::lists::{Run, Who};
use super::network::List;
use super::results::Results;
use super::{Answer, Attachment, Network, explained, named, network, print, told};
use crate::cache::Kept;
use crate::certificate::Standing;
use crate::docker;
use crate::program::Program;
use crate::serve::Served;

/// Where what a network needs is.
#[derive(Debug, Args)]
struct Places {
    /// Where conflists are
    #[arg(long, default_value = "/etc/cni/net.d", env = "NETCONFPATH")]
    conf_dir: PathBuf,
    /// Where executables of other plugins are, separated by colons
    #[arg(long, default_value = "/opt/cni/bin", env = "CNI_PATH")]
    cni_path: String,
    /// Where results of lists with other plugins are kept, as runtimes keep them
    #[arg(long, default_value = "/var/lib/cni")]
    cache_dir: PathBuf,
}

impl Places {
    fn network(&self, name: &str) -> Network {
        Network {
            name: name.to_owned(),
            conf_dir: self.conf_dir.clone(),
            cni_path: self.cni_path.clone(),
            cache_dir: self.cache_dir.clone(),
        }
    }
}

/// `wharfinger check`: of an attachment, or of the cluster's book.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The network's name in the configuration directory, or the path of a conflist
    #[arg(value_name = "NETWORK", required_unless_present = "cluster")]
    name: Option<String>,
    #[command(flatten)]
    places: Places,
    /// The path of the container's network namespace
    #[arg(long)]
    netns: Option<PathBuf>,
    /// The interface's name in the container
    #[arg(long, default_value = "eth0")]
    ifname: String,
    /// The container's id; made from the namespace's path where it is not given
    #[arg(long)]
    container: Option<String>,
    /// CNI_ARGS: KEY=VALUE;KEY=VALUE
    #[arg(long, default_value = "")]
    args: String,
    /// Values of capabilities, as JSON: `{"ips": ["10.1.0.9"]}`
    #[arg(long, default_value = "{}")]
    capabilities: String,
    /// Instead of an attachment: the cluster's book, every address, block, node and attachment of
    /// it; changes nothing, and the status is 1 where something is wrong
    #[arg(long, conflicts_with_all = ["name", "netns", "container"])]
    cluster: bool,
}

/// `wharfinger gc`: of a network, of Docker's, or of the cluster's book.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Gc {
    /// The network's name in the configuration directory, or the path of a conflist
    #[arg(value_name = "NETWORK", required_unless_present_any = ["docker", "cluster"])]
    name: Option<String>,
    #[command(flatten)]
    places: Places,
    /// What stays, as CONTAINER, with all its interfaces, or CONTAINER/IFNAME; of the container's id
    /// its beginning does. May be repeated; one that fits nothing is refused
    #[arg(long, conflicts_with = "all")]
    keep: Vec<String>,
    /// Nothing stays: all that is attached to the network is detached, living or not
    #[arg(long)]
    all: bool,
    /// Instead of a network's: what is left of networks, endpoints and addresses that Docker has no
    /// more; Docker is asked on this socket
    #[arg(
        long, value_name = "SOCKET", num_args = 0..=1, require_equals = true,
        default_missing_value = "/var/run/docker.sock", conflicts_with_all = ["name", "keep", "all"]
    )]
    docker: Option<String>,
    /// With --docker: how many seconds old what goes has to be
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    older: u64,
    /// Instead of a network's: what the cluster's book has of this node without a record of it is
    /// freed, what it has lost of this node is claimed again; and dead nodes are listed
    #[arg(long, conflicts_with_all = ["name", "keep", "all", "docker"])]
    cluster: bool,
    /// With --cluster: all that this other node holds is freed, and its blocks. It must be gone for
    /// good: what it still runs would have addresses that others are given
    #[arg(long, value_name = "NAME", requires = "cluster")]
    node: Option<String>,
    /// With --node: though its agent lives
    #[arg(long, requires = "node")]
    force: bool,
}

pub(super) fn add(program: &Program, attachment: &Attachment) -> Result<Answer> {
    not_our_own(attachment)?;
    wharfinger_cni::check_names(&container(attachment), &attachment.ifname)?;
    if let Some(list) = others(&attachment.network)? {
        return run(program, &attachment.network, &list).add(&who(attachment, &list)?);
    }
    let served = Served::new(program);
    let call = call(attachment, conf(attachment)?)?;
    let answer = served.add(&call);
    let text = answer.as_ref().map_err(Clone::clone).and_then(|success| result(success, &call));
    let printed = text.map_err(explained).and_then(|text| print(&text));
    // As for a runtime: who was not told does not have it.
    served.replied(&call, printed.is_ok());
    printed.map(|()| Answer::printed())
}

/// What the protocol refuses from a runtime, a person is not to do by a slip either: the host
/// would be attached to itself, and its routes changed.
fn not_our_own(attachment: &Attachment) -> Result<()> {
    match &attachment.netns {
        None => bail!(
            "what is to be attached? --netns PATH; `ip netns add NAME` makes a namespace, \
             /run/netns/NAME"
        ),
        Some(path) if crate::Process.same_netns(path) => {
            bail!("{} is the namespace that wharfinger itself runs in", path.display())
        }
        _ => Ok(()),
    }
}

fn result(success: &Success, call: &Attach) -> Result<String, CniError> {
    let value = success.render(call.conf.version)?;
    Ok(format!("{value:#}\n"))
}

/// The list, where it has other plugins than one entry of ours.
fn others(network: &Network) -> Result<Option<List>> {
    let list = network::list(&network.name, &network.conf_dir)?;
    Ok((!list.is_ours()).then_some(list))
}

fn run<'a>(program: &'a Program, network: &Network, list: &'a List) -> Run<'a> {
    let (path, results) = (split(&network.cni_path), Results::new(&network.cache_dir));
    Run { program, list, path, results }
}

fn who(attachment: &Attachment, list: &List) -> Result<Who> {
    let (container, ifname) = (container(attachment), attachment.ifname.clone());
    Ok(Who {
        id: AttachmentId { network: list.name().to_owned(), container, ifname },
        netns: attachment.netns.clone(),
        args: wharfinger_cni::args::parse_args(&attachment.args)?,
        capabilities: offered(attachment)?,
    })
}

/// A list that is gone is still with the result of its ADD.
fn kept_list(attachment: &Attachment) -> Option<List> {
    let container = container(attachment);
    let (network, ifname) = (attachment.network.name.clone(), attachment.ifname.clone());
    let results = Results::new(&attachment.network.cache_dir);
    let kept = results.get(&AttachmentId { network, container, ifname })?;
    List::read(kept.list()?).ok().filter(|list| !list.is_ours())
}

pub(super) fn check(program: &Program, check: &Check) -> Result<Answer> {
    let Some(name) = check.name.as_ref().filter(|_| !check.cluster) else {
        return cluster::check(program);
    };
    let attachment = &Attachment {
        network: check.places.network(name),
        netns: check.netns.clone(),
        ifname: check.ifname.clone(),
        container: check.container.clone(),
        args: check.args.clone(),
        capabilities: check.capabilities.clone(),
    };
    if let Some(list) = others(&attachment.network)? {
        return run(program, &attachment.network, &list).check(&who(attachment, &list)?);
    }
    let mut call = call(attachment, conf(attachment)?)?;
    if let Some(record) = recorded(program, &call)? {
        let parse = |value: &Value| Success::parse(call.conf.version, value);
        call.prev_result = record.result.as_ref().map(parse).transpose()?;
        call.netns = call.netns.or(record.netns.map(PathBuf::from));
    }
    Served::new(program).check(&call).map_err(explained)?;
    Ok(Answer::quiet(named(&call.id)))
}

/// What the book has of it.
fn recorded(program: &Program, call: &Attach) -> Result<Option<Record>> {
    let id = chain::key(&call.id, &call.conf);
    let entry = program.verb(|host| Ok(host.ledger.get(&id)?));
    let entry = entry.map_err(|error| explained(error.to_cni(&call.id.network)))?;
    Ok(entry.map(|entry| entry.record))
}

pub(super) fn del(program: &Program, attachment: &Attachment) -> Result<Answer> {
    let list = others(&attachment.network).unwrap_or_else(|_| kept_list(attachment));
    if let Some(list) = list {
        return run(program, &attachment.network, &list).del(&who(attachment, &list)?);
    }
    // The name is all that a DEL needs: a configuration that is gone does not keep a container.
    let conf = conf(attachment).or_else(|_| {
        let mut map = Map::new();
        map.insert("cniVersion".into(), Value::from("1.1.0"));
        map.insert("name".into(), Value::from(attachment.network.name.clone()));
        network::conf(map)
    })?;
    let call = call(attachment, conf)?;
    // Under whatever mark: the entry may have been another when it was attached.
    let known = attached(program, &Results::new(&attachment.network.cache_dir), &call.id.network)?;
    let known = known.contains(&call.id);
    Served::new(program).del(&call).map_err(explained)?;
    Ok(detached(&call.id, known))
}

/// A DEL of what is not attached is none that fails; who asked for it by hand may have meant another.
pub(super) fn detached(id: &AttachmentId, known: bool) -> Answer {
    let text = if known {
        String::new()
    } else {
        format!("nothing was attached as {id}; `wharfinger ls` has what is\n")
    };
    Answer::new(text, named(id))
}

pub(super) fn status(program: &Program, network: &Network) -> Result<Answer> {
    if let Some(list) = others(network)? {
        return run(program, network, &list).status();
    }
    let node = node(network)?;
    Served::new(program).status(&node).map_err(explained)?;
    let ending = program.certificates().into_iter().filter_map(|standing| match standing {
        Standing::Ends(text) => Some(text),
        _ => None,
    });
    Ok(ready(&node.conf.name, &ending.collect::<Vec<_>>()))
}

/// An ADD would work.
pub(super) fn ready(network: &str, warnings: &[String]) -> Answer {
    let lines: Vec<String> = warnings.iter().map(|text| format!("warning: {text}\n")).collect();
    let value = json!({ "network": network, "ready": true, "warnings": warnings });
    Answer::new(format!("network {network}: ready\n{}", lines.concat()), value)
}

pub(super) fn gc(program: &Program, gc: &Gc) -> Result<Answer> {
    if gc.cluster {
        let node = gc.node.as_deref();
        return cluster::gc(program, &Collect { node, force: gc.force });
    }
    if let Some(socket) = &gc.docker {
        let server = docker::Server::new(program.paths.clone(), false);
        let gone = docker::collect(&server, socket, gc.older)?;
        let lines: Vec<String> = gone.iter().map(|what| format!("{what}\n")).collect();
        return Ok(Answer::new(lines.concat(), json!({ "gone": gone })));
    }
    let network = gc.name.as_ref().map(|name| gc.places.network(name));
    let Some(network) = &network else { bail!("name a NETWORK, or --docker, or --cluster") };
    if gc.keep.is_empty() && !gc.all {
        bail!("say what stays, --keep CONTAINER for each, or --all: that nothing does");
    }
    let list = network::list(&network.name, &network.conf_dir)?;
    let results = Results::new(&network.cache_dir);
    let attached = || attached(program, &results, list.name());
    let before = attached()?;
    let keep: Vec<_> = gc.keep.iter().map(|text| kept(text, &before)).collect::<Result<_>>()?;
    let keep = keep.concat();
    if list.is_ours() {
        Served::new(program).gc(&node(network)?, &keep).map_err(explained)?;
    } else {
        run(program, network, &list).gc(&keep)?;
    }
    let after = attached()?;
    let gone: Vec<_> = before.difference(&after).collect();
    let lines: Vec<String> = gone.iter().map(|id| format!("detached {id}\n")).collect();
    let gone: Vec<Value> = gone.iter().map(|id| named(id)).collect();
    Ok(Answer::new(lines.concat(), json!({ "network": list.name(), "detached": gone })))
}

/// What is attached to a network: what the book has, and what was attached by its list as a whole.
fn attached(program: &Program, results: &Results, network: &str) -> Result<BTreeSet<AttachmentId>> {
    let entries = program.verb(|host| Ok(host.ledger.list(Some(network))?));
    let ids = entries.map_err(|error| told(&error))?.into_iter().map(|entry| {
        let ifname = chain::interface(&entry.record.id.ifname).to_owned();
        AttachmentId { ifname, ..entry.record.id }
    });
    Ok(ids.chain(results.of_network(network).iter().map(Kept::id)).collect())
}

/// The attachments that somebody means by CONTAINER or CONTAINER/IFNAME, where an id may be cut short. A slip
/// must not detach what was to stay.
fn kept(text: &str, attached: &BTreeSet<AttachmentId>) -> Result<Vec<ValidAttachment>> {
    let (container, ifname) = match text.split_once('/') {
        Some((container, ifname)) => (container, Some(ifname)),
        None => (text, None),
    };
    let of = |id: &&AttachmentId| ifname.is_none_or(|ifname| id.ifname == ifname);
    let whole = attached.iter().any(|id| id.container == container);
    let begins = |id: &&AttachmentId| {
        id.container == container || !whole && id.container.starts_with(container)
    };
    let found: Vec<_> = attached.iter().filter(begins).filter(of).collect();
    let containers: BTreeSet<_> = found.iter().map(|id| &id.container).collect();
    if containers.len() != 1 {
        bail!(
            "--keep {text}: {} containers that are attached to this network are meant; nothing was \
             detached. `wharfinger ls` has all of them",
            containers.len()
        );
    }
    let valid = |id: &AttachmentId| ValidAttachment {
        container: id.container.clone(),
        ifname: id.ifname.clone(),
    };
    Ok(found.into_iter().map(valid).collect())
}

fn node(network: &Network) -> Result<Node> {
    let conf = network::load(&network.name, &network.conf_dir)?;
    Ok(Node { path: split(&network.cni_path), conf })
}

fn split(path: &str) -> Vec<PathBuf> {
    std::env::split_paths(path).collect()
}

/// The network's configuration, with the capabilities that it takes.
fn conf(attachment: &Attachment) -> Result<NetConf> {
    let network = &attachment.network;
    let conf = network::load(&network.name, &network.conf_dir)?;
    let offered = offered(attachment)?;
    let takes = |name: &str| {
        conf.raw.get("capabilities").and_then(|c| c.get(name)) == Some(&Value::Bool(true))
    };
    let runtime: Map<String, Value> = offered.into_iter().filter(|(name, _)| takes(name)).collect();
    let mut raw = conf.raw.clone();
    if !runtime.is_empty() {
        raw.insert("runtimeConfig".into(), Value::Object(runtime));
    }
    network::conf(raw)
}

fn offered(attachment: &Attachment) -> Result<Map<String, Value>> {
    serde_json::from_str(&attachment.capabilities)
        .map_err(|error| anyhow!("--capabilities is not a JSON object: {error}"))
}

fn call(attachment: &Attachment, conf: NetConf) -> Result<Attach> {
    Ok(Attach {
        id: AttachmentId {
            network: conf.name.clone(),
            container: container(attachment),
            ifname: attachment.ifname.clone(),
        },
        netns: attachment.netns.clone(),
        args: wharfinger_cni::args::parse_args(&attachment.args)?,
        path: split(&attachment.network.cni_path),
        netns_override: false,
        conf,
        prev_result: None,
    })
}

/// The container's id: where it is not given, the same for the same namespace's path.
fn container(attachment: &Attachment) -> String {
    attachment.container.clone().unwrap_or_else(|| made_up(attachment))
}

fn made_up(attachment: &Attachment) -> String {
    let path = attachment.netns.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let digest = format!("{:x}", Sha256::digest(path.as_bytes()));
    format!("by-hand-{digest:.20}")
}
