//! Random histories, step by step on the model and on SQLite: every answer must be the same, and
//! what both answer must be what a third, naive book says, which knows nothing of runs, rows or
//! transactions and walks ranges address by address.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use common::*;
use proptest::prelude::*;
use wharfinger_cni::{AttachmentId, Protocol};
use wharfinger_ledger::{
    Commit, Error, HostPort, Ledger, Range, Record, Release, Scope, Session, Usage,
};

/// Sets of ranges: small enough to be filled, at the families' ends, beside and over each other.
const RANGES: [&[&str]; 8] = [
    &["10.0.0.0-10.0.0.7"],
    &["10.0.0.2-10.0.0.3", "10.0.0.6-10.0.0.9"],
    &["0.0.0.0-0.0.0.2", "255.255.255.253-255.255.255.255"],
    &["::-::2"],
    &["ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    &["10.0.0.5", "fd00::1", "10.0.0.4", "10.0.0.4-10.0.0.5"],
    &["::ffff:ffff:fffe-::1:0:0:1", "255.255.255.254-255.255.255.255"],
    &[],
];

const EXCLUDED: [&[&str]; 4] = [
    &[],
    &["10.0.0.0-10.0.0.1", "10.0.0.3-10.0.0.4", "10.0.0.4-10.0.0.5"],
    &["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    &["0.0.0.0-255.255.255.255"],
];

const NAMED: [&str; 6] = ["10.0.0.0", "10.0.0.5", "255.255.255.255", "::", "fd00::1", "192.0.2.1"];

/// Ports of one address, of all of a family, of all; two of them the same in other clothes.
const PORTS: [&str; 9] = [
    "tcp/80",
    "tcp/80@0.0.0.0",
    "tcp/80@::",
    "tcp/80@10.0.0.1",
    "tcp/80@10.0.0.2",
    "tcp/80@::ffff:10.0.0.1",
    "tcp/80@fd00::1",
    "udp/80",
    "tcp/81@10.0.0.1",
];

/// The sockets that a port takes, on a host with these addresses.
fn sockets(port: &HostPort) -> BTreeSet<(Protocol, u16, IpAddr)> {
    let all = ["10.0.0.1", "10.0.0.2", "192.0.2.7", "fd00::1", "fd00::2", "2001:db8::7"].map(ip);
    let takes = |own: &IpAddr| match port.address.map(|address| address.to_canonical()) {
        None => true,
        Some(IpAddr::V4(v4)) if v4.is_unspecified() => own.is_ipv4(),
        Some(IpAddr::V6(v6)) if v6.is_unspecified() => own.is_ipv6(),
        Some(one) => one == *own,
    };
    all.into_iter().filter(takes).map(|own| (port.protocol, port.port, own)).collect()
}

fn ranges(texts: &[&str]) -> Vec<Range> {
    texts.iter().map(|text| range(text)).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Open { slot: usize, who: usize, domain: usize },
    TakeFree { slot: usize, ranges: usize, excluded: usize, start: Option<usize> },
    Take { slot: usize, named: usize },
    Claim { slot: usize, port: usize },
    Pools { slot: usize, ranges: usize },
    Remembered { slot: usize, identity: usize },
    Remember { slot: usize, identity: usize },
    Store { slot: usize, key: usize, change: usize },
    Scan { slot: usize, after: Option<usize>, limit: usize },
    Commit { slot: usize, keep: u8 },
    Attached { who: usize },
    Release { who: usize, stale: bool, cool: u64 },
    Forget { identity: usize },
    Pass { seconds: u64 },
    Reboot,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let slot = 0..3_usize;
    prop_oneof![
        4 => (slot.clone(), 0..8_usize, 0..5_usize)
            .prop_map(|(slot, who, domain)| Open { slot, who, domain: domain / 4 }),
        8 => (slot.clone(), 0..RANGES.len(), 0..EXCLUDED.len() + 2, prop::option::of(0..NAMED.len()))
            .prop_map(|(slot, ranges, excluded, start)| TakeFree {
                slot, ranges, excluded: excluded % EXCLUDED.len(), start,
            }),
        2 => (slot.clone(), 0..NAMED.len()).prop_map(|(slot, named)| Take { slot, named }),
        4 => (slot.clone(), 0..PORTS.len()).prop_map(|(slot, port)| Claim { slot, port }),
        1 => (slot.clone(), 0..RANGES.len()).prop_map(|(slot, ranges)| Pools { slot, ranges }),
        1 => (slot.clone(), 0..3_usize)
            .prop_map(|(slot, identity)| Remembered { slot, identity }),
        1 => (slot.clone(), 0..3_usize).prop_map(|(slot, identity)| Remember { slot, identity }),
        2 => (slot.clone(), 0..4_usize, 0..4_usize)
            .prop_map(|(slot, key, change)| Store { slot, key, change }),
        1 => (slot.clone(), prop::option::of(0..4_usize), 0..4_usize)
            .prop_map(|(slot, after, limit)| Scan { slot, after, limit }),
        5 => (slot, any::<u8>()).prop_map(|(slot, keep)| Commit { slot, keep: keep | (keep >> 2) }),
        1 => (0..8_usize).prop_map(|who| Attached { who }),
        4 => (0..8_usize, prop::bool::weighted(0.1), 0..3_u64)
            .prop_map(|(who, stale, cool)| Release { who, stale, cool: cool * 30 }),
        1 => (0..3_usize).prop_map(|identity| Forget { identity }),
        2 => (0..50_u64).prop_map(|seconds| Pass { seconds }),
        // A reboot ends a history's sessions, so it is rare.
        1 => prop::bool::weighted(0.2).prop_map(|reboot| if reboot { Reboot } else { Pass { seconds: 1 } }),
    ]
}

fn who(number: usize) -> AttachmentId {
    id_of(["pods", "jobs"][number % 2], ["a", "b", "c", "d"][number / 2])
}

fn domain(number: usize) -> &'static str {
    ["host", "bridge:b"][number]
}

/// What the naive book says of an address.
#[derive(Debug, Clone, Default, PartialEq)]
struct Fate {
    holder: Option<AttachmentId>,
    /// Until when, and which release it was.
    rest: Option<(u64, u64)>,
}

type Spot = (String, IpAddr);

/// The naive book.
#[derive(Debug, Default)]
struct Naive {
    clock: u64,
    order: u64,
    fates: BTreeMap<Spot, Fate>,
    records: BTreeMap<AttachmentId, Record>,
    /// Domain, network, identity: its addresses, and when they were remembered.
    kept: BTreeMap<(String, String, String), (Vec<IpAddr>, u64)>,
    cursors: BTreeMap<(String, String, Vec<String>), IpAddr>,
}

/// What the naive book knows of a session.
#[derive(Debug, Default)]
struct Sheet {
    id: Option<AttachmentId>,
    domain: String,
    now: u64,
    own: Vec<IpAddr>,
    taken: Vec<IpAddr>,
    claimed: Vec<HostPort>,
    cursors: BTreeMap<Vec<String>, IpAddr>,
    rests_ended: bool,
    identities: BTreeSet<String>,
}

fn texts(ranges: &[Range]) -> Vec<String> {
    ranges.iter().map(|range| format!("{}-{}", range.first(), range.last())).collect()
}

fn up(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|n| IpAddr::V6(n.into())),
    }
}

fn within(range: &Range, address: IpAddr) -> bool {
    range.first().is_ipv4() == address.is_ipv4()
        && (range.first()..=range.last()).contains(&address)
}

/// Each address of the ranges, in their order.
fn walk(ranges: &[Range]) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for range in ranges {
        let mut at = Some(range.first());
        while let Some(address) = at.filter(|address| within(range, *address)) {
            all.push(address);
            at = up(address);
        }
    }
    all
}

impl Naive {
    fn kept_since(&self, domain: &str, address: IpAddr) -> Option<u64> {
        let here = self.kept.iter().filter(|((of, _, _), _)| of == domain);
        here.filter(|(_, (all, _))| all.contains(&address)).map(|(_, (_, order))| *order).max()
    }

    fn fate(&self, domain: &str, address: IpAddr) -> Fate {
        self.fates.get(&(domain.to_owned(), address)).cloned().unwrap_or_default()
    }

    fn set(&mut self, domain: &str, address: IpAddr, fate: Fate) {
        self.fates.insert((domain.to_owned(), address), fate);
    }

    /// Whose port has a socket in common with this one.
    fn in_the_way(&self, id: &AttachmentId, port: &HostPort) -> Vec<AttachmentId> {
        let sockets = sockets(port);
        let clashes = |other: &HostPort| !self::sockets(other).is_disjoint(&sockets);
        let others = self.records.values().filter(|record| record.id != *id);
        others.filter(|record| record.ports.iter().any(clashes)).map(|it| it.id.clone()).collect()
    }

    fn end_rests(&mut self, now: u64) {
        for fate in self.fates.values_mut() {
            fate.rest = fate.rest.filter(|(until, _)| *until > now);
        }
    }

    /// The address that `take_free` must give: every candidate is looked at.
    fn next(
        &self,
        sheet: &Sheet,
        ranges: &[Range],
        excluded: &[Range],
        start: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let fits = |address: &IpAddr| {
            ranges.iter().any(|range| within(range, *address))
                && !excluded.iter().any(|range| within(range, *address))
                && !sheet.taken.contains(address)
        };
        if let Some(own) = sheet.own.iter().copied().find(|own| fits(own)) {
            return Some(own);
        }
        let network = sheet.id.as_ref().unwrap().network.clone();
        let key = (sheet.domain.clone(), network, texts(ranges));
        let last = sheet.cursors.get(&key.2).or_else(|| self.cursors.get(&key)).copied();
        let mut all = walk(ranges);
        let place = |address: IpAddr| all.iter().position(|known| *known == address);
        let start = start.filter(|start| ranges.iter().any(|range| within(range, *start)));
        let begin = match (start.and_then(place), last.and_then(place)) {
            (Some(at), _) => at,
            (None, Some(at)) => (at + 1) % all.len(),
            (None, None) => 0,
        };
        all.rotate_left(begin);
        let untaken = |address: &&IpAddr| {
            fits(address) && self.fate(&sheet.domain, **address).holder.is_none()
        };
        let mut rest: Vec<(u8, u64, usize, IpAddr)> = all
            .iter()
            .filter(untaken)
            .enumerate()
            .map(|(place, address)| {
                let fate = self.fate(&sheet.domain, *address);
                match (self.kept_since(&sheet.domain, *address), fate.rest) {
                    (Some(since), _) => (2, since, 0, *address),
                    (None, Some((_, order))) => (1, order, 0, *address),
                    (None, None) => (0, 0, place, *address),
                }
            })
            .collect();
        rest.sort();
        rest.first().map(|(_, _, _, address)| *address)
    }

    fn commit(&mut self, sheet: &Sheet, record: &Record) {
        self.order += 1;
        if let Some(before) = self.records.insert(record.id.clone(), record.clone()) {
            for address in before.addresses {
                if self.fate(&before.domain, address).holder == Some(record.id.clone()) {
                    self.set(&before.domain, address, Fate::default());
                }
            }
        }
        for address in &record.addresses {
            let known = self.fate(&record.domain, *address);
            assert!(known.holder.is_none(), "{address} was given twice");
            let holder = Some(record.id.clone());
            self.set(&record.domain, *address, Fate { holder, rest: None });
        }
        for port in &record.ports {
            assert!(self.in_the_way(&record.id, port).is_empty(), "{port} was given twice");
        }
        for (ranges, last) in &sheet.cursors {
            if record.addresses.contains(last) {
                let key = (record.domain.clone(), record.id.network.clone(), ranges.clone());
                self.cursors.insert(key, *last);
            }
        }
        for identity in &sheet.identities {
            let key = (record.domain.clone(), record.id.network.clone(), identity.clone());
            self.kept.insert(key, (record.addresses.clone(), self.order));
        }
    }

    fn release(&mut self, id: &AttachmentId, cool: u64) {
        self.order += 1;
        let record = self.records.remove(id).unwrap();
        for address in record.addresses {
            let rest = (cool > 0).then_some((self.clock + cool, self.order));
            self.set(&record.domain, address, Fate { holder: None, rest });
        }
    }

    fn usage(&self, domain: &str, ranges: &[Range]) -> Usage {
        let all: BTreeSet<IpAddr> = walk(ranges).into_iter().collect();
        let mut usage = Usage { total: all.len() as u128, ..Usage::default() };
        for address in all {
            let fate = self.fate(domain, address);
            if fate.holder.is_some() {
                usage.held += 1;
            } else if self.kept_since(domain, address).is_some() {
                usage.remembered += 1;
            } else if fate.rest.is_some_and(|(until, _)| until > self.clock) {
                usage.cooling += 1;
            }
        }
        usage
    }

    fn reboot(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        // In the order in which they are read back, all at once.
        let order = self.order + 1;
        let kept = kept.into_iter().filter(|(_, (all, _))| !all.is_empty());
        let kept = kept.map(|(key, (all, _))| (key, (all, order))).collect();
        *self = Self { clock: self.clock, order, kept, ..Self::default() };
    }
}

/// A session on both books, and the naive book's sheet of it.
#[derive(Default)]
struct Pair<'a> {
    sessions: Option<[Box<dyn Session + 'a>; 2]>,
    sheet: Sheet,
}

impl Pair<'_> {
    /// The answer of both, which must be one; none: the session is not open.
    fn both<T: PartialEq + std::fmt::Debug>(
        &mut self,
        mut ask: impl FnMut(&mut dyn Session) -> T,
    ) -> Option<T> {
        let [model, sqlite] = self.sessions.as_mut()?;
        let (model, sqlite) = (ask(model.as_mut()), ask(sqlite.as_mut()));
        assert_eq!(model, sqlite);
        Some(model)
    }
}

/// Errors are compared by what they say.
fn said<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// One step on sessions; those on the whole book are the caller's.
fn sit(step: &Step, naive: &mut Naive, pairs: &mut [Pair<'_>]) {
    match *step {
        Step::TakeFree { slot, ranges: set, excluded, start } => {
            let (set, out) = (ranges(RANGES[set]), ranges(EXCLUDED[excluded]));
            let start = start.map(|start| ip(NAMED[start]));
            let pair = &mut pairs[slot];
            let Some(found) = pair.both(|s| said(s.take_free(&set, &out, start))) else { return };
            if !std::mem::replace(&mut pair.sheet.rests_ended, true) {
                naive.end_rests(pair.sheet.now);
            }
            assert_eq!(found, Ok(naive.next(&pair.sheet, &set, &out, start)));
            if let Ok(Some(address)) = found {
                pair.sheet.taken.push(address);
                if !pair.sheet.own.contains(&address) {
                    pair.sheet.cursors.insert(texts(&set), address);
                }
            }
        }
        Step::Take { slot, named } => {
            let (pair, address) = (&mut pairs[slot], ip(NAMED[named]));
            let Some(found) = pair.both(|s| said(s.take(address)).unwrap()) else { return };
            let holder = naive.fate(&pair.sheet.domain, address).holder;
            let others = holder.filter(|holder| Some(holder) != pair.sheet.id.as_ref());
            assert_eq!(found.is_err(), others.is_some());
            if found.is_ok() && !pair.sheet.taken.contains(&address) {
                pair.sheet.taken.push(address);
            }
        }
        Step::Claim { slot, port } => claim(&mut pairs[slot], &port_of(port), naive),
        Step::Pools { slot, ranges: set } => {
            pairs[slot].both(|s| said(s.pools(&ranges(RANGES[set]))));
        }
        Step::Remembered { slot, identity } => {
            let (pair, identity) = (&mut pairs[slot], identity.to_string());
            let Some(found) = pair.both(|s| s.remembered(&identity).unwrap()) else { return };
            let network = pair.sheet.id.as_ref().unwrap().network.clone();
            let kept = naive.kept.get(&(pair.sheet.domain.clone(), network, identity));
            assert_eq!(found, kept.map_or_else(Vec::new, |(all, _)| all.clone()));
        }
        Step::Remember { slot, identity } => {
            pairs[slot].both(|s| s.remember(&identity.to_string()));
            pairs[slot].sheet.identities.insert(identity.to_string());
        }
        Step::Store { slot, key, change } => {
            let key = format!("k/{key}");
            pairs[slot].both(|s| match change {
                0 => said(s.store_get(&own(), &key)).unwrap(),
                1 => Some(said(s.store_remove(&own(), &key)).unwrap().to_string()),
                _ => {
                    s.store_put(&own(), &key, &naive.order.to_string(), change == 2);
                    None
                }
            });
        }
        Step::Scan { slot, after, limit } => {
            look(&mut pairs[slot], after.map(|after| format!("k/{after}")).as_deref(), limit);
        }
        Step::Commit { slot, keep } => commit(slot, keep, naive, pairs),
        _ => {}
    }
}

fn port_of(number: usize) -> HostPort {
    port(PORTS[number])
}

fn claim(pair: &mut Pair<'_>, port: &HostPort, naive: &Naive) {
    let Some(found) = pair.both(|s| said(s.claim(port)).unwrap()) else { return };
    let others = naive.in_the_way(pair.sheet.id.as_ref().unwrap(), port);
    match found {
        Ok(()) => {
            assert!(others.is_empty(), "{port} is {others:?}'s");
            pair.sheet.claimed.push(*port);
        }
        Err(holder) => assert!(others.contains(&holder.id), "{port} is {others:?}'s"),
    }
}

/// What a session sees of the store.
fn look(pair: &mut Pair<'_>, after: Option<&str>, limit: usize) {
    pair.both(|s| said(s.store_scan(&own(), "k/", after, limit)).unwrap());
    pair.both(|s| said(s.store_count(&own(), "k/")).unwrap());
    pair.both(|s| said(s.store_size(&own())).unwrap());
}

fn commit(slot: usize, keep: u8, naive: &mut Naive, pairs: &mut [Pair<'_>]) {
    let Pair { sessions: Some([model, sqlite]), sheet } = std::mem::take(&mut pairs[slot]) else {
        return;
    };
    let kept = sheet.taken.iter().enumerate().filter(|(bit, _)| keep >> (bit % 8) & 1 == 1);
    let addresses = kept.map(|(_, address)| *address).collect();
    let ports = sheet.claimed.iter().enumerate().filter(|(bit, _)| keep >> (7 - bit % 8) & 1 == 1);
    let ports = ports.map(|(_, port)| *port).collect();
    let id = sheet.id.clone().unwrap();
    let domain = sheet.domain.clone();
    let record = Record { domain, addresses, ports, ..record(&id, &[]) };
    let (model, sqlite) = (model.commit(&record).unwrap(), sqlite.commit(&record).unwrap());
    assert_eq!(model, sqlite);
    if matches!(model, Commit::Done(_)) {
        naive.commit(&sheet, &record);
    }
}

/// One step on the whole book.
fn turn<'a>(step: &Step, books: [&'a dyn Ledger; 2], naive: &mut Naive, pairs: &mut [Pair<'a>]) {
    match *step {
        Step::Open { slot, who: number, domain: place } => {
            let (id, place, now) = (who(number), domain(place), naive.clock);
            let scope = Scope { id: id.clone(), domain: place.to_owned(), now };
            let held = naive.records.get(&id).filter(|record| record.domain == place);
            let own = held.map_or_else(Vec::new, |record| record.addresses.clone());
            let sessions = books.map(|book| book.session(scope.clone()).unwrap());
            let sheet =
                Sheet { id: Some(id), domain: place.to_owned(), now, own, ..Sheet::default() };
            pairs[slot] = Pair { sessions: Some(sessions), sheet };
        }
        Step::Attached { who: number } => {
            let result = serde_json::json!({"n": number});
            let seq = |book: &dyn Ledger| book.get(&who(number)).unwrap().map_or(0, |e| e.seq);
            let done = books.map(|b| b.attached(&who(number), seq(b), &result).unwrap());
            assert_eq!(done[0], done[1]);
            naive.order += u64::from(done[0] == Release::Done);
        }
        Step::Release { who: number, stale, cool } => {
            let (id, now) = (who(number), naive.clock);
            let wait = Duration::from_secs(cool);
            let seq = |book: &dyn Ledger| {
                book.get(&id).unwrap().map_or(7, |entry| entry.seq - u64::from(stale))
            };
            let done = books.map(|b| b.release(&id, seq(b), now, wait).unwrap());
            let expected = match naive.records.contains_key(&id) {
                false => Release::Absent,
                true if stale => Release::Stale,
                true => Release::Done,
            };
            assert_eq!(done, [expected, expected]);
            if expected == Release::Done {
                naive.release(&id, cool);
            }
        }
        Step::Pass { seconds } => naive.clock += seconds,
        _ => sit(step, naive, pairs),
    }
}

/// What everybody can see is the same in all three.
fn compare(books: [&dyn Ledger; 2], naive: &Naive) {
    let [model, sqlite] = books.map(|book| book.list(None).unwrap());
    assert_eq!(model, sqlite);
    let what = |record: &Record| (record.addresses.clone(), record.ports.clone());
    let expected: Vec<_> = naive.records.values().map(what).collect();
    assert_eq!(model.iter().map(|entry| what(&entry.record)).collect::<Vec<_>>(), expected);
    assert_eq!(books[0].horizon().unwrap(), books[1].horizon().unwrap());
    for set in RANGES {
        for place in [domain(0), domain(1)] {
            let expected = naive.usage(place, &ranges(set));
            let usage = books.map(|b| b.usage(place, &ranges(set), naive.clock).unwrap());
            assert_eq!(usage, [expected, expected]);
        }
    }
}

/// Steps up to the first that needs the books themselves.
fn stretch(steps: &[Step], model: &Memory, sqlite: &Sqlite, naive: &mut Naive) {
    let books = [model.book(), sqlite.book()];
    let mut pairs: [Pair<'_>; 3] = Default::default();
    for step in steps {
        turn(step, books, naive, &mut pairs);
    }
    compare(books, naive);
}

fn run(history: &[Step]) {
    let (mut model, mut sqlite) = (Memory::new(), Sqlite::new());
    let mut naive = Naive { clock: 1_000, ..Naive::default() };
    let is_whole = |step: &Step| matches!(step, Step::Reboot | Step::Forget { .. });
    for part in history.split_inclusive(is_whole) {
        stretch(part, &model, &sqlite, &mut naive);
        match part.last() {
            Some(Step::Forget { identity }) => {
                let name = identity.to_string();
                let forgot = [model.forget("pods", &name), sqlite.forget("pods", &name)];
                let before = naive.kept.len();
                naive.kept.retain(|(_, network, known), (all, _)| {
                    network != "pods" || *known != name || all.is_empty()
                });
                assert_eq!(forgot, [before > naive.kept.len(); 2]);
            }
            Some(Step::Reboot) => {
                naive.clock += 100;
                (model, sqlite) = (model.rebooted(naive.clock), sqlite.rebooted(naive.clock));
                naive.reboot();
                assert_eq!(model.identities(), sqlite.identities());
            }
            _ => {}
        }
    }
    let dir = sqlite.dir.path().to_owned();
    let kept = std::mem::ManuallyDrop::new(sqlite.dir);
    drop(sqlite.ledger);
    audit(&dir);
    drop(std::mem::ManuallyDrop::into_inner(kept));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// B8, B9, F6, G2 and all the rest: over random histories the two books answer as one, and as
    /// the naive one does.
    #[test]
    fn pain_b9_random_histories_are_the_same_in_all_books(
        history in prop::collection::vec(step(), 1..120)
    ) {
        run(&history);
    }
}

/// An address of either family, often near an end.
fn edge() -> impl Strategy<Value = (bool, u128)> {
    let bits = prop_oneof![
        0..4_u128,
        (0..4_u128).prop_map(|below| u128::MAX - below),
        (0..128_u32).prop_map(|bit| 1 << bit),
        any::<u128>(),
    ];
    (any::<bool>(), bits)
}

fn prefix((v6, bits): (bool, u128), length: u32) -> Range {
    if v6 {
        let host = u128::MAX.checked_shr(length).unwrap_or(0);
        return Range::new(IpAddr::V6((bits & !host).into()), IpAddr::V6((bits | host).into()))
            .unwrap();
    }
    let bits = u32::try_from(bits & u128::from(u32::MAX)).unwrap();
    let host = u32::MAX.checked_shr(length / 4).unwrap_or(0);
    Range::new(IpAddr::V4((bits & !host).into()), IpAddr::V4((bits | host).into())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// G2: prefixes of all lengths, /0 to /128: a few taken, then what is given is inside, not
    /// excluded, and new; a full one says so.
    #[test]
    fn pain_g2_prefixes_of_all_lengths_give_what_is_theirs(
        at in edge(), length in 0..=128_u32, hole in 0..=128_u32, start in edge()
    ) {
        let whole = prefix(at, length);
        let out = prefix(at, hole.max(length));
        let start = prefix(start, 128).first();
        let of_cluster: [&dyn Ledger_; 2] = [&<Cluster>::new(), &<ClusterOnDisk>::new()];
        for book in [&Memory::new() as &dyn Ledger_, &Sqlite::new()].into_iter().chain(of_cluster) {
            check_prefix(book.ledger(), whole, out, start);
        }
    }
}

/// All kinds of book as objects.
trait Ledger_ {
    fn ledger(&self) -> &dyn Ledger;
}

impl<K: Kind> Ledger_ for K {
    fn ledger(&self) -> &dyn Ledger {
        self.book()
    }
}

fn check_prefix(book: &dyn Ledger, whole: Range, out: Range, start: IpAddr) {
    let total = |range| book.usage(DOMAIN, &[range], 0).unwrap().total;
    let room = total(whole) - total(out);
    let mut seen = BTreeSet::new();
    for turn in 0..5_u8 {
        let a = id(&turn.to_string());
        let mut session = session(book, &a, 0);
        let found = session.take_free(&[whole], &[out], (turn == 0).then_some(start)).unwrap();
        let Some(found) = found else {
            assert_eq!(room, seen.len() as u128);
            return;
        };
        assert!(within(&whole, found) && !within(&out, found) && seen.insert(found));
        if turn == 0 && within(&whole, start) && !within(&out, start) {
            assert_eq!(found, start);
        }
        seq_of(session.commit(&record(&a, &[found])));
    }
}
