//! A cluster's store that is as slow, as unreliable and as often away as a real one may be, and
//! does what a seed says. One true history; requests and answers are under way for some time,
//! overtake each other, and get lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharfinger_ledger::cluster::{Changes, Committed, Fault, Guard, MOST, Object, Put, Remote};

use crate::turns::Turns;

/// How bad it is: once in so many times each; zero is never.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// A request that cannot be sent.
    pub(crate) refused: u64,
    /// A request that never comes.
    pub(crate) lost: u64,
    /// An answer that never comes.
    pub(crate) unanswered: u64,
    /// Something under way for ten times as long; once in its square, a thousand times.
    pub(crate) slow: u64,
    /// Between two outages of all, or of some of the nodes, in milliseconds.
    pub(crate) outages: u64,
}

/// What it does that it must not: planted, for the checks to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    /// Reads answer from some time ago.
    StaleReads,
    /// Guards hold whatever there is.
    GuardsIgnored,
    /// All but the first put of a commit are written somewhat later.
    TornCommits,
    /// A write is confirmed and not done.
    LostWrites,
    /// Versions begin again with an object.
    VersionsAgain,
}

/// What a commit may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// Of several objects.
    Whole,
    /// Of one object: what is killed may be so between two of them.
    Single,
}

/// As much as etcd takes in one request by default.
const BYTES: usize = 3 << 19;

/// How long an outage lasts at most.
const OUTAGE: u64 = 4_000;

type Objects = BTreeMap<String, (u64, String)>;

/// The store's truth.
#[derive(Default)]
struct Truth {
    version: u64,
    objects: Objects,
    /// What a stale read sees.
    before: Objects,
}

/// The store.
pub(crate) struct Store {
    pub(crate) turns: Arc<Turns>,
    faults: Mutex<Faults>,
    planted: Option<Planted>,
    writes: Writes,
    truth: Mutex<Truth>,
    outage: Mutex<Outage>,
    counts: Mutex<Counts>,
}

/// Nobody, or only who is no multiple, is answered until then.
#[derive(Default)]
struct Outage {
    next: u64,
    until: u64,
    of: u64,
}

/// What the store was asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) reads: u64,
    pub(crate) commits: u64,
    pub(crate) conflicts: u64,
    pub(crate) faults: u64,
}

impl Store {
    pub(crate) fn new(
        turns: &Arc<Turns>,
        faults: Faults,
        planted: Option<Planted>,
        writes: Writes,
    ) -> Arc<Self> {
        Arc::new(Self {
            turns: Arc::clone(turns),
            faults: Mutex::new(faults),
            planted,
            writes,
            truth: Mutex::default(),
            outage: Mutex::default(),
            counts: Mutex::default(),
        })
    }

    /// As a node's process has it.
    pub(crate) fn client(self: &Arc<Self>, number: u64) -> Client {
        let doom = Arc::new(AtomicU64::new(u64::MAX));
        Client { store: Arc::clone(self), number, doom }
    }

    /// From now on it is a good one.
    pub(crate) fn calm(&self) {
        *self.faults.lock().unwrap() = Faults::default();
        *self.outage.lock().unwrap() = Outage::default();
    }

    /// What is true now, past everything that is under way.
    pub(crate) fn objects(&self) -> Objects {
        self.truth.lock().unwrap().objects.clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap()
    }

    fn faults(&self) -> Faults {
        *self.faults.lock().unwrap()
    }

    /// How long something is under way.
    fn journey(&self) -> u64 {
        let slow = self.faults().slow;
        let millis = 1 + self.turns.draw(4);
        match self.turns.once_in(slow) {
            true if self.turns.once_in(slow) => millis * 1_000,
            true => millis * 10,
            false => millis,
        }
    }

    /// Whether a node cannot reach it now.
    fn away(&self, client: u64) -> bool {
        let between = self.faults().outages;
        let mut outage = self.outage.lock().unwrap();
        let now = self.turns.now();
        if between > 0 && now >= outage.next {
            let until = now + self.turns.draw(OUTAGE);
            let next = until + between / 2 + self.turns.draw(between);
            *outage = Outage { next, until, of: 1 + self.turns.draw(3) };
        }
        now < outage.until && client.is_multiple_of(outage.of)
    }

    fn count(&self, of: impl FnOnce(&mut Counts)) {
        of(&mut self.counts.lock().unwrap());
    }
}

impl Truth {
    fn version(&self, key: &str) -> u64 {
        self.objects.get(key).map_or(0, |(version, _)| *version)
    }

    /// A whole commit, at once.
    fn commit(&mut self, guards: &[Guard], puts: &[Put], planted: Option<Planted>) -> Committed {
        let holds = |guard: &Guard| self.version(&guard.key) == guard.version;
        if planted != Some(Planted::GuardsIgnored) && !guards.iter().all(holds) {
            return Committed::Conflict;
        }
        self.before.clone_from(&self.objects);
        self.version += 1;
        Committed::Done(puts.iter().map(|put| self.put(put, planted)).collect())
    }

    fn put(&mut self, put: &Put, planted: Option<Planted>) -> u64 {
        let version = match planted {
            Some(Planted::VersionsAgain) => self.version(&put.key) + 1,
            _ => self.version,
        };
        match &put.value {
            Some(value) => self.objects.insert(put.key.clone(), (version, value.clone())),
            None => self.objects.remove(&put.key),
        };
        version
    }

    fn get(&self, keys: &BTreeSet<String>, planted: Option<Planted>) -> Vec<Object> {
        let all = self.readable(planted);
        keys.iter().filter_map(|key| all.get(key).map(|found| object(key, found))).collect()
    }

    fn changes(&self, prefix: &str, after: u64, planted: Option<Planted>) -> Changes {
        let all = self.readable(planted).range(prefix.to_owned()..);
        let ours = all.take_while(|(key, _)| key.starts_with(prefix));
        let new = ours.filter(|(_, (version, _))| *version > after);
        Changes {
            upto: self.version,
            objects: new.map(|(key, found)| object(key, found)).collect(),
        }
    }

    fn readable(&self, planted: Option<Planted>) -> &Objects {
        if planted == Some(Planted::StaleReads) { &self.before } else { &self.objects }
    }
}

fn object(key: &str, (version, value): &(u64, String)) -> Object {
    Object { key: key.to_owned(), version: *version, value: value.clone() }
}

/// One node's way to the store.
#[derive(Clone)]
pub(crate) struct Client {
    store: Arc<Store>,
    number: u64,
    /// Its process is killed after so many steps.
    doom: Arc<AtomicU64>,
}

/// What a process that is killed unwinds with.
pub(crate) struct Killed;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} of the model", self.number)
    }
}

/// What becomes of a request.
enum Sent<T> {
    Answered(T),
    /// It did not leave.
    Refused,
    /// It left, and no answer came in time.
    Silent,
}

impl Client {
    /// This counts how many steps its process has left.
    pub(crate) fn doomed(self, doom: &Arc<AtomicU64>) -> Self {
        Self { doom: Arc::clone(doom), ..self }
    }

    /// One step nearer to its end.
    fn step(&self) {
        match self.doom.load(Ordering::Relaxed) {
            0 => resume_unwind(Box::new(Killed)),
            u64::MAX => {}
            left => self.doom.store(left - 1, Ordering::Relaxed),
        }
    }

    /// A request goes its way: `act` happens when it arrives, if it does, which may be long
    /// after nobody waits for it any more.
    fn send<T, F>(&self, wait: Duration, act: F) -> Sent<T>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Store>) -> T + Send + 'static,
    {
        self.step();
        let Self { store, number, .. } = self;
        let (turns, faults) = (&store.turns, store.faults());
        let wait = u64::try_from(wait.as_millis()).unwrap();
        let away = store.away(*number);
        if turns.once_in(faults.refused) || away && turns.once_in(2) {
            turns.pause(1);
            return Sent::Refused;
        }
        let (there, back) = (store.journey(), store.journey());
        let lost = away || turns.once_in(faults.lost);
        let answer = Arc::new(Mutex::new(None));
        if !lost {
            let (answer, store) = (Arc::clone(&answer), Arc::clone(store));
            let event = move || *answer.lock().unwrap() = Some(act(&store));
            turns.later(there, Box::new(event));
        }
        self.step();
        if lost || turns.once_in(faults.unanswered) || there + back > wait {
            turns.pause(wait);
            return Sent::Silent;
        }
        turns.pause(there + back);
        Sent::Answered(answer.lock().unwrap().take().unwrap())
    }

    fn unavailable(&self, what: &str) -> Fault {
        self.store.count(|counts| counts.faults += 1);
        Fault::Unavailable(format!("{self:?}: {what}"))
    }

    fn read<T, F>(&self, wait: Duration, act: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Truth, Option<Planted>) -> T + Send + 'static,
    {
        self.store.count(|counts| counts.reads += 1);
        match self.send(wait, move |store| act(&store.truth.lock().unwrap(), store.planted)) {
            Sent::Answered(answer) => Ok(answer),
            Sent::Refused => Err(self.unavailable("nobody listens")),
            Sent::Silent => Err(self.unavailable("no answer")),
        }
    }
}

impl Remote for Client {
    fn get(&self, keys: &[&str], wait: Duration) -> Result<Vec<Object>, Fault> {
        assert!(keys.len() <= MOST, "{} keys", keys.len());
        let keys: BTreeSet<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.read(wait, move |truth, planted| truth.get(&keys, planted))
    }

    fn changes(&self, prefix: &str, after: u64, wait: Duration) -> Result<Changes, Fault> {
        let prefix = prefix.to_owned();
        self.read(wait, move |truth, planted| truth.changes(&prefix, after, planted))
    }

    fn transactions(&self) -> bool {
        self.store.writes == Writes::Whole
    }

    fn commit(&self, guards: &[Guard], puts: &[Put], wait: Duration) -> Result<Committed, Fault> {
        fits(guards, puts)?;
        let single = matches!((guards, puts), ([guard], [put]) if guard.key == put.key);
        assert!(self.transactions() || single, "{guards:?}, {puts:?}");
        self.store.count(|counts| counts.commits += 1);
        let (guards, puts) = (guards.to_vec(), puts.to_vec());
        match self.send(wait, move |store| apply(store, &guards, &puts)) {
            Sent::Answered(committed) => Ok(committed),
            Sent::Refused => Err(self.unavailable("nobody listens")),
            Sent::Silent => {
                self.store.count(|counts| counts.faults += 1);
                Err(Fault::Unknown(format!("{self:?}: no answer")))
            }
        }
    }
}

/// What etcd refuses, and what no caller may ask for.
fn fits(guards: &[Guard], puts: &[Put]) -> Result<(), Fault> {
    assert!(guards.len() <= MOST && puts.len() <= MOST, "{} and {}", guards.len(), puts.len());
    let keys: BTreeSet<_> = puts.iter().map(|put| &put.key).collect();
    assert_eq!(keys.len(), puts.len(), "one key twice: {puts:?}");
    let all = puts.iter().map(|put| &put.key).chain(guards.iter().map(|guard| &guard.key));
    for key in all {
        assert!(!key.is_empty() && !key.starts_with('/'), "{key:?}");
    }
    let bytes = |put: &Put| put.key.len() + put.value.as_ref().map_or(0, String::len);
    match puts.iter().map(bytes).sum::<usize>() {
        much if much > BYTES => Err(Fault::Refused(format!("{much} bytes"))),
        _ => Ok(()),
    }
}

fn apply(store: &Arc<Store>, guards: &[Guard], puts: &[Put]) -> Committed {
    let planted = store.planted;
    let now = match (planted, puts) {
        (Some(Planted::TornCommits), [first, ..]) => std::slice::from_ref(first),
        (Some(Planted::LostWrites), _) if store.turns.once_in(20) => &[],
        _ => puts,
    };
    let committed = store.truth.lock().unwrap().commit(guards, now, planted);
    let conflict = committed == Committed::Conflict;
    store.count(|counts| counts.conflicts += u64::from(conflict));
    match committed {
        Committed::Done(versions) if now.len() < puts.len() => {
            let version = store.truth.lock().unwrap().version;
            if planted == Some(Planted::TornCommits) {
                write_later(store, puts.get(1..).unwrap_or_default().to_vec());
            }
            let rest = puts.iter().skip(now.len()).map(|_| version);
            Committed::Done(versions.into_iter().chain(rest).collect())
        }
        other => other,
    }
}

/// The rest of a torn commit, whatever was written meanwhile.
fn write_later(store: &Arc<Store>, puts: Vec<Put>) {
    let (after, torn) = (1 + store.turns.draw(20), Arc::clone(store));
    store.turns.later(
        after,
        Box::new(move || {
            torn.truth.lock().unwrap().commit(&[], &puts, None);
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(2);

    fn write(client: &Client, version: u64, value: Option<&str>) -> Committed {
        let guard = Guard { key: "a/b".into(), version };
        let put = Put { key: "a/b".into(), value: value.map(str::to_owned) };
        client.commit(&[guard], &[put], WAIT).unwrap()
    }

    /// Done by a worker: answers take their time.
    fn with_store(planted: Option<Planted>, work: impl Fn(&Arc<Store>, &Client) + Sync) {
        let turns = Turns::new(1);
        let store =
            Store::new(&turns, Faults { lost: 1, ..Faults::default() }, planted, Writes::Whole);
        store.calm();
        turns.run(1, |_| work(&store, &store.client(0)));
    }

    #[test]
    fn it_is_what_the_contract_says() {
        with_store(None, |store, client| {
            assert_eq!(write(client, 0, Some("one")), Committed::Done(vec![1]));
            assert_eq!(write(client, 0, Some("two")), Committed::Conflict);
            assert_eq!(write(client, 1, None), Committed::Done(vec![2]));
            assert_eq!(client.get(&["a/b"], WAIT).unwrap(), []);
            assert_eq!(write(client, 1, Some("two")), Committed::Conflict);
            assert_eq!(write(client, 0, Some("two")), Committed::Done(vec![3]));
            let two = Object { key: "a/b".into(), version: 3, value: "two".into() };
            let got = client.get(&["a/b", "a"], WAIT).unwrap();
            assert_eq!(got, std::slice::from_ref(&two));
            let changes = |prefix, after| client.changes(prefix, after, WAIT).unwrap();
            assert_eq!(changes("a/", 2), Changes { upto: 3, objects: vec![two] });
            assert_eq!(changes("a/", 3), Changes { upto: 3, objects: vec![] });
            assert_eq!(changes("b", 0), Changes { upto: 3, objects: vec![] });
            assert_eq!(store.objects().len(), 1);
        });
    }

    #[test]
    fn versions_that_come_again_are_planted() {
        with_store(Some(Planted::VersionsAgain), |_, client| {
            assert_eq!(write(client, 0, Some("one")), Committed::Done(vec![1]));
            write(client, 1, None);
            assert_eq!(write(client, 0, Some("two")), Committed::Done(vec![1]));
        });
    }
}
