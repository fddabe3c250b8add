//! CHECK: the recorded plan against the kernel, the book against the runtime's result.

use wharfinger_cni::{Attach, Success};
use wharfinger_ledger::Record;
use wharfinger_plan::{Action, Owner, Plan};

use crate::conf::Place;
use crate::network::Network;
use crate::{Error, Host, add, before, chain, del, deputy, dhcp, moved, names, recover, reserve};

/// Names every drift of the attachment. Where `prevResult` differs from the plan, it counts:
/// later plugins of the chain may have changed MAC, MTU, addresses or routes.
pub fn check(host: &Host, call: &Attach) -> Result<(), Error> {
    if reserve::called_alone(&call.conf) {
        return reserve::check_alone(host, call);
    }
    let id = chain::key(&call.id, &call.conf);
    let _hold = del::lock(host, &id)?;
    let Some(entry) = recover::recorded(host, &id)? else {
        if names::kind(&call.conf.called).is_some() {
            return before::check(host, call);
        }
        // What others made is theirs to check, and policies are asked once.
        return if adds_nothing(host, call) { Ok(()) } else { Err(Error::NotAttached(id)) };
    };
    let record = entry.record;
    if moved::is_moved(&record) {
        return before::check(host, call);
    }
    let netns = add::open(host, call)?;
    if record.cookie.is_some_and(|cookie| cookie != netns.cookie) {
        let path = call.netns.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(Error::Drift(vec![format!("{path} is not the namespace that was attached")]));
    }
    let previous = call.prev_result.as_ref();
    let made = if names_mtu(call) { record.plan.clone() } else { any_mtu(&record.plan) };
    let plan = previous.map_or_else(|| made.clone(), |p| wharfinger_drivers::amend(&made, p));
    let mut drifts: Vec<String> = previous.map(|p| addresses(&record, p)).unwrap_or_default();
    let found = host.kernel.verify(&plan, &netns)?;
    drifts.extend(found.iter().map(|drift| format!("{} {}", drift.object, drift.found)));
    if !drifts.is_empty() {
        return Err(Error::Drift(drifts));
    }
    dhcp::check(host, &record)?;
    deputy::check(host, call, &record)
}

/// Whether an entry behind others has no feature.
fn adds_nothing(host: &Host, call: &Attach) -> bool {
    let network = Network::read(host, call);
    network.is_ok_and(|network| network.place == Place::Chained && !network.has_features())
}

/// Whether the configuration says which MTU it is to be. One that was only taken over from the
/// bridge is not held against a later plugin: the reference `tuning` changes it, and does not say
/// so in its result.
fn names_mtu(call: &Attach) -> bool {
    let fields = call.conf.fields();
    let derived = fields.str("mtuFrom").is_ok_and(|name| name.is_some_and(|name| !name.is_empty()));
    derived || fields.u32("mtu").is_ok_and(|mtu| mtu.is_some_and(|mtu| mtu != 0))
}

fn any_mtu(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for step in &mut plan.steps {
        if let (Owner::Attachment, Action::Link(link)) = (step.owner, &mut step.action) {
            link.mtu = None;
        }
    }
    plan
}

/// What the book says the attachment holds, and the runtime does not know of.
fn addresses(record: &Record, previous: &Success) -> Vec<String> {
    let known = |ip| previous.ips.iter().any(|known| known.address.addr() == ip);
    record
        .addresses
        .iter()
        .filter(|ip| !known(**ip))
        .map(|ip| format!("address {ip} is held in the ledger, and not in prevResult"))
        .collect()
}
