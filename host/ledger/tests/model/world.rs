//! Thousands of nodes with the cluster's book, each with a book of its own in memory, on the
//! model's store: attachments come and go, processes are killed in the middle of a call, machines
//! are rebooted, die, are buried and come back. What must hold is looked at all the time, and what
//! must hold in the end when all is calm again (`calm`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharfinger_cni::AttachmentId;
use wharfinger_ledger::cluster::{ClusterLedger, Cut, Part, unseen};
use wharfinger_ledger::{
    Commit, Error, Ledger, MemLedger, Range, Record, Refusal, Release, Scope, Session,
};

use crate::check::{Act, Acts, Who};
use crate::common::{DOMAIN, own, record};
use crate::store::{Faults, Killed, Planted, Store, Writes};
use crate::turns::Turns;

/// How long a verb may take, in the model's milliseconds.
const DEADLINE: u64 = 15_000;
const NOW: u64 = 1_700_000_000;
/// Clocks go five times as fast as the store, so that what rests is free some time.
const SECOND: u64 = 200;
const COOL: Duration = Duration::from_secs(4);
/// Networks that all want the same ranges: those have them that have attachments.
const CONTESTED: [&str; 3] = ["x", "y", "z"];
/// What a plugin counts attachments with.
const COUNTER: &str = "counter";
/// How many identities there are.
const IDENTITIES: u64 = 12;

/// What a run is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    /// How many calls are under way at once.
    pub(crate) at_once: usize,
    pub(crate) calls: u64,
    /// Addresses of either family of each network: a power of two below 2^15.
    pub(crate) addresses: u16,
    /// Addresses of a block.
    pub(crate) block: u32,
    pub(crate) faults: Faults,
    pub(crate) planted: Option<Planted>,
    pub(crate) writes: Writes,
}

/// An attachment that the runtime was told of.
struct Pod {
    who: Who,
    addresses: Vec<IpAddr>,
}

/// A machine.
pub(crate) struct Node {
    pub(crate) name: String,
    number: u64,
    /// None: it is dead.
    pub(crate) ledger: Option<ClusterLedger<MemLedger>>,
    pods: BTreeMap<AttachmentId, Pod>,
    /// ADDs that failed: the runtime deletes them some time.
    pub(crate) failed: Vec<AttachmentId>,
    /// What was deleted last: it may come again under the same name, and want the same.
    gone: Option<(AttachmentId, Want)>,
    /// When a call must have ended.
    pub(crate) deadline: Arc<AtomicU64>,
    /// Its next call ends with it after so many steps.
    doom: Arc<AtomicU64>,
    /// How much its clock is ahead, in seconds.
    ahead: u64,
}

/// All of it.
pub(crate) struct World {
    pub(crate) shape: Shape,
    pub(crate) turns: Arc<Turns>,
    store: Arc<Store>,
    acts: Acts,
    /// None: a call of it is under way.
    pub(crate) nodes: Mutex<Vec<Option<Node>>>,
    /// By address: who has it, as far as anybody was told.
    pub(crate) living: Mutex<BTreeMap<IpAddr, Who>>,
    names: Mutex<Names>,
    /// By identity: on which node it was last, and with what.
    homes: Mutex<BTreeMap<String, (String, IpAddr)>>,
    wrong: Mutex<Vec<String>>,
    pub(crate) seen: Mutex<Seen>,
}

/// Attachments by number, and back.
#[derive(Default)]
struct Names {
    count: u64,
    by_name: BTreeMap<(String, AttachmentId), Who>,
}

/// Counts of what happened.
macro_rules! counts {
    ($($name:ident)*) => {
        /// What a run came to, so that one in which nothing happened is not taken for a good one.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub(crate) struct Seen { $(pub(crate) $name: u64,)* }

        impl Seen {
            pub(crate) fn add(&mut self, more: Self) {
                $(self.$name += more.$name;)*
            }
        }
    };
}
counts! {
    added failed full refused overlaps deleted killed rebooted died strays given_back moved
    borrowed counted
}

/// What an ADD asks for.
#[derive(Debug, Clone)]
enum Want {
    Free,
    Both,
    Named(IpAddr),
    Identity(String),
    /// Ranges that are another network's.
    Overlapping,
}

/// What became of an ADD.
enum Added {
    Done(Vec<IpAddr>),
    Refused(IpAddr, AttachmentId),
    Full,
    Overlap,
}

impl World {
    /// A run of this shape from this seed. What is wrong with it.
    pub(crate) fn run(seed: u64, shape: Shape) -> Result<(Seen, u64), String> {
        let turns = Turns::new(seed);
        let store = Store::new(&turns, shape.faults, shape.planted, shape.writes);
        let world = Self {
            shape,
            turns: Arc::clone(&turns),
            store,
            acts: Acts::default(),
            nodes: Mutex::default(),
            living: Mutex::default(),
            names: Mutex::default(),
            homes: Mutex::default(),
            wrong: Mutex::default(),
            seen: Mutex::default(),
        };
        let nodes = (0..shape.nodes).map(|number| Some(world.node(number as u64))).collect();
        *world.nodes.lock().unwrap() = nodes;
        let made = AtomicU64::new(0);
        turns.run(shape.at_once, |_| {
            while world.is_well() && made.fetch_add(1, Ordering::Relaxed) < shape.calls {
                world.turn();
                turns.pause(turns.draw(20));
            }
        });
        world.store.calm();
        turns.run(1, |_| world.settle());
        if let Err(why) = world.acts.check() {
            world.wrong(why);
        }
        let wrong = world.wrong.into_inner().unwrap();
        let counts = world.seen.into_inner().unwrap();
        if wrong.is_empty() { Ok((counts, turns.trace())) } else { Err(wrong.join("\n")) }
    }

    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    fn is_well(&self) -> bool {
        self.wrong.lock().unwrap().is_empty()
    }

    pub(crate) fn see(&self, count: impl FnOnce(&mut Seen)) {
        count(&mut self.seen.lock().unwrap());
    }

    fn node(&self, number: u64) -> Node {
        let mut node = Node {
            name: format!("n{number}"),
            number,
            ledger: None,
            pods: BTreeMap::new(),
            failed: Vec::new(),
            gone: None,
            deadline: Arc::default(),
            doom: Arc::new(AtomicU64::new(u64::MAX)),
            ahead: number % 3 * 20,
        };
        node.ledger = Some(self.ledger(&node, MemLedger::new()));
        node
    }

    fn ledger(&self, node: &Node, own: MemLedger) -> ClusterLedger<MemLedger> {
        let client = self.store.client(node.number).doomed(&node.doom);
        // One is configured otherwise: the domain is cut as it was first.
        let block = if node.number == 3 { 32 } else { self.shape.block };
        let cut = Cut::of(block).unwrap();
        let part = Part { node: node.name.clone(), machine: "m".into(), cut };
        let (turns, deadline) = (Arc::clone(&self.turns), Arc::clone(&node.deadline));
        let remaining = move || {
            let left = deadline.load(Ordering::Relaxed).saturating_sub(turns.now());
            Duration::from_millis(left)
        };
        let turns = Arc::clone(&self.turns);
        let pause = move |_| turns.pause(turns.draw(30));
        let ledger = ClusterLedger::new(own, Box::new(client), part, Box::new(remaining));
        ledger.pausing(Box::new(pause))
    }

    pub(crate) fn pools(&self, network: &str) -> [Range; 2] {
        let size = u32::from(self.shape.addresses);
        let (first, size) = match network {
            "pods" => (0, size),
            "jobs" => (size, size),
            _ => (size * 3, 4),
        };
        let end = |at: u32| [(0x0a00_0000 + at), at];
        let [four, six] = [end(first), end(first + size - 1)].map(|[four, six]| {
            let v6 = (0xfd00_u128 << 112) + u128::from(six);
            (IpAddr::V4(four.into()), IpAddr::V6(v6.into()))
        });
        [Range::new(four.0, six.0).unwrap(), Range::new(four.1, six.1).unwrap()]
    }

    pub(crate) fn who(&self, node: &str, id: &AttachmentId) -> Who {
        let mut names = self.names.lock().unwrap();
        let Names { count, by_name } = &mut *names;
        *by_name.entry((node.to_owned(), id.clone())).or_insert_with(|| {
            *count += 1;
            *count
        })
    }

    /// A call of some node that has none under way.
    fn turn(&self) {
        let taken = (0..8).find_map(|_| {
            let number = self.any_node();
            Some((number, self.nodes.lock().unwrap()[number].take()?))
        });
        let Some((number, mut node)) = taken else { return };
        self.act(&mut node);
        self.nodes.lock().unwrap()[number] = Some(node);
    }

    fn any_node(&self) -> usize {
        usize::try_from(self.turns.draw(self.shape.nodes as u64)).unwrap()
    }

    fn act(&self, node: &mut Node) {
        if node.ledger.is_none() {
            return self.of_the_dead(node);
        }
        if self.turns.once_in(12) {
            node.doom.store(self.turns.draw(12), Ordering::Relaxed);
        }
        let began = self.turns.now();
        node.deadline.store(began + DEADLINE, Ordering::Relaxed);
        match self.turns.draw(100) {
            0..45 => self.add_new(node),
            45..72 => self.delete_some(node),
            72..79 => self.add_again(node),
            79..82 => self.amend(node),
            82..86 => self.reconcile(node),
            86..90 => self.drain(node),
            90..93 => self.flush(node),
            93 => self.forget_identity(node),
            94..97 => self.reboot(node),
            97 => self.die(node),
            _ => {}
        }
        let killed = node.doom.swap(u64::MAX, Ordering::Relaxed) == 0;
        if killed && node.ledger.is_some() && self.turns.once_in(3) {
            // With what it sent still under way.
            if self.turns.once_in(2) { self.reboot(node) } else { self.die(node) }
        }
        let took = self.turns.now() - began;
        // Over it is what is refused at once, and what waits between two tries.
        if took > DEADLINE + 100 {
            self.wrong(format!("a call of {} took {took} ms", node.name));
        }
    }

    /// Does something that may end with its process: none where it did.
    fn mortal<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(done) => Some(done),
            Err(why) if why.is::<Killed>() => {
                self.see(|seen| seen.killed += 1);
                None
            }
            Err(why) => resume_unwind(why),
        }
    }

    /// What a call on a store as bad as this may come to.
    fn expected<R>(&self, of: &str, result: Result<R, Error>) -> Option<R> {
        match result {
            Ok(done) => Some(done),
            Err(Error::Unavailable { .. }) => None,
            Err(error) => {
                self.wrong(format!("{of}: {error}"));
                None
            }
        }
    }

    fn want(&self) -> Want {
        let any = u64::from(self.shape.addresses);
        match self.turns.draw(20) {
            0..3 => {
                let [four, _] = self.pools("pods");
                let IpAddr::V4(first) = four.first() else { return Want::Free };
                let at = u32::try_from(self.turns.draw(any.min(64))).unwrap();
                Want::Named(IpAddr::V4((first.to_bits() + at).into()))
            }
            3..7 => Want::Identity(format!("web-{}", self.turns.draw(IDENTITIES))),
            7..13 => Want::Both,
            13 => Want::Overlapping,
            _ => Want::Free,
        }
    }

    fn add_new(&self, node: &mut Node) {
        let network = match self.turns.draw(16) {
            0..4 => "jobs",
            4 | 5 => CONTESTED[usize::try_from(self.turns.draw(3)).unwrap()],
            _ => "pods",
        };
        let container = format!("c{}", self.turns.draw(1 << 40));
        let id = AttachmentId { network: network.into(), container, ifname: "eth0".into() };
        let want = match network {
            "pods" => self.want(),
            "jobs" => Want::Both,
            _ => Want::Free,
        };
        self.add(node, &id, &want);
    }

    /// The runtime tries again what failed, or asks for the same once more, or again for what it
    /// deleted just now.
    fn add_again(&self, node: &mut Node) {
        let known = node.failed.last().or_else(|| node.pods.keys().next()).cloned();
        let again = node.gone.take().or_else(|| known.map(|id| (id, Want::Free)));
        if let Some((id, want)) = again {
            self.add(node, &id, &want);
        }
    }

    fn add(&self, node: &mut Node, id: &AttachmentId, want: &Want) {
        let who = self.who(&node.name, id);
        let begun = self.acts.begin();
        let tried = Mutex::new(Vec::new());
        // What it had of an earlier ADD may be its own no more from now on.
        let before = node.pods.remove(id);
        let had: Vec<_> = before.iter().flat_map(|pod| pod.addresses.clone()).collect();
        self.forget(node, who, &had);
        let added = self.mortal(|| self.try_add(node, id, want, &tried));
        match added.and_then(|added| self.expected("add", added)) {
            Some(Added::Done(addresses)) => {
                self.settle_in(node, want, &addresses);
                for address in &addresses {
                    self.acts.end(begun, *address, Act::Took(who));
                }
                self.live(node, id, Pod { who, addresses });
                return;
            }
            Some(Added::Refused(address, by)) => {
                let holder = self.holder(node, &by);
                self.acts.end(begun, address, Act::Refused(holder));
                self.see(|seen| seen.refused += 1);
            }
            Some(Added::Full) => self.see(|seen| seen.full += 1),
            Some(Added::Overlap) => self.see(|seen| seen.overlaps += 1),
            None => {
                for address in tried.into_inner().unwrap() {
                    self.acts.open(begun, address, Act::MayTake(who));
                    self.acts.open(begun, address, Act::LetGo(who));
                }
                self.see(|seen| seen.failed += 1);
            }
        }
        node.failed.retain(|failed| failed != id);
        node.failed.push(id.clone());
    }

    /// An identity's address goes with it.
    fn settle_in(&self, node: &Node, want: &Want, addresses: &[IpAddr]) {
        let (Want::Identity(identity), [address, ..]) = (want, addresses) else { return };
        let home = (node.name.clone(), *address);
        let before = self.homes.lock().unwrap().insert(identity.clone(), home);
        let moved = before.is_some_and(|(of, at)| of != node.name && at == *address);
        self.see(|seen| seen.moved += u64::from(moved));
    }

    /// Whom a refusal names: of another node with its name and a slash before the container's.
    fn holder(&self, node: &Node, by: &AttachmentId) -> Who {
        let (of, container) = by.container.split_once('/').unwrap_or((&node.name, &by.container));
        self.who(of, &AttachmentId { container: container.to_owned(), ..by.clone() })
    }

    fn live(&self, node: &mut Node, id: &AttachmentId, pod: Pod) {
        let mut living = self.living.lock().unwrap();
        for address in &pod.addresses {
            if let Some(other) = living.insert(*address, pod.who) {
                self.wrong(format!("{address} twice: {other} and {}, on {}", pod.who, node.name));
            }
        }
        drop(living);
        self.uncontested(&id.network);
        node.failed.retain(|failed| failed != id);
        node.pods.insert(id.clone(), pod);
        self.see(|seen| seen.added += 1);
    }

    /// Nobody of another network that wants the same ranges is there; but where the ranges are
    /// another object than those who have something in them, which nothing holds together.
    fn uncontested(&self, network: &str) {
        if self.shape.writes == Writes::Single || !CONTESTED.contains(&network) {
            return;
        }
        let living: BTreeSet<Who> = self.living.lock().unwrap().values().copied().collect();
        let names = self.names.lock().unwrap();
        let all = names.by_name.iter().filter(|(_, who)| living.contains(who));
        let networks: BTreeSet<&str> = all.map(|((_, id), _)| id.network.as_str()).collect();
        let at_once: Vec<_> = CONTESTED.iter().filter(|of| networks.contains(**of)).collect();
        if at_once.len() > 1 {
            self.wrong(format!("networks with the same ranges at once: {at_once:?}"));
        }
    }

    /// These are nobody's from now on, whatever the book says.
    fn forget(&self, node: &Node, who: Who, addresses: &[IpAddr]) {
        let begun = self.acts.begin();
        let mut living = self.living.lock().unwrap();
        for address in addresses {
            self.acts.open(begun, *address, Act::LetGo(who));
            if living.remove(address) != Some(who) {
                self.wrong(format!("{address} was not {who}'s of {}", node.name));
            }
        }
    }

    fn now(&self, node: &Node) -> u64 {
        now(&self.turns) + node.ahead
    }

    /// A whole ADD, again while others are faster. `tried`: with what a commit was tried whose
    /// outcome is not known.
    fn try_add(
        &self,
        node: &Node,
        id: &AttachmentId,
        want: &Want,
        tried: &Mutex<Vec<IpAddr>>,
    ) -> Result<Added, Error> {
        let ledger = node.ledger.as_ref().unwrap();
        let counted = self.turns.once_in(10);
        while self.turns.now() < node.deadline.load(Ordering::Relaxed) {
            let scope = Scope { id: id.clone(), domain: DOMAIN.into(), now: self.now(node) };
            let mut session = ledger.session(scope)?;
            let addresses = match self.choose(&mut *session, &id.network, want)? {
                Added::Done(addresses) => addresses,
                other => return Ok(other),
            };
            if counted {
                count_up(&mut *session, id)?;
            }
            let record = record(id, &addresses);
            tried.lock().unwrap().clone_from(&addresses);
            match session.commit(&record)? {
                Commit::Done(seq) => {
                    self.see(|seen| seen.counted += u64::from(counted));
                    ledger.attached(id, seq, &serde_json::json!({}))?;
                    return Ok(Added::Done(addresses));
                }
                Commit::Conflict => tried.lock().unwrap().clear(),
            }
            self.turns.pause(1 + self.turns.draw(10));
        }
        Err(Error::Unavailable { path: String::new(), what: "no time left".into() })
    }

    fn choose(
        &self,
        session: &mut (dyn Session + '_),
        network: &str,
        want: &Want,
    ) -> Result<Added, Error> {
        let pools = self.pools(network);
        let ours = match want {
            Want::Overlapping => self.pools("jobs"),
            _ => pools,
        };
        match session.pools(&ours) {
            Err(Error::Overlap { .. })
                if matches!(want, Want::Overlapping) || CONTESTED.contains(&network) =>
            {
                return Ok(Added::Overlap);
            }
            other => other?,
        }
        // Nothing of the other network is left: the ranges would be its own.
        if matches!(want, Want::Overlapping) {
            return Ok(Added::Overlap);
        }
        if let Want::Identity(identity) = want {
            session.remember(identity);
            if let Some(known) = session.remembered(identity)?.first().copied()
                && session.take(known)?.is_ok()
            {
                return Ok(Added::Done(vec![known]));
            }
        }
        if let Want::Named(address) = want {
            return Ok(match session.take(*address)? {
                Ok(()) => Added::Done(vec![*address]),
                Err(Refusal::Held(by)) => Added::Refused(*address, by),
                Err(Refusal::Reserved(_)) => Added::Full,
            });
        }
        let families = if matches!(want, Want::Both) { &pools[..] } else { &pools[..1] };
        let mut addresses = Vec::new();
        for pool in families {
            match session.take_free(&[*pool], &[], None)? {
                Some(address) => addresses.push(address),
                None => return Ok(Added::Full),
            }
        }
        Ok(Added::Done(addresses))
    }

    /// Of what failed first, as runtimes do.
    fn delete_some(&self, node: &mut Node) {
        let any = self.turns.draw(node.pods.len() as u64 + 1);
        let some = node.pods.keys().nth(usize::try_from(any).unwrap()).cloned();
        if let Some(id) = node.failed.pop().or(some) {
            self.delete(node, &id);
        }
    }

    pub(crate) fn delete(&self, node: &mut Node, id: &AttachmentId) {
        let before = node.pods.remove(id);
        if let Some(pod) = &before {
            self.forget(node, pod.who, &pod.addresses);
        }
        let (ledger, now) = (node.ledger.as_ref().unwrap(), self.now(node));
        let released = self.mortal(|| {
            let Some(entry) = ledger.get(id)? else { return Ok(Release::Absent) };
            ledger.release(id, entry.seq, now, COOL)
        });
        match released.map(|released| self.expected("delete", released)) {
            Some(Some(Release::Done)) => {
                let had = before.and_then(|pod| pod.addresses.first().copied());
                node.gone = had.map(|had| (id.clone(), Want::Named(had)));
                self.see(|seen| seen.deleted += 1);
            }
            Some(Some(Release::Absent)) => {}
            Some(other) => self.wrong(format!("{id} of {}: {other:?}", node.name)),
            // Killed: the runtime tries again.
            None => node.failed.push(id.clone()),
        }
    }

    /// An attachment of two addresses gives one back.
    fn amend(&self, node: &mut Node) {
        let both = node.pods.iter_mut().find(|(_, pod)| pod.addresses.len() > 1);
        let Some((id, pod)) = both.map(|(id, pod)| (id.clone(), pod)) else { return };
        let (who, last) = (pod.who, pod.addresses.pop());
        self.forget(node, who, last.as_slice());
        let ledger = node.ledger.as_ref().unwrap();
        let amended = self.mortal(|| {
            let Some(entry) = ledger.get(&id)? else { return Ok(Release::Absent) };
            let kept = entry.record.addresses.iter().copied().filter(|has| Some(*has) != last);
            let record = Record { addresses: kept.collect(), ..entry.record.clone() };
            ledger.amend(&record, entry.seq)
        });
        if !matches!(
            amended.map(|amended| self.expected("amend", amended)),
            Some(Some(Release::Done))
        ) {
            // Killed before or after: it is deleted.
            node.failed.push(id);
        }
    }

    fn forget_identity(&self, node: &Node) {
        let (ledger, one) = (node.ledger.as_ref().unwrap(), self.turns.draw(IDENTITIES));
        let forgot = self.mortal(|| ledger.forget("pods", &format!("web-{one}")));
        if let Some(forgot) = forgot {
            self.expected("forget", forgot);
        }
    }

    fn reconcile(&self, node: &Node) {
        let ledger = node.ledger.as_ref().unwrap();
        let anew = self.turns.once_in(4);
        let now = self.now(node);
        let mended = self.mortal(|| ledger.mend(anew, now, |_| Some(()), &unseen));
        let mended = mended.and_then(|mended| self.expected("mend", mended));
        let mended = mended.unwrap_or_default();
        if !mended.doubled.is_empty() || !mended.claimed.is_empty() {
            self.wrong(format!("{} had what was not its own: {mended:?}", node.name));
        }
        self.see(|seen| {
            seen.strays += mended.freed.len() as u64;
            seen.given_back += mended.blocks as u64;
        });
    }

    /// All its attachments go, one after the other, and then its empty blocks.
    fn drain(&self, node: &mut Node) {
        if self.turns.once_in(3) {
            while let Some(id) = node.pods.keys().next().cloned() {
                self.delete(node, &id);
            }
        }
        self.give_back(node);
    }

    fn give_back(&self, node: &Node) {
        let ledger = node.ledger.as_ref().unwrap();
        let now = self.now(node);
        let given = self.mortal(|| ledger.give_back(now));
        let given = given.and_then(|given| self.expected("give back", given)).unwrap_or_default();
        self.see(|seen| seen.given_back += given as u64);
    }

    fn flush(&self, node: &Node) {
        let ledger = node.ledger.as_ref().unwrap();
        if let Some(flushed) = self.mortal(|| ledger.flush()) {
            self.expected("flush", flushed);
        }
    }

    /// All attachments of the node are gone.
    fn bereave(&self, node: &mut Node) {
        for pod in std::mem::take(&mut node.pods).into_values() {
            self.forget(node, pod.who, &pod.addresses);
        }
        node.failed.clear();
        node.gone = None;
    }

    fn reboot(&self, node: &mut Node) {
        self.bereave(node);
        let before = node.ledger.take().unwrap();
        let own = before.into_own().rebooted(self.now(node)).unwrap();
        node.ledger = Some(self.ledger(node, own));
        self.see(|seen| seen.rebooted += 1);
    }

    fn die(&self, node: &mut Node) {
        self.bereave(node);
        node.ledger = None;
        self.see(|seen| seen.died += 1);
    }

    /// Somebody frees what it held, or it comes back with nothing.
    fn of_the_dead(&self, dead: &mut Node) {
        if self.turns.once_in(3) {
            dead.ledger = Some(self.ledger(dead, MemLedger::new()));
            return;
        }
        let number = self.any_node();
        let Some(node) = self.nodes.lock().unwrap()[number].take() else { return };
        if let Some(ledger) = &node.ledger {
            node.deadline.store(self.turns.now() + DEADLINE, Ordering::Relaxed);
            if let Some(buried) = self.mortal(|| ledger.bury(&dead.name)) {
                self.expected("bury", buried);
            }
        }
        self.nodes.lock().unwrap()[number] = Some(node);
    }
}

/// What a clock shows that goes right, in seconds.
pub(crate) fn now(turns: &Turns) -> u64 {
    NOW + turns.now() / SECOND
}

/// A plugin counts in its store, and leaves a mark there that goes with the attachment.
fn count_up(session: &mut (dyn Session + '_), id: &AttachmentId) -> Result<(), Error> {
    let before = session.store_get(&own(), COUNTER)?;
    let count: u64 = before.map_or(0, |text| text.parse().unwrap());
    session.store_put(&own(), COUNTER, &(count + 1).to_string(), false);
    session.store_put(&own(), &format!("mark/{}", id.container), "", true);
    Ok(())
}
