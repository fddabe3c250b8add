//! `dhcp`: the reference's daemon and ours, each with Debian's dnsmasq on its network. What they
//! ask of the server, and what they make of what it gives.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use wharfinger_suite::side::{Case, Differs, Pod, Side, Who, case, differs, run};
use wharfinger_suite::{Netns, Subject, merge};

use super::{CODES, FORWARDS, LEFT, LINKS};

#[test]
#[ignore = "needs root: ring netns"]
fn side_dhcp() {
    run(CASES, &[LINKS, COMMON]);
}

/// What differs beside what differs of every link.
const COMMON: &[Differs] = &[
    CODES,
    differs("alias", "after */pod/links/*/ifalias", "", "*"),
    // Ours asks for what a resolver needs, and passes it on.
    differs("name-servers", "asked/*", "*", "*"),
    differs("name-servers", "add*/result/dns", "", "*"),
];

/// The server hears of the end from ours.
const RELEASED: Differs = differs("lease-released", "leases after del/*", "*", "");

/// Ours asks the server itself.
const NOBODY: &[Differs] = &[
    differs("without-daemon", "add*", "*", "*"),
    differs("without-daemon", "check", "", "\"well\""),
    differs("without-daemon", "after add/*", "*", "*"),
    differs("without-daemon", "del*", "*999*", "\"well\""),
    differs("without-daemon", "leases*", "*", "*"),
    differs("without-daemon", "after del*/pod/*", "*", ""),
];

/// A route without a router.
const ON_LINK: &[Differs] = &[
    RELEASED,
    differs("on-link-routes", "add/result/routes", "*\"0.0.0.0\"*", "*"),
    differs("on-link-routes", "check", "*999*", "\"well\""),
];

/// Nobody has answered: what was made to ask goes.
const UNHEARD: &[Differs] =
    &[LEFT, differs("failed-add", "after */host/links/up0/promiscuity", "1", "0")];

/// What runs beside a case, until its end.
struct Running(Option<Child>);

impl Running {
    #[track_caller]
    fn start(command: &mut Command) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(Some(quiet.spawn().expect("it starts")))
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for what comes in its own time.
fn until(mut is: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !is() {
        if began.elapsed() > Duration::from_secs(40) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// The network behind the host's `up0`, with a server.
struct Lan {
    ns: Netns,
    server: Running,
}

impl Lan {
    /// With these words for dnsmasq, beside those that give addresses and a gateway.
    #[track_caller]
    fn new(s: &Side, words: &[&str]) -> Self {
        let (ns, host) = (Netns::new("lan"), &s.world.host);
        host.ip(&format!("link add up0 type veth peer name lan0 netns {}", ns.name()));
        host.ip("link set up0 up");
        ns.ip("address add 10.77.0.1/16 dev lan0");
        ns.ip("link set lan0 up");
        let mut lan = Self { ns, server: Running(None) };
        lan.serve(s, words);
        lan
    }

    #[track_caller]
    fn serve(&mut self, s: &Side, words: &[&str]) {
        let log = format!("--log-facility={}", s.world.text_path("etc/dnsmasq.log"));
        let file = format!("--dhcp-leasefile={}", s.world.text_path("etc/leases"));
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.ns.name(), "dnsmasq", "-k", "--conf-file=/dev/null"]);
        command.args(["--port=0", "--interface=lan0", "--bind-interfaces", "--no-ping"]);
        command.args(["--user=root", "--pid-file=", "--dhcp-authoritative", "--log-dhcp"]);
        command.args(["--dhcp-sequential-ip", "--dhcp-option=6,10.77.0.53"]);
        command.arg("--dhcp-range=10.77.1.10,10.77.1.20,255.255.0.0,2m");
        command.args([&*log, &*file]).args(words);
        self.server = Running::start(&mut command);
        let listens = || self.ns.run(&["ss", "-lunw"]).lines().any(|line| line.contains(":67 "));
        assert!(until(listens), "the server does not listen");
    }

    /// Its other end is a port of the host's bridge.
    fn on_bridge(s: &Side, words: &[&str]) -> Self {
        let lan = Self::new(s, words);
        s.world.host.ip("link add cni0 type bridge");
        s.world.host.ip("link set cni0 up");
        s.world.host.ip("link set up0 master cni0");
        lan
    }
}

fn socket(s: &Side) -> String {
    s.world.text_path("run/cni.sock")
}

/// Whoever renews leases, with these flags.
#[track_caller]
fn daemon(s: &Side, flags: &[&str]) -> Running {
    let program = match s.world.subject {
        Subject::Reference => format!("{}/dhcp", s.world.cni_path()),
        Subject::Named | Subject::Ours => s.world.text_path("bin/dhcp"),
    };
    if s.world.subject == Subject::Ours && !s.world.path("bin/dhcp").exists() {
        s.world.link_executable("dhcp");
    }
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", s.world.host.path())).args([&program, "daemon"]);
    command.args(flags).envs(s.world.variables());
    Running::start(&mut command)
}

/// The usual one.
#[track_caller]
fn renewer(s: &Side) -> Running {
    let socket = socket(s);
    let running = daemon(s, &["-socketpath", &socket]);
    listens(&socket);
    running
}

#[track_caller]
fn listens(socket: &str) {
    assert!(until(|| UnixStream::connect(socket).is_ok()), "nobody listens at {socket}");
}

/// A network by this plugin, whose addresses are leases.
fn conf(s: &Side, plugin: &Value, ipam: &Value) -> Value {
    let mut all = json!({ "ipam": { "type": "dhcp", "daemonSocketPath": socket(s) } });
    merge(&mut all, plugin);
    if let Some(own) = all.get_mut("ipam") {
        merge(own, ipam);
    }
    all
}

fn bridge() -> Value {
    json!({ "type": "bridge", "bridge": "cni0" })
}

fn macvlan() -> Value {
    json!({ "type": "macvlan", "master": "up0" })
}

/// What the server has given, by address.
fn leases(s: &Side) -> Value {
    let text = std::fs::read_to_string(s.world.path("etc/leases")).unwrap_or_default();
    let lease = |line: &str| {
        let [_, _, address, name, id] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some((address.to_owned(), json!({ "name": name, "id": id })))
    };
    Value::Object(text.lines().filter_map(lease).collect::<Map<_, _>>())
}

/// What the server was told beside the address: names, classes, the options that are asked for.
fn asked(s: &Side) -> Value {
    let text = std::fs::read_to_string(s.world.path("etc/dnsmasq.log")).unwrap_or_default();
    let words = ["client provides name: ", "vendor class: ", "user class: ", "requested options: "];
    let mut found = Map::new();
    for word in words {
        let lines = text.lines().filter_map(|line| line.split_once(word));
        let all: BTreeSet<&str> = lines.flat_map(|(_, rest)| rest.split(", ")).collect();
        found.insert(word.trim_end_matches([':', ' ']).to_owned(), json!(all));
    }
    Value::Object(found)
}

/// ADD, CHECK, a packet, DEL, DEL again; and the server's side of it.
#[track_caller]
fn life(s: &mut Side, pod: &mut Pod) {
    if s.add("add", pod) {
        s.check("check", pod);
        s.pings("ping", Who::Pod(pod), "10.77.0.1");
    }
    let (told, given) = (asked(s), leases(s));
    s.tell("asked", told);
    s.tell("leases", given);
    ends(s, pod);
}

#[track_caller]
fn ends(s: &mut Side, pod: &Pod) {
    s.del("del", pod);
    // The server hears of it, or does not, in its own time.
    let began = Instant::now();
    while leases(s) != json!({}) && began.elapsed() < Duration::from_millis(1500) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let left = leases(s);
    s.tell("leases after del", left);
    s.del("del again", pod);
}

/// A life behind the bridge, with the server's words and the configuration's.
fn behind_bridge(s: &mut Side, words: &[&str], ipam: &Value) {
    let _lan = Lan::on_bridge(s, words);
    let _renewer = renewer(s);
    let list = conf(s, &bridge(), ipam);
    let mut pod = s.pod(list).args("IgnoreUnknown=1;K8S_POD_NAME=web-7");
    life(s, &mut pod);
}

const ROUTER: &str = "--dhcp-option=3,10.77.0.1";

const CASES: &[Case] = &[
    case("dhcp: behind bridge", &[RELEASED], |s| {
        behind_bridge(s, &[ROUTER], &json!({}));
    }),
    case("dhcp: name servers, domain and search list", &[RELEASED], |s| {
        let words = [ROUTER, "--dhcp-option=15,example.org", "--dhcp-option=119,corp.example"];
        behind_bridge(s, &words, &json!({}));
    }),
    case("dhcp: no router", &[RELEASED], |s| behind_bridge(s, &["--dhcp-option=3"], &json!({}))),
    case("dhcp: several routers", &[RELEASED], |s| {
        behind_bridge(s, &["--dhcp-option=3,10.77.0.1,10.77.0.2"], &json!({}));
    }),
    case("dhcp: classless routes", ON_LINK, |s| {
        let routes = "--dhcp-option=121,192.0.2.0/24,10.77.0.9,198.51.100.0/24,0.0.0.0";
        let request = json!({ "request": [{ "option": "121" }] });
        behind_bridge(s, &[ROUTER, routes], &request);
    }),
    case("dhcp: classful routes", &[RELEASED], |s| {
        let request = json!({ "request": [{ "option": "33" }] });
        behind_bridge(s, &[ROUTER, "--dhcp-option=33,192.0.2.0,10.77.0.9"], &request);
    }),
    case("dhcp: priority", &[RELEASED], |s| {
        behind_bridge(s, &[ROUTER], &json!({ "priority": 77 }));
    }),
    case("dhcp: provide", &[RELEASED], |s| {
        let provide = json!({ "provide": [
            { "option": "host-name", "fromArg": "K8S_POD_NAME" },
            { "option": "60", "value": "wharf" },
            { "option": "user-class", "value": "crane" },
        ] });
        behind_bridge(s, &[ROUTER], &provide);
    }),
    case("dhcp: provide of a client identifier", &[RELEASED], |s| {
        let provide = json!({ "provide": [{ "option": "dhcp-client-identifier", "value": "me" }] });
        behind_bridge(s, &[ROUTER], &provide);
    }),
    case("dhcp: provide of an option that is none", &[LEFT, FORWARDS], |s| {
        let provide = json!({ "provide": [{ "option": "nonsense", "value": "x" }] });
        behind_bridge(s, &[ROUTER], &provide);
    }),
    case("dhcp: provide, by an argument that nobody gave", &[RELEASED], |s| {
        let provide = json!({ "provide": [{ "option": "host-name", "fromArg": "NOBODY" }] });
        behind_bridge(s, &[ROUTER], &provide);
    }),
    case("dhcp: request", &[RELEASED], |s| {
        behind_bridge(s, &[ROUTER], &json!({ "request": [{ "option": "42" }] }));
    }),
    case("dhcp: request, without the defaults", &[RELEASED], |s| {
        let request = json!({ "request": [{ "skipDefault": true, "option": "host-name" }] });
        behind_bridge(s, &[ROUTER], &request);
    }),
    case("dhcp: behind macvlan", &[RELEASED], |s| {
        let _lan = Lan::new(s, &[ROUTER]);
        let _renewer = renewer(s);
        let list = conf(s, &macvlan(), &json!({}));
        let mut pod = s.pod(list);
        life(s, &mut pod);
    }),
    case("dhcp: two", &[RELEASED], |s| {
        let _lan = Lan::new(s, &[ROUTER]);
        let _renewer = renewer(s);
        let list = conf(s, &macvlan(), &json!({}));
        let (mut one, mut two) = (s.pod(list.clone()), s.pod(list));
        s.add("add", &mut one);
        s.add("add another", &mut two);
        let given = leases(s);
        s.tell("leases", given);
        s.del("del of the other", &two);
        s.check("check", &one);
        ends(s, &one);
    }),
    case("dhcp: nobody renews", NOBODY, |s| {
        let _lan = Lan::new(s, &[ROUTER]);
        let list = conf(s, &macvlan(), &json!({}));
        let mut pod = s.pod(list);
        if s.add("add", &mut pod) {
            s.check("check", &pod);
        }
        let given = leases(s);
        s.tell("leases", given);
        ends(s, &pod);
    }),
    case(
        "dhcp: STATUS where nobody renews",
        &[differs("nobody-renews", "status", "\"well\"", "*50*")],
        |s| {
            let list = conf(s, &bridge(), &json!({}));
            let pod = s.pod(list);
            s.status("status", &pod);
        },
    ),
    case("dhcp: the daemon is another at CHECK and DEL", &[RELEASED], |s| {
        let _lan = Lan::new(s, &[ROUTER]);
        let mut first = renewer(s);
        let list = conf(s, &macvlan(), &json!({}));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        first.stop();
        // The reference's does not take the place of a socket that was left.
        let _ = std::fs::remove_file(socket(s));
        let _second = renewer(s);
        s.check("check", &pod);
        ends(s, &pod);
    }),
    case("dhcp: the server is gone at DEL", &[], |s| {
        let mut lan = Lan::new(s, &[ROUTER]);
        let _renewer = renewer(s);
        let list = conf(s, &macvlan(), &json!({}));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        lan.server.stop();
        s.check("check", &pod);
        ends(s, &pod);
    }),
    case("dhcp: the namespace gone before DEL", &[], |s| {
        let _lan = Lan::on_bridge(s, &[ROUTER]);
        let _renewer = renewer(s);
        let list = conf(s, &bridge(), &json!({}));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        let link = pod.host_link();
        pod.container.ns.delete();
        // The reference's daemon holds the namespace until then.
        s.verb("del at once", "DEL", &pod, &pod.list[0].clone(), &pod.result.clone());
        let gone = || s.world.links().iter().all(|other| other.name != link);
        assert!(until(gone), "{link} outlives its namespace");
        ends(s, &pod);
    }),
    case("dhcp: DEL of what was never added", &[], |s| {
        let _lan = Lan::on_bridge(s, &[ROUTER]);
        let _renewer = renewer(s);
        let list = conf(s, &bridge(), &json!({}));
        let pod = s.pod(list);
        s.del("del", &pod);
    }),
    case("dhcp: no server, -resendtimeout, -resendmax", UNHEARD, |s| {
        let mut lan = Lan::new(s, &[ROUTER]);
        lan.server.stop();
        let socket = socket(s);
        let flags = ["-socketpath", &socket, "-resendtimeout", "4s", "-resendmax=1s"];
        let _renewer = daemon(s, &flags);
        listens(&socket);
        let list = conf(s, &macvlan(), &json!({}));
        let mut pod = s.pod(list);
        let began = Instant::now();
        s.add("add", &mut pod);
        s.tell("soon", began.elapsed() < Duration::from_secs(30));
        ends(s, &pod);
    }),
    case("dhcp: -pidfile, -broadcast, -timeout", &[RELEASED], |s| {
        let _lan = Lan::new(s, &[ROUTER]);
        let (socket, file) = (socket(s), s.world.text_path("run/dhcp.pid"));
        let flags = ["-pidfile", &file, "-broadcast", "-timeout", "3s", "-socketpath", &socket];
        let running = daemon(s, &flags);
        listens(&socket);
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        let own = running.0.as_ref().map(|child| child.id().to_string());
        s.tell("the file", if Some(&written) == own.as_ref() { "its process" } else { &*written });
        let list = conf(s, &macvlan(), &json!({}));
        let mut pod = s.pod(list);
        life(s, &mut pod);
    }),
    case("dhcp: -hostprefix", &[RELEASED], |s| {
        let _lan = Lan::new(s, &[ROUTER]);
        // Below the prefix the host's files are found: a link to them.
        let prefix = s.world.text_path("prefix");
        std::os::unix::fs::symlink("/", &prefix).expect("a link");
        let socket = socket(s);
        let _renewer = daemon(s, &["-hostprefix", &prefix, "-socketpath", &socket]);
        listens(&socket);
        let list = conf(s, &macvlan(), &json!({}));
        let mut pod = s.pod(list);
        life(s, &mut pod);
    }),
    case("dhcp: -socketpath in a directory that is not there", &[RELEASED], |s| {
        let _lan = Lan::new(s, &[ROUTER]);
        let socket = s.world.text_path("run/new/dhcp.sock");
        let _renewer = daemon(s, &["-socketpath", &socket]);
        listens(&socket);
        let list = conf(s, &macvlan(), &json!({ "daemonSocketPath": socket }));
        let mut pod = s.pod(list);
        life(s, &mut pod);
    }),
    case(
        "dhcp: a configuration without ipam",
        &[differs("no-crash", "add/error/*", "*", "*")],
        |s| {
            let pod = s.pod(json!({}));
            s.verb("add", "ADD", &pod, &json!({ "type": "dhcp" }), &Value::Null);
        },
    ),
];
