//! Links by netlink: the requests about them, and what the kernel tells of them.
//!
//! It encodes and decodes; what is wanted and what differs is decided by its callers.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_bindings::rt_link::{
    Ifinfomsg, IterableLinkinfoAttrs, LinkAttrs, LinkinfoAttrs, LinkinfoBrportAttrs,
    LinkinfoDataMsg, LinkinfoMemberDataMsg, OpDellinkDo, OpGetlinkDo, OpNewlinkDo, PushLinkAttrs,
};
use netlink_bindings::utils::{Pusher, finalize_nested_header, push_nested_header};
use wharfinger_plan::{Link, LinkKind, Mac, Peer, Port, Settings};

use crate::kind::{self, Data};
use crate::socket::{CHANGE, Dump, MAKE, Refusal, Socket};

const NEW: u16 = libc::RTM_NEWLINK;
const DELETE: u16 = libc::RTM_DELLINK;
const GET: u16 = libc::RTM_GETLINK;
const UP: u32 = libc::IFF_UP.cast_unsigned();
const PROMISC: u32 = libc::IFF_PROMISC.cast_unsigned();
const ALLMULTI: u32 = libc::IFF_ALLMULTI.cast_unsigned();
/// RFC 2863, as the kernel numbers it.
const OPERSTATE_UP: u8 = 6;
/// A port of a bridge that forwards nothing (linux/if_bridge.h).
const PORT_DISABLED: u8 = 0;

/// The most that an MTU can be.
const LARGEST_MTU: u32 = 65535;
/// The group of a bridge that is made and not finished, and whose MTU is one more than wanted.
///
/// An MTU that a bridge was made with does not last: it follows that of its smallest port. Only
/// a change of it does, and a bridge with two MTUs one after the other would be seen by others
/// with the wrong one. So it is made with a mark, and read as if it had the right one already;
/// one request then takes the mark and sets the MTU. Whoever meets an unfinished bridge
/// finishes it: its maker may have been killed.
const UNFINISHED: u32 = 0x7768_6672;

/// Dumps that are joined where none shows one state: what one of them passed over, another has.
const DUMPS: u32 = 3;

/// Links that are removed in one go are of a group of their own: this, and the index of the first,
/// which no other link has.
const LEAVING: u32 = 0x8000_0000;

/// A link as the kernel tells of it.
#[expect(clippy::struct_excessive_bools, reason = "they are the kernel's own flags")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: u32,
    pub(crate) alias: Option<String>,
    pub(crate) up: bool,
    pub(crate) promisc: bool,
    pub(crate) allmulti: bool,
    /// Packets.
    pub(crate) txqlen: u32,
    /// The index of a veth's other end, or of what the link stands on.
    pub(crate) peer: Option<u32>,
    /// The index of the bridge it is a port of.
    pub(crate) master: Option<u32>,
    pub(crate) hairpin: bool,
    pub(crate) isolated: bool,
    /// The bridge learns who is behind the port.
    learning: bool,
    neigh_suppress: bool,
    /// The table of a VRF.
    pub(crate) table: Option<u32>,
    /// What only its kind has.
    pub(crate) data: Data,
    /// See [`UNFINISHED`].
    pub(crate) unfinished: bool,
    operstate: u8,
    port_state: Option<u8>,
}

impl Found {
    /// Whether frames pass: it is up, and so is its place in the bridge.
    pub(crate) fn passes(&self) -> bool {
        self.operstate == OPERSTATE_UP && self.port_state != Some(PORT_DISABLED)
    }
}

/// The link of this name; `None` where there is none.
pub(crate) fn find(socket: &mut Socket, name: &str) -> Result<Option<Found>, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        let request = OpGetlinkDo::encode_request(bytes, &Ifinfomsg::default());
        request
            .push_ifname_bytes(name.as_bytes())
            .push_ext_mask(libc::RTEXT_FILTER_SKIP_STATS.cast_unsigned());
    };
    match socket.get(GET, write, read) {
        Ok(found) => Ok(Some(found)),
        Err(refusal) if refusal.errno == libc::ENODEV => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// The link of this index; `None` where there is none.
pub(crate) fn at(socket: &mut Socket, index: u32) -> Result<Option<Found>, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        let request = OpGetlinkDo::encode_request(bytes, &header(index, 0, 0));
        request.push_ext_mask(libc::RTEXT_FILTER_SKIP_STATS.cast_unsigned());
    };
    match socket.get(GET, write, read) {
        Ok(found) => Ok(Some(found)),
        Err(refusal) if refusal.errno == libc::ENODEV => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// All links of the namespace.
pub(crate) fn all(socket: &mut Socket) -> Result<Vec<Found>, Refusal> {
    socket.dump(GET, ask_for_all, |payload| Some(read(payload)))
}

/// Links that were there at some time during the call, each as it was seen last: where links come and go all the
/// time, no dump of thousands shows one state.
///
/// One that is missing is not proven to be gone. The kernel goes on where it stopped between two messages, and
/// before Linux 6.9 that is a place in a chain of links (rtnl_dump_ifinfo): when one before it goes, the next is
/// passed over. From then on it is an index, and what stays is always told. Whoever decides from an absence asks
/// for the link by itself ([`find`], [`at`]), or for one state ([`all`]).
pub(crate) fn seen(socket: &mut Socket) -> Result<Vec<Found>, Refusal> {
    joined(|| socket.dump_once(GET, ask_for_all, |payload| Some(read(payload))))
}

fn joined(mut dump: impl FnMut() -> Result<Dump<Found>, Refusal>) -> Result<Vec<Found>, Refusal> {
    let mut links = BTreeMap::new();
    for _ in 0..DUMPS {
        let Dump { all, is_whole } = dump()?;
        if is_whole {
            return Ok(all);
        }
        links.extend(all.into_iter().map(|found| (found.index, found)));
    }
    Ok(links.into_values().collect())
}

fn ask_for_all(bytes: &mut Vec<u8>) {
    let request = OpGetlinkDo::encode_request(bytes, &Ifinfomsg::default());
    request.push_ext_mask(libc::RTEXT_FILTER_SKIP_STATS.cast_unsigned());
}

/// Makes a bridge, with its MAC address: one that is chosen at creation stays, while one that
/// the kernel chose would follow the lowest of the bridge's ports. See [`UNFINISHED`].
pub(crate) fn create_bridge(socket: &mut Socket, link: &Link, mac: Mac) -> Result<(), Refusal> {
    let unfinished = link.mtu.filter(|mtu| *mtu < LARGEST_MTU);
    let flags = if unfinished.is_some() { 0 } else { flags(link) };
    socket.change(NEW, MAKE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(0, flags, flags));
        let mtu = unfinished.map(|mtu| mtu + 1).or(link.mtu);
        request = common(request, &link.link.name, mtu, Some(mac));
        if unfinished.is_some() {
            request = request.push_group(UNFINISHED);
        }
        let mut info = request.nested_linkinfo().push_kind(c"bridge");
        if matches!(link.kind, LinkKind::VlanBridge) {
            kind::heeds_vlans(info.as_vec_mut());
        }
    })
}

/// Gives an unfinished bridge its MTU and its flags. To do it again changes nothing.
pub(crate) fn finish_bridge(
    socket: &mut Socket,
    found: &Found,
    link: &Link,
) -> Result<(), Refusal> {
    socket.change(NEW, CHANGE, |bytes| {
        let header = header(found.index, flags(link), flags(link));
        OpNewlinkDo::encode_request(bytes, &header).push_mtu(found.mtu).push_group(0);
    })
}

/// Makes a veth, the peer in `peer_netns` where that is given, this end a port of `master`.
pub(crate) fn create_veth(
    socket: &mut Socket,
    link: &Link,
    peer: &Peer,
    peer_netns: Option<BorrowedFd<'_>>,
    master: Option<u32>,
) -> Result<(), Refusal> {
    const INFO_DATA: u16 = 2;
    const VETH_INFO_PEER: u16 = 1;
    socket.change(NEW, MAKE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(0, flags(link), flags(link)));
        request = common(request, &link.link.name, link.mtu, link.mac);
        if let Some(master) = master {
            request = request.push_master(master);
        }
        let mut info = request.nested_linkinfo().push_kind(c"veth");
        let bytes = info.as_vec_mut();
        let data = push_nested_header(bytes, INFO_DATA);
        let end = push_nested_header(bytes, VETH_INFO_PEER);
        bytes.extend(Ifinfomsg::default().as_slice());
        let mut attributes =
            common(PushLinkAttrs::new(&mut *bytes), &peer.link.name, link.mtu, peer.mac);
        if let Some(netns) = peer_netns {
            attributes = attributes.push_net_ns_fd(netns.as_raw_fd().cast_unsigned());
        }
        drop(attributes);
        finalize_nested_header(bytes, end);
        finalize_nested_header(bytes, data);
    })
}

/// Makes a link that is for redirected packets. It keeps none waiting itself.
pub(crate) fn create_ifb(socket: &mut Socket, link: &Link) -> Result<(), Refusal> {
    socket.change(NEW, MAKE, |bytes| {
        let request = OpNewlinkDo::encode_request(bytes, &header(0, flags(link), flags(link)));
        let request = common(request, &link.link.name, link.mtu, link.mac).push_txqlen(0);
        request.nested_linkinfo().push_kind(c"ifb");
    })
}

/// Makes a VRF.
pub(crate) fn create_vrf(socket: &mut Socket, link: &Link, table: u32) -> Result<(), Refusal> {
    socket.change(NEW, MAKE, |bytes| {
        let request = OpNewlinkDo::encode_request(bytes, &header(0, flags(link), flags(link)));
        let request = common(request, &link.link.name, link.mtu, link.mac);
        request.nested_linkinfo().nested_data_vrf().push_table(table);
    })
}

/// Sets what the kernel does not take at creation: the alias, and how it is a port.
pub(crate) fn set_after(
    socket: &mut Socket,
    index: u32,
    alias: Option<&str>,
    port: Option<&Port>,
) -> Result<(), Refusal> {
    socket.change(NEW, CHANGE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(index, 0, 0));
        if let Some(alias) = alias {
            self::alias(request.as_vec_mut(), alias);
        }
        if let Some(port) = port {
            let info = request.nested_linkinfo();
            let data = info.nested_slave_data_bridge();
            let data =
                data.push_mode(u8::from(port.hairpin)).push_isolated(u8::from(port.isolated));
            // What is the kernel's default may be somebody's wish, and older kernels do not know it.
            let data = if port.nolearning { data.push_learning(0) } else { data };
            if port.neigh_suppress {
                data.push_neigh_suppress(1);
            }
        }
    })
}

/// What of a port's flags is not as wanted: (what, found, wanted).
pub(crate) fn port_misfits(found: &Found, wanted: &Port) -> Vec<(&'static str, bool, bool)> {
    let learning = if wanted.nolearning { false } else { found.learning };
    let suppress = wanted.neigh_suppress || found.neigh_suppress;
    let all = [
        ("hairpin", found.hairpin, wanted.hairpin),
        ("isolated", found.isolated, wanted.isolated),
        ("learning", found.learning, learning),
        ("neigh_suppress", found.neigh_suppress, suppress),
    ];
    all.into_iter().filter(|(_, found, wanted)| found != wanted).collect()
}

/// Without a zero at its end, which the kernel would count: an alias has 255 octets. An empty one
/// takes it away.
pub(crate) fn alias(bytes: &mut Vec<u8>, alias: &str) {
    kind::attribute(bytes, libc::IFLA_IFALIAS, alias.as_bytes());
}

/// Sets what the kernel may not have taken at creation.
pub(crate) fn set_mac_and_mtu(
    socket: &mut Socket,
    index: u32,
    mac: Option<Mac>,
    mtu: Option<u32>,
) -> Result<(), Refusal> {
    socket.change(NEW, CHANGE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(index, 0, 0));
        if let Some(Mac(octets)) = mac {
            request = request.push_address(&octets);
        }
        if let Some(mtu) = mtu {
            request = request.push_mtu(mtu);
        }
        drop(request);
    })
}

/// Makes it a port of the bridge with this index.
pub(crate) fn set_master(socket: &mut Socket, index: u32, master: u32) -> Result<(), Refusal> {
    socket.change(NEW, CHANGE, |bytes| {
        OpNewlinkDo::encode_request(bytes, &header(index, 0, 0)).push_master(master);
    })
}

/// Sets a link up.
pub(crate) fn set_up(socket: &mut Socket, index: u32) -> Result<(), Refusal> {
    set_flags(socket, index, UP)
}

/// Sets those of the flags that a link wants.
pub(crate) fn set_wanted_flags(
    socket: &mut Socket,
    index: u32,
    link: &Link,
) -> Result<(), Refusal> {
    set_flags(socket, index, flags(link))
}

/// Changes what a step says of a link that is there.
pub(crate) fn set_settings(
    socket: &mut Socket,
    index: u32,
    wanted: &Settings,
) -> Result<(), Refusal> {
    let flags = [(wanted.promisc, PROMISC), (wanted.allmulti, ALLMULTI)];
    let named = flags.iter().filter(|(change, _)| change.is_some());
    let changed = named.map(|(_, flag)| flag).sum();
    let on = flags.iter().filter(|(change, _)| change.is_some_and(|change| change.to));
    let on = on.map(|(_, flag)| flag).sum();
    socket.change(NEW, CHANGE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(index, on, changed));
        if let Some(mac) = wanted.mac {
            request = request.push_address(&mac.to.0);
        }
        if let Some(mtu) = wanted.mtu {
            request = request.push_mtu(mtu.to);
        }
        if let Some(packets) = wanted.txqlen {
            request = request.push_txqlen(packets.to);
        }
        drop(request);
    })
}

fn set_flags(socket: &mut Socket, index: u32, flags: u32) -> Result<(), Refusal> {
    socket.change(NEW, CHANGE, |bytes| {
        OpNewlinkDo::encode_request(bytes, &header(index, flags, flags));
    })
}

/// Removes a link; one that is gone is fine.
pub(crate) fn remove(socket: &mut Socket, index: u32) -> Result<(), Refusal> {
    let done = socket.change(DELETE, CHANGE, |bytes| {
        OpDellinkDo::encode_request(bytes, &header(index, 0, 0));
    });
    match done {
        Err(refusal) if refusal.errno == libc::ENODEV => Ok(()),
        done => done,
    }
}

/// Removes several links in one go: the kernel waits for everybody who may still look at a link
/// once, and not for each of them, which takes tens of milliseconds.
pub(crate) fn remove_together(socket: &mut Socket, indexes: &[u32]) -> Result<(), Refusal> {
    let group = LEAVING | indexes.first().copied().unwrap_or_default();
    for index in indexes {
        let done = socket.change(NEW, CHANGE, |bytes| {
            OpNewlinkDo::encode_request(bytes, &header(*index, 0, 0)).push_group(group);
        });
        done.or_else(|refusal| gone(&refusal).then_some(()).ok_or(refusal))?;
    }
    let done = socket.change(DELETE, CHANGE, |bytes| {
        OpDellinkDo::encode_request(bytes, &header(0, 0, 0)).push_group(group);
    });
    done.or_else(|refusal| gone(&refusal).then_some(()).ok_or(refusal))
}

fn gone(refusal: &Refusal) -> bool {
    refusal.errno == libc::ENODEV
}

/// Whether the kernel can make links of this kind. Asks for what every kind refuses, so that
/// nothing is made: an address of three octets.
pub(crate) fn can_make(socket: &mut Socket, kind: &std::ffi::CStr) -> Result<bool, Refusal> {
    let done = socket.change(NEW, MAKE, |bytes| {
        let request = OpNewlinkDo::encode_request(bytes, &Ifinfomsg::default());
        let request = request.push_ifname_bytes(b"wharfinger-none").push_address(&[2, 0, 0]);
        request.nested_linkinfo().push_kind(kind);
    });
    match done {
        Err(refusal) if refusal.errno == libc::EOPNOTSUPP => Ok(false),
        Err(refusal) if refusal.errno == libc::EINVAL => Ok(true),
        Err(refusal) => Err(refusal),
        Ok(()) => Ok(true),
    }
}

/// The fixed part of a request about a link.
pub(crate) fn header(index: u32, flags: u32, change: u32) -> Ifinfomsg {
    Ifinfomsg {
        ifi_index: index.cast_signed(),
        ifi_flags: flags,
        ifi_change: change,
        ..Ifinfomsg::default()
    }
}

/// The flags that a link wants.
pub(crate) fn flags(link: &Link) -> u32 {
    let up = if link.up { UP } else { 0 };
    let promisc = if link.promisc == Some(true) { PROMISC } else { 0 };
    up | promisc
}

/// What both ends of a veth, and any other link, are made with.
pub(crate) fn common<P: Pusher>(
    mut request: PushLinkAttrs<P>,
    name: &str,
    mtu: Option<u32>,
    mac: Option<Mac>,
) -> PushLinkAttrs<P> {
    request = request.push_ifname_bytes(name.as_bytes());
    if let Some(mtu) = mtu {
        request = request.push_mtu(mtu);
    }
    if let Some(Mac(octets)) = mac {
        request = request.push_address(&octets);
    }
    request
}

fn read(payload: &[u8]) -> Found {
    let (header, attributes) = OpNewlinkDo::decode_request(payload);
    let mut found = Found {
        index: header.ifi_index.cast_unsigned(),
        up: header.ifi_flags & UP != 0,
        promisc: header.ifi_flags & PROMISC != 0,
        allmulti: header.ifi_flags & ALLMULTI != 0,
        ..Found::default()
    };
    for attribute in attributes.map_while(Result::ok) {
        match attribute {
            LinkAttrs::Ifname(name) => found.name = name.to_string_lossy().into_owned(),
            LinkAttrs::Mtu(mtu) => found.mtu = mtu,
            LinkAttrs::Address(octets) => found.mac = octets.try_into().ok().map(Mac),
            LinkAttrs::Ifalias(alias) => found.alias = Some(alias.to_string_lossy().into_owned()),
            LinkAttrs::Operstate(state) => found.operstate = state,
            LinkAttrs::Master(index) => found.master = Some(index),
            LinkAttrs::Link(index) => found.peer = Some(index),
            LinkAttrs::Txqlen(packets) => found.txqlen = packets,
            LinkAttrs::Group(group) => found.unfinished = group == UNFINISHED,
            LinkAttrs::Linkinfo(info) => read_info(info, &mut found),
            _ => {}
        }
    }
    found.data = kind::read(payload, &found.kind);
    if let Data::Vxlan(vxlan) = found.data {
        found.peer = vxlan.dev;
    }
    found.mtu -= u32::from(found.unfinished && found.mtu > 0);
    // The kernel gives `lo` an address of zeroes, which is none.
    found.mac = found.mac.filter(|mac| mac.0 != [0; 6]);
    found
}

fn read_info(info: IterableLinkinfoAttrs<'_>, found: &mut Found) {
    for attribute in info.filter_map(Result::ok) {
        match attribute {
            LinkinfoAttrs::Kind(kind) => found.kind = kind.to_string_lossy().into_owned(),
            LinkinfoAttrs::Data(LinkinfoDataMsg::Vrf(vrf)) => {
                found.table = vrf.get_table().ok();
            }
            LinkinfoAttrs::SlaveData(LinkinfoMemberDataMsg::Bridge(port)) => {
                for attribute in port.map_while(Result::ok) {
                    match attribute {
                        LinkinfoBrportAttrs::State(state) => found.port_state = Some(state),
                        LinkinfoBrportAttrs::Mode(mode) => found.hairpin = mode != 0,
                        LinkinfoBrportAttrs::Isolated(flag) => found.isolated = flag != 0,
                        LinkinfoBrportAttrs::Learning(flag) => found.learning = flag != 0,
                        LinkinfoBrportAttrs::NeighSuppress(flag) => {
                            found.neigh_suppress = flag != 0;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// The name by which the kernel knows a kind of link; `None` for any.
pub(crate) fn kind_name(kind: &LinkKind) -> Option<&'static str> {
    match kind {
        LinkKind::Bridge | LinkKind::VlanBridge => Some("bridge"),
        LinkKind::Veth { .. } => Some("veth"),
        LinkKind::Ifb => Some("ifb"),
        LinkKind::Vrf { .. } => Some("vrf"),
        LinkKind::Macvlan(_) => Some("macvlan"),
        LinkKind::Ipvlan(_) => Some("ipvlan"),
        LinkKind::Vlan(_) => Some("vlan"),
        LinkKind::Vxlan(_) => Some("vxlan"),
        LinkKind::Dummy => Some("dummy"),
        LinkKind::Tap(_) => Some("tun"),
        LinkKind::Device(_) | LinkKind::Existing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root: ring netns"]
    fn kinds_that_the_kernel_has_not_are_told() {
        let asked = std::thread::spawn(|| {
            // SAFETY: unshare(2) takes no pointers; it changes this thread alone.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "needs root");
            let mut socket = Socket::route().unwrap();
            let kinds = [c"bridge", c"veth", c"nosuchkind"];
            let can = kinds.map(|kind| can_make(&mut socket, kind).unwrap());
            (can, all(&mut socket).unwrap().len())
        });
        assert_eq!(asked.join().unwrap(), ([true, true, false], 1));
    }

    fn named(index: u32, name: &str) -> Found {
        Found { index, name: name.to_owned(), ..Found::default() }
    }

    fn dump(all: &[(u32, &str)], is_whole: bool) -> Dump<Found> {
        Dump { all: all.iter().map(|(index, name)| named(*index, name)).collect(), is_whole }
    }

    #[test]
    fn interrupted_dumps_are_joined_until_one_is_not() {
        let mut dumps = vec![
            // Never asked for.
            dump(&[(9, "more")], true),
            dump(&[(1, "lo"), (4, "came")], false),
            dump(&[(1, "lo"), (3, "renamed")], false),
            dump(&[(1, "lo"), (2, "went"), (3, "was")], false),
        ];
        let all = joined(|| Ok(dumps.pop().unwrap())).unwrap();
        let names: Vec<_> = all.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["lo", "went", "renamed", "came"]);
        assert_eq!(dumps.len(), 1);

        let mut dumps = vec![dump(&[(1, "lo")], true), dump(&[(1, "lo"), (2, "went")], false)];
        assert_eq!(joined(|| Ok(dumps.pop().unwrap())).unwrap(), [named(1, "lo")]);
        assert!(joined(|| Err(Refusal::of(libc::EPERM))).is_err());
    }

    #[test]
    #[ignore = "needs root: ring netns"]
    fn what_stays_is_seen_while_others_come_and_go() {
        const STAY: usize = 200;
        let host = std::thread::spawn(|| {
            // SAFETY: unshare(2) takes no pointers; it changes this thread alone.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "needs root");
            let mut socket = Socket::route().unwrap();
            let name = |number| format!("stays{number}");
            (0..STAY).for_each(|number| add_ifb(&mut socket, &name(number)));
            let (end, ended) = std::sync::mpsc::channel::<()>();
            // In the same namespace: a thread has its maker's.
            let others = std::thread::spawn(move || {
                let mut socket = Socket::route().unwrap();
                while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    add_ifb(&mut socket, "goes");
                    let index = find(&mut socket, "goes").unwrap().unwrap().index;
                    remove(&mut socket, index).unwrap();
                }
            });
            let mut interrupted = 0;
            while interrupted < 20 {
                let dump = || {
                    let dump = socket.dump_once(GET, ask_for_all, |payload| Some(read(payload)));
                    interrupted += dump.as_ref().map_or(0, |dump| u32::from(!dump.is_whole));
                    dump
                };
                let links = joined(dump).unwrap();
                let stay = links.iter().filter(|found| found.name.starts_with("stays"));
                assert_eq!(stay.count(), STAY);
            }
            end.send(()).unwrap();
            others.join().unwrap();
        });
        host.join().unwrap();
    }

    fn add_ifb(socket: &mut Socket, name: &str) {
        let done = socket.change(NEW, MAKE, |bytes| {
            let request = OpNewlinkDo::encode_request(bytes, &Ifinfomsg::default());
            let request = request.push_ifname_bytes(name.as_bytes());
            request.nested_linkinfo().push_kind(c"ifb");
        });
        done.unwrap();
    }
}
