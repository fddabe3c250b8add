//! What can be known of attachments without the book: from links, rules, and results that a
//! runtime kept. Proof of life and of death.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use wharfinger_cni::{Attach, AttachmentId};
use wharfinger_drivers::{Alias, parse_alias};
use wharfinger_kernel::{AtPath, Kernel, LinkFacts, Survey};
use wharfinger_ledger::{Entry, Record, State};
use wharfinger_plan::{Action, Link, LinkKind, LinkRef, Owner, Peer, Plan, Step};

use crate::conf::{self, Place};
use crate::{Error, Host, Node, chain, del, deputy, dhcp, names, ports, wrap};

/// Why an attachment is undone by others than its own DEL.
const DEAD: &str = "it is proven dead";

/// What the kernel has of one attachment.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Whose it is.
    pub id: AttachmentId,
    /// The address space, where the link tells.
    pub domain: Option<String>,
    /// What it holds, as far as link and rules tell.
    pub addresses: Vec<std::net::IpAddr>,
    /// What undoes it.
    pub plan: Plan,
}

/// The attachments that links and rules name.
pub fn attachments(survey: &Survey) -> Vec<Found> {
    let mut found: BTreeMap<AttachmentId, Found> = BTreeMap::new();
    for link in &survey.links {
        if let Some(alias) = link.alias.as_deref().and_then(told) {
            let entry = entry(&mut found, alias.id.clone());
            // What shapes an attachment has its name, and nothing else of it.
            if link.kind != "ifb" {
                entry.domain = Some(alias.domain);
            }
            entry.addresses.extend(alias.addresses.iter().map(ipnet::IpNet::addr));
            entry.plan.steps.push(link_step(link, &alias.id.ifname));
        }
    }
    for masquerade in &survey.masquerades {
        if let Some(id) = told(&masquerade.comment).map(|alias| alias.id) {
            let entry = entry(&mut found, id);
            if !entry.addresses.contains(&masquerade.address) {
                entry.addresses.push(masquerade.address);
            }
            entry.plan.steps.push(Step::owned(Action::Masquerade(masquerade.clone())));
        }
    }
    for action in &survey.filter {
        if let Some(id) = action.comment().and_then(told).map(|alias| alias.id) {
            entry(&mut found, id).plan.steps.push(Step::owned(action.clone()));
        }
    }
    found.into_values().collect()
}

/// What an alias or a comment tells. Of a long id the kernel has but the digest: then its
/// stand-in.
fn told(alias: &str) -> Option<Alias> {
    let key = alias.split(' ').next()?;
    match of_digest(key) {
        Some(id) => parse_alias(&alias.replacen(key, &id.to_string(), 1)),
        None => parse_alias(alias),
    }
}

/// Stands for an id of which only the digest is known, until somebody comes who knows it. No
/// network can have its network's name.
fn of_digest(key: &str) -> Option<AttachmentId> {
    let digest = key.strip_prefix("sha256:").filter(|digest| !digest.contains('/'))?;
    Some(AttachmentId {
        network: "sha256:".to_owned(),
        container: digest.to_owned(),
        ifname: "-".to_owned(),
    })
}

/// The stand-in of an id that the kernel has but the digest of.
pub(crate) fn stand_in(id: &AttachmentId) -> Option<AttachmentId> {
    of_digest(&wharfinger_drivers::key(id))
}

/// The record of an attachment, also where a rebuilt book has it under its stand-in.
pub(crate) fn recorded(host: &Host, id: &AttachmentId) -> Result<Option<Entry>, Error> {
    match (host.ledger.get(id)?, stand_in(id)) {
        (None, Some(stand_in)) => Ok(host.ledger.get(&stand_in)?),
        (found, _) => Ok(found),
    }
}

fn entry(found: &mut BTreeMap<AttachmentId, Found>, id: AttachmentId) -> &mut Found {
    found.entry(id.clone()).or_insert_with(|| Found {
        id,
        domain: None,
        addresses: Vec::new(),
        plan: Plan::default(),
    })
}

/// The step that made this link, as far as undoing needs it.
fn link_step(link: &LinkFacts, ifname: &str) -> Step {
    Step::owned(Action::Link(Link {
        link: link.link.clone(),
        kind: LinkKind::Veth { peer: Peer { link: LinkRef::container(ifname), mac: None } },
        mtu: None,
        mac: None,
        alias: link.alias.clone(),
        port: None,
        promisc: None,
        up: false,
    }))
}

/// Records for a new book, from what the kernel has and what the runtime kept.
///
/// `cached` are the runtime's results whose namespaces are there; where both know an attachment,
/// the kernel's plan and the cache's addresses are joined. An attachment whose address space
/// nobody tells is taken for the host's. What only the kernel can tell to be ours is left out where
/// it does not.
pub fn records(survey: &Survey, cached: &[Cached], now: u64) -> Vec<Record> {
    let mut records: BTreeMap<AttachmentId, Record> = attachments(survey)
        .into_iter()
        .map(|found| (found.id.clone(), record_of(found, now)))
        .collect();
    for cached in cached {
        let nameless = stand_in(&cached.id).and_then(|id| records.remove(&id));
        if !cached.sure && nameless.is_none() && !records.contains_key(&cached.id) {
            continue;
        }
        let record = nameless.unwrap_or_else(|| empty(&cached.id, now));
        let record = records.entry(cached.id.clone()).or_insert(record);
        record.id.clone_from(&cached.id);
        for ip in &cached.addresses {
            if !record.addresses.contains(ip) {
                record.addresses.push(*ip);
            }
        }
        record.domain.clone_from(&cached.domain);
        record.conf = dhcp::with_bare(&cached.conf, &record.plan);
        record.netns = Some(cached.netns.clone());
        record.cookie = cached.cookie;
        record.result.clone_from(&cached.result);
    }
    records.into_values().collect()
}

/// What a runtime kept of an attachment of ours (libcni's result cache).
#[derive(Debug, Clone, PartialEq)]
pub struct Cached {
    /// Whose it is.
    pub id: AttachmentId,
    /// The path of its namespace.
    pub netns: String,
    /// Its cookie.
    pub cookie: Option<u64>,
    /// The address space by its configuration.
    pub domain: String,
    /// What it was given.
    pub addresses: Vec<std::net::IpAddr>,
    /// As a record keeps it.
    pub conf: serde_json::Value,
    /// The result.
    pub result: Option<serde_json::Value>,
    /// Whether its configuration says that it is ours. Under a reference plugin's name it may be
    /// that plugin's.
    pub sure: bool,
}

impl Cached {
    /// What a runtime's memory of a call tells, with the result as `prev_result`: of what we made or
    /// gave the addresses of, and of what we stand around. None for anything else.
    pub fn of(call: &Attach, cookie: Option<u64>) -> Option<Self> {
        let success = call.prev_result.as_ref()?;
        let sure = names::kind(&call.conf.called).is_none();
        let addresses = || success.ips.iter().map(|ip| ip.address.addr()).collect();
        let (conf, addresses) = match conf::place(&call.conf).ok()? {
            // What it has of addresses is in another's book.
            Place::Wrapper => (wrap::kept_whole(call)?, Vec::new()),
            Place::Main { .. } | Place::Ipam if dhcp::is_asked(&call.conf) => {
                (dhcp::forgotten(call, success), addresses())
            }
            Place::Main { .. } | Place::Ipam if sure => (deputy::kept(call, false), addresses()),
            Place::Chained | Place::Main { .. } | Place::Ipam => return None,
        };
        Some(Self {
            id: chain::key(&call.id, &call.conf),
            netns: call.netns.as_ref()?.display().to_string(),
            cookie,
            domain: conf::domain_of(&call.conf).ok()?,
            addresses,
            conf,
            result: success.render(call.conf.version).ok(),
            sure,
        })
    }
}

fn record_of(found: Found, now: u64) -> Record {
    Record {
        ports: ports::of(&found.plan),
        domain: found.domain.unwrap_or_else(|| "host".to_owned()),
        addresses: found.addresses,
        plan: found.plan,
        ..empty(&found.id, now)
    }
}

fn empty(id: &AttachmentId, now: u64) -> Record {
    Record {
        id: id.clone(),
        state: State::Attached,
        created: now,
        netns: None,
        cookie: None,
        domain: "host".to_owned(),
        addresses: Vec::new(),
        ports: Vec::new(),
        conf: serde_json::Value::Null,
        plugin: None,
        plan: Plan::default(),
        result: None,
    }
}

/// Whether an attachment may still be in use. A veth dies with its container's namespace, so a
/// host link with the attachment's alias proves life, and its absence that nobody uses the
/// address. Without such a link the namespace itself is looked for; where nothing is proven, it
/// lives.
pub fn lives(kernel: &dyn Kernel, node: &dyn Node, record: &Record) -> Result<bool, Error> {
    if let Some((link, alias)) = host_link(&record.plan) {
        let found = kernel.links(std::slice::from_ref(link), None)?;
        return Ok(found.into_iter().flatten().any(|found| found.alias.as_deref() == Some(alias)));
    }
    let Some(cookie) = record.cookie else { return Ok(true) };
    if let Some(path) = &record.netns
        && let AtPath::Netns(netns) = kernel.netns(Path::new(path))?
        && netns.cookie == cookie
    {
        return Ok(true);
    }
    somewhere(kernel, node, cookie)
}

pub(crate) fn host_link(plan: &Plan) -> Option<(&LinkRef, &str)> {
    plan.steps.iter().find_map(|step| match (&step.owner, &step.action) {
        // Only a veth dies with its other end.
        (
            Owner::Attachment,
            Action::Link(Link { link, alias: Some(alias), kind: LinkKind::Veth { .. }, .. }),
        ) if link.place == wharfinger_plan::Place::Host => Some((link, alias.as_str())),
        _ => None,
    })
}

/// Whether any namespace of this machine has this cookie.
fn somewhere(kernel: &dyn Kernel, node: &dyn Node, cookie: u64) -> Result<bool, Error> {
    let paths = node
        .namespaces()
        .map_err(|source| Error::File { path: "namespaces of /proc".to_owned(), source })?;
    // A process may end while this looks: its namespace is then no proof of life. One that
    // cannot be looked at is no proof of death.
    Ok(paths.iter().any(|path| match kernel.netns(path) {
        Ok(AtPath::Netns(netns)) => netns.cookie == cookie,
        Ok(AtPath::Gone) => false,
        Err(_) => true,
    }))
}

/// Whether an address space has an attachment, but `own`, that is proven dead.
pub(crate) fn any_dead(host: &Host, domain: &str, own: &AttachmentId) -> Result<bool, Error> {
    for entry in holders(host, domain, own)? {
        if !host.node.remaining().is_zero() && !lives(host.kernel, host.node, &entry.record)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The attachments of an address space that hold addresses, but `own`.
fn holders(host: &Host, domain: &str, own: &AttachmentId) -> Result<Vec<Entry>, Error> {
    let holds = |record: &Record| {
        record.domain == domain && record.id != *own && !record.addresses.is_empty()
    };
    let entries = host.ledger.list(None)?.into_iter();
    Ok(entries.filter(|entry| holds(&entry.record)).collect())
}

/// Undoes and frees what is proven dead in an address space, until the deadline; answers how
/// many there were. One that somebody works on is left alone.
pub(crate) fn reclaim(host: &Host, domain: &str, own: &AttachmentId) -> Result<usize, Error> {
    let mut freed = 0;
    for entry in holders(host, domain, own)? {
        if host.node.remaining().is_zero() {
            break;
        }
        freed += usize::from(reclaim_entry(host, &entry)?);
    }
    Ok(freed)
}

/// Undoes and frees one attachment that is proven dead; whether it was.
pub(crate) fn reclaim_one(host: &Host, id: &AttachmentId) -> Result<bool, Error> {
    let Some(entry) = host.ledger.get(id)? else { return Ok(true) };
    reclaim_entry(host, &entry)
}

fn reclaim_entry(host: &Host, entry: &Entry) -> Result<bool, Error> {
    if lives(host.kernel, host.node, &entry.record)? {
        return Ok(false);
    }
    let hold = del::seize(host, entry)?;
    let gone = hold.is_some() && del::undo_recorded(host, entry, None).is_ok();
    if gone {
        host.notes.detached(&entry.record.id, DEAD);
    }
    Ok(gone)
}

/// Undoes every attachment that is proven dead, of whatever network; says which. For a node on
/// which others have deleted what we made: the container's link is gone, and our record, rules and
/// addresses are left.
pub fn sweep(host: &Host) -> Result<Vec<AttachmentId>, Error> {
    let (mut swept, mut errors) = (Vec::new(), Vec::new());
    let entries = host.ledger.list(None)?;
    let all = entries.len();
    for (done, entry) in entries.into_iter().enumerate() {
        host.notes.went(done, all);
        if host.node.remaining().is_zero() {
            break;
        }
        if lives(host.kernel, host.node, &entry.record)? {
            continue;
        }
        let Some(_hold) = del::seize(host, &entry)? else { continue };
        match sweep_one(host, &entry) {
            Ok(()) => {
                host.notes.detached(&entry.record.id, DEAD);
                swept.push(entry.record.id);
            }
            Err(error) => errors.push(error),
        }
    }
    del::several(errors).map(|()| swept)
}

/// What a directory of the reference's holds for the same container may be of its next life, by
/// the reference: that stays.
fn sweep_one(host: &Host, entry: &Entry) -> Result<(), Error> {
    let record = &entry.record;
    if record.conf.get("called").is_none() {
        return del::undo_recorded(host, entry, None);
    }
    let errors = host.kernel.undo(&record.plan, None);
    del::several(errors.into_iter().map(Error::from).collect())?;
    host.ledger.release(&record.id, entry.seq, host.node.now(), Duration::ZERO)?;
    Ok(())
}
