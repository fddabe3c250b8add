//! Frames that a bridge passes from port to port, and whether our tables see them.

use std::path::Path;

use netlink_bindings::rt_link::Ifinfomsg;

use crate::nft::attrs::Attrs;
use crate::socket::{Attributes, CHANGE, Refusal, Socket};

const LINKINFO: u16 = 18;
const KIND: u16 = 1;
const DATA: u16 = 2;
/// IFLA_BR_NF_CALL_IPTABLES and IFLA_BR_NF_CALL_IP6TABLES: what is named so serves nf_tables too.
const SHOWN: [u16; 2] = [36, 37];

/// Whether the kernel can.
pub(crate) fn can_show() -> bool {
    Path::new("/proc/sys/net/bridge").exists()
}

/// Has the bridge with this index show them.
pub(crate) fn show(socket: &mut Socket, index: u32) -> Result<(), Refusal> {
    socket.change(libc::RTM_NEWLINK, CHANGE, |bytes| {
        bytes.extend(header(index).as_slice());
        Attrs(bytes).nest(LINKINFO, |info| {
            info.text(KIND, "bridge");
            info.nest(DATA, |data| SHOWN.iter().for_each(|kind| data.bytes(*kind, &[1])));
        });
    })
}

/// Whether the bridge with this index shows them.
pub(crate) fn are_shown(socket: &mut Socket, index: u32) -> Result<bool, Refusal> {
    let write = |bytes: &mut Vec<u8>| bytes.extend(header(index).as_slice());
    socket.get(libc::RTM_GETLINK, write, |payload| {
        let attributes = payload.get(size_of::<Ifinfomsg>()..).unwrap_or_default();
        let data = inside(inside(attributes, LINKINFO), DATA);
        SHOWN.iter().all(|kind| inside(data, *kind) == [1])
    })
}

fn header(index: u32) -> Ifinfomsg {
    Ifinfomsg { ifi_index: index.cast_signed(), ..Ifinfomsg::default() }
}

/// The content of an attribute; empty where it is not there.
fn inside(bytes: &[u8], wanted: u16) -> &[u8] {
    const WITHOUT_MARKS: u16 = 0x3fff;
    let found = Attributes(bytes).find(|(kind, _)| kind & WITHOUT_MARKS == wanted);
    found.map(|(_, content)| content).unwrap_or_default()
}
