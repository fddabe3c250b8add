//! What plugins import, answered from the call's state: once, whatever the version. Arguments
//! are a stranger's: one that the contract does not allow ends the call.

use std::net::IpAddr;

use crate::address;
use crate::answer::shown;
use crate::bindings::v0_3::wharfinger::plugin::types;
use crate::journal::Stop;
use crate::record::Import;
use crate::state::State;
use crate::{AddressRange, NoPod, PodFacts, Refusal, Usage};

/// Ranges in one argument.
const RANGES: usize = 4_096;
/// Bytes of a key, an identity, a prefix.
const KEY: usize = 1_024;
/// Entries of one scan.
const SCAN: u32 = 1_000;
/// Every language holds whole numbers up to here exactly.
const EXACT: u64 = 1 << 53;

fn bad(import: &str, what: impl std::fmt::Display) -> Stop {
    Stop::BadArgument(format!("it called {import} wrongly: {what}"))
}

fn read(import: &str, text: &str) -> Result<IpAddr, Stop> {
    address::parse(text).map_err(|what| bad(import, what))
}

fn ranges(import: &str, ranges: &[types::AddressRange]) -> Result<Vec<AddressRange>, Stop> {
    if ranges.len() > RANGES {
        return Err(bad(import, format!("{} ranges, at most {RANGES}", ranges.len())));
    }
    ranges
        .iter()
        .map(|range| {
            address::parse_range(&range.first, &range.last).map_err(|what| bad(import, what))
        })
        .collect()
}

fn key<'a>(import: &str, text: &'a str) -> Result<&'a str, Stop> {
    if text.is_empty() || text.len() > KEY {
        return Err(bad(import, format!("a name of {} bytes, 1 to {KEY} are allowed", text.len())));
    }
    Ok(text)
}

fn prefix<'a>(import: &str, text: &'a str) -> Result<&'a str, Stop> {
    if text.len() > KEY {
        return Err(bad(import, format!("the prefix {}", shown(text))));
    }
    Ok(text)
}

/// Whether a question is one that the functions below would have put to the book; says what is wrong.
pub(crate) fn fit(question: &Import) -> Result<(), String> {
    let address = |address: &IpAddr| address::parse(&address.to_string()).map(drop);
    let within = |import, all: &[AddressRange]| {
        let text = |(first, last): &AddressRange| types::AddressRange {
            first: first.to_string(),
            last: last.to_string(),
        };
        let all: Vec<_> = all.iter().take(RANGES + 1).map(text).collect();
        ranges(import, &all).map(drop).map_err(|stop| stop.to_string())
    };
    let named = |text: &str| key("it", text).map(drop).map_err(|stop| stop.to_string());
    let begun = |text: &str| prefix("it", text).map(drop).map_err(|stop| stop.to_string());
    match question {
        Import::Take { address: taken, .. } => address(taken),
        Import::TakeFree { ranges, excluded, start, .. } => {
            within("ledger.take-free", ranges)?;
            within("ledger.take-free", excluded)?;
            start.as_ref().map_or(Ok(()), address)
        }
        Import::Remembered { identity, .. } | Import::Remember { identity } => named(identity),
        Import::Usage { ranges, .. } => within("ledger.usage", ranges),
        Import::Get { key, .. } | Import::Put { key, .. } | Import::Remove { key, .. } => {
            named(key)
        }
        Import::Scan { prefix, limit, .. } if *limit <= SCAN => begun(prefix),
        Import::Scan { limit, .. } => Err(format!("a scan of {limit} entries")),
        Import::Count { prefix, .. } => begun(prefix),
        Import::Pod { .. } | Import::Size { .. } => Ok(()),
        Import::Http { .. } | Import::Log { .. } | Import::Broken { .. } => {
            Err("it is no question".to_owned())
        }
    }
}

/// `ledger`.
impl State {
    pub(crate) fn ledger_take(&mut self, address: &str) -> Result<Result<(), Refusal>, Stop> {
        let address = read("ledger.take", address)?;
        let answer = self.book("ledger.take", |book| book.take(address))?;
        if answer.is_ok() {
            self.taken.push(address);
        }
        Ok(answer)
    }

    pub(crate) fn ledger_take_free(
        &mut self,
        within: &[types::AddressRange],
        excluded: &[types::AddressRange],
        start: Option<&str>,
    ) -> Result<Option<String>, Stop> {
        const IMPORT: &str = "ledger.take-free";
        let within = ranges(IMPORT, within)?;
        let excluded = ranges(IMPORT, excluded)?;
        let start = start.map(|start| read(IMPORT, start)).transpose()?;
        let taken = self.book(IMPORT, |book| book.take_free(&within, &excluded, start))?;
        self.taken.extend(taken);
        Ok(taken.map(|address| address.to_string()))
    }

    pub(crate) fn ledger_remembered(&mut self, identity: &str) -> Result<Vec<String>, Stop> {
        const IMPORT: &str = "ledger.remembered";
        let identity = key(IMPORT, identity)?;
        let addresses = self.book(IMPORT, |book| book.remembered(identity))?;
        Ok(addresses.iter().map(IpAddr::to_string).collect())
    }

    pub(crate) fn ledger_remember(&mut self, identity: &str) -> Result<(), Stop> {
        const IMPORT: &str = "ledger.remember";
        let identity = key(IMPORT, identity)?;
        self.book(IMPORT, |book| book.remember(identity))
    }

    pub(crate) fn ledger_usage(&mut self, within: &[types::AddressRange]) -> Result<Usage, Stop> {
        const IMPORT: &str = "ledger.usage";
        let within = ranges(IMPORT, within)?;
        let usage = self.book(IMPORT, |book| book.usage(&within))?;
        Ok(Usage {
            total: usage.total.min(EXACT),
            held: usage.held.min(EXACT),
            resting: usage.resting.min(EXACT),
            remembered: usage.remembered.min(EXACT),
        })
    }
}

/// `store`.
impl State {
    pub(crate) fn store_get(&mut self, name: &str) -> Result<Option<String>, Stop> {
        let name = key("store.get", name)?;
        self.book("store.get", |book| book.store_get(name))
    }

    pub(crate) fn store_put(
        &mut self,
        name: &str,
        value: &str,
        attachment: bool,
    ) -> Result<(), Stop> {
        let name = key("store.put", name)?;
        self.store_room(name, value)?;
        self.book("store.put", |book| book.store_put(name, value, attachment))
    }

    pub(crate) fn store_remove(&mut self, name: &str) -> Result<bool, Stop> {
        let name = key("store.remove", name)?;
        self.book("store.remove", |book| book.store_remove(name))
    }

    pub(crate) fn store_scan(
        &mut self,
        start: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<types::Pair>, Stop> {
        const IMPORT: &str = "store.scan";
        let start = prefix(IMPORT, start)?;
        let limit = limit.min(SCAN);
        let found = self.book(IMPORT, |book| book.store_scan(start, after, limit))?;
        Ok(found.into_iter().map(|(name, value)| types::Pair { name, value }).collect())
    }

    pub(crate) fn store_count(&mut self, start: &str) -> Result<u64, Stop> {
        const IMPORT: &str = "store.count";
        let start = prefix(IMPORT, start)?;
        self.book(IMPORT, |book| book.store_count(start))
    }
}

/// `workload`.
impl State {
    pub(crate) fn workload_pod(&mut self) -> Result<Result<PodFacts, NoPod>, Stop> {
        const IMPORT: &str = "workload.pod";
        self.may_read_pod()?;
        self.book(IMPORT, |book| book.pod())
    }
}

/// `node`.
impl State {
    pub(crate) fn node_name(&self) -> Result<String, Stop> {
        self.in_time()?;
        Ok(self.node.name.clone())
    }

    pub(crate) fn node_label(&self, name: &str) -> Result<Option<String>, Stop> {
        self.in_time()?;
        Ok(self.node.labels.get(name).cloned())
    }

    pub(crate) fn node_now(&self) -> Result<u64, Stop> {
        self.in_time()?;
        Ok(self.node.now)
    }
}
