//! Traffic control by netlink: queueing disciplines, a class, filters. It encodes and decodes;
//! `traffic` decides.
//!
//! What is asked for is one object of one link: a list of queueing disciplines is that of all
//! links, whatever it is asked for.

use std::ffi::CStr;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_bindings::tc::Tcmsg;
use netlink_bindings::utils::{finalize_nested_header, find_attr, push_header, push_nested_header};
use wharfinger_plan::{PeerIs, Shape};

use crate::socket::{CHANGE, MAKE, Refusal, Socket};

/// The handle of what shapes a link: `1:`, as the reference plugin has it.
const HANDLE: u32 = 0x0001_0000;
/// The class that is held to the rate, where some is spared.
const SHAPED: u32 = HANDLE | 0x30;
const ROOT: u32 = 0xffff_ffff;
/// The handle and the parent of what handles packets that come in.
const INGRESS: u32 = 0xffff_0000;
const INGRESS_PARENT: u32 = 0xffff_fff1;

// linux/rtnetlink.h
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
// linux/pkt_sched.h
const TBF_PARMS: u16 = 1;
const TBF_RATE64: u16 = 4;
const TBF_BURST: u16 = 6;
const HTB_PARMS: u16 = 1;
const HTB_INIT: u16 = 2;
const HTB_RATE64: u16 = 6;
const HTB_CEIL64: u16 = 7;
const HTB_VERSION: u32 = 3;
const LINKLAYER_ETHERNET: u8 = 1;
// linux/pkt_cls.h
const U32_CLASSID: u16 = 1;
const U32_SEL: u16 = 5;
const U32_ACT: u16 = 7;
const U32_TERMINAL: u8 = 1;
const ACT_KIND: u16 = 1;
const ACT_OPTIONS: u16 = 2;
const ACT_STOLEN: u32 = 4;
const MIRRED_PARMS: u16 = 2;
const EGRESS_REDIR: u32 = 1;
// linux/if_ether.h
const ALL: u16 = 0x0003;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// A microsecond in the kernel's ticks is 125 eighths: a tick is 64 nanoseconds.
const TICK_NANOS: u64 = 64;

/// A queueing discipline that the kernel tells of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: String,
    /// Zero for one that the kernel made itself.
    pub(crate) handle: u32,
    /// What a `tbf`, or the class of an `htb`, is held to.
    pub(crate) held: Option<Held>,
}

/// What is held to a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) rate: u64,
    /// How long sending a burst takes, in the kernel's ticks; the kernel tells its low 32 bits.
    pub(crate) buffer: u32,
    /// Bytes that may wait; of a class, nothing.
    pub(crate) limit: Option<u32>,
}

impl Held {
    /// As a step wants it.
    pub(crate) fn wanted(shape: &Shape) -> Self {
        let limit = shape.sparing.is_none().then_some(shape.limit);
        let ticks = ticks(shape.rate, shape.burst);
        Self { rate: shape.rate, buffer: u32::try_from(ticks).unwrap_or(u32::MAX), limit }
    }

    /// Whether the kernel tells of what was wanted. A burst that is more than its number of 32
    /// bits can say is not compared.
    pub(crate) fn is(&self, wanted: &Self) -> bool {
        let buffer = wanted.buffer == u32::MAX || self.buffer == wanted.buffer;
        self.rate == wanted.rate && buffer && self.limit == wanted.limit
    }
}

/// How long sending so many bytes takes, in ticks; by whole microseconds, as the reference plugin
/// reckons.
fn ticks(rate: u64, burst: u32) -> u64 {
    let micros = u64::from(burst).saturating_mul(1_000_000).checked_div(rate).unwrap_or(u64::MAX);
    micros.saturating_mul(1000) / TICK_NANOS
}

fn header(index: u32, handle: u32, parent: u32) -> Tcmsg {
    Tcmsg { ifindex: index.cast_signed(), handle, parent, ..Tcmsg::default() }
}

fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    push_header(bytes, kind, u16::try_from(value.len()).unwrap_or(u16::MAX));
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn nest(bytes: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = push_nested_header(bytes, kind);
    write(bytes);
    finalize_nested_header(bytes, start);
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `struct tc_ratespec`: the link layer, nothing added to a packet, and the rate's low bits.
fn ratespec(rate: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[1] = LINKLAYER_ETHERNET;
    bytes[8..].copy_from_slice(&u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes());
    bytes
}

/// Asks for a change of traffic control.
fn change(
    socket: &mut Socket,
    (request, flags): (u16, u16),
    header: &Tcmsg,
    kind: &CStr,
    options: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Refusal> {
    socket.change(request, flags, |bytes| {
        bytes.extend(header.as_slice());
        push(bytes, KIND, kind.to_bytes_with_nul());
        nest(bytes, OPTIONS, options);
    })
}

/// What a link has at its root; `None` for what it has from the kernel.
pub(crate) fn root(socket: &mut Socket, index: u32) -> Result<Option<Found>, Refusal> {
    let found = one(socket, libc::RTM_GETQDISC, &header(index, 0, ROOT))?;
    Ok(found.filter(|found| found.handle != 0))
}

/// What a link has for packets that come in: its kind.
pub(crate) fn ingress(socket: &mut Socket, index: u32) -> Result<Option<String>, Refusal> {
    let found = one(socket, libc::RTM_GETQDISC, &header(index, 0, INGRESS_PARENT))?;
    Ok(found.map(|found| found.kind))
}

/// The class that is held to a rate.
pub(crate) fn class(socket: &mut Socket, index: u32) -> Result<Option<Found>, Refusal> {
    one(socket, libc::RTM_GETTCLASS, &header(index, SHAPED, 0))
}

fn one(socket: &mut Socket, request: u16, header: &Tcmsg) -> Result<Option<Found>, Refusal> {
    match socket.look(request, |bytes| bytes.extend(header.as_slice()), read) {
        Ok(found) => Ok(found),
        // None at all, one of the kernel's own that it does not tell of, and no link.
        Err(Refusal { errno: libc::ENOENT | libc::EINVAL | libc::ENODEV, .. }) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

fn read(payload: &[u8]) -> Found {
    let (header, attributes) = payload.split_at(payload.len().min(Tcmsg::len()));
    let handle = Tcmsg::new_from_slice(header).unwrap_or_default().handle;
    let kind = find_attr(attributes, KIND).and_then(|kind| CStr::from_bytes_until_nul(kind).ok());
    let kind = kind.map(|kind| kind.to_string_lossy().into_owned()).unwrap_or_default();
    let options = find_attr(attributes, OPTIONS).unwrap_or_default();
    let held = match kind.as_str() {
        "tbf" => held(options, TBF_RATE64, true),
        "htb" => held(options, HTB_RATE64, false),
        _ => None,
    };
    Found { kind, handle, held }
}

/// `struct tc_tbf_qopt` has two rates, the limit and the buffer; `struct tc_htb_opt` two rates
/// and the buffer.
fn held(options: &[u8], rate64: u16, has_limit: bool) -> Option<Held> {
    let parms = find_attr(options, TBF_PARMS)?;
    let word = |at: usize| {
        let bytes = parms.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*bytes))
    };
    let long = find_attr(options, rate64).and_then(|bytes| bytes.first_chunk::<8>());
    let rate = long.map_or(word(8)?.into(), |bytes| u64::from_ne_bytes(*bytes));
    let (limit, buffer) = if has_limit { (Some(word(24)?), word(28)?) } else { (None, word(24)?) };
    Some(Held { rate, buffer, limit })
}

/// Holds all that leaves by a link to a rate.
pub(crate) fn add_tbf(socket: &mut Socket, index: u32, shape: &Shape) -> Result<(), Refusal> {
    let held = Held::wanted(shape);
    let rate = ratespec(shape.rate);
    let parms = [&rate[..], &[0; 12], &words(&[shape.limit, held.buffer, 0])].concat();
    let header = header(index, HANDLE, ROOT);
    change(socket, (libc::RTM_NEWQDISC, MAKE), &header, c"tbf", |bytes| {
        if shape.rate > u32::MAX.into() {
            push(bytes, TBF_RATE64, &shape.rate.to_ne_bytes());
        }
        // A burst beyond what the buffer's ticks can say is said in bytes.
        if held.buffer == u32::MAX {
            push(bytes, TBF_BURST, &shape.burst.to_ne_bytes());
        }
        push(bytes, TBF_PARMS, &parms);
    })
}

/// Holds some of what leaves by a link to a rate; the rest goes past.
pub(crate) fn add_htb(socket: &mut Socket, index: u32, shape: &Shape) -> Result<(), Refusal> {
    let spared = &shape.sparing;
    let default = if spared.shaped.is_empty() { SHAPED & 0xffff } else { 0 };
    let root = header(index, HANDLE, ROOT);
    change(socket, (libc::RTM_NEWQDISC, MAKE), &root, c"htb", |bytes| {
        push(bytes, HTB_INIT, &words(&[HTB_VERSION, 10, default, 0, 0]));
    })?;
    let (rate, held) = (ratespec(shape.rate), Held::wanted(shape));
    let quantum = u32::try_from(shape.rate / 10).unwrap_or(u32::MAX).clamp(1514, 200_000);
    let rest = words(&[held.buffer, held.buffer, quantum, 0, 0]);
    let class = header(index, SHAPED, HANDLE);
    change(socket, (libc::RTM_NEWTCLASS, MAKE), &class, c"htb", |bytes| {
        if shape.rate > u32::MAX.into() {
            push(bytes, HTB_RATE64, &shape.rate.to_ne_bytes());
            push(bytes, HTB_CEIL64, &shape.rate.to_ne_bytes());
        }
        push(bytes, HTB_PARMS, &[&rate[..], &rate, &rest].concat());
    })?;
    // What waits is bounded as `tbf` bounds it.
    let queue = header(index, 0, SHAPED);
    socket.change(libc::RTM_NEWQDISC, MAKE, |bytes| {
        bytes.extend(queue.as_slice());
        push(bytes, KIND, c"bfifo".to_bytes_with_nul());
        push(bytes, OPTIONS, &shape.limit.to_ne_bytes());
    })?;
    // A filter that leads to the root itself leads past all classes.
    let filters = spared.unshaped.iter().map(|network| (network, HANDLE));
    for (network, to) in filters.chain(spared.shaped.iter().map(|network| (network, SHAPED))) {
        let filter = Filter { matches: Some((*network, spared.peer)), class: to, redirect: None };
        add_filter(socket, index, HANDLE, &filter)?;
    }
    Ok(())
}

/// Takes away what shapes a link; that there is nothing is fine.
pub(crate) fn remove_root(socket: &mut Socket, index: u32) -> Result<(), Refusal> {
    remove(socket, &header(index, HANDLE, ROOT))
}

/// Lets packets that come in be filtered.
pub(crate) fn add_ingress(socket: &mut Socket, index: u32) -> Result<(), Refusal> {
    let header = header(index, INGRESS, INGRESS_PARENT);
    change(socket, (libc::RTM_NEWQDISC, MAKE), &header, c"ingress", |_| {})
}

/// No packet that comes in is filtered; that none was is fine.
pub(crate) fn remove_ingress(socket: &mut Socket, index: u32) -> Result<(), Refusal> {
    remove(socket, &header(index, INGRESS, INGRESS_PARENT))
}

fn remove(socket: &mut Socket, header: &Tcmsg) -> Result<(), Refusal> {
    let done = socket.change(libc::RTM_DELQDISC, CHANGE, |bytes| bytes.extend(header.as_slice()));
    match done {
        Err(Refusal { errno: libc::ENOENT | libc::EINVAL | libc::ENODEV, .. }) => Ok(()),
        done => done,
    }
}

/// What happens to some packets.
struct Filter {
    /// Those with this address; without it, all.
    matches: Option<(IpNet, PeerIs)>,
    /// They are of this class.
    class: u32,
    /// They leave by the link with this index.
    redirect: Option<u32>,
}

/// Redirects what comes in, less what is spared.
pub(crate) fn redirect(
    socket: &mut Socket,
    index: u32,
    to: u32,
    spared: &wharfinger_plan::Sparing,
) -> Result<(), Refusal> {
    // What an earlier filter without an action takes comes to no later one.
    for network in &spared.unshaped {
        let matches = Some((*network, spared.peer));
        let filter = Filter { matches, class: HANDLE | 1, redirect: None };
        add_filter(socket, index, INGRESS, &filter)?;
    }
    for network in &spared.shaped {
        let matches = Some((*network, spared.peer));
        let filter = Filter { matches, class: HANDLE | 1, redirect: Some(to) };
        add_filter(socket, index, INGRESS, &filter)?;
    }
    if !spared.shaped.is_empty() {
        return Ok(());
    }
    let all = Filter { matches: None, class: HANDLE | 1, redirect: Some(to) };
    add_filter(socket, index, INGRESS, &all)
}

fn add_filter(
    socket: &mut Socket,
    index: u32,
    parent: u32,
    filter: &Filter,
) -> Result<(), Refusal> {
    // A priority has filters of one protocol; the lowest comes first.
    let (priority, protocol) = match filter.matches {
        Some((IpNet::V4(_), _)) => (1, IPV4),
        Some((IpNet::V6(_), _)) => (2, IPV6),
        None => (3, ALL),
    };
    let info = (priority << 16) | u32::from(protocol.to_be());
    let header = Tcmsg { info, ..header(index, 0, parent) };
    change(socket, (libc::RTM_NEWTFILTER, MAKE), &header, c"u32", |bytes| {
        push(bytes, U32_CLASSID, &filter.class.to_ne_bytes());
        push(bytes, U32_SEL, &selector(filter.matches));
        if let Some(to) = filter.redirect {
            nest(bytes, U32_ACT, |bytes| nest(bytes, 1, |bytes| mirred(bytes, to)));
        }
    })
}

fn mirred(bytes: &mut Vec<u8>, to: u32) {
    push(bytes, ACT_KIND, c"mirred".to_bytes_with_nul());
    nest(bytes, ACT_OPTIONS, |bytes| {
        push(bytes, MIRRED_PARMS, &words(&[0, 0, ACT_STOLEN, 0, 0, EGRESS_REDIR, to]));
    });
}

/// `struct tc_u32_sel` and its keys: words of the packet's header, under masks.
fn selector(matches: Option<(IpNet, PeerIs)>) -> Vec<u8> {
    // One key that every packet fits.
    let mut keys = vec![([0; 4], [0; 4], 0)];
    if let Some((network, peer)) = matches {
        let (address, mask) = (octets(network.network()), octets(network.netmask()));
        let offset = match (network, peer) {
            (IpNet::V4(_), PeerIs::Source) => 12,
            (IpNet::V4(_), PeerIs::Destination) => 16,
            (IpNet::V6(_), PeerIs::Source) => 8,
            (IpNet::V6(_), PeerIs::Destination) => 24,
        };
        let words = mask.as_chunks::<4>().0.iter().zip(address.as_chunks::<4>().0);
        let offsets = (offset..).step_by(4);
        let told = words.zip(offsets).map(|((mask, word), offset)| (*mask, *word, offset));
        keys.extend(told.filter(|(mask, _, _)| *mask != [0; 4]));
    }
    let count = u8::try_from(keys.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![U32_TERMINAL, 0, count, 0];
    bytes.extend([0; 12]);
    for (mask, word, offset) in keys {
        bytes.extend(mask);
        bytes.extend(word);
        bytes.extend(i32::to_ne_bytes(offset));
        bytes.extend([0; 4]);
    }
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Where packets that come in are redirected to: the indexes of links.
pub(crate) fn redirects(socket: &mut Socket, index: u32) -> Result<Vec<u32>, Refusal> {
    let header = header(index, 0, INGRESS);
    let write = |bytes: &mut Vec<u8>| bytes.extend(header.as_slice());
    match socket.dump(libc::RTM_GETTFILTER, write, redirected) {
        Err(Refusal { errno: libc::ENOENT | libc::EINVAL | libc::ENODEV, .. }) => Ok(Vec::new()),
        done => done,
    }
}

fn redirected(payload: &[u8]) -> Option<u32> {
    let options = find_attr(payload.get(Tcmsg::len()..)?, OPTIONS)?;
    let first = find_attr(find_attr(options, U32_ACT)?, 1)?;
    let parms = find_attr(find_attr(first, ACT_OPTIONS)?, MIRRED_PARMS)?;
    parms.get(24..)?.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_in_ticks_is_the_reference_plugins() {
        // 100 Mbit/s and 1 Mbit: 10,000 us.
        assert_eq!(ticks(12_500_000, 125_000), 156_250);
        // Whole microseconds alone.
        assert_eq!(ticks(3, 1), 5_208_328);
        // What the CRI sends for no burst at 1 Mbit/s is beyond 32 bits.
        assert!(ticks(125_000, 536_870_911) > u64::from(u32::MAX));
        assert_eq!(ticks(0, 1), u64::MAX / TICK_NANOS);
    }

    #[test]
    fn a_selector_has_a_key_for_each_word_that_counts() {
        let keys = |network: &str| selector(Some((network.parse().unwrap(), PeerIs::Source)))[2];
        assert_eq!(selector(None)[2], 1);
        assert_eq!(keys("10.0.0.0/8"), 2);
        assert_eq!(keys("0.0.0.0/0"), 1);
        assert_eq!(keys("fd00::/8"), 2);
        assert_eq!(keys("fd00::/64"), 3);
        assert_eq!(keys("fd00::1/128"), 5);
    }
}
