//! CHECK: the recorded plan against the kernel, the book against the runtime's result.

use wharfinger_cni::{Attach, Success};
use wharfinger_ledger::Record;

use crate::{Error, Host, add, del, deputy, recover};

/// Names every drift of the attachment. Where `prevResult` differs from the plan, it counts:
/// later plugins of the chain may have changed MAC, MTU, addresses or routes.
pub fn check(host: &Host, call: &Attach) -> Result<(), Error> {
    let _hold = del::lock(host, &call.id)?;
    let Some(entry) = recover::recorded(host, &call.id)? else {
        return Err(Error::NotAttached(call.id.clone()));
    };
    let record = entry.record;
    let netns = add::open(host, call)?;
    if record.cookie.is_some_and(|cookie| cookie != netns.cookie) {
        let path = call.netns.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(Error::Drift(vec![format!("{path} is not the namespace that was attached")]));
    }
    let previous = call.prev_result.as_ref();
    let plan = previous.map_or_else(
        || record.plan.clone(),
        |previous| wharfinger_drivers::amend(&record.plan, previous),
    );
    let mut drifts: Vec<String> = previous.map(|p| addresses(&record, p)).unwrap_or_default();
    let found = host.kernel.verify(&plan, &netns)?;
    drifts.extend(found.iter().map(|drift| format!("{} {}", drift.object, drift.found)));
    if !drifts.is_empty() {
        return Err(Error::Drift(drifts));
    }
    deputy::check(host, call)
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
