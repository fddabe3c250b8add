//! `cargo xtask demo`: two namespaces attached, pinged, checked and detached, step by step.
//!
//! All of it happens in namespaces that are thrown away: the machine's own network, `/run` state
//! and configuration are not touched.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{
    UNSHARE, UNSHARED, can_unshare, capture, executable, is_root, must, program, say, text,
};
use crate::{build, tools};

/// The configuration, as it would stand on a node.
const CONFLIST: &str = r#"{ "cniVersion": "1.1.0", "name": "pods",
  "plugins": [{
    "type": "wharfinger", "driver": "bridge",
    "bridge": "cni0", "isGateway": true, "ipMasq": true,
    "ipam": { "type": "host-local",
              "ranges": [[{ "subnet": "10.1.0.0/16" }]],
              "routes": [{ "dst": "0.0.0.0/0" }] }
  }] }
"#;

/// The outside world's address and the host's towards it: of the networks for documentation
/// (RFC 5737).
const WORLD: &str = "203.0.113.2";
const UPLINK: &str = "203.0.113.1";

/// Counts in the outside world what arrives, by its source.
const COUNTERS: &str = r#"table ip seen {
  chain input {
    type filter hook input priority 0; policy accept;
    ip saddr 203.0.113.1 counter comment "from the host's address"
    ip saddr 10.1.0.0/16 counter comment "from a container's address"
  }
}"#;

/// Runs it.
pub(crate) fn run(args: &[String]) -> Result<()> {
    match args {
        [] => {}
        [inside] if inside == "--inside" => return show(),
        _ => bail!("demo takes no options"),
    }
    if !tools::install(&[&build::NEEDED[..], &["ip", "nft", "ping", "unshare"]].concat())? {
        bail!("the demo needs these packages");
    }
    build::run()?;
    if is_root() {
        return show();
    }
    if !can_unshare() {
        bail!("the demo needs root, or a kernel that allows user namespaces");
    }
    say("not root: in a user namespace");
    let me = std::env::current_exe().context("the path of this program")?;
    let mut command = program(UNSHARE[0]);
    command.args(UNSHARE.iter().skip(1)).args([UNSHARED, "sh"]).arg(me);
    must(command.args(["demo", "--inside"]))
}

fn show() -> Result<()> {
    let stage = Stage::new()?;
    stage.wire()?;
    stage.heading("The configuration, as it stands in /etc/cni/net.d");
    say(CONFLIST.trim_end());
    stage.heading("What an ADD would do (it touches nothing)");
    stage.cli(&["explain", &stage.conflist()])?;
    for name in ["one", "two"] {
        stage.heading(&format!("ADD: container {name}"));
        stage.attachment("add", name)?;
    }
    stage.heading("What the node holds");
    stage.cli(&["ls"])?;
    let addresses = [stage.address("one")?, stage.address("two")?];
    stage.pings(&addresses)?;
    stage.heading("CHECK: everything is as it was made");
    for name in ["one", "two"] {
        stage.attachment("check", name)?;
        say(&format!("container {name}: as it should be"));
    }
    stage.heading("DEL, each twice: the second finds nothing to do, and succeeds");
    for name in ["one", "one", "two", "two"] {
        stage.attachment("del", name)?;
        say(&format!("container {name}: detached"));
    }
    stage.nothing_left(&addresses)
}

/// The namespaces and directories of the demo; removed when it ends.
struct Stage {
    dir: PathBuf,
    tag: String,
    colours: bool,
}

impl Stage {
    const PLACES: [&str; 4] = ["host", "one", "two", "world"];

    fn new() -> Result<Self> {
        let tag = format!("demo{}", std::process::id());
        let dir = std::env::temp_dir().join(format!("wharfinger-{tag}"));
        let stage = Self { dir, tag, colours: std::io::stdout().is_terminal() };
        std::fs::create_dir_all(&stage.dir).context("a directory for the demo")?;
        std::fs::write(stage.conflist(), CONFLIST).context("the conflist")?;
        for place in Self::PLACES {
            must(program("ip netns add").arg(stage.name(place)))?;
            stage.ip(place, "link set lo up")?;
        }
        Ok(stage)
    }

    fn name(&self, place: &str) -> String {
        format!("{}-{place}", self.tag)
    }

    fn conflist(&self) -> String {
        self.dir.join("pods.conflist").display().to_string()
    }

    fn heading(&self, title: &str) {
        let (on, off) = if self.colours { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
        say(&format!("\n{on}== {title}{off}"));
    }

    fn ip(&self, place: &str, words: &str) -> Result<()> {
        must(program("ip -n").arg(self.name(place)).args(words.split_whitespace()))
    }

    /// The world, reached by one link of the host; it knows no way to the containers.
    fn wire(&self) -> Result<()> {
        let world = self.name("world");
        self.ip("host", &format!("link add up0 type veth peer name up0 netns {world}"))?;
        for (place, address) in [("host", UPLINK), ("world", WORLD)] {
            self.ip(place, &format!("address add {address}/24 dev up0"))?;
            self.ip(place, "link set up0 up")?;
        }
        must(self.inside("world").args(["nft", COUNTERS]))
    }

    /// A program in one of the namespaces.
    fn inside(&self, place: &str) -> Command {
        let mut command = program("ip netns exec");
        command.arg(self.name(place));
        command
    }

    /// Our executable on the host, with directories of the demo's own.
    fn cli(&self, args: &[&str]) -> Result<()> {
        let mut command = self.inside("host");
        command.arg(executable()).args(args);
        for (variable, name) in [
            ("WHARFINGER_RUN_DIR", "run"),
            ("WHARFINGER_LIB_DIR", "lib"),
            ("WHARFINGER_CONFIG", "config.toml"),
        ] {
            command.env(variable, self.dir.join(name));
        }
        let written = text(&mut command)?;
        if !written.trim().is_empty() {
            say(written.trim_end());
        }
        Ok(())
    }

    /// One of the verbs for one container.
    fn attachment(&self, verb: &str, container: &str) -> Result<()> {
        let netns = format!("/run/netns/{}", self.name(container));
        self.cli(&[verb, &self.conflist(), "--netns", &netns, "--container", container])
    }

    /// The first address of `eth0`.
    fn address(&self, container: &str) -> Result<String> {
        let shown = text(
            program("ip -4 -brief -n").arg(self.name(container)).args(["address", "show", "eth0"]),
        )?;
        let address = shown.split_whitespace().nth(2).and_then(|a| a.split('/').next());
        Ok(address.context("eth0 has no address")?.to_owned())
    }

    fn pings(&self, [_, two]: &[String; 2]) -> Result<()> {
        self.heading("Ping from one to two");
        must(self.inside("one").args(["ping", "-n", "-c", "2", "-i", "0.2", two]))?;
        self.heading("Ping from one to the outside world, which has no route back to it");
        must(self.inside("one").args(["ping", "-n", "-c", "2", "-i", "0.2", WORLD]))?;
        let rules = text(self.inside("world").args(["nft", "list", "ruleset"]))?;
        let seen: Vec<&str> = rules.lines().filter(|line| line.contains("counter")).collect();
        say("\nwhat the outside world saw:");
        for line in &seen {
            say(&format!("  {}", line.trim()));
        }
        let translated = |line: &&str| line.contains("203.0.113.1 counter packets 2");
        if !seen.iter().any(translated) {
            bail!("the pings were not masqueraded");
        }
        Ok(())
    }

    fn nothing_left(&self, addresses: &[String]) -> Result<()> {
        self.heading("And nothing is left");
        self.cli(&["ls"])?;
        let links = text(program("ip -brief -n").arg(self.name("host")).args(["link", "show"]))?;
        say(links.trim_end());
        let rules = text(self.inside("host").args(["nft", "list", "ruleset"]))?;
        say(rules.trim_end());
        let a_link = links.lines().any(|line| line.starts_with("veth"));
        let a_rule = rules.split_whitespace().any(|word| addresses.iter().any(|a| a == word));
        if a_link || a_rule {
            bail!("something of a container is left");
        }
        say("\nno link, address or rule of a container; the bridge and the empty table stay");
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for place in Self::PLACES {
            let _ = capture(program("ip netns del").arg(self.name(place)));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
