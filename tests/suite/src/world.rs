//! A machine to be thrown away: the host's namespace and directories, and containers.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::subject::{NAMES, Subject, executable, need_root, reference, workspace};
use crate::{Call, Netns, strings};

/// The machine.
#[derive(Debug)]
pub struct World {
    /// Stands for the host.
    pub host: Netns,
    /// What is under test.
    pub subject: Subject,
    dir: TempDir,
    boot_id: Option<PathBuf>,
    /// What programs find in the place of the machine's own directories: commands that mount.
    mounts: Vec<String>,
    next: AtomicUsize,
    /// Addresses that were given and ids that were used: none may be found once all is removed.
    seen: Mutex<Vec<String>>,
}

/// A container: a namespace and an id.
#[derive(Debug)]
pub struct Container {
    /// Its namespace.
    pub ns: Netns,
    /// Its `CNI_CONTAINERID`.
    pub id: String,
}

/// A container that was attached.
#[derive(Debug)]
pub struct Attached<'w> {
    world: &'w World,
    /// The container.
    pub container: Container,
    /// The configuration of the ADD.
    pub conf: Value,
    /// The result of the ADD.
    pub result: Value,
}

impl World {
    /// A fresh one.
    #[track_caller]
    pub fn new() -> Self {
        Self::of(Subject::current())
    }

    /// A fresh one for this subject.
    #[track_caller]
    pub fn of(subject: Subject) -> Self {
        need_root();
        Self::on(Netns::new("host"), subject)
    }

    /// A fresh one without namespaces, so without containers: for what needs no root.
    #[track_caller]
    pub fn without_namespaces() -> Self {
        Self::on(Netns::own(), Subject::current())
    }

    #[track_caller]
    fn on(host: Netns, subject: Subject) -> Self {
        let dir = match tempfile::Builder::new().prefix("wharfinger-test-").tempdir() {
            Ok(dir) => dir,
            Err(error) => panic!("a temporary directory: {error}"),
        };
        let world = Self {
            host,
            subject,
            dir,
            boot_id: None,
            mounts: Vec::new(),
            next: AtomicUsize::new(0),
            seen: Mutex::default(),
        };
        for name in ["run", "lib", "etc", "conf", "bin", "data"] {
            world.write_dir(name);
        }
        match world.subject {
            Subject::Ours => world.link_executable("wharfinger"),
            Subject::Named => {
                NAMES.iter().chain(&["wharfinger"]).for_each(|name| world.link_executable(name));
            }
            Subject::Reference => {}
        }
        world
    }

    /// A link to our executable in `bin`.
    #[track_caller]
    pub fn link_executable(&self, name: &str) {
        let link = self.path("bin").join(name);
        if let Err(error) = std::os::unix::fs::symlink(executable(), &link) {
            panic!("{}: {error}", link.display());
        }
    }

    #[track_caller]
    fn write_dir(&self, name: &str) {
        if let Err(error) = std::fs::create_dir_all(self.path(name)) {
            panic!("{name}: {error}");
        }
    }

    /// A path below this world's directory: `run`, `lib`, `etc`, `conf`, `bin`, `data`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub fn text_path(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file below this world's directory.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        if let Err(error) = std::fs::write(&path, text) {
            panic!("{}: {error}", path.display());
        }
        path
    }

    /// The executable with another component inside beside its own: `hostile`, whose `mode` says
    /// what it does wrong.
    #[track_caller]
    pub fn with_hostile(&self) -> String {
        let components = workspace().join("target/wasm");
        let component = |name: &str| {
            let path = components.join(name).with_extension("wasm");
            assert!(path.is_file(), "no {}: `cargo xtask test` builds it", path.display());
            format!("{name}={}", path.display())
        };
        let out = self.text_path("bin/with-hostile");
        let (ours, theirs) = (component("host-local"), component("hostile"));
        crate::netns::run(&[
            &self.text_path("bin/wharfinger"),
            "internal",
            "package",
            &out,
            &ours,
            &theirs,
        ]);
        out
    }

    /// What `CNI_PATH` is.
    #[track_caller]
    pub fn cni_path(&self) -> String {
        match self.subject {
            Subject::Ours | Subject::Named => self.text_path("bin"),
            Subject::Reference => reference().display().to_string(),
        }
    }

    /// What `CNI_PATH` is, the reference plugins included.
    #[track_caller]
    pub fn long_cni_path(&self) -> String {
        format!("{}:{}", self.text_path("bin"), reference().display())
    }

    /// Our variables: where this world's directories are.
    pub fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("WHARFINGER_RUN_DIR", self.path("run")),
            ("WHARFINGER_LIB_DIR", self.path("lib")),
            ("WHARFINGER_CONFIG", self.path("etc/config.toml")),
        ]
    }

    /// The words that bring a program onto this machine: its namespace, and its boot id where
    /// it was "rebooted".
    pub(crate) fn enter(&self) -> Vec<String> {
        if self.host.is_own() {
            return Vec::new();
        }
        let net = format!("--net={}", self.host.path());
        let mut words = vec!["nsenter".to_owned(), net];
        let boot_id = self
            .boot_id
            .as_ref()
            .map(|file| format!("mount --bind {} /proc/sys/kernel/random/boot_id", file.display()));
        let mounts: Vec<String> = self.mounts.iter().cloned().chain(boot_id).collect();
        if !mounts.is_empty() {
            let script = format!("{} && exec \"$@\"", mounts.join(" && "));
            let unshare = ["unshare", "--mount", "sh", "-c", &script, "sh"];
            words.extend(unshare.map(str::to_owned));
        }
        words
    }

    /// What a reboot is to the executable: another boot id, and nothing but the directories kept.
    /// The host's links are removed; containers' namespaces are the caller's to delete.
    #[track_caller]
    pub fn reboot(&mut self) {
        for link in self.links().iter().filter(|link| link.name != "lo") {
            // One end takes the other with it, and so does the end of a namespace.
            let _ = self.host.try_run(&["ip", "link", "del", &link.name]);
        }
        self.host.run(&["nft", "flush", "ruleset"]);
        // A kernel without IPsec has none of it.
        for what in ["state", "policy"] {
            let _ = self.host.try_run(&["ip", "xfrm", what, "flush"]);
        }
        self.new_boot_id();
    }

    /// Another boot id alone: a node that is a container was restarted.
    #[track_caller]
    pub fn new_boot_id(&mut self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let text = format!("0b00710d-0000-4000-8000-{number:012}\n");
        self.boot_id = Some(self.write("boot_id", &text));
    }

    /// From now on `/sys` has what the kernel says of this machine's own devices.
    pub fn own_sysfs(&mut self) {
        self.mounts.push("mount -t sysfs sysfs /sys".to_owned());
    }

    /// From now on `/sys` has these directories and links (a path, where it leads) and nothing
    /// else, as if there were such devices.
    #[track_caller]
    pub fn devices(&mut self, directories: &[&str], links: &[(&str, &str)]) {
        for path in directories {
            self.write_dir(&format!("sys/{path}"));
        }
        for (path, to) in links {
            let link = self.path("sys").join(path);
            if let Err(error) = std::os::unix::fs::symlink(to, &link) {
                panic!("{}: {error}", link.display());
            }
        }
        self.mounts.push(format!("mount --bind {} /sys", self.text_path("sys")));
    }

    /// From now on what a runtime keeps in `/var/lib/cni` is this machine's own.
    #[track_caller]
    pub fn own_runtime(&mut self) {
        self.write_dir("cni");
        let cni = self.text_path("cni");
        self.mounts.push(format!(
            "mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/cni && mount --bind {cni} /var/lib/cni"
        ));
    }

    /// A new container.
    #[track_caller]
    pub fn container(&self) -> Container {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let container =
            Container { ns: Netns::new("c"), id: format!("test-container-{number:04}") };
        self.note(container.id.clone());
        container
    }

    fn note(&self, text: String) {
        if let Ok(mut seen) = self.seen.lock() {
            seen.push(text);
        }
    }

    /// What was given and used so far: container ids and addresses.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }

    /// A configuration of this driver: `bridge`, `ptp`, `loopback`. `more` is merged into it, its
    /// nulls remove, its `ipam` replaces.
    #[track_caller]
    pub fn conf(&self, driver: &str, more: &Value) -> Value {
        let mut conf = json!({ "cniVersion": "1.1.0", "name": "pods" });
        if self.subject == Subject::Ours {
            merge(&mut conf, &json!({ "type": "wharfinger", "driver": driver }));
        } else {
            merge(&mut conf, &json!({ "type": driver }));
        }
        if driver != "loopback" {
            merge(&mut conf, &json!({ "ipam": self.ipam(&["10.1.0.0/16"]) }));
        }
        if more.get("ipam").is_some() {
            merge(&mut conf, &json!({ "ipam": null }));
        }
        if driver == "bridge" {
            merge(&mut conf, &json!({ "bridge": "cni0", "isGateway": true }));
        }
        merge(&mut conf, more);
        conf
    }

    /// An `ipam` of these subnets, one range set each, with a default route for each family.
    pub fn ipam(&self, subnets: &[&str]) -> Value {
        let ranges: Vec<Value> = subnets.iter().map(|net| json!([{ "subnet": net }])).collect();
        let mut routes = Vec::new();
        if subnets.iter().any(|net| !net.contains(':')) {
            routes.push(json!({ "dst": "0.0.0.0/0" }));
        }
        if subnets.iter().any(|net| net.contains(':')) {
            routes.push(json!({ "dst": "::/0" }));
        }
        let mut ipam = json!({ "type": "host-local", "ranges": ranges, "routes": routes });
        if self.subject != Subject::Ours {
            merge(&mut ipam, &json!({ "dataDir": self.path("data") }));
        }
        ipam
    }

    /// A call with this configuration.
    #[track_caller]
    pub fn call(&self, verb: &str, conf: &Value) -> Call<'_> {
        let kind = conf.get("type").and_then(Value::as_str).unwrap_or("wharfinger");
        let program = match self.subject {
            Subject::Ours if kind == "wharfinger" => self.text_path("bin/wharfinger"),
            Subject::Named => self.path("bin").join(kind).display().to_string(),
            _ => reference().join(kind).display().to_string(),
        };
        Call::new(self, verb, program, conf)
    }

    /// Attaches a new container.
    #[track_caller]
    pub fn attach(&self, conf: &Value) -> Attached<'_> {
        self.attach_it(self.container(), conf)
    }

    /// Attaches this container.
    #[track_caller]
    pub fn attach_it(&self, container: Container, conf: &Value) -> Attached<'_> {
        let result = self.call("ADD", conf).of(&container).ok();
        self.attached(container, conf, result)
    }

    /// Attaches a container with this `CNI_ARGS`.
    #[track_caller]
    pub fn attach_with(&self, conf: &Value, args: &str) -> Attached<'_> {
        let container = self.container();
        let result = self.call("ADD", conf).of(&container).env("CNI_ARGS", args).ok();
        self.attached(container, conf, result)
    }

    /// Takes a result for an attachment.
    pub fn attached(&self, container: Container, conf: &Value, result: Value) -> Attached<'_> {
        for address in addresses(&result) {
            self.note(address);
        }
        Attached { world: self, container, conf: conf.clone(), result }
    }

    /// Our command line on this machine.
    #[track_caller]
    pub fn cli(&self, arguments: &[&str]) -> std::process::Output {
        match self.cli_command(arguments).output() {
            Ok(output) => output,
            Err(error) => panic!("{arguments:?}: {error}"),
        }
    }

    /// As [`World::cli`], with these variables.
    #[track_caller]
    pub fn cli_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> std::process::Output {
        match self.cli_command(arguments).envs(variables.iter().copied()).output() {
            Ok(output) => output,
            Err(error) => panic!("{arguments:?}: {error}"),
        }
    }

    /// As [`World::cli`], of what goes on until it is killed. What it says to people is seen where
    /// a test fails.
    #[track_caller]
    pub fn start_cli(&self, arguments: &[&str]) -> std::process::Child {
        match self.cli_command(arguments).spawn() {
            Ok(child) => child,
            Err(error) => panic!("{arguments:?}: {error}"),
        }
    }

    #[track_caller]
    fn cli_command(&self, arguments: &[&str]) -> std::process::Command {
        let mut words = self.enter();
        words.push(self.text_path("bin/wharfinger"));
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        let Some((program, rest)) = words.split_first() else { panic!("no program") };
        let mut command = std::process::Command::new(program);
        command.args(rest).envs(self.variables()).stdin(std::process::Stdio::null());
        command
    }

    /// Our command line on a terminal, where this is typed: its exit status, and all that was on the
    /// screen.
    #[track_caller]
    pub fn cli_terminal(&self, arguments: &[&str], typed: &str) -> (Option<i32>, String) {
        let executable = self.text_path("bin/wharfinger");
        let quoted = |word: &&str| format!("'{word}'");
        let words: Vec<String> = arguments.iter().map(quoted).collect();
        let line = format!("{executable} {}", words.join(" "));
        let mut all = self.enter();
        all.extend(["script", "-qec", &line, "/dev/null"].map(str::to_owned));
        let Some((program, rest)) = all.split_first() else { panic!("no program") };
        let mut command = std::process::Command::new(program);
        command.args(rest).envs(self.variables());
        let piped = std::process::Stdio::piped;
        let started = command.stdin(piped()).stdout(piped()).spawn();
        let Ok(mut child) = started else { panic!("script, of util-linux: {started:?}") };
        let written = child.stdin.take().map(|mut stdin| stdin.write_all(typed.as_bytes()));
        let Ok(output) = child.wait_with_output() else { panic!("{line}: no end") };
        assert!(written.is_some_and(|it| it.is_ok()), "{line}: {output:?}");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A component that `cargo xtask test` built: its .wasm.
    #[track_caller]
    pub fn component(name: &str) -> String {
        let path = workspace().join("target/wasm").join(name).with_extension("wasm");
        assert!(path.is_file(), "no {}: `cargo xtask test` builds it", path.display());
        path.display().to_string()
    }

    /// Our command line, which must succeed: what it wrote.
    #[track_caller]
    pub fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Installs a component that `cargo xtask test` built, under a name.
    #[track_caller]
    pub fn install(&self, component: &str, name: &str) {
        let file = Self::component(component);
        let _ = self.cli_ok(&["plugin", "install", &file, "--name", name]);
    }

    /// Writes the node's settings.
    #[track_caller]
    pub fn settings(&self, toml: &str) {
        self.write("etc/config.toml", toml);
    }

    /// The events of the run directory, oldest first.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("run/events.jsonl")).unwrap_or_default();
        let line = |line: &str| match serde_json::from_str(line) {
            Ok(event) => event,
            Err(error) => panic!("no event: {error}: {line}"),
        };
        text.lines().map(line).collect()
    }

    /// The attachments on the books, from `wharfinger ls --json`.
    #[track_caller]
    pub fn ledger(&self) -> Vec<Value> {
        if self.subject == Subject::Reference {
            return Vec::new();
        }
        let output = self.cli(&["ls", "--json"]);
        assert!(output.status.success(), "ls: {output:?}");
        match serde_json::from_slice::<Value>(&output.stdout) {
            Ok(Value::Array(rows)) => rows,
            other => panic!("ls --json: no array: {other:?}: {output:?}"),
        }
    }

    /// The directory of the reference's `host-local` reservations of a network.
    pub fn reservations(&self, network: &str) -> Vec<String> {
        let Ok(dir) = std::fs::read_dir(self.path("data").join(network)) else { return Vec::new() };
        let names = dir.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name != "lock" && !name.starts_with("last_reserved")).collect()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Attached<'_> {
    fn conf_with_result(&self) -> Value {
        let mut conf = self.conf.clone();
        merge(&mut conf, &json!({ "prevResult": self.result }));
        conf
    }

    /// A call about this attachment, with its result as `prevResult`.
    #[track_caller]
    pub fn call(&self, verb: &str) -> Call<'_> {
        self.world.call(verb, &self.conf_with_result()).of(&self.container)
    }

    /// CHECK, which must find all as it was.
    #[track_caller]
    pub fn check(&self) {
        let _ = self.call("CHECK").ok();
    }

    /// DEL, which must succeed and say nothing.
    #[track_caller]
    pub fn del(&self) {
        assert_eq!(self.call("DEL").ok(), Value::Null);
    }

    /// Its namespace is removed, and the kernel, which does that in its own time, is done with it.
    #[track_caller]
    pub fn dies(&mut self) {
        let link = self.host_link();
        self.container.ns.delete();
        let gone = || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            self.world.links().iter().all(|other| other.name != link)
        };
        assert!((0..500).any(|_| gone()), "{link} outlives its namespace");
    }

    /// Its addresses, without prefix lengths.
    pub fn addresses(&self) -> Vec<String> {
        addresses(&self.result)
    }

    /// Its first address of IPv4.
    #[track_caller]
    pub fn v4(&self) -> String {
        match self.addresses().into_iter().find(|address| !address.contains(':')) {
            Some(address) => address,
            None => panic!("no IPv4 address in {}", self.result),
        }
    }

    /// Its first address of IPv6.
    #[track_caller]
    pub fn v6(&self) -> String {
        match self.addresses().into_iter().find(|address| address.contains(':')) {
            Some(address) => address,
            None => panic!("no IPv6 address in {}", self.result),
        }
    }

    /// The name of the link on the host's side.
    #[track_caller]
    pub fn host_link(&self) -> String {
        let interfaces = self.result.get("interfaces").and_then(Value::as_array);
        let names = interfaces.into_iter().flatten().filter_map(|i| i.get("name")?.as_str());
        match names.into_iter().find(|name| name.starts_with("veth")) {
            Some(name) => name.to_owned(),
            None => panic!("no veth in {}", self.result),
        }
    }
}

fn addresses(result: &Value) -> Vec<String> {
    let with_prefix = strings(result, &["ips"], "address");
    with_prefix.iter().filter_map(|a| Some(a.split_once('/')?.0.to_owned())).collect()
}

/// Merges `more` into `base`: objects key by key, null removes, all else replaces (RFC 7396).
pub fn merge(base: &mut Value, more: &Value) {
    let (Value::Object(base), Value::Object(more)) = (&mut *base, more) else {
        *base = more.clone();
        return;
    };
    for (key, value) in more {
        if value.is_null() {
            base.remove(key);
        } else {
            merge(base.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
