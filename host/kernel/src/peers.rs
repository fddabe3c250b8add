//! What is known of other nodes, as the kernel has it: entries of the VXLAN and of the bridge for
//! link-layer addresses, and neighbours of the bridge, which answers for them.
//!
//! Requests are sent by the dozen, each acknowledged for itself. What is looked at is what nobody
//! but us makes on these links: what frames taught the bridge, and neighbours that are asked for,
//! come and go by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink_bindings::rt_neigh::{
    Ndmsg, NeighbourAttrs, OpDelneighDo, OpGetneighDump, OpNewneighDo,
};
use wharfinger_plan::{LinkRef, Mac, PeerChange, Peers, Place, Segment};

use crate::address::family;
use crate::session::Session;
use crate::socket::{ACK, APPEND, Batch, CHANGE, ENSURE, Refusal, Socket};
use crate::{Error, refused};

const NEW: u16 = libc::RTM_NEWNEIGH;
const DELETE: u16 = libc::RTM_DELNEIGH;
const GET: u16 = libc::RTM_GETNEIGH;
const REPLACE: u16 = 0x100;
const AF_BRIDGE: u8 = 7;
// linux/neighbour.h
const NUD_REACHABLE: u16 = 0x02;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
/// As `bridge fdb add ... static` has it: it stays, and is no address of our own.
const STATIC: u16 = NUD_NOARP | NUD_REACHABLE;
const NTF_SELF: u8 = 0x02;
const NTF_MASTER: u8 = 0x04;
/// The station that stands for all of whom nothing is known.
const ALL: Mac = Mac([0; 6]);
/// The acknowledgements of so many requests fit into a socket's buffer.
const TOGETHER: usize = 64;

/// The links' numbers.
#[derive(Clone, Copy)]
struct At {
    bridge: u32,
    vxlan: u32,
}

/// Brings all that the kernel knows to `wanted`; answers how many changes that took.
pub(crate) fn resync(
    session: &mut Session<'_>,
    segment: &Segment,
    wanted: &Peers,
) -> Result<usize, Error> {
    let at = find(session, segment)?;
    let socket = session.route(Place::Host)?;
    let listed = list(socket, at)
        .map_err(|refusal| refused("list", format!("peers of {}", segment.vxlan), refusal))?;
    let mut changes: Vec<PeerChange> = listed.half.into_iter().map(PeerChange::NoStation).collect();
    changes.extend(listed.peers.towards(wanted));
    make(socket, at, segment, &changes)?;
    Ok(changes.len())
}

/// Makes these changes, and looks at nothing else.
pub(crate) fn change(
    session: &mut Session<'_>,
    segment: &Segment,
    changes: &[PeerChange],
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let at = find(session, segment)?;
    make(session.route(Place::Host)?, at, segment, changes)
}

fn find(session: &mut Session<'_>, segment: &Segment) -> Result<At, Error> {
    let mut index = |name: &str| session.index(&LinkRef::host(name));
    Ok(At { bridge: index(&segment.bridge)?, vxlan: index(&segment.vxlan)? })
}

/// All of them, whatever becomes of one; the first failure is told.
fn make(
    socket: &mut Socket,
    at: At,
    segment: &Segment,
    changes: &[PeerChange],
) -> Result<(), Error> {
    let mut failed: Option<(PeerChange, Refusal)> = None;
    for group in changes.chunks(TOGETHER) {
        let mut batch = Batch::on(socket);
        let mut meant = Vec::new();
        for change in group {
            let before = batch.len();
            write(&mut batch, at, *change);
            meant.resize(meant.len() + batch.len() - before, *change);
        }
        let refusals = socket.change_each(&batch);
        let refusals = refusals
            .map_err(|refusal| refused("set", format!("peers of {}", segment.vxlan), refusal))?;
        for (number, refusal) in refusals {
            let Some(change) = meant.get(number) else { continue };
            if !(change.removes() && is_gone(&refusal)) && failed.is_none() {
                failed = Some((*change, refusal));
            }
        }
    }
    match failed {
        None => Ok(()),
        Some((change, refusal)) => {
            Err(refused("set", format!("peer of {}: {change}", segment.vxlan), refusal))
        }
    }
}

fn is_gone(refusal: &Refusal) -> bool {
    [libc::ENOENT, libc::ESRCH].contains(&refusal.errno)
}

fn write(batch: &mut Batch, at: At, change: PeerChange) {
    match change {
        PeerChange::Node(node) => {
            let header = of_bridge(at.vxlan, NTF_SELF);
            add(batch, ENSURE | APPEND, &header, Some(ALL), Some(node));
        }
        // Both tables in one request.
        PeerChange::Station(mac, node) => {
            let header = of_bridge(at.vxlan, NTF_SELF | NTF_MASTER);
            add(batch, ENSURE | REPLACE, &header, Some(mac), Some(node));
        }
        PeerChange::Address(address, mac) => {
            let header = neighbour(at.bridge, address);
            add(batch, ENSURE | REPLACE, &header, Some(mac), Some(address));
        }
        PeerChange::NoAddress(address) => {
            remove(batch, &neighbour(at.bridge, address), None, Some(address));
        }
        // Either may be gone already, which must not keep the other.
        PeerChange::NoStation(mac) => {
            remove(batch, &of_bridge(at.vxlan, NTF_SELF), Some(mac), None);
            remove(batch, &of_bridge(at.vxlan, NTF_MASTER), Some(mac), None);
        }
        PeerChange::NoNode(node) => {
            remove(batch, &of_bridge(at.vxlan, NTF_SELF), Some(ALL), Some(node));
        }
    }
}

fn of_bridge(vxlan: u32, flags: u8) -> Ndmsg {
    Ndmsg {
        ndm_family: AF_BRIDGE,
        ndm_ifindex: vxlan.cast_signed(),
        ndm_state: STATIC,
        ndm_flags: flags,
        ..Ndmsg::default()
    }
}

fn neighbour(bridge: u32, address: IpAddr) -> Ndmsg {
    Ndmsg {
        ndm_family: family(address),
        ndm_ifindex: bridge.cast_signed(),
        ndm_state: NUD_PERMANENT,
        ..Ndmsg::default()
    }
}

fn add(batch: &mut Batch, flags: u16, header: &Ndmsg, mac: Option<Mac>, to: Option<IpAddr>) {
    batch.add(NEW, flags | ACK, |bytes| {
        let mut request = OpNewneighDo::encode_request(bytes, header);
        if let Some(to) = to {
            request = request.push_dst(to);
        }
        if let Some(Mac(octets)) = mac {
            request = request.push_lladdr(&octets);
        }
        drop(request);
    });
}

fn remove(batch: &mut Batch, header: &Ndmsg, mac: Option<Mac>, to: Option<IpAddr>) {
    batch.add(DELETE, CHANGE | ACK, |bytes| {
        let mut request = OpDelneighDo::encode_request(bytes, header);
        if let Some(to) = to {
            request = request.push_dst(to);
        }
        if let Some(Mac(octets)) = mac {
            request = request.push_lladdr(&octets);
        }
        drop(request);
    });
}

/// What is there.
#[derive(Default)]
struct Listed {
    peers: Peers,
    /// Stations that one of both tables alone has, or that are behind several nodes.
    half: BTreeSet<Mac>,
}

/// An entry of either table for link-layer addresses.
struct Entry {
    mac: Mac,
    to: Option<IpAddr>,
    by_bridge: bool,
    state: u16,
}

fn list(socket: &mut Socket, at: At) -> Result<Listed, Refusal> {
    let mut behind: BTreeSet<Mac> = BTreeSet::new();
    let mut remotes: BTreeMap<Mac, Vec<IpAddr>> = BTreeMap::new();
    let mut listed = Listed::default();
    for entry in entries(socket, at.vxlan)? {
        match entry {
            Entry { by_bridge: true, mac, state: NUD_NOARP, .. } => {
                behind.insert(mac);
            }
            Entry { by_bridge: true, .. } => {}
            Entry { mac: ALL, to, .. } => listed.peers.nodes.extend(to),
            Entry { mac, to, .. } => remotes.entry(mac).or_default().extend(to),
        }
    }
    for (mac, nodes) in remotes {
        match (nodes.as_slice(), behind.remove(&mac)) {
            ([node], true) => {
                listed.peers.stations.insert(mac, *node);
            }
            _ => {
                listed.half.insert(mac);
            }
        }
    }
    listed.half.extend(behind);
    for number in [libc::AF_INET, libc::AF_INET6] {
        let family = u8::try_from(number).unwrap_or_default();
        listed.peers.addresses.extend(neighbours(socket, family, at.bridge)?);
    }
    Ok(listed)
}

fn entries(socket: &mut Socket, vxlan: u32) -> Result<Vec<Entry>, Refusal> {
    let asked =
        Ndmsg { ndm_family: AF_BRIDGE, ndm_ifindex: vxlan.cast_signed(), ..Ndmsg::default() };
    let write = |bytes: &mut Vec<u8>| {
        OpGetneighDump::encode_request(bytes, &asked);
    };
    socket.dump(GET, write, |payload| {
        let (header, attributes) = OpNewneighDo::decode_request(payload);
        let (mut mac, mut to, mut by_bridge) = (None, None, false);
        for attribute in attributes.map_while(Result::ok) {
            match attribute {
                NeighbourAttrs::Lladdr(octets) => mac = octets.try_into().ok().map(Mac),
                NeighbourAttrs::Dst(address) => to = Some(address),
                NeighbourAttrs::Master(_) => by_bridge = true,
                _ => {}
            }
        }
        let state = header.ndm_state;
        let is_here = header.ndm_ifindex == vxlan.cast_signed();
        Some(Entry { mac: mac?, to, by_bridge, state }).filter(|_| is_here)
    })
}

fn neighbours(socket: &mut Socket, family: u8, bridge: u32) -> Result<Vec<(IpAddr, Mac)>, Refusal> {
    let asked = Ndmsg { ndm_family: family, ..Ndmsg::default() };
    let write = |bytes: &mut Vec<u8>| {
        OpGetneighDump::encode_request(bytes, &asked).push_ifindex(bridge);
    };
    socket.dump(GET, write, |payload| {
        let (header, attributes) = OpNewneighDo::decode_request(payload);
        let (mut mac, mut address) = (None, None);
        for attribute in attributes.map_while(Result::ok) {
            match attribute {
                NeighbourAttrs::Lladdr(octets) => mac = octets.try_into().ok().map(Mac),
                NeighbourAttrs::Dst(found) => address = Some(found),
                _ => {}
            }
        }
        let ours = header.ndm_ifindex == bridge.cast_signed() && header.ndm_state == NUD_PERMANENT;
        Some((address?, mac?)).filter(|_| ours)
    })
}
