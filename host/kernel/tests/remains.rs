//! What the reference plugins leave is found and removed, and nothing else is: against the real
//! plugins, both their versions, and both back ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Container, KERNEL, on_host, run};
use wharfinger_kernel::{Kernel, Reference};
use wharfinger_plan::{Action, Forward, Plan, Step};

/// The newest, which xtask builds and names; Debian's, which is older than nftables there.
fn newest() -> PathBuf {
    std::env::var_os("WHARFINGER_TEST_REF").map(PathBuf::from).unwrap()
}

fn debians() -> PathBuf {
    PathBuf::from("/usr/lib/cni")
}

/// The reference plugins as somebody has them on a node.
struct Node {
    plugins: PathBuf,
    /// "iptables" or "nftables".
    backend: &'static str,
    /// First in PATH: where `iptables` may be another one.
    tools: tempfile::TempDir,
}

impl Node {
    fn new(plugins: PathBuf, backend: &'static str, iptables: &str) -> Self {
        let tools = tempfile::tempdir().unwrap();
        for family in ["iptables", "ip6tables"] {
            for tool in ["", "-save", "-restore"] {
                let target = format!("/usr/sbin/{family}-{iptables}{tool}");
                let link = tools.path().join(format!("{family}{tool}"));
                std::os::unix::fs::symlink(target, link).unwrap();
            }
        }
        Self { plugins, backend, tools }
    }

    fn call(&self, plugin: &str, verb: &str, of: &Attachment<'_>, conf: &str) -> String {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.tools.path().display());
        let mut command = Command::new(self.plugins.join(plugin));
        command.env_clear().env("PATH", path).env("CNI_PATH", &self.plugins);
        command.env("CNI_COMMAND", verb).env("CNI_CONTAINERID", of.container);
        command.env("CNI_NETNS", &of.netns.path).env("CNI_IFNAME", of.ifname);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(conf.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb} {plugin}: {text}{said}\n{conf}");
        text
    }

    /// Bridge with masquerade and a check of MAC addresses, portmap, firewall, and bandwidth for
    /// the first of a container's interfaces.
    fn chain(&self, verb: &str, of: &Attachment<'_>) {
        let result = of.result();
        let names = if verb == "ADD" {
            ["bridge", "portmap", "firewall", "bandwidth"]
        } else {
            ["bandwidth", "firewall", "portmap", "bridge"]
        };
        let mut previous = if verb == "ADD" { String::new() } else { result };
        for name in names {
            if name == "bandwidth" && of.ifname != "eth0" {
                continue;
            }
            let said = self.call(name, verb, of, &self.conf(name, of, &previous));
            if verb == "ADD" {
                previous = said;
            }
        }
    }

    fn conf(&self, plugin: &str, of: &Attachment<'_>, previous: &str) -> String {
        let backend = self.backend;
        let port = of.number;
        let keys = match plugin {
            "bridge" => format!(
                r#""bridge":"ref0","isGateway":true,"ipMasq":true,"ipMasqBackend":"{backend}","macspoofchk":true,
                "ipam":{{"type":"static","addresses":[{{"address":"10.1.0.{port}/24","gateway":"10.1.0.1"}},
                {{"address":"fd00:1::{port}/64","gateway":"fd00:1::1"}}]}}"#
            ),
            "portmap" => format!(
                r#""backend":"{backend}","runtimeConfig":{{"portMappings":[
                {{"hostPort":80{port},"containerPort":80,"protocol":"tcp"}},
                {{"hostPort":90{port},"containerPort":90,"protocol":"udp","hostIP":"10.9.9.9"}}]}}"#
            ),
            "firewall" => r#""backend":"iptables""#.to_owned(),
            _ => r#""egressRate":1000000,"egressBurst":1000000"#.to_owned(),
        };
        let previous = if previous.is_empty() {
            String::new()
        } else {
            format!(r#","prevResult":{previous}"#)
        };
        format!(r#"{{"cniVersion":"1.0.0","name":"pods","type":"{plugin}",{keys}{previous}}}"#)
    }

    /// All that is in the packet filter, without counters.
    fn filter() -> String {
        run(
            "(nft list ruleset; iptables-save; ip6tables-save; iptables-legacy-save; ip6tables-legacy-save) 2>/dev/null \
             | grep -v '^#' | sed -E 's/packets [0-9]+ bytes [0-9]+//; s/ \\[[0-9]+:[0-9]+\\]//'",
        )
    }
}

struct Attachment<'a> {
    container: &'a str,
    ifname: &'a str,
    netns: &'a Container,
    number: u8,
}

impl Attachment<'_> {
    fn addresses(&self) -> [String; 2] {
        [format!("10.1.0.{}", self.number), format!("fd00:1::{}", self.number)]
    }

    fn result(&self) -> String {
        let [v4, v6] = self.addresses();
        format!(
            r#"{{"cniVersion":"1.0.0","interfaces":[{{"name":"ref0"}},{{"name":"x"}},{{"name":"{}","sandbox":"{}"}}],
            "ips":[{{"address":"{v4}/24","interface":2}},{{"address":"{v6}/64","interface":2}}]}}"#,
            self.ifname,
            self.netns.path.display()
        )
    }

    fn reference(&self) -> Reference {
        Reference {
            network: "pods".to_owned(),
            container_id: self.container.to_owned(),
            ifname: self.ifname.to_owned(),
            addresses: self.addresses().map(|address| address.parse().unwrap()).to_vec(),
            given_on: Vec::new(),
            zone: "trusted".to_owned(),
        }
    }

    fn clear(&self) -> Vec<String> {
        let cleared = KERNEL.clear_reference(&self.reference());
        assert!(cleared.errors.is_empty(), "{:?}", cleared.errors);
        cleared.notes
    }

    /// Whether any rule still has one of its addresses as a whole word.
    fn is_mentioned(&self, filter: &str) -> bool {
        let words = filter.split([' ', '/', ']', '[', ',']);
        let is_ours = |word: &str| {
            let address =
                word.rsplit_once(':').filter(|_| word.contains('.')).map_or(word, |w| w.0);
            self.addresses().iter().any(|own| own == address)
        };
        words.into_iter().any(is_ours)
    }
}

const LONG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Two interfaces of one container, beside another container: what one made goes, what the others
/// made stays, and in the end all is as it was.
fn leaves_no_trace(node: &Node) {
    let (netns, other) = (Container::new(), Container::new());
    let of = |ifname, number| Attachment { container: LONG, ifname, netns: &netns, number };
    let (first, second) = (of("eth0", 5), of("eth1", 6));
    let neighbour = Attachment { container: "other", ifname: "eth0", netns: &other, number: 7 };
    node.chain("ADD", &neighbour);
    let before = Node::filter();
    node.chain("ADD", &first);
    node.chain("ADD", &second);
    let made = Node::filter();
    assert!(first.is_mentioned(&made) && second.is_mentioned(&made), "{made}");
    let notes = first.clear();
    assert!(!notes.is_empty());
    let now = Node::filter();
    assert!(!first.is_mentioned(&now) && second.is_mentioned(&now), "{now}");
    second.clear();
    assert_eq!(Node::filter(), before);
    assert_eq!(run("ip -o link show type ifb").lines().count(), 1, "the neighbour's");
    // Again is nothing to do, and the reference goes on.
    assert_eq!(first.clear().iter().filter(|note| !note.starts_with("ran ")).count(), 0);
    node.chain("DEL", &neighbour);
    assert!(!neighbour.is_mentioned(&Node::filter()), "{}", Node::filter());
}

#[test]
#[ignore = "needs root: ring netns"]
fn the_newest_with_iptables_over_nf_tables_leaves_no_trace() {
    on_host(|| leaves_no_trace(&Node::new(newest(), "iptables", "nft")));
}

#[test]
#[ignore = "needs root: ring netns"]
fn the_newest_with_nftables_leaves_no_trace() {
    on_host(|| leaves_no_trace(&Node::new(newest(), "nftables", "nft")));
}

#[test]
#[ignore = "needs root: ring netns"]
fn the_newest_with_ip_tables_leaves_no_trace_and_the_log_can_tell_what_was_run() {
    on_host(|| {
        leaves_no_trace(&Node::new(newest(), "iptables", "legacy"));
        let netns = Container::new();
        let of = Attachment { container: "c", ifname: "eth0", netns: &netns, number: 9 };
        let notes = of.clear();
        assert_eq!(notes[0], "ran /usr/sbin/iptables-legacy, as the kernel has ip_tables");
        assert_eq!(notes[1], "ran /usr/sbin/ip6tables-legacy, as the kernel has ip_tables");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn debians_1_1_1_leaves_no_trace_with_either_iptables() {
    for iptables in ["nft", "legacy"] {
        on_host(move || leaves_no_trace(&Node::new(debians(), "iptables", iptables)));
    }
}

/// Without the lines that stand around them: its DEL makes tables to look into.
fn chains_and_rules(filter: &str) -> Vec<String> {
    let is_around = |line: &&str| {
        ["table ip", "}", "*", ":", "COMMIT"].iter().any(|start| line.starts_with(start))
    };
    filter.lines().filter(|line| !is_around(line)).map(str::to_owned).collect()
}

/// What the reference itself leaves after its DEL is what we leave.
#[test]
#[ignore = "needs root: ring netns"]
fn what_stays_is_what_stays_after_the_references_own_del() {
    for backend in ["iptables", "nftables"] {
        let (send, receive) = std::sync::mpsc::channel();
        for clears in [false, true] {
            let send = send.clone();
            on_host(move || {
                let node = Node::new(newest(), backend, "nft");
                let netns = Container::new();
                let of = Attachment { container: "c", ifname: "eth0", netns: &netns, number: 5 };
                node.chain("ADD", &of);
                if clears {
                    of.clear();
                } else {
                    node.chain("DEL", &of);
                }
                send.send(chains_and_rules(&Node::filter())).unwrap();
            });
        }
        assert_eq!(receive.recv().unwrap(), receive.recv().unwrap());
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn with_no_address_known_all_of_the_container_goes() {
    on_host(|| {
        let node = Node::new(newest(), "nftables", "nft");
        let netns = Container::new();
        let of = Attachment { container: "c", ifname: "eth0", netns: &netns, number: 5 };
        node.chain("ADD", &of);
        let bare = Reference { addresses: Vec::new(), ..of.reference() };
        assert!(KERNEL.clear_reference(&bare).errors.is_empty());
        let left = Node::filter();
        // The accepts have nothing but the address.
        let rest: Vec<&str> = left.lines().filter(|line| of.is_mentioned(line)).collect();
        assert!(rest.iter().all(|line| line.to_lowercase().contains("accept")), "{rest:?}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn where_nothing_of_theirs_is_nothing_is_made_or_run() {
    on_host(|| {
        let netns = Container::new();
        let of = Attachment { container: "c", ifname: "eth0", netns: &netns, number: 5 };
        assert_eq!(of.clear(), [""; 0]);
        assert_eq!(run("nft list ruleset"), "");
        assert!(
            !Path::new("/proc/thread-self/net/ip_tables_names").exists()
                || std::fs::read_to_string("/proc/thread-self/net/ip_tables_names")
                    .unwrap()
                    .is_empty()
        );
    });
}

/// The way back: the reference's DEL finds what we made.
#[test]
#[ignore = "needs root: ring netns"]
fn the_references_del_removes_our_accepts_and_its_add_finds_them() {
    on_host(|| {
        run("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP");
        let node = Node::new(newest(), "iptables", "nft");
        let netns = Container::new();
        let of = Attachment { container: "c", ifname: "eth0", netns: &netns, number: 5 };
        let plan = Plan::new(vec![Step::owned(Action::Forward(Forward {
            addresses: of.reference().addresses,
            admin_chain: None,
            zone: None,
            comment: "key".to_owned(),
        }))]);
        KERNEL.apply(&plan, &netns.netns()).unwrap();
        let made = run("iptables-save -t filter; ip6tables-save -t filter");
        let conf = node.conf("firewall", &of, &of.result());
        // One that another attachment has by now is that one's, whoever had it before.
        let [v4, v6] = of.addresses();
        let given_on = vec![v4.parse().unwrap()];
        let late = Reference { given_on, ..of.reference() };
        assert!(KERNEL.clear_reference(&late).errors.is_empty());
        let left = run("iptables-save -t filter; ip6tables-save -t filter");
        assert!(left.contains(&v4) && !left.contains(&v6), "{left}");
        KERNEL.apply(&plan, &netns.netns()).unwrap();
        let without_time = |text: &str| {
            text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
        };
        node.call("firewall", "CHECK", &of, &conf);
        node.call("firewall", "ADD", &of, &conf);
        let added = run("iptables-save -t filter; ip6tables-save -t filter");
        assert_eq!(without_time(&added), without_time(&made));
        node.call("firewall", "DEL", &of, &conf);
        for address in of.addresses() {
            assert!(!run("iptables-save; ip6tables-save").contains(&address));
        }
        assert!(KERNEL.undo(&plan, None).is_empty());
    });
}
