//! Attachments that come, go, come again, collide and crash, in an order by chance.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wharfinger_ledger::Error as LedgerError;
use wharfinger_wasm::Request;

use super::{Subject, addresses, first, passed, spelled};
use crate::conform::{Checked, Stop, fault};
use crate::dice::Dice;
use crate::sim::{Sim, size};

/// Attachments that live at once, at most.
const CROWD: usize = 150;

pub(super) fn life(subject: &Subject<'_>) -> Checked {
    let shape = first(subject)?.addresses.len();
    let sim = subject.sim();
    let mut life = Life {
        subject,
        sim: &sim,
        dice: Dice::new(subject.settings.seed),
        crowd: crowd(subject),
        shape,
        alive: BTreeMap::new(),
        lives: BTreeMap::new(),
        did: Did::default(),
    };
    let half = subject.settings.attachments / 2;
    life.steps(half)?;
    life.all_go()?;
    let kept = entries(&sim)?;
    life.steps(half)?;
    life.all_go()?;
    let more = entries(&sim)?.saturating_sub(kept);
    if more > life.crowd * 2 {
        return fault(format!(
            "all attachments are gone, and the store has {more} more entries than the last time \
             they were: an entry that outlives its attachment must be one for each pod at most"
        ));
    }
    let Did { added, conflicts, crashes, repeats, released } = life.did;
    passed(format!(
        "{added} attachments, {conflicts} with a conflict, {crashes} crashes, {repeats} asked \
         again, {released} released"
    ))
}

/// As many as surely fit: pools may have holes, and be for some pods alone.
fn crowd(subject: &Subject<'_>) -> usize {
    let pools = subject.pools.as_ref().map(Vec::as_slice).unwrap_or_default();
    let sizes = pools.iter().map(|pool| pool.ranges.iter().map(|range| size(*range)).sum::<u128>());
    let least = sizes.min().unwrap_or(CROWD as u128) / 2;
    usize::try_from(least).unwrap_or(CROWD).clamp(1, CROWD)
}

/// What is left in the plugin's store.
fn entries(sim: &Sim) -> Result<usize, Stop> {
    Ok(sim.entries()?)
}

#[derive(Default)]
struct Did {
    added: usize,
    conflicts: usize,
    crashes: usize,
    repeats: usize,
    released: usize,
}

struct Life<'a> {
    subject: &'a Subject<'a>,
    sim: &'a Sim,
    dice: Dice,
    crowd: usize,
    /// Addresses of a lease.
    shape: usize,
    /// By pod.
    alive: BTreeMap<usize, Vec<IpAddr>>,
    /// Which container of the pod it is.
    lives: BTreeMap<usize, usize>,
    did: Did,
}

impl Life<'_> {
    fn steps(&mut self, count: usize) -> Result<(), Stop> {
        for step in 0..count {
            self.step().map_err(|stop| match stop {
                Stop::Fault(what) => Stop::Fault(format!("step {step}: {what}")),
                other @ Stop::Idle(_) => other,
            })?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Stop> {
        let full = self.alive.len() >= self.crowd;
        match self.dice.below(100) {
            0..40 if !full => self.come(),
            40..50 if self.alive.len() + 1 < self.crowd => self.collide(),
            50..60 => self.crash(),
            60..75 => self.repeat(),
            _ => self.go(),
        }
    }

    fn request(&self, pod: usize) -> Request {
        self.subject.request(pod, self.lives.get(&pod).copied().unwrap_or_default())
    }

    /// A pod that is not there, from a village in which all are known by name.
    fn absent(&mut self) -> usize {
        let village = self.crowd * 2;
        let from = self.dice.below(village);
        let round = (from..village).chain(0..from);
        let absent = round.into_iter().find(|pod| !self.alive.contains_key(pod));
        let pod = absent.unwrap_or(village);
        *self.lives.entry(pod).or_default() += 1;
        pod
    }

    fn present(&mut self) -> Option<usize> {
        let at = self.dice.below(self.alive.len().max(1));
        self.alive.keys().nth(at).copied()
    }

    fn come(&mut self) -> Result<(), Stop> {
        let pod = self.absent();
        let lease = self.subject.given(self.sim, &self.request(pod))?;
        self.did.added += 1;
        self.arrived(pod, addresses(&lease))
    }

    /// Two at once: the second commits between the first one's call and its commit.
    fn collide(&mut self) -> Result<(), Stop> {
        let (pod, other) = (self.absent(), self.absent_but());
        let Some(other) = other.filter(|other| *other != pod) else { return Ok(()) };
        let (plugin, sim) = (self.subject.plugin, self.sim);
        let (request, second) = (self.request(pod), self.request(other));
        let mut between = None;
        let mut meanwhile = || -> Result<(), LedgerError> {
            between = Some(sim.add(plugin, &second, &mut || Ok(()))?);
            Ok(())
        };
        let called = self.subject.add_amid(sim, &request, &mut meanwhile)?;
        self.did.added += 2;
        self.did.conflicts += 1;
        for (pod, request, answer) in [
            (other, &second, between.map(|called| called.answer)),
            (pod, &request, Some(called.answer)),
        ] {
            let Some(answer) = answer else { continue };
            let lease = answer.or_else(|error| super::refused(&request.attachment.id, &error))?;
            self.arrived(pod, addresses(&lease))?;
        }
        Ok(())
    }

    /// Another absent pod than the last one asked for.
    fn absent_but(&mut self) -> Option<usize> {
        let village = self.crowd * 2;
        let start = self.dice.below(village);
        let pod = (start..village).find(|pod| !self.alive.contains_key(pod))?;
        *self.lives.entry(pod).or_default() += 1;
        Some(pod)
    }

    /// The process dies before the commit: as if nothing had been.
    fn crash(&mut self) -> Result<(), Stop> {
        let pod = self.absent();
        let before = self.sim.held()?;
        self.subject.crash(self.sim, &self.request(pod))?;
        self.did.crashes += 1;
        if self.sim.held()? == before { Ok(()) } else { fault("a crash left something behind") }
    }

    fn repeat(&mut self) -> Result<(), Stop> {
        let Some(pod) = self.present() else { return Ok(()) };
        let now = addresses(&self.subject.given(self.sim, &self.request(pod))?);
        self.did.repeats += 1;
        match self.alive.get(&pod) {
            Some(before) if *before != now => fault(format!(
                "asked again for one that holds {}, it gave {}",
                spelled(before),
                spelled(&now)
            )),
            _ => Ok(()),
        }
    }

    fn go(&mut self) -> Result<(), Stop> {
        let Some(pod) = self.present() else { return Ok(()) };
        self.leave(pod)
    }

    fn leave(&mut self, pod: usize) -> Result<(), Stop> {
        self.sim.release(&self.request(pod).attachment.id)?;
        self.alive.remove(&pod);
        self.did.released += 1;
        Ok(())
    }

    fn all_go(&mut self) -> Result<(), Stop> {
        for pod in self.alive.keys().copied().collect::<Vec<_>>() {
            self.leave(pod)?;
        }
        if self.sim.held()?.is_empty() {
            return Ok(());
        }
        fault("all attachments were released, and the ledger still has some")
    }

    fn arrived(&mut self, pod: usize, given: Vec<IpAddr>) -> Result<(), Stop> {
        let id = self.request(pod).attachment.id;
        if given.len() != self.shape {
            let (given, shape) = (spelled(&given), self.shape);
            return fault(format!("{id} got {given}; the first attachment got {shape} addresses"));
        }
        let shared = self.alive.values().flatten().find(|address| given.contains(address));
        if let Some(address) = shared {
            return fault(format!("{id} got {address}, which another attachment holds"));
        }
        self.alive.insert(pod, given);
        Ok(())
    }
}
