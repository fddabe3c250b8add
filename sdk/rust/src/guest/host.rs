//! What the host answers, by the contract's imports.

use std::net::IpAddr;

#[cfg(feature = "http")]
pub(crate) use super::web::send;

use super::convert;
use crate::bindings::host::wharfinger::plugin::{ledger, logger, node, store, types, workload};
use crate::ledger::{Refusal, Usage};
use crate::log::Level;
use crate::store::Lifetime;
use crate::workload::{Absence, Metadata, PodFacts};
use crate::{AttachmentId, Range};

pub(crate) fn take(address: IpAddr) -> Result<(), Refusal> {
    ledger::take(&address.to_string()).map_err(|refusal| match refusal {
        ledger::Refusal::Held(id) => {
            let (network, container, ifname) = (id.network, id.container, id.ifname);
            Refusal::Held(AttachmentId { network, container, ifname })
        }
        ledger::Refusal::Reserved(why) => Refusal::Reserved(why),
    })
}

pub(crate) fn take_free(
    ranges: &[Range],
    excluded: &[Range],
    start: Option<IpAddr>,
) -> Option<IpAddr> {
    let text = |ranges: &[Range]| ranges.iter().copied().map(convert::range).collect::<Vec<_>>();
    let start = start.map(|address| address.to_string());
    // What the host writes is an address.
    ledger::take_free(&text(ranges), &text(excluded), start.as_deref())?.parse().ok()
}

pub(crate) fn remembered(identity: &str) -> Vec<IpAddr> {
    ledger::remembered(identity).iter().filter_map(|address| address.parse().ok()).collect()
}

pub(crate) fn remember(identity: &str) {
    ledger::remember(identity);
}

pub(crate) fn usage(ranges: &[Range]) -> Usage {
    let ranges: Vec<_> = ranges.iter().copied().map(convert::range).collect();
    let usage = ledger::usage(&ranges);
    Usage {
        total: usage.total,
        held: usage.held,
        resting: usage.resting,
        remembered: usage.remembered,
    }
}

pub(crate) fn store_get(key: &str) -> Option<String> {
    store::get(key)
}

pub(crate) fn store_put(key: &str, value: &str, lifetime: Lifetime) {
    let lifetime = match lifetime {
        Lifetime::Attachment => store::Lifetime::Attachment,
        Lifetime::Permanent => store::Lifetime::Permanent,
    };
    store::put(key, value, lifetime);
}

pub(crate) fn store_remove(key: &str) -> bool {
    store::remove(key)
}

pub(crate) fn store_scan(prefix: &str, after: Option<&str>, limit: u32) -> Vec<(String, String)> {
    let entries = store::scan(prefix, after, limit);
    entries.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

pub(crate) fn store_count(prefix: &str) -> u64 {
    store::count(prefix)
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => logger::Level::Trace,
        Level::Debug => logger::Level::Debug,
        Level::Info => logger::Level::Info,
        Level::Warn => logger::Level::Warn,
        Level::Error => logger::Level::Error,
    };
    logger::log(level, message);
}

pub(crate) fn node_name() -> String {
    node::name()
}

pub(crate) fn node_label(name: &str) -> Option<String> {
    node::label(name)
}

pub(crate) fn node_now() -> u64 {
    node::now()
}

pub(crate) fn pod() -> Result<PodFacts, Absence> {
    let found = workload::pod().map_err(|absence| match absence {
        workload::Absence::NotThere(why) => Absence::NotThere(why),
        workload::Absence::Stale(why) => Absence::Stale(why),
        workload::Absence::Unreachable(why) => Absence::Unreachable(why),
    })?;
    let pairs = |all: Vec<types::Pair>| all.into_iter().map(|p| (p.name, p.value)).collect();
    let metadata = |given: workload::Metadata| Metadata {
        labels: pairs(given.labels),
        annotations: pairs(given.annotations),
    };
    Ok(PodFacts {
        namespace: found.namespace,
        name: found.name,
        uid: found.uid,
        of_pod: metadata(found.of_pod),
        of_namespace: metadata(found.of_namespace),
    })
}
