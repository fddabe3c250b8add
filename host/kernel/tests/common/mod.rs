//! A host and containers for tests: namespaces of their own, so that nothing of the machine is
//! touched and tests do not meet. They end with the threads that hold them.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use wharfinger_kernel::netlink::Netlink;
use wharfinger_kernel::{AtPath, Kernel, Netns};
use wharfinger_plan::{
    Action, Address, Link, LinkKind, LinkRef, Mac, Masquerade, Others, Peer, Plan, Port, Route,
    Step, Sysctl,
};

pub const KERNEL: Netlink = Netlink;

/// Runs a test on a host of its own: a thread in a fresh namespace.
pub fn on_host(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare();
        run("ip link set lo up");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn unshare() {
    // SAFETY: unshare(2) takes no pointers; it changes this thread alone.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(done, 0, "needs root: {}", std::io::Error::last_os_error());
}

/// A container's namespace, which lives until this is dropped.
pub struct Container {
    pub path: PathBuf,
    end: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Container {
    pub fn new() -> Self {
        let (path, made) = channel();
        let (end, ended) = channel::<()>();
        let thread = std::thread::spawn(move || {
            unshare();
            let own = std::fs::read_link("/proc/thread-self").unwrap();
            path.send(PathBuf::from("/proc").join(own).join("ns/net")).unwrap();
            let _ = ended.recv();
        });
        Self { path: made.recv().unwrap(), end: Some((end, thread)) }
    }

    pub fn netns(&self) -> Netns {
        match KERNEL.netns(&self.path).unwrap() {
            AtPath::Netns(netns) => netns,
            AtPath::Gone => panic!("{} is gone", self.path.display()),
        }
    }

    /// Whether an address answers from here, within a second. Several tries: on a busy machine
    /// the kernel is late with joining the multicast groups of a new IPv6 address.
    pub fn reaches(&self, address: &str) -> bool {
        let netns = self.path.display();
        try_run(&format!("nsenter --net={netns} ping -c5 -i0.2 -W1 {address}")).0
    }

    /// Runs a command in it; answers its output.
    pub fn run(&self, command: &str) -> String {
        run(&format!("nsenter --net={} {command}", self.path.display()))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.end.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

/// Runs a command on the host of the calling thread; answers its output.
pub fn run(command: &str) -> String {
    let (succeeded, output) = try_run(command);
    assert!(succeeded, "{command}: {output}");
    output
}

/// As [`run`], of a command that may fail.
pub fn try_run(command: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

pub fn link(link: LinkRef, kind: LinkKind) -> Link {
    Link { link, kind, mtu: None, mac: None, alias: None, port: None, promisc: None, up: true }
}

pub fn bridge(name: &str) -> Link {
    link(LinkRef::host(name), LinkKind::Bridge)
}

/// A veth from `name` to the container's eth0, its MAC derived from its name's digits.
pub fn veth(name: &str, bridge: Option<&str>) -> Link {
    let number: u32 = name.trim_start_matches("veth").parse().unwrap_or(0);
    let [a, b, c, d] = number.to_be_bytes();
    let mac = |kind| Some(Mac([0x02, kind, a, b, c, d]));
    let peer = Peer { link: LinkRef::container("eth0"), mac: mac(1) };
    Link {
        mac: mac(2),
        alias: Some(format!("wharfinger:pods:{name}:eth0")),
        port: bridge.map(|bridge| Port {
            bridge: bridge.to_owned(),
            hairpin: false,
            isolated: false,
        }),
        ..link(LinkRef::host(name), LinkKind::Veth { peer })
    }
}

pub fn address(link: LinkRef, address: &str) -> Address {
    Address {
        link,
        address: address.parse().unwrap(),
        nodad: true,
        prefix_route: true,
        others: Others::Keep,
    }
}

pub fn route(link: LinkRef, destination: &str, gateway: Option<&str>) -> Route {
    Route {
        link,
        destination: destination.parse().unwrap(),
        gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        source: None,
        scope: None,
        table: None,
        priority: None,
        mtu: None,
        advmss: None,
    }
}

pub fn masquerade(address: &str, network: &str, comment: &str) -> Masquerade {
    Masquerade {
        address: address.parse().unwrap(),
        network: network.parse().unwrap(),
        comment: comment.to_owned(),
    }
}

pub fn sysctl(place: wharfinger_plan::Place, key: &str, value: &str) -> Sysctl {
    Sysctl { place, key: key.to_owned(), value: value.to_owned(), optional: false }
}

pub fn eth0() -> LinkRef {
    LinkRef::container("eth0")
}

/// An attachment as the bridge driver plans it: the `number`-th of 10.1.0.0/16 and fd00:1::/64.
pub fn attachment(number: u16) -> Plan {
    let name = format!("veth{number}");
    let [high, low] = number.to_be_bytes();
    let (v4, v6) = (format!("10.1.{high}.{low}"), format!("fd00:1::{number:x}"));
    let gateway = |gateway: &str| {
        let address = address(LinkRef::host("cni0"), gateway);
        Step::shared(Action::Address(Address { others: Others::Refuse, ..address }))
    };
    let key = format!("wharfinger:pods:{name}:eth0");
    Plan::new(vec![
        Step::shared(Action::Link(bridge("cni0"))),
        gateway("10.1.0.1/16"),
        gateway("fd00:1::1/64"),
        Step::owned(Action::Link(veth(&name, Some("cni0")))),
        Step::owned(Action::Sysctl(Sysctl {
            optional: true,
            ..sysctl(wharfinger_plan::Place::Container, "net/ipv4/conf/eth0/arp_notify", "1")
        })),
        Step::owned(Action::Address(address(eth0(), &format!("{v4}/16")))),
        Step::owned(Action::Address(address(eth0(), &format!("{v6}/64")))),
        Step::owned(Action::Up { link: eth0() }),
        Step::owned(Action::Route(route(eth0(), "0.0.0.0/0", Some("10.1.0.1")))),
        Step::owned(Action::Route(route(eth0(), "::/0", Some("fd00:1::1")))),
        Step::owned(Action::Masquerade(masquerade(&v4, "10.1.0.0/16", &key))),
        Step::owned(Action::Masquerade(masquerade(&v6, "fd00:1::/64", &key))),
    ])
}

/// What is there of any attachment: veths of the host, and elements of the maps.
pub fn leftovers() -> String {
    let survey = KERNEL.survey().unwrap();
    let links = run("ip -o link show type veth");
    if survey.links.is_empty() && survey.masquerades.is_empty() && links.is_empty() {
        String::new()
    } else {
        format!("{survey:?}\n{links}")
    }
}
