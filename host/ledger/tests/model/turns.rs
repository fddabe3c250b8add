//! Turns: of many threads one runs at a time, and which one a seed decides. Time is counted, not
//! measured: whoever waits sleeps until its moment is the next one. So a run is the same each time
//! it is made from the same seed, and yet calls are in each other's way in their middle.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens at some moment.
type Event = Box<dyn FnOnce() + Send>;

/// Whose turn it is, and what time.
pub(crate) struct Turns {
    state: Mutex<State>,
}

struct State {
    random: u64,
    /// Milliseconds since the model's beginning.
    now: u64,
    count: u64,
    /// Moments, the next one first; of one moment, the one asked for first.
    queue: BinaryHeap<Reverse<(u64, u64, Option<usize>)>>,
    /// What happens at those moments that nobody waits for, by their count.
    events: BTreeMap<u64, Event>,
    workers: Vec<Sender<()>>,
    trace: u64,
}

thread_local! {
    /// Which worker this thread is, and what wakes it.
    static ME: RefCell<Option<(usize, Receiver<()>)>> = const { RefCell::new(None) };
}

enum Next {
    Wake(usize),
    Do(Event),
    Nothing,
}

impl Turns {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let state = State {
            random: seed,
            now: 0,
            count: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            workers: Vec::new(),
            trace: 0xcbf2_9ce4_8422_2325,
        };
        Arc::new(Self { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> u64 {
        self.state().now
    }

    /// A number below `below`.
    pub(crate) fn draw(&self, below: u64) -> u64 {
        // SplitMix64.
        let mut state = self.state();
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }

    /// Once in so many times.
    pub(crate) fn once_in(&self, times: u64) -> bool {
        times > 0 && self.draw(times) == 0
    }

    /// Others may go first, for so long. Nothing where the caller is none of the workers.
    pub(crate) fn pause(&self, millis: u64) {
        let Some(me) = ME.with_borrow(|me| me.as_ref().map(|(me, _)| *me)) else { return };
        self.at(millis, Some(me), None);
        if !self.hand_on(Some(me)) {
            wait_for_turn();
        }
    }

    /// This happens then, whoever runs.
    pub(crate) fn later(&self, millis: u64, event: Event) {
        self.at(millis, None, Some(event));
    }

    fn at(&self, millis: u64, who: Option<usize>, event: Option<Event>) {
        let mut state = self.state();
        let (count, moment) = (state.count, state.now + millis);
        state.count += 1;
        state.queue.push(Reverse((moment, count, who)));
        state.events.extend(event.map(|event| (count, event)));
    }

    /// What is next happens: true where it is the caller's own turn again.
    fn hand_on(&self, me: Option<usize>) -> bool {
        loop {
            match self.next() {
                Next::Nothing => return false,
                Next::Do(event) => event(),
                Next::Wake(who) if Some(who) == me => return true,
                Next::Wake(who) => {
                    let sender = self.state().workers.get(who).cloned();
                    if sender.is_none_or(|sender| sender.send(()).is_err()) {
                        another_failed();
                    }
                    return false;
                }
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = self.state();
        let Some(Reverse((moment, count, who))) = state.queue.pop() else { return Next::Nothing };
        state.now = moment;
        state.note(moment);
        state.note(who.map_or(u64::MAX, |who| who as u64));
        match (who, state.events.remove(&count)) {
            (Some(who), _) => Next::Wake(who),
            (None, Some(event)) => Next::Do(event),
            (None, None) => Next::Nothing,
        }
    }

    /// So many workers do this, in turns, until all have done it and nothing is to happen.
    pub(crate) fn run(&self, workers: usize, work: impl Fn(usize) + Sync) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| channel()).unzip();
        self.state().workers = senders;
        (0..workers).for_each(|me| self.at(me as u64, Some(me), None));
        std::thread::scope(|scope| {
            for (me, receiver) in receivers.into_iter().enumerate() {
                let work = &work;
                scope.spawn(move || {
                    ME.set(Some((me, receiver)));
                    let _leaving = Leaving(self);
                    wait_for_turn();
                    work(me);
                });
            }
            self.hand_on(None);
        });
    }

    /// A number that two runs have in common only where they were the same.
    pub(crate) fn trace(&self) -> u64 {
        self.state().trace
    }
}

impl State {
    /// FNV-1a, a number at a time.
    fn note(&mut self, number: u64) {
        self.trace = (self.trace ^ number).wrapping_mul(0x0100_0000_01b3);
    }
}

fn wait_for_turn() {
    let woken = ME.with_borrow(|me| me.as_ref().is_some_and(|(_, turn)| turn.recv().is_ok()));
    if !woken {
        another_failed();
    }
}

/// Says nothing more: the one that failed has.
fn another_failed() -> ! {
    resume_unwind(Box::new("another worker failed"))
}

/// A worker that ends hands its turn on; one that fails ends all others.
struct Leaving<'a>(&'a Turns);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().workers.clear();
        } else {
            self.0.hand_on(None);
        }
    }
}
