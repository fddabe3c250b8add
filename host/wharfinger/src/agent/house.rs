//! What is done from time to time: what was queued is sent, what was left behind is freed, and
//! nodes that count as dead hold nothing any more.

use std::time::Duration;

use serde_json::json;
use wharfinger_attach::collect;
use wharfinger_kernel::uptime;
use wharfinger_ledger::cluster::{Lost, Mended, NodeAt, unseen};

use super::{Agent, Once, error_of};
use crate::cli::of_mended;
use crate::program::Program;

/// Between two looks at what is to be done.
const TURN: Duration = Duration::from_secs(1);
/// How often the queue is looked at.
const SEND: Duration = Duration::from_secs(5);
/// How often the books are compared.
const MEND: Duration = Duration::from_mins(10);
/// And after that failed.
const AGAIN: Duration = Duration::from_secs(10);

/// Until told to end.
pub(super) fn keep(agent: &Agent) {
    let mut house = House { agent, mend: Duration::ZERO, send: Duration::ZERO, leases: 0 };
    let mut trouble = Once::default();
    while !agent.stop.wait(TURN) {
        match house.turn() {
            Ok(()) => trouble.over(),
            Err(error) => trouble.say(&format!("{error:#}")),
        }
    }
}

struct House<'a> {
    agent: &'a Agent,
    /// When each is due.
    mend: Duration,
    send: Duration,
    /// The lease that was seen last.
    leases: u64,
}

impl House<'_> {
    fn turn(&mut self) -> anyhow::Result<()> {
        let (now, leases) = (uptime(), self.agent.state().leases);
        // After an outage both books may tell another story.
        if leases != std::mem::replace(&mut self.leases, leases) || now >= self.mend {
            self.mend = now.saturating_add(AGAIN);
            self.mend(&self.agent.program()?)?;
            self.mend = now.saturating_add(MEND);
        }
        if now >= self.send {
            self.send = now.saturating_add(SEND);
            let program = self.agent.program()?;
            program.cluster(
                |ledger, _| {
                    if ledger.waiting()? > 0 { Ok(ledger.flush()?) } else { Ok(()) }
                },
            )?;
        }
        let certain = now < self.agent.state().good_until;
        if self.agent.cluster.dead_after.is_some() && certain {
            let dead = self.agent.state().nodes.dead(now, self.agent.cluster.lease);
            for node in dead.iter().filter(|node| node.name != self.agent.node) {
                self.bury(node)?;
            }
        }
        Ok(())
    }

    fn mend(&self, program: &Program) -> anyhow::Result<()> {
        let mended =
            program.cluster(|ledger, machine| collect::mend(ledger, machine, false, &unseen))?;
        let Some(mended) = mended else { return Ok(()) };
        if mended != Mended::default() {
            self.agent.tell("cluster collected", &of_mended(&mended));
        }
        if self.agent.cluster.dead_after.is_some() && !mended.doubled.is_empty() {
            self.give_way(program, &mended.doubled);
        }
        Ok(())
    }

    /// Others were given what this node has: it was dead for longer than it knew.
    fn give_way(&self, program: &Program, doubled: &[Lost]) {
        let taken = |record: &wharfinger_ledger::Record| {
            doubled.iter().any(|lost| lost.id == record.id && lost.domain == record.domain)
        };
        let what = match program.verb(|host| collect::evict(host, &taken)) {
            Ok(gone) => json!({
                "attachments": gone.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "why": "their addresses are others' by now",
            }),
            Err(error) => error_of(&error),
        };
        self.agent.tell("attachments taken down", &what);
    }

    fn bury(&self, node: &NodeAt) -> anyhow::Result<()> {
        let program = self.agent.program()?;
        let freed = program.cluster(|ledger, _| Ok(ledger.bury_dead(node)?))?;
        self.agent.state().nodes.buried(node);
        if let Some(freed) = freed.filter(|freed| freed.addresses > 0 || freed.blocks > 0) {
            let (addresses, blocks) = (freed.addresses, freed.blocks);
            let what = json!({ "node": node.name, "addresses": addresses, "blocks": blocks });
            self.agent.tell("dead node freed", &what);
        }
        Ok(())
    }
}
