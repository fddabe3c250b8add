//! What plugins import, answered from the call's state. Arguments are a stranger's: one that
//! the contract does not allow ends the call.

use std::net::IpAddr;

use wasmtime::Result;

use crate::address;
use crate::answer::shown;
use crate::bindings::wharfinger::plugin::{ledger, logger, node, store, types};
use crate::state::{State, Stop};
use crate::{AddressRange, Level, Refusal};

/// Ranges in one argument.
const RANGES: usize = 4_096;
/// Bytes of a key, an identity, a prefix.
const KEY: usize = 1_024;
/// Entries of one scan.
const SCAN: u32 = 1_000;

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

impl types::Host for State {}

impl ledger::Host for State {
    fn take(&mut self, address: String) -> Result<Result<(), ledger::Refusal>> {
        let address = read("ledger.take", &address)?;
        let answer = self.book("ledger.take", |book| book.take(address))?;
        if answer.is_ok() {
            self.taken.push(address);
        }
        Ok(answer.map_err(refusal))
    }

    fn take_free(
        &mut self,
        within: Vec<types::AddressRange>,
        excluded: Vec<types::AddressRange>,
        start: Option<String>,
    ) -> Result<Option<String>> {
        const IMPORT: &str = "ledger.take-free";
        let within = ranges(IMPORT, &within)?;
        let excluded = ranges(IMPORT, &excluded)?;
        let start = start.as_deref().map(|start| read(IMPORT, start)).transpose()?;
        let taken = self.book(IMPORT, |book| book.take_free(&within, &excluded, start))?;
        self.taken.extend(taken);
        Ok(taken.map(|address| address.to_string()))
    }

    fn remembered(&mut self, identity: String) -> Result<Vec<String>> {
        const IMPORT: &str = "ledger.remembered";
        let identity = key(IMPORT, &identity)?;
        let addresses = self.book(IMPORT, |book| book.remembered(identity))?;
        Ok(addresses.iter().map(IpAddr::to_string).collect())
    }

    fn remember(&mut self, identity: String) -> Result<()> {
        const IMPORT: &str = "ledger.remember";
        let identity = key(IMPORT, &identity)?;
        Ok(self.book(IMPORT, |book| book.remember(identity))?)
    }
}

fn refusal(refusal: Refusal) -> ledger::Refusal {
    match refusal {
        Refusal::Held(id) => ledger::Refusal::Held(types::AttachmentId {
            network: id.network,
            container: id.container,
            ifname: id.ifname,
        }),
        Refusal::Reserved(why) => ledger::Refusal::Reserved(why),
    }
}

impl store::Host for State {
    fn get(&mut self, name: String) -> Result<Option<String>> {
        let name = key("store.get", &name)?;
        Ok(self.book("store.get", |book| book.store_get(name))?)
    }

    fn put(&mut self, name: String, value: String, lifetime: store::Lifetime) -> Result<()> {
        let name = key("store.put", &name)?;
        let attachment = matches!(lifetime, store::Lifetime::Attachment);
        Ok(self.book("store.put", |book| book.store_put(name, &value, attachment))?)
    }

    fn remove(&mut self, name: String) -> Result<bool> {
        let name = key("store.remove", &name)?;
        Ok(self.book("store.remove", |book| book.store_remove(name))?)
    }

    fn scan(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<types::Pair>> {
        const IMPORT: &str = "store.scan";
        if prefix.len() > KEY {
            return Err(bad(IMPORT, format!("the prefix {}", shown(&prefix))).into());
        }
        let limit = limit.min(SCAN);
        let found = self.book(IMPORT, |book| book.store_scan(&prefix, after.as_deref(), limit))?;
        Ok(found.into_iter().map(|(name, value)| types::Pair { name, value }).collect())
    }
}

impl logger::Host for State {
    fn log(&mut self, level: logger::Level, message: String) -> Result<()> {
        let level = match level {
            logger::Level::Trace => Level::Trace,
            logger::Level::Debug => Level::Debug,
            logger::Level::Info => Level::Info,
            logger::Level::Warn => Level::Warn,
            logger::Level::Error => Level::Error,
        };
        Ok(State::log(self, level, &message)?)
    }
}

impl node::Host for State {
    fn name(&mut self) -> Result<String> {
        self.in_time()?;
        Ok(self.node.name.clone())
    }

    fn label(&mut self, name: String) -> Result<Option<String>> {
        self.in_time()?;
        Ok(self.node.labels.get(&name).cloned())
    }

    fn now(&mut self) -> Result<u64> {
        self.in_time()?;
        Ok(self.node.now)
    }
}
