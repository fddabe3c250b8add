//! Nodes for tests: hosts of their own, on an underlay that the test's own host is the switch of.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use std::io::Read;

use wharfinger_kernel::{Kernel, Peers, Segment};
use wharfinger_plan::{Action, Group, Link, LinkKind, LinkRef, Mac, Peer, Plan, Port, Step, Vxlan};

use super::{Container, KERNEL, address, eth0, link, run, unshare};

type Task = Box<dyn FnOnce() + Send>;

/// A host: a thread in a namespace of its own, which does what it is told.
pub struct Node {
    pub number: u8,
    pub path: PathBuf,
    tasks: Option<(Sender<Task>, JoinHandle<()>)>,
}

impl Node {
    /// The `number`-th, with `ens3` as 10.0.0.NUMBER and fd10::NUMBER.
    pub fn new(number: u8) -> Self {
        let (told, path) = channel();
        let (tasks, to_do) = channel::<Task>();
        let thread = std::thread::spawn(move || {
            unshare();
            run("ip link set lo up");
            let own = std::fs::read_link("/proc/thread-self").unwrap();
            told.send(PathBuf::from("/proc").join(own).join("ns/net")).unwrap();
            for task in to_do {
                task();
            }
        });
        let node = Self { number, path: path.recv().unwrap(), tasks: Some((tasks, thread)) };
        let netns = node.path.display();
        run(&format!("ip link add u{number} type veth peer name ens3"));
        run(&format!("ip link set ens3 netns /proc/self/fd/0 < {netns}"));
        run(&format!("ip link set u{number} master under0 up"));
        node.sh(&format!("ip addr add 10.0.0.{number}/24 dev ens3"));
        node.sh(&format!("ip -6 addr add fd10::{number}/64 dev ens3 nodad"));
        node.sh("ip link set ens3 up");
        node
    }

    /// Does something on the node.
    pub fn on<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, answer) = channel();
        let task: Task = Box::new(move || sender.send(work()).unwrap());
        self.tasks.as_ref().unwrap().0.send(task).unwrap();
        answer.recv().unwrap()
    }

    /// Runs a command on the node; answers its output.
    pub fn sh(&self, command: &str) -> String {
        run(&format!("nsenter --net={} {command}", self.path.display()))
    }

    /// Its address of the underlay.
    pub fn underlay(&self, v6: bool) -> String {
        if v6 { format!("fd10::{}", self.number) } else { format!("10.0.0.{}", self.number) }
    }

    /// A container on the segment, with 10.44.0.NUMBER and fd44::NUMBER.
    pub fn attach(&self, plan: Plan) -> Container {
        let container = Container::new();
        let netns = container.netns();
        self.on(move || KERNEL.apply(&plan, &netns).map(|_| ())).unwrap();
        container
    }

    pub fn resync(&self, peers: &Peers) -> usize {
        let peers = peers.clone();
        self.on(move || KERNEL.resync_peers(&segment(), &peers)).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some((tasks, thread)) = self.tasks.take() {
            drop(tasks);
            let _ = thread.join();
        }
    }
}

/// As many nodes, numbered from 1.
pub fn nodes(count: u8) -> Vec<Node> {
    run("ip link add under0 type bridge mcast_snooping 0");
    run("ip link set under0 up");
    (1..=count).map(Node::new).collect()
}

pub fn segment() -> Segment {
    Segment { bridge: "wh-br4096".to_owned(), vxlan: "wh-vx4096".to_owned() }
}

/// The way to other nodes.
pub fn vxlan(local: &str, group: Option<&str>, mtu: u32) -> Link {
    let group = group
        .map(|address| Group { address: address.parse().unwrap(), dev: LinkRef::host("ens3") });
    let learns = group.is_some();
    let kind = Vxlan { vni: 4096, local: local.parse().unwrap(), port: 4789, group };
    Link {
        mtu: Some(mtu),
        port: Some(Port {
            bridge: segment().bridge,
            nolearning: !learns,
            neigh_suppress: !learns,
            ..Port::default()
        }),
        ..link(LinkRef::host(segment().vxlan), LinkKind::Vxlan(kind))
    }
}

/// A container's link-layer address, as the driver derives it.
pub fn mac(number: u8) -> Mac {
    Mac([0x0a, 0x58, 10, 44, 0, number])
}

/// An attachment as the overlay driver plans it: 10.44.0.NUMBER and fd44::NUMBER.
pub fn on_overlay(number: u8, vxlan: Link) -> Plan {
    let bridge = Link {
        mtu: vxlan.mtu,
        mac: Some(Mac([2, b'w', b'h', 0, 16, 0])),
        ..link(LinkRef::host(segment().bridge), LinkKind::Bridge)
    };
    let veth = Link {
        mtu: vxlan.mtu,
        mac: Some(Mac([2, 2, 0, 0, 0, number])),
        alias: Some(format!("pods/c{number}/eth0")),
        port: Some(Port { bridge: segment().bridge, ..Port::default() }),
        ..link(
            LinkRef::host(format!("veth{number}")),
            LinkKind::Veth { peer: Peer { link: eth0(), mac: Some(mac(number)) } },
        )
    };
    Plan::new(vec![
        Step::shared(Action::Link(bridge)),
        Step::shared(Action::Link(vxlan)),
        Step::owned(Action::Link(veth)),
        Step::owned(Action::Address(address(eth0(), &format!("10.44.0.{number}/16")))),
        Step::owned(Action::Address(address(eth0(), &format!("fd44::{number}/64")))),
        Step::owned(Action::Up { link: eth0() }),
    ])
}

/// What a node is to know of these containers of others: (number, node's address).
pub fn peers<'a>(others: impl IntoIterator<Item = (u8, &'a str)>) -> Peers {
    let mut peers = Peers::default();
    for (number, node) in others {
        let node = node.parse().unwrap();
        peers.nodes.insert(node);
        peers.stations.insert(mac(number), node);
        peers.addresses.insert([10, 44, 0, number].into(), mac(number));
        peers.addresses.insert(format!("fd44::{number}").parse().unwrap(), mac(number));
    }
    peers
}

const CAPTURE: &str = r"
import socket, struct, sys, threading
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 0))
print('ready', flush=True)
def listen():
    while True:
        frame = s.recv(65535)
        print(frame.hex(), flush=True)
threading.Thread(target=listen, daemon=True).start()
sys.stdin.read()
";

/// What passes a link, as frames in hexadecimal.
pub struct Capture(Child);

impl Capture {
    /// Of a link of the host of the calling thread.
    pub fn on(link: &str) -> Self {
        Self::start(Command::new("/usr/bin/python3"), link)
    }

    /// Of a link of a node.
    pub fn of(node: &Node, link: &str) -> Self {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", node.path.display())).arg("/usr/bin/python3");
        Self::start(command, link)
    }

    fn start(mut command: Command, link: &str) -> Self {
        command.args(["-c", CAPTURE, link]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Self(child)
    }

    /// All of them until now.
    pub fn end(mut self) -> Vec<String> {
        drop(self.0.stdin.take());
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.0.wait().unwrap();
        text.lines().map(str::to_owned).collect()
    }
}
