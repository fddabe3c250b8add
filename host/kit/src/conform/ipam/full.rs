//! What happens where nothing is left.

use std::net::IpAddr;

use wharfinger_wasm::Reason;

use super::{Subject, addresses, first, must_refuse, passed, spelled};
use crate::conform::{Checked, Stop, fault, idle};
use crate::sim::{Sim, size};

/// Ranges of more addresses than this are not filled.
const MOST: u128 = 1 << 16;
/// Attachments that the plugin itself is asked for, before all the rest is taken.
const SOME: usize = 5;

/// The ranges of one family, if they can be filled.
fn fillable(subject: &Subject<'_>, v4: bool) -> Option<Vec<(IpAddr, IpAddr)>> {
    let ranges: Vec<_> =
        subject.ranges().into_iter().filter(|range| range.0.is_ipv4() == v4).collect();
    let total: u128 = ranges.iter().map(|range| size(*range)).fold(0, u128::saturating_add);
    (0 < total && total <= MOST).then_some(ranges)
}

pub(super) fn exhaustion(subject: &Subject<'_>) -> Checked {
    first(subject)?;
    let ranges: Vec<_> =
        [true, false].iter().filter_map(|v4| fillable(subject, *v4)).flatten().collect();
    if ranges.is_empty() {
        return idle(format!("give a configuration with pools of at most {MOST} addresses"));
    }
    let sim = subject.sim();
    // In the end the pods themselves may be more than fit.
    let mut there = 0;
    while there < SOME && subject.add(&sim, &subject.request(there, 0))?.answer.is_ok() {
        there += 1;
    }
    sim.fill(&ranges)?;
    let before = sim.held()?;
    refuses(subject, &sim, SOME, "with every address taken")?;
    if sim.held()? != before {
        return fault("a refused ADD changed the ledger");
    }
    let Some(last) = there.checked_sub(1) else { return passed("") };
    let leaving = subject.request(last, 0).attachment.id;
    sim.release(&leaving)?;
    // The pod that left comes back, so that who gives by name has something to give.
    let back = subject.add(&sim, &subject.request(last, 1))?;
    if let Err(error) = back.answer {
        return fault(format!("{leaving} left a full range, and the next ADD failed: {error}"));
    }
    refuses(subject, &sim, SOME + 1, "with every address taken once more")?;
    passed("")
}

pub(super) fn dual(subject: &Subject<'_>) -> Checked {
    let lease = first(subject)?;
    let families = |v4| addresses(&lease).iter().any(|address| address.is_ipv4() == v4);
    if !families(true) || !families(false) {
        return idle("its leases are of one family: give a configuration with both");
    }
    let mut filled = Vec::new();
    for (v4, name) in [(true, "IPv4"), (false, "IPv6")] {
        let Some(ranges) = fillable(subject, v4) else { continue };
        let sim = subject.sim();
        sim.fill(&ranges)?;
        refuses(subject, &sim, 0, &format!("with every {name} address taken"))?;
        filled.push(name);
    }
    if filled.is_empty() {
        return idle(format!("give a configuration with a pool of at most {MOST} addresses"));
    }
    passed(format!("with {} full", filled.join(" and ")))
}

fn refuses(subject: &Subject<'_>, sim: &Sim, pod: usize, when: &str) -> Result<(), Stop> {
    let called = subject.crash(sim, &subject.request(pod, 0))?;
    if let Ok(lease) = &called.answer {
        let given = addresses(lease);
        return fault(format!("{when}, it answered a lease of {}", spelled(&given)));
    }
    must_refuse(&called.answer, Reason::Exhausted, when)
}
