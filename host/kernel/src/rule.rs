//! Rules of routing by netlink: what comes from an address is looked up in a table.

use netlink_bindings::rt_rule::{
    FibRuleAttrs, FibRuleHdr, OpDelruleDo, OpGetruleDump, OpNewruleDo,
};
use std::net::IpAddr;

use wharfinger_plan::Rule;

use crate::address::family;
use crate::session::Session;
use crate::socket::{CHANGE, MAKE, Refusal, Socket};
use crate::{Error, refused};

const TO_TABLE: u8 = 1;

/// A rule that the kernel tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// An address, where it is about exactly one.
    from: Option<IpAddr>,
    pub(crate) table: u32,
}

/// Adds the rule; answers whether it was not there before. The kernel would take it twice.
pub(crate) fn ensure(session: &mut Session<'_>, wanted: &Rule) -> Result<bool, Error> {
    if !is_missing(session, wanted)? {
        return Ok(false);
    }
    let done = session.route(wanted.place)?.change(libc::RTM_NEWRULE, MAKE, |bytes| {
        let request = OpNewruleDo::encode_request(bytes, &header(wanted));
        request.push_src(wanted.from).push_table(wanted.table);
    });
    match done {
        Ok(()) => Ok(true),
        Err(Refusal { errno: libc::EEXIST, .. }) => Ok(false),
        Err(refusal) => Err(refused("add", wanted.to_string(), refusal)),
    }
}

/// Whether the rule is not there.
pub(crate) fn is_missing(session: &mut Session<'_>, wanted: &Rule) -> Result<bool, Error> {
    let found = all(session.route(wanted.place)?);
    let found = found.map_err(|refusal| refused("look up", wanted.to_string(), refusal))?;
    Ok(!found.contains(&Found { from: Some(wanted.from), table: wanted.table }))
}

/// Removes the rule; that it is gone is fine.
pub(crate) fn remove(session: &mut Session<'_>, wanted: &Rule) -> Result<(), Error> {
    let done = session.route(wanted.place)?.change(libc::RTM_DELRULE, CHANGE, |bytes| {
        let request = OpDelruleDo::encode_request(bytes, &header(wanted));
        request.push_src(wanted.from).push_table(wanted.table);
    });
    match done {
        Ok(()) | Err(Refusal { errno: libc::ENOENT, .. }) => Ok(()),
        Err(refusal) => Err(refused("remove", wanted.to_string(), refusal)),
    }
}

/// All rules of the namespace.
pub(crate) fn all(socket: &mut Socket) -> Result<Vec<Found>, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        OpGetruleDump::encode_request(bytes, &FibRuleHdr::default());
    };
    socket.dump(libc::RTM_GETRULE, write, |payload| Some(read(payload)))
}

fn header(rule: &Rule) -> FibRuleHdr {
    FibRuleHdr {
        family: family(rule.from),
        src_len: whole(rule.from),
        // A larger one stands in its own attribute.
        table: u8::try_from(rule.table).unwrap_or(0),
        action: TO_TABLE,
        ..FibRuleHdr::default()
    }
}

/// The prefix length of a single address.
fn whole(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn read(payload: &[u8]) -> Found {
    let (header, attributes) = OpNewruleDo::decode_request(payload);
    let mut found = Found { from: None, table: header.table.into() };
    for attribute in attributes.map_while(Result::ok) {
        match attribute {
            FibRuleAttrs::Src(address) if header.src_len == whole(address) => {
                found.from = Some(address);
            }
            FibRuleAttrs::Table(table) => found.table = table,
            _ => {}
        }
    }
    found
}
