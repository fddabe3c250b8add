//! `wharfinger doctor`: what on this node keeps attachments from working, and what to do.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use wharfinger_attach::Host;
use wharfinger_kernel::ForwardDrop;

use super::{print, told};
use crate::program::Program;

/// What to do where a chain of somebody else's drops what is forwarded.
const FORWARDING: &str = "attachments with the feature firewall are accepted there; give the \
    networks that are to be reached from elsewhere that feature, or accept their ranges in that \
    chain yourself";

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// As JSON: a list of findings
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// The status is 1 where there is a finding.
    pub(super) fn run(&self, program: &Program) -> Result<u8> {
        let look = |host: &Host| Ok(host.kernel.forward_drops()?);
        let drops = program.look(look).map_err(|error| told(&error))?;
        let text = if self.json {
            format!("{:#}\n", Value::Array(drops.iter().map(object).collect()))
        } else if drops.is_empty() {
            "nothing was found\n".to_owned()
        } else {
            drops.iter().map(line).collect()
        };
        print(&text)?;
        Ok(u8::from(!drops.is_empty()))
    }
}

/// The chain as nft(8) names it.
fn chain(drop: &ForwardDrop) -> String {
    format!("{} {} {}", drop.family, drop.table, drop.chain)
}

fn object(drop: &ForwardDrop) -> Value {
    json!({
        "finding": "forward-drop",
        "object": format!("chain {}", chain(drop)),
        "priority": drop.priority,
        "drops": drop.drops,
        "do": FORWARDING,
    })
}

fn line(drop: &ForwardDrop) -> String {
    format!(
        "chain {} (priority {}) drops forwarded packets: {}\n  {FORWARDING}\n",
        chain(drop),
        drop.priority,
        drop.drops
    )
}
