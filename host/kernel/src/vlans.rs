//! The VLANs of a bridge's ports by netlink: what `bridge vlan` shows and sets.

use std::collections::BTreeMap;

use netlink_bindings::rt_link::Ifinfomsg;
use netlink_bindings::utils::{finalize_nested_header, push_nested_header};
use wharfinger_plan::{Port, PortVlan};

use crate::kind::attribute;
use crate::socket::{Attributes, CHANGE, Refusal, Socket};

const AF_BRIDGE: u8 = 7;
const AF_SPEC: u16 = 26;
const EXT_MASK: u16 = 29;
const BRIDGE_VLAN_INFO: u16 = 2;
const FILTER_BRVLAN: u32 = 2;
const PVID: u16 = 1 << 1;
const UNTAGGED: u16 = 1 << 2;
const RANGE_BEGIN: u16 = 1 << 3;
const RANGE_END: u16 = 1 << 4;

/// The flags of each VLAN.
type Vlans = BTreeMap<u16, u16>;

/// Gives a port its VLANs, and takes those that it is not to have.
pub(crate) fn ensure(socket: &mut Socket, index: u32, port: &Port) -> Result<(), Refusal> {
    if port.vlans.is_empty() {
        return Ok(());
    }
    let (there, wanted) = (all(socket, index)?, wanted(port));
    let gone = there.keys().filter(|id| !port.keep_default_vlan && !wanted.contains_key(id));
    for id in gone {
        change(socket, libc::RTM_DELLINK, index, &[(0, *id)])?;
    }
    for vlan in port.vlans.iter().filter(|vlan| !has(&there, **vlan)) {
        change(socket, libc::RTM_SETLINK, index, &words(*vlan))?;
    }
    Ok(())
}

/// What differs, in words.
pub(crate) fn differences(
    socket: &mut Socket,
    index: u32,
    port: &Port,
) -> Result<Vec<String>, Refusal> {
    if port.vlans.is_empty() {
        return Ok(Vec::new());
    }
    let (there, wanted) = (all(socket, index)?, wanted(port));
    let lacks = port.vlans.iter().filter(|vlan| !has(&there, **vlan));
    let mut all: Vec<String> = lacks.map(|vlan| format!("has no vlan {vlan}")).collect();
    let more = there.keys().filter(|id| !port.keep_default_vlan && !wanted.contains_key(id));
    all.extend(more.map(|id| format!("has vlan {id} too")));
    Ok(all)
}

fn wanted(port: &Port) -> Vlans {
    let ids = port.vlans.iter().flat_map(|vlan| vlan.first..=vlan.last);
    ids.map(|id| (id, 0)).collect()
}

fn has(there: &Vlans, wanted: PortVlan) -> bool {
    (wanted.first..=wanted.last).all(|id| there.get(&id) == Some(&flags(wanted)))
}

fn flags(vlan: PortVlan) -> u16 {
    let pvid = if vlan.pvid { PVID } else { 0 };
    pvid | if vlan.untagged { UNTAGGED } else { 0 }
}

/// A range is two entries.
fn words(vlan: PortVlan) -> Vec<(u16, u16)> {
    let flags = flags(vlan);
    if vlan.first == vlan.last {
        vec![(flags, vlan.first)]
    } else {
        vec![(flags | RANGE_BEGIN, vlan.first), (flags | RANGE_END, vlan.last)]
    }
}

fn change(
    socket: &mut Socket,
    kind: u16,
    index: u32,
    entries: &[(u16, u16)],
) -> Result<(), Refusal> {
    socket.change(kind, CHANGE, |bytes| {
        bytes.extend(header(index).as_slice());
        let spec = push_nested_header(bytes, AF_SPEC);
        for (flags, id) in entries {
            let [a, b] = flags.to_ne_bytes();
            let [c, d] = id.to_ne_bytes();
            attribute(bytes, BRIDGE_VLAN_INFO, &[a, b, c, d]);
        }
        finalize_nested_header(bytes, spec);
    })
}

fn header(index: u32) -> Ifinfomsg {
    Ifinfomsg { ifi_family: AF_BRIDGE, ifi_index: index.cast_signed(), ..Ifinfomsg::default() }
}

/// The VLANs of the port with this index.
fn all(socket: &mut Socket, index: u32) -> Result<Vlans, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        bytes.extend(header(0).as_slice());
        attribute(bytes, EXT_MASK, &FILTER_BRVLAN.to_ne_bytes());
    };
    let of_port = socket.dump(libc::RTM_GETLINK, write, |payload| {
        let found = payload.get(4..8)?.try_into().ok().map(u32::from_ne_bytes);
        (found == Some(index)).then(|| read(payload))
    })?;
    Ok(of_port.into_iter().flatten().collect())
}

fn read(payload: &[u8]) -> Vlans {
    const IFINFOMSG: usize = 16;
    const NESTED: u16 = 0x8000;
    let attributes = Attributes(payload.get(IFINFOMSG..).unwrap_or_default());
    let specs = attributes.filter(|(kind, _)| kind & !NESTED == AF_SPEC);
    let entries = specs.flat_map(|(_, spec)| Attributes(spec));
    let entries = entries.filter(|(kind, _)| *kind == BRIDGE_VLAN_INFO);
    entries
        .filter_map(|(_, entry)| match entry {
            [a, b, c, d, ..] => {
                let flags = u16::from_ne_bytes([*a, *b]) & (PVID | UNTAGGED);
                Some((u16::from_ne_bytes([*c, *d]), flags))
            }
            _ => None,
        })
        .collect()
}
