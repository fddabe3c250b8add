//! A cluster to be thrown away: machines on one segment, each with its own namespace, directories
//! and name, and members of etcd on that segment, each in a namespace too. Peer is cut off, and who
//! from whom, is decided on the segment: what is sent is dropped, and nobody is told.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Child;

use wharfinger_etcd_server as etcd;

use crate::words::{eventually, must};
use crate::{Attached, Netns, World};

/// The machines of a cluster, and what lies between them.
#[derive(Debug)]
pub struct Cluster {
    /// The machines.
    pub nodes: Vec<World>,
    /// The members of etcd.
    pub etcd: etcd::Cluster,
    /// What lies between them all.
    pub segment: Segment,
    /// The members' namespaces.
    _members: Vec<Netns>,
}

/// The bridge that all are ports of.
#[derive(Debug)]
pub struct Segment {
    ns: Netns,
}

/// One who is on the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A machine, by its number.
    Node(usize),
    /// A member of etcd, by its number.
    Member(usize),
}

impl Peer {
    /// Its port of the bridge.
    fn port(self) -> String {
        match self {
            Self::Node(at) => format!("n{at}"),
            Self::Member(at) => format!("m{at}"),
        }
    }

    /// Its address on the segment.
    pub fn address(self) -> Ipv4Addr {
        let (third, at) = match self {
            Self::Node(at) => (1, at),
            Self::Member(at) => (2, at),
        };
        Ipv4Addr::new(172, 31, third, u8::try_from(at + 1).unwrap_or(u8::MAX))
    }
}

impl Cluster {
    /// This many machines, and this many members of etcd, without TLS or users. `settings` is more
    /// of each machine's settings, at the level of their keys without a table.
    #[track_caller]
    pub fn new(nodes: usize, members: usize, settings: &str) -> Self {
        Self::with(nodes, members, settings, etcd::Setup::default(), "")
    }

    /// The same with members that are set up so, and with more keys of `[etcd]`. With TLS each
    /// machine has its certificate in files of its own, `etc/client.pem` and `etc/client.key`.
    #[track_caller]
    pub fn with(
        nodes: usize,
        members: usize,
        settings: &str,
        setup: etcd::Setup,
        of_etcd: &str,
    ) -> Self {
        let segment = Segment::new();
        let homes: Vec<Netns> = (0..members).map(|at| segment.member(at)).collect();
        let place = |(at, home): (usize, &Netns)| {
            let before = ["ip", "netns", "exec", home.name()];
            etcd::Place::at(IpAddr::V4(Peer::Member(at).address()), &before)
        };
        let places = homes.iter().enumerate().map(place).collect();
        let etcd = must(etcd::Cluster::start(etcd::Setup { places, ..setup }), "etcd");
        let cluster = Self { nodes: Vec::new(), etcd, segment, _members: homes };
        let nodes = (0..nodes).map(|at| cluster.node(at, settings, of_etcd)).collect();
        Self { nodes, ..cluster }
    }

    #[track_caller]
    fn node(&self, at: usize, settings: &str, of_etcd: &str) -> World {
        let world = World::new();
        self.segment.plug(&world.host, Peer::Node(at));
        let endpoints = self.etcd.endpoints();
        let of_etcd = format!("{of_etcd}\n{}", self.certificate(&world));
        world.settings(&format!(
            "ledger = \"etcd\"\n{settings}\n[node]\nname = \"{}\"\n[etcd]\n\
             endpoints = {endpoints:?}\n{of_etcd}\n",
            Self::name(at)
        ));
        world
    }

    /// Its keys of `[etcd]`; none without TLS.
    #[track_caller]
    fn certificate(&self, world: &World) -> String {
        let Some(certificates) = self.etcd.certificates() else { return String::new() };
        let place = |from: std::path::PathBuf, name: &str| {
            let to = world.text_path(name);
            must(std::fs::copy(from, &to), &to);
            to
        };
        format!(
            "ca = {:?}\ncert = {:?}\nkey = {:?}\n",
            place(certificates.cert("ca"), "etc/ca.pem"),
            place(certificates.cert("client"), "etc/client.pem"),
            place(certificates.key("client"), "etc/client.key"),
        )
    }

    /// What a machine is called in the cluster's book.
    pub fn name(at: usize) -> String {
        format!("node-{at}")
    }

    /// The objects below a prefix of the book: their keys, without the store's prefix, and what
    /// they say. As etcd itself has it.
    #[track_caller]
    pub fn book(&self, prefix: &str) -> Vec<(String, serde_json::Value)> {
        let whole = format!("wharfinger/{prefix}");
        let said = must(self.etcd.ctl(&["get", "--prefix", &whole]), "read the book");
        let mut lines = said.lines();
        let mut objects = Vec::new();
        while let (Some(key), Some(value)) = (lines.next(), lines.next()) {
            let key = key.trim_start_matches("wharfinger/").to_owned();
            let value = must(serde_json::from_str(value), &key);
            objects.push((key, value));
        }
        objects
    }

    /// The addresses that the book says are held, and by which machine.
    #[track_caller]
    pub fn held(&self) -> Vec<(String, String)> {
        let blocks = self.book("book/block/");
        let of_block = |(_, block): &(String, serde_json::Value)| -> Vec<(String, String)> {
            let held = block.get("held").and_then(serde_json::Value::as_object);
            let node = |who: &serde_json::Value| {
                who.get("node").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
            };
            held.into_iter().flatten().map(|(address, who)| (address.clone(), node(who))).collect()
        };
        blocks.iter().flat_map(of_block).collect()
    }
}

impl Segment {
    #[track_caller]
    fn new() -> Self {
        let ns = Netns::new("segment");
        ns.ip("link add br0 type bridge");
        ns.ip("link set br0 up");
        ns.run(&["nft", "add table bridge cut"]);
        ns.run(&["nft", "add chain bridge cut forward { type filter hook forward priority 0; }"]);
        Self { ns }
    }

    #[track_caller]
    fn member(&self, at: usize) -> Netns {
        let home = Netns::new("member");
        self.plug(&home, Peer::Member(at));
        home
    }

    /// Puts a namespace on the segment: its `eth0`.
    #[track_caller]
    fn plug(&self, ns: &Netns, who: Peer) {
        let port = who.port();
        self.ns.ip(&format!("link add {port} type veth peer name eth0 netns {}", ns.name()));
        self.ns.ip(&format!("link set {port} master br0 up"));
        ns.ip(&format!("address add {}/16 dev eth0", who.address()));
        ns.ip("link set eth0 up");
    }

    /// Puts a machine there that was started again, which its links did not outlive.
    #[track_caller]
    pub fn plug_again(&self, world: &World, at: usize) {
        self.plug(&world.host, Peer::Node(at));
    }

    /// Cuts one off from all others.
    #[track_caller]
    pub fn cut(&self, who: Peer) {
        self.ns.ip(&format!("link set {} nomaster", who.port()));
    }

    /// Undoes that.
    #[track_caller]
    pub fn mend(&self, who: Peer) {
        self.ns.ip(&format!("link set {} master br0", who.port()));
    }

    /// What one sends does not arrive at the other; what the other sends does.
    #[track_caller]
    pub fn deafen(&self, from: Peer, to: Peer) {
        let (from, to) = (from.port(), to.port());
        let rule = format!("add rule bridge cut forward iifname {from} oifname {to} drop");
        self.ns.run(&["nft", &rule]);
    }

    /// Undoes all of that.
    #[track_caller]
    pub fn hear_all(&self) {
        self.ns.run(&["nft", "flush chain bridge cut forward"]);
    }
}

/// `wharfinger serve --agent` of a machine; it ends without a chance to say goodbye.
#[derive(Debug)]
pub struct Agent(Child);

impl Agent {
    /// Starts it there.
    #[track_caller]
    pub fn start(world: &World) -> Self {
        Self(world.start_cli(&["serve", "--agent"]))
    }

    /// As `kill -9` does it.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// As a service manager ends it.
    #[track_caller]
    pub fn end(&mut self) {
        use nix::sys::signal::{Signal, kill};
        let id = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        must(kill(id, Signal::SIGTERM), "end the agent");
        let ended = must(self.0.wait(), "the agent's end");
        assert!(ended.success(), "the agent: {ended}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Containers, wherever they are, reach each other by all their addresses, once the agents have
/// heard of all.
#[track_caller]
pub fn assert_all_reach(all: &[&Attached<'_>]) {
    for from in all {
        for to in all {
            for address in to.addresses() {
                let what = format!("{:?} to {address}", from.addresses());
                eventually(&what, || from.container.ns.pings(&address));
            }
        }
    }
}
