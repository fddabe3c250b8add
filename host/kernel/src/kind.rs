//! The kinds of link that stand on another, and what the kernel tells of them.
//!
//! Such a link is made in one request, under its own name in its own namespace: nothing is made on
//! the host under another name first, so that nothing is left there.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_bindings::rt_link::OpNewlinkDo;
use netlink_bindings::utils::{Pusher, finalize_nested_header, push_header, push_nested_header};
use wharfinger_plan::{IpvlanMode, Link, LinkKind, LinkRef, MacvlanMode};

use crate::link::{common, flags, header};
use crate::socket::{Attributes, MAKE, Refusal, Socket};
use crate::vxlan;

const INFO_DATA: u16 = 2;
const MACVLAN_MODE: u16 = 1;
const MACVLAN_BC_QUEUE_LEN: u16 = 7;
const IPVLAN_MODE: u16 = 1;
const VLAN_ID: u16 = 1;
const BRIDGE_VLAN_FILTERING: u16 = 7;

/// What only links of one kind have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Data {
    #[default]
    None,
    Macvlan(Option<MacvlanMode>),
    Ipvlan(Option<IpvlanMode>),
    /// Its id.
    Vlan(u16),
    /// Whether it heeds VLANs.
    Bridge(bool),
    Vxlan(vxlan::Found),
}

/// The link that it stands on.
pub(crate) fn master(kind: &LinkKind) -> Option<&LinkRef> {
    match kind {
        LinkKind::Macvlan(it) => Some(&it.master),
        LinkKind::Ipvlan(it) => Some(&it.master),
        LinkKind::Vlan(it) => Some(&it.master),
        LinkKind::Vxlan(it) => it.group.as_ref().map(|group| &group.dev),
        LinkKind::Bridge
        | LinkKind::VlanBridge
        | LinkKind::Veth { .. }
        | LinkKind::Dummy
        | LinkKind::Tap(_)
        | LinkKind::Device(_)
        | LinkKind::Ifb
        | LinkKind::Vrf { .. }
        | LinkKind::Existing => None,
    }
}

/// Makes a link on the master with this index, which is in the socket's namespace; the link itself
/// in `netns` where that is given.
pub(crate) fn create(
    socket: &mut Socket,
    link: &Link,
    master: Option<u32>,
    netns: Option<BorrowedFd<'_>>,
) -> Result<(), Refusal> {
    let Some(name) = crate::link::kind_name(&link.kind) else {
        return Err(Refusal::of(libc::EOPNOTSUPP));
    };
    let name = std::ffi::CString::new(name).unwrap_or_default();
    socket.change(libc::RTM_NEWLINK, MAKE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(0, flags(link), flags(link)));
        request = common(request, &link.link.name, link.mtu, link.mac);
        // A VXLAN has it among what is its own.
        if let Some(master) = master.filter(|_| !matches!(link.kind, LinkKind::Vxlan(_))) {
            request = request.push_link(master);
        }
        if let Some(netns) = netns {
            request = request.push_net_ns_fd(netns.as_raw_fd().cast_unsigned());
        }
        let mut info = request.nested_linkinfo().push_kind(&name);
        describe(info.as_vec_mut(), &link.kind, master);
    })
}

/// What the kernel calls the data of a kind.
fn describe(bytes: &mut Vec<u8>, kind: &LinkKind, master: Option<u32>) {
    let data = push_nested_header(bytes, INFO_DATA);
    match kind {
        LinkKind::Macvlan(it) => {
            attribute(bytes, MACVLAN_MODE, &macvlan_number(it.mode).to_ne_bytes());
            if let Some(packets) = it.bcqueuelen {
                attribute(bytes, MACVLAN_BC_QUEUE_LEN, &packets.to_ne_bytes());
            }
        }
        LinkKind::Ipvlan(it) => {
            attribute(bytes, IPVLAN_MODE, &ipvlan_number(it.mode).to_ne_bytes());
        }
        LinkKind::Vlan(it) => attribute(bytes, VLAN_ID, &it.id.to_ne_bytes()),
        LinkKind::VlanBridge => attribute(bytes, BRIDGE_VLAN_FILTERING, &[1]),
        LinkKind::Vxlan(it) => vxlan::describe(bytes, it, master),
        _ => {}
    }
    finalize_nested_header(bytes, data);
}

/// As [`describe`], for a request of somebody else's.
pub(crate) fn heeds_vlans(bytes: &mut Vec<u8>) {
    describe(bytes, &LinkKind::VlanBridge, None);
}

/// An attribute, and what it takes to a multiple of four.
pub(crate) fn attribute(bytes: &mut Vec<u8>, kind: u16, content: &[u8]) {
    push_header(bytes, kind, u16::try_from(content.len()).unwrap_or(u16::MAX));
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn macvlan_number(mode: MacvlanMode) -> u32 {
    match mode {
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
        MacvlanMode::Bridge => 4,
        MacvlanMode::Passthru => 8,
    }
}

fn ipvlan_number(mode: IpvlanMode) -> u16 {
    match mode {
        IpvlanMode::L2 => 0,
        IpvlanMode::L3 => 1,
        IpvlanMode::L3s => 2,
    }
}

/// What a link's message tells beyond what all links have.
pub(crate) fn read(payload: &[u8], kind: &str) -> Data {
    const IFINFOMSG: usize = 16;
    const LINKINFO: u16 = 18;
    let all = payload.get(IFINFOMSG..).unwrap_or_default();
    let Some(info) = within(all, LINKINFO) else { return Data::None };
    let Some(data) = within(info, INFO_DATA) else { return Data::None };
    let number = |kind| within(data, kind).map(little);
    let macvlan =
        [MacvlanMode::Bridge, MacvlanMode::Private, MacvlanMode::Vepa, MacvlanMode::Passthru];
    let ipvlan = [IpvlanMode::L2, IpvlanMode::L3, IpvlanMode::L3s];
    match kind {
        "macvlan" => {
            let found = number(MACVLAN_MODE);
            Data::Macvlan(macvlan.into_iter().find(|mode| Some(macvlan_number(*mode)) == found))
        }
        "ipvlan" => {
            let found = number(IPVLAN_MODE);
            Data::Ipvlan(ipvlan.into_iter().find(|it| Some(ipvlan_number(*it).into()) == found))
        }
        "vlan" => Data::Vlan(number(VLAN_ID).and_then(|id| id.try_into().ok()).unwrap_or(0)),
        "vxlan" => Data::Vxlan(vxlan::read(data)),
        "bridge" => Data::Bridge(number(BRIDGE_VLAN_FILTERING).is_some_and(|on| on != 0)),
        _ => Data::None,
    }
}

pub(crate) fn within(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    const NESTED: u16 = 0x8000;
    Attributes(attributes).find(|(kind, _)| kind & !NESTED == wanted).map(|(_, content)| content)
}

/// A number of one, two or four octets, as this machine writes them.
fn little(content: &[u8]) -> u32 {
    match content {
        [one] => (*one).into(),
        [a, b] => u16::from_ne_bytes([*a, *b]).into(),
        [a, b, c, d, ..] => u32::from_ne_bytes([*a, *b, *c, *d]),
        _ => 0,
    }
}

/// What of a kind's own is not as wanted: (what, found, wanted).
pub(crate) fn misfits(found: Data, wanted: &LinkKind) -> Vec<(&'static str, String, String)> {
    let text = |mode: Option<String>| mode.unwrap_or_else(|| "unknown".to_owned());
    let (what, found, wanted) = match (found, wanted) {
        (Data::Macvlan(found), LinkKind::Macvlan(wanted)) => {
            ("mode", text(found.map(|it| it.to_string())), wanted.mode.to_string())
        }
        (Data::Ipvlan(found), LinkKind::Ipvlan(wanted)) => {
            ("mode", text(found.map(|it| it.to_string())), wanted.mode.to_string())
        }
        (Data::Vlan(found), LinkKind::Vlan(wanted)) => {
            ("vlan id", found.to_string(), wanted.id.to_string())
        }
        (Data::Bridge(found), LinkKind::VlanBridge) => {
            ("vlan_filtering", u8::from(found).to_string(), "1".to_owned())
        }
        (Data::Vxlan(found), LinkKind::Vxlan(wanted)) => return vxlan::misfits(found, wanted),
        _ => return Vec::new(),
    };
    if found == wanted { Vec::new() } else { vec![(what, found, wanted)] }
}
