//! The command line as programs and terminals have it: one JSON document whatever happens, how far long
//! work is, what is asked.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wharfinger_suite::World;

/// Those that the page of all commands has, which is made from the argument parser.
fn commands() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
    let page = std::fs::read_to_string(page).expect("docs/commands.md");
    let all: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("## wharfinger ")).collect();
    let is_leaf = |name: &&&str| !all.iter().any(|other| other.starts_with(&format!("{name} ")));
    all.iter().filter(is_leaf).map(|name| (*name).to_owned()).collect()
}

/// Has each command tried once.
struct Tried<'w> {
    world: &'w World,
    left: BTreeSet<String>,
}

impl Tried<'_> {
    /// With `--json`: the document, and the status.
    #[track_caller]
    fn any(&mut self, command: &str, arguments: &[&str]) -> (Value, Option<i32>) {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.extend(arguments);
        words.push("--json");
        let output = self.world.cli(&words);
        self.left.remove(command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = serde_json::from_str(&said);
        (
            value.unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}")),
            output.status.code(),
        )
    }

    #[track_caller]
    fn ok(&mut self, command: &str, arguments: &[&str]) -> Value {
        let (value, status) = self.any(command, arguments);
        assert_eq!(status, Some(0), "{command} {arguments:?}: {value:#}");
        value
    }

    /// An error is an object, and the status is 1.
    #[track_caller]
    fn fails(&mut self, command: &str, arguments: &[&str]) -> Value {
        let (value, status) = self.any(command, arguments);
        assert_eq!(status, Some(1), "{command} {arguments:?}: {value:#}");
        assert!(value["error"].is_string(), "{command}: {value:#}");
        value
    }

    /// What is no command is an error as any, but for the status, which is 2.
    #[track_caller]
    fn misread(&mut self, command: &str, arguments: &[&str], why: &str) {
        let (value, status) = self.any(command, arguments);
        let said = value["error"].as_str().unwrap_or_default();
        assert!(status == Some(2) && said.contains(why), "{command}: {value:#}");
    }

    /// What has no second form says so.
    #[track_caller]
    fn refused(&mut self, command: &str, arguments: &[&str]) {
        self.misread(command, arguments, "has no --json: it ");
    }

    fn networks(&mut self, file: &str) {
        let name = ["--name", "first", "--driver", "bridge", "--link", "br9"];
        let init = [&name[..], &["--subnet", "10.9.0.0/24", "--out", file]].concat();
        assert_eq!(self.ok("conf init", &init)["network"]["name"], "first");
        self.fails("conf init", &init);
        assert_eq!(self.ok("conf lint", &[file]), json!([]));
        self.lints();
        assert_eq!(self.ok("conf schema", &["node"])["type"], "object");
        let theirs = json!({ "cniVersion": "1.0.0", "name": "theirs", "plugins": [
            { "type": "bridge", "ipam": { "type": "host-local", "subnet": "10.8.0.0/24" } }
        ] });
        let theirs = self.world.write("theirs.conflist", &theirs.to_string());
        let converted = self.ok("conf convert", &[&theirs.display().to_string()]);
        assert_eq!(converted["network"]["plugins"][0]["driver"], "bridge");
        assert!(converted["changes"][0].is_string());
        assert!(self.ok("explain", &[file])["plan"]["steps"].is_array());
        assert_eq!(self.ok("status", &[file])["ready"], true);
    }

    /// What every ADD would refuse, in the component's own part too.
    fn lints(&mut self) {
        let bridge = |ipam: &Value| {
            let entry = json!({ "type": "wharfinger", "driver": "bridge", "ipam": ipam });
            json!({ "cniVersion": "1.0.0", "name": "wrong", "plugins": [entry] })
        };
        let ranges = |all: &[&str]| {
            let sets: Vec<Value> = all.iter().map(|it| json!([{ "subnet": it }])).collect();
            json!({ "type": "host-local", "ranges": sets })
        };
        for (ipam, what) in [
            (ranges(&["10.1.0.0/36"]), "/ipam/ranges/0/0/subnet"),
            (ranges(&["10.1.0.5/16"]), "host bits"),
            (ranges(&["10.1.0.0/16", "10.1.2.0/24"]), "overlaps"),
            (json!({ "type": "host-local", "rangs": [] }), "no ranges"),
            (json!({ "type": "host-locl", "ranges": [] }), "no component is called"),
        ] {
            let wrong = self.world.write("wrong.conflist", &bridge(&ipam).to_string());
            let (found, status) = self.any("conf lint", &[&wrong.display().to_string()]);
            let said = found[0]["what"].as_str().unwrap_or_default();
            assert!(said.contains(what) && status == Some(1), "{ipam}: {found:#}");
        }
    }

    fn attachment(&mut self, file: &str, netns: &str) {
        let at = [file, "--netns", netns];
        assert!(self.ok("add", &at)["ips"].is_array());
        assert_eq!(self.ok("check", &at)["ifname"], "eth0");
        let again = self.fails("add", &at);
        assert!(again["code"].is_u64() && again["msg"].is_string(), "{again:#}");
        assert_eq!(self.ok("ls", &[])[0]["network"], "first");
        assert_eq!(self.ok("show", &["by-hand-"])[0]["drift"], json!([]));
        let conf_dir = self.world.text_path("conf");
        assert_eq!(self.ok("pools", &["--conf-dir", &conf_dir])[0]["network"], "first");
        assert!(self.ok("explain", &[])["networks"].is_array());
        assert_eq!(self.ok("reload", &[])["attachments"], 1);
        assert_eq!(self.ok("sweep", &[])["detached"], json!([]));
        assert!(self.any("doctor", &["--conf-dir", &conf_dir]).0.is_array());
        assert_eq!(self.ok("gc", &[file, "--all"])["network"], "first");
        assert_eq!(self.ok("del", &at)["network"], "first");
        // A line each.
        let events = self.world.cli_ok(&["events", "--json"]);
        self.left.remove("events");
        assert!(events.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{events}");
        assert!(events.lines().count() > 3, "{events}");
    }

    fn store(&mut self) {
        let wasm = World::component("host-local");
        assert_eq!(self.ok("plugin inspect", &["host-local"])["builtIn"], true);
        assert_eq!(self.ok("plugin install", &[&wasm, "--name", "mine"])["installed"], "mine");
        assert!(self.ok("plugin ls", &[]).as_array().is_some_and(|all| all.len() > 1));
        assert_eq!(self.ok("plugin recompile", &[])[0]["to"], "mine");
        assert_eq!(self.ok("plugin verify", &[]), json!([]));
        let other = World::component("hostile");
        let upgraded = self.ok("plugin upgrade", &["mine", &other, "--accept"]);
        assert_ne!(upgraded["before"], upgraded["digest"]);
        assert_eq!(self.ok("plugin remove", &["mine"])["name"], "mine");
        let bin = self.world.text_path("install");
        std::fs::create_dir_all(&bin).expect("a folder");
        let installed = self.ok("install", &[&bin, "--names", "bridge"]);
        assert_eq!(installed.as_array().map(Vec::len), Some(2), "{installed:#}");
        assert_eq!(self.ok("uninstall", &[&bin])[0]["did"], "removed");
        assert_eq!(self.ok("node removed", &["--bin-dir", &bin])["removed"], true);
        self.fails("node ready", &["--bin-dir", &bin]);
    }

    fn authors(&mut self) {
        let wasm = World::component("host-local");
        let folder = self.world.text_path("project");
        assert_eq!(self.ok("plugin new", &["mine", "--dir", &folder])["folder"], folder);
        self.fails("plugin build", &["/proc/self/nothing"]);
        self.fails("plugin component", &["/proc/self/nothing", "--output", "/proc/self/nothing"]);
        let input = self.ok("plugin run", &["--example"]);
        let config = input["config"].to_string();
        let write = |name: &str, text: &str| self.world.write(name, text).display().to_string();
        let (input, config) = (write("input", &input.to_string()), write("config", &config));
        let record = self.ok("plugin run", &[&wasm, "--input", &input]);
        let record = self.world.write("record", &record.to_string()).display().to_string();
        assert_eq!(self.ok("plugin replay", &[&record, "--plugin", &wasm])["same"], true);
        let bench = self.ok("plugin bench", &[&wasm, "--rounds", "10"]);
        assert_eq!(bench["calls"][0]["rounds"], 10);
        let words = [wasm.as_str(), "--config", &config, "--attachments", "10"];
        assert!(self.ok("plugin test", &words).is_object());
    }
}

#[test]
#[ignore = "needs root: ring operate"]
fn every_command_prints_one_json_document_whatever_happens() {
    let world = World::new();
    let mut tried = Tried { world: &world, left: commands() };
    assert!(tried.left.len() > 35, "{:?}", tried.left);
    assert!(tried.ok("version", &[])["version"].is_string());
    let file = world.text_path("conf/10-first.conflist");
    let container = world.container();
    tried.networks(&file);
    tried.attachment(&file, &format!("/run/netns/{}", container.ns.name()));
    tried.store();
    tried.authors();
    tried.refused("metrics", &[]);
    tried.refused("completions", &["bash"]);
    tried.refused("serve", &["--dhcp"]);
    tried.refused("node up", &[]);
    tried.refused("node down", &[]);
    assert_eq!(tried.left, BTreeSet::new(), "commands that nobody tried");
    tried.misread("frob", &[], "unrecognized subcommand 'frob'");
    tried.misread("ls", &["--nonsense"], "unexpected argument '--nonsense'");
    tried.misread("plugin", &[], "Usage: wharfinger plugin");
    // Help is what was asked for.
    assert!(world.cli_ok(&["ls", "--help", "--json"]).starts_with("List attachments"));
    // Settings that cannot be read are an error as any.
    world.settings("ledger = 1");
    tried.fails("ls", &[]);
}

/// Clears a terminal's line.
const CLEAR: &str = "\r\u{1b}[K";

#[test]
#[ignore = "needs root: ring operate"]
fn how_far_long_work_is_is_seen_on_a_terminal_alone() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({}));
    let all: Vec<_> = (0..3).map(|_| world.attach(&conf)).collect();
    let (status, screen) = world.cli_terminal(&["reload"], "");
    assert_eq!(status, Some(0), "{screen}");
    let drawn = format!("{CLEAR}0 of 3 attachments");
    assert!(screen.contains(&drawn), "{screen:?}");
    let end = format!("{CLEAR}the packet filter has the rules of 3 attachments");
    assert!(screen.contains(&end), "the line is gone before the answer: {screen:?}");
    for quiet in ["--quiet", "--json"] {
        let (_, screen) = world.cli_terminal(&["reload", quiet], "");
        assert!(!screen.contains(CLEAR), "{quiet}: {screen:?}");
    }
    let output = world.cli(&["reload"]);
    assert_eq!(output.stderr.len(), 0, "nobody looks: {output:?}");
    for attached in all {
        attached.del();
    }
}

#[test]
#[ignore = "needs root: ring operate"]
fn a_first_network_is_asked_for_on_a_terminal() {
    let world = World::new();
    let file = world.text_path("conf/20-asked.conflist");
    // The name, what is usual for the driver, the addresses, the bridge.
    let typed = "asked\n\n10.7.0.0/24, fd07::/64\nbr7\n";
    let (status, screen) = world.cli_terminal(&["conf", "init", "--out", &file], typed);
    assert_eq!(status, Some(0), "{screen}");
    for question in
        ["name of the network [pods]: ", "driver (bridge, ptp, macvlan, ipvlan) [bridge]: "]
    {
        assert!(screen.contains(question), "{question}: {screen}");
    }
    assert_eq!(world.cli_ok(&["conf", "lint", &file]), "nothing was found\n");
    let list: Value =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("it")).expect("JSON");
    assert_eq!((&list["name"], &list["plugins"][0]["bridge"]), (&json!("asked"), &json!("br7")));
    assert_eq!(list["plugins"][0]["ipam"]["ranges"][1][0]["subnet"], "fd07::/64");
    // What nobody would take is not written.
    let other = world.text_path("conf/30-other.conflist");
    let words = ["conf", "init", "--out", &other];
    let (status, screen) = world.cli_terminal(&words, "other\nbrigde\n\n\n");
    assert_eq!(status, Some(1), "{screen}");
    assert!(screen.contains("brigde") && !std::path::Path::new(&other).exists(), "{screen}");
    // An end instead of an answer.
    let (status, screen) = world.cli_terminal(&words, "other\n");
    assert_eq!(status, Some(1), "{screen}");
    assert!(screen.contains("nothing was answered"), "{screen}");
    // Nobody to ask: what is usual.
    let said = world.cli(&["conf", "init"]);
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stdout).contains("\"pods\""), "{said:?}");
}
