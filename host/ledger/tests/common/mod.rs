//! What the tests of the book share: short names for things, and both books behind one trait.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use wharfinger_cni::{AttachmentId, Protocol};
use wharfinger_ledger::cluster::{
    Changes, ClusterLedger, Committed, Cut, Fault, Guard, MemRemote, Object, Part, Put, Remaining,
    Remote,
};
use wharfinger_ledger::{
    Commit, Entry, Error, HostPort, Identity, Ledger, MemLedger, Opened, Options, Owner, Range,
    Record, Release, Scope, Session, SqliteLedger, State,
};
use wharfinger_plan::Plan;

pub(crate) const DOMAIN: &str = "bridge:cni0";
pub(crate) const COOL: Duration = Duration::from_mins(1);

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `10.0.0.1-10.0.0.9`, or a single address.
pub(crate) fn range(text: &str) -> Range {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Range::new(ip(first), ip(last)).unwrap()
}

/// `tcp/8080`, or `udp/53@10.0.0.1`.
pub(crate) fn port(text: &str) -> HostPort {
    let (protocol, rest) = text.split_once('/').unwrap();
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => Protocol::Sctp,
    };
    let (port, address) = rest.split_once('@').map_or((rest, None), |(p, a)| (p, Some(ip(a))));
    HostPort { protocol, address, port: port.parse().unwrap() }
}

/// Of network `pods`.
pub(crate) fn id(container: &str) -> AttachmentId {
    id_of("pods", container)
}

pub(crate) fn id_of(network: &str, container: &str) -> AttachmentId {
    AttachmentId { network: network.into(), container: container.into(), ifname: "eth0".into() }
}

/// The store of a plugin of network `pods`.
pub(crate) fn own() -> Owner {
    Owner::of_network("pods", "host-local")
}

pub(crate) fn scope(id: &AttachmentId, now: u64) -> Scope {
    Scope { id: id.clone(), domain: DOMAIN.into(), now }
}

pub(crate) fn record(id: &AttachmentId, addresses: &[IpAddr]) -> Record {
    Record {
        id: id.clone(),
        state: State::Pending,
        created: 1_700_000_000,
        netns: Some(format!("/run/netns/{}", id.container)),
        cookie: Some(u64::MAX),
        domain: DOMAIN.into(),
        addresses: addresses.to_vec(),
        ports: Vec::new(),
        conf: json!({"z": 1, "a": [1.5, "é", null]}),
        plugin: Some("host-local@sha256:00".into()),
        plan: Plan::default(),
        result: None,
    }
}

/// Where a SQLite book's files are in a test's directory.
pub(crate) fn options(dir: &Path) -> Options {
    Options {
        path: dir.join("run/boot/ledger.db"),
        lasting: dir.join("lib/lasting.db"),
        wait: Duration::from_secs(30),
    }
}

/// The book there; begun with nothing where there is none.
pub(crate) fn open(dir: &Path) -> SqliteLedger {
    recover(dir, &[], 0)
}

/// The book there, rebuilt with these records where there is none that can be read.
pub(crate) fn recover(dir: &Path, found: &[Record], now: u64) -> SqliteLedger {
    let mut opened = SqliteLedger::open(options(dir)).unwrap();
    loop {
        opened = match opened {
            Opened::Book(book) => return book,
            Opened::Fresh(fresh) => return fresh.rebuild(found, now).unwrap().ledger,
            Opened::Damaged(damaged) => damaged.set_aside().unwrap(),
        }
    }
}

/// A kind of book under test.
pub(crate) trait Kind {
    fn new() -> Self;
    fn book(&self) -> &dyn Ledger;
    /// The machine started again: a new run directory, the same lib directory.
    fn rebooted(self, now: u64) -> Self;
    fn identities(&self) -> Vec<Identity>;
    fn forget(&self, network: &str, identity: &str) -> bool;
}

pub(crate) struct Memory(MemLedger);

impl Kind for Memory {
    fn new() -> Self {
        Self(MemLedger::new())
    }
    fn book(&self) -> &dyn Ledger {
        &self.0
    }
    fn rebooted(self, now: u64) -> Self {
        Self(self.0.rebooted(now).unwrap())
    }
    fn identities(&self) -> Vec<Identity> {
        self.0.identities().unwrap()
    }
    fn forget(&self, network: &str, identity: &str) -> bool {
        self.0.forget(network, identity).unwrap()
    }
}

pub(crate) struct Sqlite {
    pub(crate) ledger: SqliteLedger,
    pub(crate) dir: tempfile::TempDir,
}

impl Kind for Sqlite {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { ledger: open(dir.path()), dir }
    }
    fn book(&self) -> &dyn Ledger {
        &self.ledger
    }
    fn rebooted(self, now: u64) -> Self {
        let Self { ledger, dir } = self;
        drop(ledger);
        std::fs::remove_dir_all(dir.path().join("run")).unwrap();
        Self { ledger: recover(dir.path(), &[], now), dir }
    }
    fn identities(&self) -> Vec<Identity> {
        self.ledger.identities().unwrap()
    }
    fn forget(&self, network: &str, identity: &str) -> bool {
        self.ledger.forget(network, identity).unwrap()
    }
}

/// A kind of store: its clones are the same one.
pub(crate) trait Shared: Remote + Clone + 'static {
    /// An empty one.
    fn fresh() -> Self;
}

impl Shared for MemRemote {
    fn fresh() -> Self {
        Self::new()
    }
}

/// A store that writes one object at a time.
#[derive(Debug, Clone)]
pub(crate) struct OneByOne(MemRemote);

impl Shared for OneByOne {
    fn fresh() -> Self {
        Self(MemRemote::new().without_transactions())
    }
}

impl Remote for OneByOne {
    fn get(&self, keys: &[&str], wait: Duration) -> Result<Vec<Object>, Fault> {
        self.0.get(keys, wait)
    }
    fn changes(&self, prefix: &str, after: u64, wait: Duration) -> Result<Changes, Fault> {
        self.0.changes(prefix, after, wait)
    }
    fn transactions(&self) -> bool {
        self.0.transactions()
    }
    fn commit(&self, guards: &[Guard], puts: &[Put], wait: Duration) -> Result<Committed, Fault> {
        self.0.commit(guards, puts, wait)
    }
}

/// One node of a cluster, whose own book is in memory.
pub(crate) struct Cluster<R = MemRemote> {
    pub(crate) ledger: ClusterLedger<MemLedger>,
    pub(crate) store: R,
}

/// A node's view of the cluster's book.
pub(crate) fn join<S, R>(own: S, store: &R, node: &str, block: u32) -> ClusterLedger<S>
where
    ClusterLedger<S>: Joins<S>,
    R: Shared,
{
    let part = Part { node: node.into(), machine: "m".into(), cut: Cut::of(block).unwrap() };
    let remaining = Box::new(|| Duration::from_secs(30));
    ClusterLedger::join(own, Box::new(store.clone()), part, remaining)
}

/// Either kind of a node's own book.
pub(crate) trait Joins<S> {
    fn join(own: S, store: Box<dyn Remote>, part: Part, remaining: Remaining) -> Self;
    /// Frees what is held without a record; how much that was.
    fn collect(&self) -> usize;
}

macro_rules! joins {
    ($own:ident) => {
        impl Joins<$own> for ClusterLedger<$own> {
            fn join(own: $own, store: Box<dyn Remote>, part: Part, remaining: Remaining) -> Self {
                Self::new(own, store, part, remaining)
            }
            fn collect(&self) -> usize {
                let strays = self.strays().unwrap();
                strays.iter().filter(|stray| self.drop_stray(stray).unwrap()).count()
            }
        }
    };
}
joins!(MemLedger);
joins!(SqliteLedger);

impl<R: Shared> Kind for Cluster<R> {
    fn new() -> Self {
        let store = R::fresh();
        Self { ledger: join(MemLedger::new(), &store, "n1", 4), store }
    }
    fn book(&self) -> &dyn Ledger {
        &self.ledger
    }
    fn rebooted(self, now: u64) -> Self {
        let own = self.ledger.own().rebooted(now).unwrap();
        let ledger = join(own, &self.store, "n1", 4);
        ledger.collect();
        Self { ledger, ..self }
    }
    fn identities(&self) -> Vec<Identity> {
        self.ledger.identities().unwrap()
    }
    fn forget(&self, network: &str, identity: &str) -> bool {
        self.ledger.forget(network, identity).unwrap()
    }
}

/// One node of a cluster, as it is on a machine.
pub(crate) struct ClusterOnDisk<R = MemRemote> {
    pub(crate) ledger: ClusterLedger<SqliteLedger>,
    store: R,
    dir: tempfile::TempDir,
}

impl<R: Shared> Kind for ClusterOnDisk<R> {
    fn new() -> Self {
        let (dir, store) = (tempfile::tempdir().unwrap(), R::fresh());
        Self { ledger: join(open(dir.path()), &store, "n1", 1), store, dir }
    }
    fn book(&self) -> &dyn Ledger {
        &self.ledger
    }
    fn rebooted(self, now: u64) -> Self {
        let Self { ledger, store, dir } = self;
        drop(ledger);
        std::fs::remove_dir_all(dir.path().join("run")).unwrap();
        let ledger = join(recover(dir.path(), &[], now), &store, "n1", 1);
        ledger.collect();
        Self { ledger, store, dir }
    }
    fn identities(&self) -> Vec<Identity> {
        self.ledger.identities().unwrap()
    }
    fn forget(&self, network: &str, identity: &str) -> bool {
        self.ledger.forget(network, identity).unwrap()
    }
}

/// A whole ADD: takes the next free address of the ranges and commits, again while others are
/// faster. None: the ranges are full.
pub(crate) fn add_from(
    book: &dyn Ledger,
    id: &AttachmentId,
    ranges: &[Range],
    now: u64,
) -> Option<IpAddr> {
    loop {
        let mut session = book.session(scope(id, now)).unwrap();
        let address = session.take_free(ranges, &[], None).unwrap()?;
        match session.commit(&record(id, &[address])).unwrap() {
            Commit::Done(_) => return Some(address),
            Commit::Conflict => {}
        }
    }
}

/// A whole ADD of an address by name.
pub(crate) fn add_named(book: &dyn Ledger, id: &AttachmentId, address: IpAddr, now: u64) -> u64 {
    let mut session = book.session(scope(id, now)).unwrap();
    session.take(address).unwrap().unwrap();
    seq_of(session.commit(&record(id, &[address])))
}

/// A whole ADD with ports of the host and nothing else.
pub(crate) fn add_ports(book: &dyn Ledger, id: &AttachmentId, ports: &[HostPort]) -> u64 {
    let mut session = session(book, id, 0);
    for port in ports {
        session.claim(port).unwrap().unwrap();
    }
    seq_of(session.commit(&Record { ports: ports.to_vec(), ..record(id, &[]) }))
}

pub(crate) fn seq_of(commit: Result<Commit, Error>) -> u64 {
    match commit.unwrap() {
        Commit::Done(seq) => seq,
        Commit::Conflict => panic!("a conflict with nobody"),
    }
}

pub(crate) fn entry(book: &dyn Ledger, id: &AttachmentId) -> Entry {
    book.get(id).unwrap().unwrap()
}

/// A whole ADD whose plugin keeps an identity's address.
pub(crate) fn add_sticky(book: &dyn Ledger, id: &AttachmentId, identity: &str) -> IpAddr {
    let mut session = session(book, id, 0);
    let address = match session.remembered(identity).unwrap().first() {
        Some(known) => {
            session.take(*known).unwrap().unwrap();
            *known
        }
        None => session.take_free(&[range("10.0.0.1-10.0.0.9")], &[], None).unwrap().unwrap(),
    };
    session.remember(identity);
    seq_of(session.commit(&record(id, &[address])));
    address
}

/// A whole DEL.
pub(crate) fn del(book: &dyn Ledger, id: &AttachmentId, now: u64, cool: Duration) {
    let seq = entry(book, id).seq;
    assert_eq!(book.release(id, seq, now, cool).unwrap(), Release::Done);
}

pub(crate) fn session<'a>(
    book: &'a dyn Ledger,
    id: &AttachmentId,
    now: u64,
) -> Box<dyn Session + 'a> {
    book.session(scope(id, now)).unwrap()
}

/// What a session that is dropped right after would get.
pub(crate) fn next_of(book: &dyn Ledger, ranges: &[Range], now: u64) -> Option<IpAddr> {
    session(book, &id("nobody"), now).take_free(ranges, &[], None).unwrap()
}

/// Looks into the files of a book that nobody has open, and fails where they contradict
/// themselves: runs are the maximal intervals of known addresses, holders and records agree.
pub(crate) fn audit(dir: &Path) {
    let conn = rusqlite::Connection::open(options(dir).path).unwrap();
    let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let texts = |sql: &str| -> Vec<String> {
        let mut sql = conn.prepare(sql).unwrap();
        sql.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let known = texts("SELECT domain || '|' || hex(address) FROM address ORDER BY 1");
    let mut in_runs = Vec::new();
    let mut above = String::new();
    for run in texts("SELECT domain || '|' || hex(first) || '|' || hex(last) FROM run ORDER BY 1") {
        let parts: Vec<&str> = run.split('|').collect();
        let number = |text: &str| u128::from_str_radix(&text[2..], 16).unwrap();
        let (first, last) = (number(parts[1]), number(parts[2]));
        let key = |n: u128| format!("{}|{}{n:032X}", parts[0], &parts[1][..2]);
        assert!(above != key(first), "two runs touch at {above}");
        above = key(last.saturating_add(1));
        in_runs.extend((first..=last).map(key));
    }
    assert_eq!(in_runs, known, "runs and addresses");
    let nobody = texts(
        "SELECT hex(address) FROM address
         WHERE (holder IS NOT NULL AND holder NOT IN (SELECT id FROM attachment))
            OR (holder IS NULL AND until IS NULL AND kept IS NULL)
            OR (holder IS NOT NULL AND until IS NOT NULL)
            OR (until IS NULL) <> (released IS NULL)
            OR (kept IS NOT NULL) <> EXISTS (SELECT 1 FROM identity i
                WHERE i.domain = address.domain AND i.address = address.address)",
    );
    assert!(nobody.is_empty(), "{nobody:?}");
    let nobodys = texts(
        "SELECT hex(address) FROM port WHERE holder NOT IN (SELECT id FROM attachment)
         UNION SELECT hex(a.address) FROM port a JOIN port b USING (protocol, port)
         WHERE a.holder <> b.holder AND substr(a.address, 1, 1) = substr(b.address, 1, 1)
            AND substr(a.address, 2) = zeroblob(16)",
    );
    assert!(nobodys.is_empty(), "{nobodys:?}");
    let held: i64 = conn
        .query_row("SELECT count(*) FROM address WHERE holder IS NOT NULL", [], |row| row.get(0))
        .unwrap();
    let named: usize = texts("SELECT body FROM attachment")
        .iter()
        .map(|body| serde_json::from_str::<Record>(body).unwrap().addresses.len())
        .sum();
    assert_eq!(usize::try_from(held).unwrap(), named, "records and addresses");
}
