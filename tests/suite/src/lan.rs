//! Addresses by DHCP, from servers as people have them: Debian's dnsmasq and ISC's dhcpd.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use crate::{Netns, World, eventually, must};

/// The server's: a lease that is kept tells it.
const HARDWARE: &str = "02:00:0a:4d:00:01";

/// A network with a server on it, whose other end is a port of the host's bridge `cni0`.
#[derive(Debug)]
pub struct Lan<'w> {
    world: &'w World,
    ns: Netns,
    server: Option<Child>,
}

impl<'w> Lan<'w> {
    /// With the bridge, which is made.
    #[track_caller]
    pub fn new(world: &'w World) -> Self {
        let lan = Self::beside(world);
        world.host.ip("link add cni0 type bridge");
        world.host.ip("link set cni0 up");
        world.host.ip("link set up0 master cni0");
        lan
    }

    /// The same, whose other end is the host's `up0` and no bridge's port.
    #[track_caller]
    pub fn beside(world: &'w World) -> Self {
        let ns = Netns::new("lan");
        let server = format!("name lan0 address {HARDWARE} netns {}", ns.name());
        world.host.ip(&format!("link add up0 type veth peer {server}"));
        world.host.ip("link set up0 up");
        ns.ip("address add 10.77.0.1/16 dev lan0");
        ns.ip("link set lan0 up");
        Self { world, ns, server: None }
    }

    /// What dnsmasq has given, a line each.
    pub fn leases(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.world.path("etc/leases")).unwrap_or_default();
        text.lines().filter(|line| line.contains("10.77.")).map(str::to_owned).collect()
    }

    /// How often dhcpd gave a lease, or more time for one: it writes each down behind the others.
    pub fn given(&self) -> usize {
        let path = self.world.path("etc/dhcpd.leases");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("lease 10.77.")).count()
    }

    /// dnsmasq, which gives out this third octet.
    #[track_caller]
    pub fn dnsmasq(&mut self, octet: u8) {
        self.stop();
        let world = self.world;
        let range = format!("--dhcp-range=10.77.{octet}.10,10.77.{octet}.20,255.255.0.0,2m");
        let file = format!("--dhcp-leasefile={}", world.text_path("etc/leases"));
        let log = format!("--log-facility={}", world.text_path("etc/dnsmasq.log"));
        self.start(&[
            "dnsmasq",
            "-k",
            "--conf-file=/dev/null",
            "--port=0",
            "--interface=lan0",
            "--bind-interfaces",
            "--no-ping",
            "--user=root",
            "--pid-file=",
            "--dhcp-authoritative",
            "--dhcp-option=3,10.77.0.1",
            "--dhcp-option=6,10.77.0.53,10.77.0.54",
            "--dhcp-option=15,example.org",
            "--dhcp-option=119,corp.example,lab.example",
            "--log-dhcp",
            &log,
            &file,
            &range,
        ]);
    }

    /// ISC's server, whose leases last as long as one likes: six seconds. dnsmasq's last two
    /// minutes at least.
    #[track_caller]
    pub fn dhcpd(&mut self) {
        self.stop();
        let world = self.world;
        let conf = "default-lease-time 6; max-lease-time 6; min-lease-time 6; authoritative; ping-check false;\n\
            subnet 10.77.0.0 netmask 255.255.0.0 { range 10.77.9.10 10.77.9.250; \
            option routers 10.77.0.1; }\n";
        let conf = world.write("etc/dhcpd.conf", conf).display().to_string();
        let leases = world.write("etc/dhcpd.leases", "").display().to_string();
        self.start(&["dhcpd", "-4", "-f", "-q", "--no-pid", "-cf", &conf, "-lf", &leases, "lan0"]);
    }

    #[track_caller]
    fn start(&mut self, words: &[&str]) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.ns.name()]).args(words);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        self.server = Some(must(child, "the server starts"));
        let listens = || {
            let sockets = self.ns.run(&["ss", "-lunw"]);
            sockets.lines().any(|line| line.contains(":67 "))
        };
        eventually("the server listens", listens);
    }

    /// The server goes.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Drop for Lan<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whoever renews leases.
#[derive(Debug)]
pub struct Renewer<'w> {
    world: &'w World,
    process: Option<Child>,
}

impl<'w> Renewer<'w> {
    /// It runs.
    #[track_caller]
    pub fn new(world: &'w World) -> Self {
        let mut renewer = Self { world, process: None };
        renewer.start();
        renewer
    }

    /// This one.
    pub fn of(world: &'w World, process: Child) -> Self {
        Self { world, process: Some(process) }
    }

    /// Its id, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// The next one.
    #[track_caller]
    pub fn start(&mut self) {
        self.process = Some(self.world.start_cli(&["serve", "--dhcp"]));
        eventually("it listens", || UnixStream::connect(self.world.path("run/dhcp.sock")).is_ok());
    }

    /// As `kill -9` does it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Renewer<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}
