//! Machines, what goes wrong around them, and the observer, at once: for a cluster on either store.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wharfinger_suite::World;

use crate::machine::{self, Counts, Machine, Tide};
use crate::watch::Watch;
use wharfinger_suite::Chance;

/// What each machine is set to: a verb ends within this many seconds.
pub(crate) const DEADLINE: u64 = 10;

/// A number that the environment may set.
pub(crate) fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// For how long: so many seconds, and ten times that in the long form.
pub(crate) fn duration(seconds: u64) -> Duration {
    let long = if std::env::var_os("WHARFINGER_TEST_LONG").is_some() { 10 } else { 1 };
    Duration::from_secs(set("WHARFINGER_CHAOS_SECONDS", long * seconds))
}

/// What decides, and how many machines there are; both are printed.
pub(crate) fn of() -> (u64, usize) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let seed = set("WHARFINGER_CHAOS_SEED", u64::from(now.subsec_nanos()));
    let nodes = set("WHARFINGER_CHAOS_NODES", 32);
    println!("WHARFINGER_CHAOS_SEED={seed} WHARFINGER_CHAOS_NODES={nodes}");
    (seed, usize::try_from(nodes).expect("a number of machines"))
}

/// The machines' settings. Whoever is traced, for a wrong clock, cannot be sent the signal by which a
/// component's time ends: longer than any verb.
pub(crate) fn settings() -> String {
    format!("deadline = {DEADLINE}\n[limits]\ndeadline = 60.0")
}

/// Ends what goes on when this thread is done, however it is.
struct Ends<'s>(&'s AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// For so long, or until somebody fails, and so much longer where the range did not run out. Clocks are wrong by so many days. `faults` sees to what goes
/// wrong around the machines, and to it that all is as it should be afterwards; it goes on while what it
/// is given says so. Also how slow this machine was in that time.
pub(crate) fn all_at_once(
    nodes: &mut [World],
    (seed, days): (u64, Range<i64>),
    (length, more): (Duration, Duration),
    faults: impl FnOnce(Chance, &dyn Fn() -> bool) + Send,
) -> (Counts, Duration) {
    let (stop, watch, days) = (&AtomicBool::new(false), &Watch::default(), &days);
    let (start, ran_out, number) = (Instant::now(), &AtomicBool::new(false), nodes.len());
    let tide = Tide { start, each: length / 6, end: start + length, more, ran_out };
    let (counts, slowness) = std::thread::scope(|scope| {
        let observer = scope.spawn(|| {
            let _ends = Ends(stop);
            watch.look_until(stop);
        });
        let slowness = scope.spawn(|| {
            let _ends = Ends(stop);
            slowness(stop)
        });
        let faults = scope.spawn(move || {
            let ends = Ends(stop);
            let goes_on = || !stop.load(Ordering::Relaxed) && Instant::now() < tide.end;
            faults(Chance::new(seed, 0), &goes_on);
            // The machines may go on without them.
            std::mem::forget(ends);
        });
        let run = |(at, world)| {
            let chance = Chance::new(seed, at as u64 + 1);
            scope.spawn(move || {
                let _ends = Ends(stop);
                Machine::new((at, number), world, watch, chance, (days, tide)).run(stop)
            })
        };
        let machines: Vec<_> = nodes.iter_mut().enumerate().map(run).collect();
        let mut counts = Counts::default();
        for machine in machines {
            counts.add(&machine.join().expect("a machine"));
        }
        faults.join().expect("the faults");
        stop.store(true, Ordering::Relaxed);
        observer.join().expect("the observer");
        (counts, slowness.join().expect("the measure"))
    });
    println!("{counts:?}, {} looks, {slowness:?} for what waits for nobody", watch.looks());
    (counts, slowness)
}

/// How long a call takes at most that waits for nobody, made again and again.
fn slowness(stop: &AtomicBool) -> Duration {
    const PAUSE: Duration = Duration::from_millis(100);
    let (world, mut most) = (World::new(), Duration::ZERO);
    let version = world.call("VERSION", &machine::conf(&world, 1));
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        std::thread::sleep(PAUSE);
        let _ = version.ok();
        most = most.max(start.elapsed().saturating_sub(PAUSE));
    }
    most
}

/// All is deleted. What nobody deleted each machine collects, as its runtime has it done and by hand
/// what it has no record of; nothing is left on any.
pub(crate) fn collect(nodes: &[World]) {
    for node in nodes {
        let _ = node.call("GC", &machine::conf(node, nodes.len())).ok();
        let _ = node.cli_ok(&["gc", "--cluster"]);
        node.settle();
        node.assert_nothing_left();
    }
}
