//! What only a VXLAN has, by netlink (linux/if_link.h, `IFLA_VXLAN_*`).

use std::net::IpAddr;

use wharfinger_plan::Vxlan;

use crate::kind::{attribute, within};

const ID: u16 = 1;
const GROUP: u16 = 2;
const LINK: u16 = 3;
const LOCAL: u16 = 4;
const LEARNING: u16 = 7;
const PORT: u16 = 15;
const GROUP6: u16 = 16;
const LOCAL6: u16 = 17;

/// As the kernel tells of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Found {
    vni: Option<u32>,
    local: Option<IpAddr>,
    port: Option<u16>,
    group: Option<IpAddr>,
    learning: bool,
    /// The index of the link that the group is joined by.
    pub(crate) dev: Option<u32>,
}

/// What it is made with; `dev` is the index of the group's link.
pub(crate) fn describe(bytes: &mut Vec<u8>, wanted: &Vxlan, dev: Option<u32>) {
    attribute(bytes, ID, &wanted.vni.to_ne_bytes());
    attribute(bytes, PORT, &wanted.port.to_be_bytes());
    attribute(bytes, LEARNING, &[u8::from(wanted.group.is_some())]);
    address(bytes, (LOCAL, LOCAL6), wanted.local);
    if let Some(group) = &wanted.group {
        address(bytes, (GROUP, GROUP6), group.address);
    }
    if let Some(dev) = dev {
        attribute(bytes, LINK, &dev.to_ne_bytes());
    }
}

fn address(bytes: &mut Vec<u8>, (v4, v6): (u16, u16), address: IpAddr) {
    match address {
        IpAddr::V4(address) => attribute(bytes, v4, &address.octets()),
        IpAddr::V6(address) => attribute(bytes, v6, &address.octets()),
    }
}

/// Out of the data of its kind.
pub(crate) fn read(data: &[u8]) -> Found {
    let v4 = |kind| -> Option<IpAddr> {
        let octets: [u8; 4] = within(data, kind)?.try_into().ok()?;
        Some(octets.into())
    };
    let v6 = |kind| -> Option<IpAddr> {
        let octets: [u8; 16] = within(data, kind)?.try_into().ok()?;
        Some(octets.into())
    };
    let number = |kind| Some(u32::from_ne_bytes(within(data, kind)?.try_into().ok()?));
    let set = |address: &IpAddr| !address.is_unspecified();
    Found {
        vni: number(ID),
        local: v4(LOCAL).or_else(|| v6(LOCAL6)).filter(set),
        port: within(data, PORT).and_then(|octets| octets.try_into().ok()).map(u16::from_be_bytes),
        group: v4(GROUP).or_else(|| v6(GROUP6)).filter(set),
        learning: within(data, LEARNING) == Some(&[1]),
        dev: number(LINK).filter(|index| *index != 0),
    }
}

/// What is not as wanted: (what, found, wanted).
pub(crate) fn misfits(found: Found, wanted: &Vxlan) -> Vec<(&'static str, String, String)> {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "none".to_owned(), |value| value.to_string())
    }
    let group = wanted.group.as_ref().map(|group| group.address);
    let learning = |on: bool| if on { "on" } else { "off" }.to_owned();
    let all = [
        ("id", text(found.vni), wanted.vni.to_string()),
        ("local", text(found.local), wanted.local.to_string()),
        ("dstport", text(found.port), wanted.port.to_string()),
        ("group", text(found.group), text(group)),
        ("learning", learning(found.learning), learning(wanted.group.is_some())),
    ];
    all.into_iter().filter(|(_, found, wanted)| found != wanted).collect()
}

#[cfg(test)]
mod tests {
    use wharfinger_plan::{Group, LinkRef};

    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let group = |address: &str| {
            Some(Group { address: address.parse().unwrap(), dev: LinkRef::host("ens3") })
        };
        for (local, group) in
            [("10.0.0.7", None), ("10.0.0.7", group("239.1.1.1")), ("fd10::7", group("ff05::1"))]
        {
            let wanted = Vxlan { vni: 4096, local: local.parse().unwrap(), port: 4789, group };
            let mut bytes = Vec::new();
            describe(&mut bytes, &wanted, wanted.group.as_ref().map(|_| 7));
            let found = read(&bytes);
            assert_eq!(misfits(found, &wanted), []);
            assert_eq!(found.dev, wanted.group.as_ref().map(|_| 7));
            let other = Vxlan { port: 8472, ..wanted };
            let said = vec![("dstport", "4789".to_owned(), "8472".to_owned())];
            assert_eq!(misfits(found, &other), said);
            for cut in 0..bytes.len() {
                let _ = read(&bytes[..cut]);
            }
        }
    }
}
