//! The directory of the reference `host-local`, where the executable is called as a reference
//! plugin: there it alone holds the addresses, and the ledger has the rest.
//!
//! A component still decides. What it takes is reserved at once, under the directory's lock, as
//! the reference does it; the lock is not held while the component runs. The reservation itself
//! says whose it is: so whatever happens in between, the attachment's DEL finds it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use wharfinger_cni::{Attach, AttachmentId, NetConf, Node, Success};
use wharfinger_drivers::Facts;
use wharfinger_ledger::reserved::{DATA_DIR, Reservation, Reserved, Reserver};
use wharfinger_wasm::{
    AddressRange, Book, BookError, Lease, Level, NoPod, PodFacts, Refusal, Usage,
};

use crate::book::{SessionBook, ranges};
use crate::conf::{self, IpamConf, Place, Store};
use crate::hearing::Hearing;
use crate::network::Network;
use crate::{Error, GcMode, Host, add, allow, chain};

/// The directory that a configuration keeps its addresses in; none where the ledger has them.
pub(crate) fn of(host: &Host, network: &str, ipam: &IpamConf) -> Option<Reserved> {
    match &ipam.store {
        Store::Ledger => None,
        Store::Directory(data_dir) => Some(open(host, network, data_dir)),
    }
}

/// The directory of a network in `data_dir`.
pub(crate) fn open(host: &Host, network: &str, data_dir: &Path) -> Reserved {
    let index = host.node.indexes().map(|all| all.join(index_name(data_dir, network)));
    Reserved::new(data_dir, network, index, host.node.remaining())
}

/// One name for a directory, as a path has no separator in it.
fn index_name(data_dir: &Path, network: &str) -> PathBuf {
    let text = data_dir.join(network).display().to_string();
    PathBuf::from(text.replace('%', "%25").replace('/', "%2f"))
}

pub(crate) fn reserver(id: &AttachmentId) -> Reserver {
    Reserver::new(&id.container, chain::interface(&id.ifname))
}

/// What one ADD takes out of a directory.
pub(crate) struct Taking {
    reserved: Reserved,
    id: AttachmentId,
    /// What the attachment holds: of an earlier ADD that was not finished, or of this one, should
    /// the decision be made again.
    held: RefCell<Vec<IpAddr>>,
    /// Nothing is to be written.
    dry: bool,
}

impl Taking {
    pub(crate) fn new(reserved: Reserved, id: &AttachmentId, dry: bool) -> Result<Self, Error> {
        let held = RefCell::new(reserved.held(&reserver(id))?);
        Ok(Self { reserved, id: id.clone(), held, dry })
    }

    pub(crate) fn reserved(&self) -> &Reserved {
        &self.reserved
    }

    /// What the attachment holds and the lease does not have is free at once.
    pub(crate) fn keep(&self, lease: &Lease) -> Result<(), Error> {
        let given = |ip: &IpAddr| lease.addresses.iter().any(|given| given.address.addr() == *ip);
        let surplus: Vec<IpAddr> =
            self.held.borrow().iter().copied().filter(|ip| !given(ip)).collect();
        if self.dry || surplus.is_empty() {
            return Ok(());
        }
        self.held.borrow_mut().retain(given);
        Ok(self.reserved.give_up(&reserver(&self.id), &surplus)?)
    }
}

/// A directory as a component sees it; what is not about addresses is the session's.
pub(crate) struct DirectoryBook<'a, 'l> {
    taking: &'a Taking,
    session: SessionBook<'a, 'l>,
    /// What this call of the component was given: its number is that of the range set, since
    /// each set gives one address, in their order.
    given: Vec<IpAddr>,
}

impl<'a, 'l> DirectoryBook<'a, 'l> {
    pub(crate) fn new(taking: &'a Taking, session: SessionBook<'a, 'l>) -> Self {
        Self { taking, session, given: Vec::new() }
    }

    fn take_now(&self, address: IpAddr) -> Result<Option<Reserver>, wharfinger_ledger::Error> {
        let Taking { reserved, id, held, dry } = self.taking;
        if held.borrow().contains(&address) {
            return Ok(None);
        }
        if *dry {
            return reserved.owner(address);
        }
        let refused = reserved.take(&reserver(id), address, self.given.len())?.err();
        if refused.is_none() {
            held.borrow_mut().push(address);
        }
        Ok(refused)
    }

    fn take_free_now(
        &self,
        wanted: &[AddressRange],
        excluded: &[AddressRange],
    ) -> Result<Option<IpAddr>, wharfinger_ledger::Error> {
        let Taking { reserved, id, held, dry } = self.taking;
        let within = |ip: &IpAddr| wanted.iter().any(|(first, last)| first <= ip && ip <= last);
        let again = |ip: &IpAddr| within(ip) && !self.given.contains(ip);
        let again = held.borrow().iter().copied().find(again);
        if again.is_some() {
            return Ok(again);
        }
        let (set, wanted, excluded) = (self.given.len(), ranges(wanted), ranges(excluded));
        if *dry {
            return reserved.free(set, &wanted, &excluded);
        }
        let found = reserved.take_free(&reserver(id), set, &wanted, &excluded)?;
        held.borrow_mut().extend(found);
        Ok(found)
    }
}

impl Book for DirectoryBook<'_, '_> {
    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, BookError> {
        let Some(owner) = self.take_now(address)? else {
            self.given.push(address);
            return Ok(Ok(()));
        };
        Ok(Err(Refusal::Held(AttachmentId {
            network: self.taking.id.network.clone(),
            container: owner.container,
            ifname: owner.ifname.unwrap_or_default(),
        })))
    }

    fn take_free(
        &mut self,
        wanted: &[AddressRange],
        excluded: &[AddressRange],
        _: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, BookError> {
        let found = self.take_free_now(wanted, excluded)?;
        self.given.extend(found);
        Ok(found)
    }

    fn remembered(&mut self, _: &str) -> Result<Vec<IpAddr>, BookError> {
        Ok(Vec::new())
    }

    fn remember(&mut self, _: &str) -> Result<(), BookError> {
        Ok(())
    }

    fn store_get(&mut self, key: &str) -> Result<Option<String>, BookError> {
        self.session.store_get(key)
    }

    fn store_put(&mut self, key: &str, value: &str, attachment: bool) -> Result<(), BookError> {
        self.session.store_put(key, value, attachment)
    }

    fn store_remove(&mut self, key: &str) -> Result<bool, BookError> {
        self.session.store_remove(key)
    }

    fn store_scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, BookError> {
        self.session.store_scan(prefix, after, limit)
    }

    fn store_count(&mut self, prefix: &str) -> Result<u64, BookError> {
        self.session.store_count(prefix)
    }

    fn store_size(&mut self) -> Result<u64, BookError> {
        self.session.store_size()
    }

    fn pod(&mut self) -> Result<Result<PodFacts, NoPod>, BookError> {
        self.session.pod()
    }

    fn log(&mut self, level: Level, message: &str) {
        self.session.log(level, message);
    }

    fn usage(&mut self, within: &[AddressRange]) -> Result<Usage, BookError> {
        let usage = self.taking.reserved.usage(&ranges(within))?;
        let counted = |count: u128| u64::try_from(count).unwrap_or(u64::MAX).min(1 << 53);
        let (total, held) = (counted(usage.total), counted(usage.held));
        Ok(Usage { total, held, resting: 0, remembered: 0 })
    }
}

/// Called as `host-local` by another plugin: the directory is all there is. That plugin may be
/// ours, and have lock and record of the attachment: so there is neither here.
pub(crate) fn alone(network: &Network) -> bool {
    network.place == Place::Ipam && network.ipam.as_ref().is_some_and(IpamConf::in_directory)
}

/// As [`alone`], for verbs that must go on where a configuration cannot be read.
pub(crate) fn called_alone(conf: &NetConf) -> bool {
    conf.called == conf::HOST_LOCAL
}

/// ADD where the directory is all there is. As with the reference, the namespace is not looked at.
pub(crate) fn add(host: &Host, call: &Attach, network: &Network) -> Result<Success, Error> {
    if let Some(reserved) = directory(host, call, network) {
        let addresses = reserved.held(&reserver(&call.id))?;
        if !addresses.is_empty() {
            let directory = reserved.path().display().to_string();
            return Err(Error::Reserved { id: call.id.clone(), addresses, directory });
        }
    }
    let facts = Facts::default();
    let hearing = Hearing::new(host, call, network, &facts, None)?;
    let mut session = host.ledger.session(add::scope(host, &call.id, &network.domain))?;
    let settled = hearing.settle(&mut *session);
    if settled.is_err() {
        give_back(host, call, network);
    }
    Ok(settled?.decided.lease)
}

fn directory(host: &Host, call: &Attach, network: &Network) -> Option<Reserved> {
    of(host, &call.id.network, network.ipam.as_ref()?)
}

/// Gives back what an ADD that came to nothing took; what cannot be given back now, its DEL will.
pub(crate) fn give_back(host: &Host, call: &Attach, network: &Network) {
    if let Some(reserved) = directory(host, call, network) {
        let _ = reserved.release(&reserver(&call.id));
    }
}

/// The directory that a configuration names. Under the name `host-local` it is found also where
/// the rest of the configuration cannot be read: no address leaks for a typing error.
pub(crate) fn of_conf(host: &Host, conf: &NetConf, path: &[PathBuf]) -> Option<Reserved> {
    match conf::ipam(conf, host, path) {
        Ok(ipam) => of(host, &conf.name, &ipam?),
        Err(_) if called_alone(conf) => {
            let ipam = conf.fields().object("ipam").ok().flatten();
            let given = ipam.as_ref().and_then(|ipam| ipam.str("dataDir").ok().flatten());
            Some(open(host, &conf.name, Path::new(given.unwrap_or(DATA_DIR))))
        }
        Err(_) => None,
    }
}

/// As [`of_conf`], of a configuration that no record vouches for; none also where an ADD with it is
/// refused.
pub(crate) fn of_called(host: &Host, conf: &NetConf, path: &[PathBuf]) -> Option<Reserved> {
    of_conf(host, conf, path).filter(|_| allow::files(host, conf).is_ok())
}

/// DEL where the directory is all there is.
pub(crate) fn del(host: &Host, call: &Attach) -> Result<(), Error> {
    match of_called(host, &call.conf, &call.path) {
        Some(reserved) => release(&reserved, &call.id),
        None => Ok(()),
    }
}

/// CHECK where the directory is all there is.
pub(crate) fn check_alone(host: &Host, call: &Attach) -> Result<(), Error> {
    allow::files(host, &call.conf)?;
    match of_conf(host, &call.conf, &call.path) {
        Some(reserved) => check(&reserved, call),
        None => Ok(()),
    }
}

/// Gives back all that an attachment holds, wherever it lies.
pub(crate) fn release(reserved: &Reserved, id: &AttachmentId) -> Result<(), Error> {
    Ok(reserved.release(&reserver(id)).map(drop)?)
}

/// A reservation as young as this may be of an ADD that the runtime's list does not have yet.
const YOUNG: u64 = 60;

/// GC: what the runtime does not list is given back. Where a living namespace keeps its
/// attachment, only records tell that, and a reservation without one stays.
pub(crate) fn collect(
    host: &Host,
    call: &Node,
    listed: &dyn Fn(&AttachmentId) -> bool,
) -> Result<(), Error> {
    let Some(reserved) = of_called(host, &call.conf, &call.path) else { return Ok(()) };
    if host.settings.gc == GcMode::DeadOnly {
        return Ok(());
    }
    let now = host.node.now();
    let stays = |held: &Reservation| {
        let young = held.since.saturating_add(YOUNG) > now;
        young || named(&held.reserver, &call.conf.name, listed)
    };
    Ok(reserved.collect(stays).map(drop)?)
}

/// Whether the list has the reserver. Of one without an interface, any will do.
fn named(reserver: &Reserver, network: &str, listed: &dyn Fn(&AttachmentId) -> bool) -> bool {
    let id = |ifname: &str| AttachmentId {
        network: network.to_owned(),
        container: reserver.container.clone(),
        ifname: ifname.to_owned(),
    };
    reserver.ifname.as_deref().is_none_or(|ifname| listed(&id(ifname)))
}

/// CHECK: what the attachment was told it has is reserved for it, and nothing else is.
pub(crate) fn check(reserved: &Reserved, call: &Attach) -> Result<(), Error> {
    let held = reserved.held(&reserver(&call.id))?;
    if held.is_empty() {
        let path = reserved.path().display();
        return Err(Error::Drift(vec![format!("no address is reserved for it in {path}")]));
    }
    let drifts = match &call.prev_result {
        Some(previous) => drifts(reserved, call, &held, previous)?,
        None => Vec::new(),
    };
    if drifts.is_empty() { Ok(()) } else { Err(Error::Drift(drifts)) }
}

fn drifts(
    reserved: &Reserved,
    call: &Attach,
    held: &[IpAddr],
    previous: &Success,
) -> Result<Vec<String>, Error> {
    let told = |ip: &IpAddr| previous.ips.iter().any(|known| known.address.addr() == *ip);
    let unknown = held.iter().filter(|ip| !told(ip));
    let mut drifts: Vec<String> = unknown
        .map(|ip| format!("address {ip} is reserved for it, and not in prevResult"))
        .collect();
    for ip in previous.ips.iter().map(|ip| ip.address.addr()).filter(|ip| !held.contains(ip)) {
        let Some(owner) = reserved.owner(ip)? else { continue };
        if owner.container != call.id.container {
            drifts.push(format!("address {ip} is reserved for container {}", owner.container));
        }
    }
    if !held.iter().any(told) {
        drifts.push("none of the addresses in prevResult is reserved for it".to_owned());
    }
    Ok(drifts)
}
