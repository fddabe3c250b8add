//! Where nodes are freed by time: a node that is cut off has no attachment that holds an address
//! any more, well before others may have them.
//!
//! Its lease is certain to be good until a time that this node knows, and cannot end before. From
//! then on no address is taken (see `life`). After a quarter of `dead-after` its attachments are
//! taken down; half of that time is left at least, by whosever clock, when others come.

use std::time::Duration;

use serde_json::json;
use wharfinger_attach::collect;
use wharfinger_kernel::uptime;

use super::{Agent, error_of};
use crate::program::Program;
use crate::settings::{self, Cluster, Configured};

/// Between two looks at the clock.
const TURN: Duration = Duration::from_millis(500);

/// Until told to end.
pub(super) fn guard(agent: &Agent) {
    let Some(after) = agent.cluster.dead_after else { return };
    let mut cut_off = false;
    while !agent.stop.wait(TURN) {
        let (good_until, tried) = {
            let state = agent.state();
            (state.good_until, state.tried)
        };
        let now = uptime();
        if now < good_until {
            cut_off = false;
        } else if tried && now >= good_until.saturating_add(after / 4) {
            if !std::mem::replace(&mut cut_off, true) {
                let what = json!({ "seconds": now.saturating_sub(good_until).as_secs() });
                agent.tell("node cut off", &what);
            }
            take_down(agent);
        }
    }
}

fn take_down(agent: &Agent) {
    let gone = settings::read(&agent.paths.config).and_then(|configured| {
        let program = Program::new(agent.paths.clone(), offline(configured));
        Ok(program.verb(|host| collect::evict(host, &collect::holds))?)
    });
    match gone {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => {
            let all: Vec<String> = gone.iter().map(ToString::to_string).collect();
            agent.tell(
                "attachments taken down",
                &json!({ "attachments": all, "why": "this node is cut off" }),
            );
        }
        Err(error) => agent.tell("attachments taken down", &error_of(&format!("{error:#}"))),
    }
}

/// etcd is not waited for: what is released is queued.
fn offline(configured: Configured) -> Configured {
    let cluster = configured.cluster.map(|cluster| Cluster { offline: true, ..cluster });
    Configured { cluster, ..configured }
}
