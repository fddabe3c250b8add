//! The floor: a program that tells the kernel what an ADD or a DEL of `bridge` with `host-local`
//! has to tell it, and does nothing else. What is slower than this is slower by our doing.
//!
//! `floor add|del BRIDGE NETNS IFNAME ADDRESS/PREFIX GATEWAY [--masq]`, IPv4 only. The bridge is
//! made where it is missing; with `--masq` the network's set has to be there, as an ADD of ours leaves it.
//! It encodes by hand: nothing is to stand between this and the kernel.

use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};

const MAKE: u16 = 0x600;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const NEST: u16 = 0x8000;
const TABLE: &[u8] = b"wharfinger\0";

struct Call {
    bridge: String,
    netns: String,
    ifname: String,
    address: Ipv4Addr,
    prefix: u8,
    gateway: Ipv4Addr,
    masquerade: bool,
}

fn main() -> Result<()> {
    let all: Vec<String> = std::env::args().skip(1).collect();
    let [verb, bridge, netns, ifname, address, gateway, rest @ ..] = all.as_slice() else {
        bail!("floor add|del BRIDGE NETNS IFNAME ADDRESS/PREFIX GATEWAY [--masq]");
    };
    let (address, prefix) = address.split_once('/').context("ADDRESS/PREFIX")?;
    let call = Call {
        bridge: bridge.clone(),
        netns: netns.clone(),
        ifname: ifname.clone(),
        address: address.parse()?,
        prefix: prefix.parse()?,
        gateway: gateway.parse()?,
        masquerade: rest.iter().any(|flag| flag == "--masq"),
    };
    match verb.as_str() {
        "add" => call.add(),
        "del" => call.del(),
        other => bail!("add or del, not {other}"),
    }
}

impl Call {
    fn host_name(&self) -> String {
        format!("veth{:08x}", u32::from(self.address))
    }

    fn key(&self) -> String {
        format!("floor/{}/{}", self.address, self.ifname)
    }

    fn add(&self) -> Result<()> {
        let (netns, mut inside) = enter(&self.netns)?;
        let mut host = Netlink::open(libc::NETLINK_ROUTE)?;
        let bridge = self.ensure_bridge(&mut host)?;
        host.dump(libc::RTM_GETADDR, &addresses(bridge))?;
        let name = self.host_name();
        host.change(libc::RTM_NEWLINK, MAKE, &self.veth(&name, bridge, &netns)).context("veth")?;
        let index = host.index(&name)?;
        let alias = attribute(libc::IFLA_IFALIAS, self.key().as_bytes());
        host.change(libc::RTM_NEWLINK, 0, &[link(index, 0), alias].concat()).context("alias")?;
        sysctl(&format!("ipv6/conf/{name}/accept_ra"), "0");
        let settings = [
            "ipv6/conf/IF/accept_dad 0",
            "ipv4/conf/IF/arp_notify 1",
            "ipv6/conf/IF/ndisc_notify 1",
        ];
        run_in(&netns, || {
            for setting in settings {
                let setting = setting.replace("IF", &self.ifname);
                setting.split_once(' ').into_iter().for_each(|(key, value)| sysctl(key, value));
            }
        })?;
        let own = inside.index(&self.ifname)?;
        inside
            .change(libc::RTM_NEWADDR, MAKE, &self.address_on(own, self.address))
            .context("address")?;
        inside
            .change(libc::RTM_NEWLINK, 0, &link(own, libc::IFF_UP.cast_unsigned()))
            .context("up")?;
        inside.change(libc::RTM_NEWROUTE, MAKE, &self.default_route(own)).context("route")?;
        if self.masquerade {
            Netlink::open(libc::NETLINK_NETFILTER)?.transact(0xa0c, MAKE, &self.element())?;
        }
        // A look at what came of it, for the result.
        host.index(&name)?;
        host.index(&self.bridge)?;
        inside.index(&self.ifname)?;
        inside.dump(libc::RTM_GETADDR, &addresses(own))
    }

    fn del(&self) -> Result<()> {
        let _ = enter(&self.netns)?;
        // Closed at the end: see the kernel crate's undo.
        let mut filter = Netlink::open(libc::NETLINK_NETFILTER)?;
        if self.masquerade {
            filter.get(0xa0d, &self.key_only())?;
            filter.transact(0xa0e, 0, &self.key_only())?;
        }
        let mut host = Netlink::open(libc::NETLINK_ROUTE)?;
        let index = host.index(&self.host_name())?;
        host.change(libc::RTM_DELLINK, 0, &link(index, 0))
    }

    fn ensure_bridge(&self, host: &mut Netlink) -> Result<u32> {
        if let Ok(index) = host.index(&self.bridge) {
            return Ok(index);
        }
        let name = attribute(libc::IFLA_IFNAME, self.bridge.as_bytes());
        let info = attribute(libc::IFLA_LINKINFO | NEST, &attribute(1, b"bridge"));
        let up = link(0, libc::IFF_UP.cast_unsigned());
        host.change(libc::RTM_NEWLINK, MAKE, &[up, name, info].concat()).context("bridge")?;
        let index = host.index(&self.bridge)?;
        let gateway = self.address_on(index, self.gateway);
        host.change(libc::RTM_NEWADDR, MAKE, &gateway).context("gateway")?;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        Ok(index)
    }

    fn mac(&self, kind: u8) -> [u8; 6] {
        let [a, b, c, d] = self.address.octets();
        [0x02, kind, a, b, c, d]
    }

    fn veth(&self, name: &str, master: u32, netns: &OwnedFd) -> Vec<u8> {
        let peer = [
            link(0, 0),
            attribute(libc::IFLA_IFNAME, self.ifname.as_bytes()),
            attribute(libc::IFLA_ADDRESS, &self.mac(1)),
            attribute(libc::IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes()),
        ];
        let data = attribute(2 | NEST, &attribute(1 | NEST, &peer.concat()));
        [
            link(0, libc::IFF_UP.cast_unsigned()),
            attribute(libc::IFLA_IFNAME, name.as_bytes()),
            attribute(libc::IFLA_ADDRESS, &self.mac(2)),
            attribute(libc::IFLA_MASTER, &master.to_ne_bytes()),
            attribute(libc::IFLA_LINKINFO | NEST, &[attribute(1, b"veth"), data].concat()),
        ]
        .concat()
    }

    fn address_on(&self, index: u32, address: Ipv4Addr) -> Vec<u8> {
        let mut bytes = vec![2, self.prefix, 0, 0];
        bytes.extend(index.to_ne_bytes());
        let host_bits = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        let broadcast = (u32::from(address) | host_bits).to_be_bytes();
        bytes.extend(attribute(libc::IFA_LOCAL, &address.octets()));
        bytes.extend(attribute(libc::IFA_ADDRESS, &address.octets()));
        bytes.extend(attribute(libc::IFA_BROADCAST, &broadcast));
        bytes
    }

    fn default_route(&self, index: u32) -> Vec<u8> {
        // AF_INET, lengths, main table, boot, universe, unicast.
        let mut bytes = vec![2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        bytes.extend(attribute(libc::RTA_OIF, &index.to_ne_bytes()));
        bytes.extend(attribute(libc::RTA_GATEWAY, &self.gateway.octets()));
        bytes
    }

    fn element(&self) -> Vec<u8> {
        let key = self.key() + "\0";
        let length = u8::try_from(key.len()).unwrap_or(u8::MAX);
        self.entry(&attribute(6, &[&[0, length], key.as_bytes()].concat()))
    }

    fn key_only(&self) -> Vec<u8> {
        self.entry(&[])
    }

    /// That of ours for the same network.
    fn set(&self) -> String {
        let host_bits = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        let network = Ipv4Addr::from(u32::from(self.address) & !host_bits);
        format!("masq-{network}-{}\0", self.prefix)
    }

    fn entry(&self, rest: &[u8]) -> Vec<u8> {
        let key = attribute(1 | NEST, &attribute(1, &self.address.octets()));
        let entry = attribute(1 | NEST, &[&key, rest].concat());
        let mut bytes = vec![1, 0, 0, 0];
        bytes.extend(attribute(1, TABLE));
        bytes.extend(attribute(2, self.set().as_bytes()));
        bytes.extend(attribute(3 | NEST, &entry));
        bytes
    }
}

fn sysctl(key: &str, value: &str) {
    let _ = std::fs::write(format!("/proc/sys/net/{key}"), value);
}

/// An ifinfomsg.
fn link(index: u32, flags: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(index.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes
}

/// An ifaddrmsg that asks for the addresses of a link.
fn addresses(index: u32) -> Vec<u8> {
    [[0; 4], index.to_ne_bytes()].concat()
}

fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 4).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | 1).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(payload);
    bytes
}

/// Opens a namespace, and a netlink socket inside it.
fn enter(path: &str) -> Result<(OwnedFd, Netlink)> {
    let c_path = CString::new(path)?;
    // SAFETY: the path is a C string that lives through the call.
    let fd = unsafe { libc::open(c_path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    ensure!(fd >= 0, "{path}: {}", io::Error::last_os_error());
    // SAFETY: fd was just opened, and nobody else has it.
    let netns = unsafe { OwnedFd::from_raw_fd(fd) };
    let inside = run_in(&netns, || Netlink::open(libc::NETLINK_ROUTE))??;
    Ok((netns, inside))
}

fn run_in<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let inside = || {
            // SAFETY: setns(2) takes no pointers; it changes this thread alone, which ends here.
            let done = unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) };
            ensure!(done == 0, "setns: {}", io::Error::last_os_error());
            Ok(work())
        };
        scope.spawn(inside).join().unwrap_or_else(|_| bail!("the thread inside panicked"))
    })
}

struct Netlink {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Netlink {
    fn open(protocol: i32) -> Result<Self> {
        // SAFETY: socket(2) takes no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol)
        };
        ensure!(fd >= 0, "netlink: {}", io::Error::last_os_error());
        // SAFETY: fd was just opened, and nobody else has it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, buffer: vec![0; 65536] })
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        // SAFETY: the pointer and the length are those of one live slice.
        let sent =
            unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        ensure!(sent >= 0, "send: {}", io::Error::last_os_error());
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8]> {
        // SAFETY: the buffer is writable for the length given.
        let got = unsafe {
            libc::recv(self.fd.as_raw_fd(), self.buffer.as_mut_ptr().cast(), self.buffer.len(), 0)
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        self.buffer.get(..got).context("a message that is too long")
    }

    fn change(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<()> {
        self.send(&message(kind, flags | ACK, payload))?;
        refusal(self.receive()?)
    }

    fn transact(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<()> {
        let enclose = [0, 0, 0, 10];
        let mut bytes = message(16, 0, &enclose);
        bytes.extend(message(kind, flags | ACK, payload));
        bytes.extend(message(17, 0, &enclose));
        self.send(&bytes)?;
        refusal(self.receive()?).context("nf_tables (did an ADD of ours make the network's set?)")
    }

    fn get(&mut self, kind: u16, payload: &[u8]) -> Result<&[u8]> {
        self.send(&message(kind, 0, payload))?;
        let answer = self.receive()?;
        refusal(answer)?;
        Ok(answer)
    }

    /// Reads a dump to its end.
    fn dump(&mut self, kind: u16, payload: &[u8]) -> Result<()> {
        self.send(&message(kind, DUMP, payload))?;
        while !kinds(self.receive()?).contains(&3) {}
        Ok(())
    }

    fn index(&mut self, name: &str) -> Result<u32> {
        let skip_stats = attribute(libc::IFLA_EXT_MASK, &8_u32.to_ne_bytes());
        let name_of = attribute(libc::IFLA_IFNAME, name.as_bytes());
        let asked = [link(0, 0), name_of, skip_stats].concat();
        let answer = self.get(libc::RTM_GETLINK, &asked).with_context(|| name.to_owned())?;
        let index = answer.get(20..24).and_then(|bytes| bytes.try_into().ok());
        index.map(u32::from_ne_bytes).context("a short answer")
    }
}

/// The errno of an answer that has one.
fn refusal(answer: &[u8]) -> Result<()> {
    let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kinds(answer).first(), code) {
        (Some(2), Some(code)) if code < 0 => {
            Err(io::Error::from_raw_os_error(code.wrapping_neg()).into())
        }
        _ => Ok(()),
    }
}

/// The kinds of the messages of a datagram.
fn kinds(mut bytes: &[u8]) -> Vec<u16> {
    let mut all = Vec::new();
    while let Some([l0, l1, l2, l3, k0, k1]) = bytes.first_chunk() {
        all.push(u16::from_ne_bytes([*k0, *k1]));
        let length = usize::try_from(u32::from_ne_bytes([*l0, *l1, *l2, *l3])).unwrap_or(0);
        bytes = bytes.get(length.max(16).next_multiple_of(4)..).unwrap_or_default();
    }
    all
}
