//! A host and containers for tests: namespaces of their own, so that nothing of the machine is
//! touched and tests do not meet. They end with the threads that hold them.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

pub mod nodes;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use wharfinger_kernel::netlink::Netlink;
use wharfinger_kernel::{AtPath, Kernel, Netns};
use wharfinger_plan::{
    Action, Address, Allow, Forward, Guard, HostPort, IngressPolicy, Isolation, Link, LinkKind,
    LinkRef, Mac, Masquerade, Others, Peer, Plan, Port, PortMap, Protocol, Route, Rules, Step,
    Sysctl,
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
        port: bridge.map(|bridge| Port { bridge: bridge.to_owned(), ..Port::default() }),
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
    let in_tables = survey.masquerades.len() + survey.filter.len();
    if survey.links.is_empty() && in_tables == 0 && links.is_empty() {
        String::new()
    } else {
        format!("{survey:?}\n{links}")
    }
}

/// The key of the attachment that [`attachment`] makes.
pub fn key(number: u16) -> String {
    format!("wharfinger:pods:veth{number}:eth0")
}

/// An attachment as [`attachment`] makes it, and these steps of the packet filter.
pub fn with(number: u16, filter: Vec<Action>) -> Plan {
    let mut plan = attachment(number);
    plan.steps.extend(filter.into_iter().map(Step::owned));
    plan
}

pub fn forward(addresses: &[&str], comment: &str) -> Forward {
    Forward {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        admin_chain: None,
        zone: None,
        comment: comment.to_owned(),
    }
}

/// `host` is a port, or an address and a port of the host; `to` an address and a port.
pub fn host_port(protocol: Protocol, host: &str, to: &str) -> HostPort {
    let to: std::net::SocketAddr = to.parse().unwrap();
    let at = host.parse::<std::net::SocketAddr>().ok();
    HostPort {
        protocol,
        host: at.map(|at| at.ip()),
        port: at.map_or_else(|| host.parse().unwrap(), |at| at.port()),
        to: to.ip(),
        to_port: to.port(),
    }
}

/// With `snat`, of the networks of [`attachment`].
pub fn port_map(ports: Vec<HostPort>, comment: &str) -> PortMap {
    PortMap {
        ports,
        networks: vec!["10.1.0.0/16".parse().unwrap(), "fd00:1::/64".parse().unwrap()],
        snat: true,
        masq_all: false,
        conditions: Vec::new(),
        group: None,
        comment: comment.to_owned(),
    }
}

pub fn isolation(
    number: u16,
    bridge: &str,
    policy: IngressPolicy,
    addresses: &[&str],
) -> Isolation {
    Isolation {
        bridge: bridge.to_owned(),
        port: Some(format!("veth{number}")),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        policy,
        comment: key(number),
    }
}

pub fn guard(number: u16, addresses: &[&str]) -> Guard {
    let [a, b, c, d] = u32::from(number).to_be_bytes();
    Guard {
        link: format!("veth{number}"),
        port: true,
        mac: Some(Mac([0x02, 1, a, b, c, d])),
        addresses: Some(addresses.iter().map(|address| address.parse().unwrap()).collect()),
        comment: key(number),
    }
}

pub fn rules(
    number: u16,
    addresses: &[&str],
    ingress: Option<Vec<Allow>>,
    egress: Option<Vec<Allow>>,
) -> Rules {
    Rules {
        group: format!("g{number}"),
        bridge: Some("cni0".to_owned()),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        ingress,
        egress,
        comment: key(number),
    }
}

const SERVER: &str = r"
import socket, sys
v6, kind, port = sys.argv[1] == '6', sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET,
    socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM,
    132 if kind == 'sctp' else 0)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if v6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(('', port))
if kind != 'udp': s.listen(16)
print('ready', flush=True)
while True:
    if kind == 'udp':
        _, a = s.recvfrom(100)
        s.sendto(a[0].encode(), a)
    else:
        c, a = s.accept()
        c.sendall(a[0].encode())
        c.close()
";

const CLIENT: &str = r"
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET,
    socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM,
    132 if kind == 'sctp' else 0)
s.settimeout(1.5)
if len(sys.argv) > 4: s.bind((sys.argv[4], int(sys.argv[5])))
try:
    s.connect((address, port))
    if kind == 'udp': s.send(b'?')
    print(s.recv(100).decode() or 'nothing')
except OSError: print('nothing')
";

/// A server that answers with the address that it sees; it ends with this.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves in the namespace at `path`, or on the host of the calling thread.
pub fn serve(at: Option<&Container>, v6: bool, kind: &str, port: u16) -> Server {
    let mut command = python(at, SERVER);
    command.args([if v6 { "6" } else { "4" }, kind, &port.to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    Server(child)
}

/// Asks a server; answers the address that it sees, or "nothing".
pub fn ask(from: Option<&Container>, kind: &str, address: &str, port: u16) -> String {
    ask_by(from, kind, address, port, &[])
}

/// As [`ask`], from an address and a port.
pub fn ask_by(
    from: Option<&Container>,
    kind: &str,
    address: &str,
    port: u16,
    by: &[&str],
) -> String {
    let mut command = python(from, CLIENT);
    command.args([kind, address, &port.to_string()]).args(by);
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn python(at: Option<&Container>, script: &str) -> Command {
    let mut command = match at {
        Some(container) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", container.path.display())).arg("/usr/bin/python3");
            command
        }
        None => Command::new("/usr/bin/python3"),
    };
    command.args(["-c", script]);
    command
}

/// A world outside: the host has 192.0.2.1 and 2001:db8::1 there, and the world 192.0.2.2 and
/// 2001:db8::2, with a way back to the containers where `knows_them`.
pub fn world(knows_them: bool) -> Container {
    let outside = Container::new();
    let id = outside.path.components().nth(4).unwrap().as_os_str().to_owned();
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    run(&format!("ip link add up0 type veth peer name w0 netns {}", id.to_string_lossy()));
    run("ip addr add 192.0.2.1/24 dev up0 && ip -6 addr add 2001:db8::1/64 dev up0 nodad");
    run("ip link set up0 up");
    outside.run("ip addr add 192.0.2.2/24 dev w0");
    outside.run("ip -6 addr add 2001:db8::2/64 dev w0 nodad");
    outside.run("ip link set w0 up");
    outside.run("ip link set lo up");
    if knows_them {
        outside.run("ip route add 10.0.0.0/8 via 192.0.2.1");
        outside.run("ip -6 route add fd00::/16 via 2001:db8::1");
    }
    outside
}

/// Packets of these addresses are forwarded, for one attachment.
pub fn forwarded(addresses: &[&str]) -> Forward {
    forward(addresses, "wharfinger:pods:c:eth0")
}

/// A container behind the host, and the world behind it, which knows the way back.
pub struct Way {
    pub inside: Container,
    pub outside: Container,
}

impl Way {
    pub fn new() -> Self {
        let (inside, outside) = (Container::new(), Container::new());
        for (name, container, net) in [("in0", &inside, 1), ("out0", &outside, 2)] {
            let path = container.path.display();
            let id = path.to_string();
            let id = id.split('/').nth(4).unwrap();
            run(&format!(
                "ip link add {name} type veth peer name eth0 netns {id}; \
                 ip addr add 10.{net}.0.1/24 dev {name}; ip addr add fd00:{net}::1/64 dev {name} nodad; \
                 ip link set {name} up"
            ));
            for command in [
                format!("ip addr add 10.{net}.0.5/24 dev eth0"),
                format!("ip addr add fd00:{net}::5/64 dev eth0 nodad"),
                "ip link set eth0 up".to_owned(),
                format!("ip route add default via 10.{net}.0.1"),
                format!("ip -6 route add default via fd00:{net}::1"),
            ] {
                container.run(&command);
            }
        }
        run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        Self { inside, outside }
    }

    /// (from the container, to it), over both families.
    pub fn passes(&self) -> [bool; 4] {
        let [inside, outside] = [&self.inside, &self.outside];
        let ways = [
            (inside, "10.2.0.5"),
            (inside, "fd00:2::5"),
            (outside, "10.1.0.5"),
            (outside, "fd00:1::5"),
        ];
        // At once: what does not pass takes its time.
        std::thread::scope(|scope| {
            ways.map(|(from, to)| scope.spawn(move || from.reaches(to)))
                .map(|way| way.join().unwrap())
        })
    }
}
