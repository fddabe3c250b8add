//! A machine for Docker to be thrown away: a host's namespace, processes, mounts and `/run` of its own,
//! in which dockerd and our server are started, killed and started again. Start reading at
//! [`Lab::new`].
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wharfinger_suite::{Mounts, World};

/// The first process of the machine: when it ends, all do. A shell that waits takes in the dead, too:
/// dockerd does not start beside a containerd of its own that is one of them.
const MACHINE: &str = "\
mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/wf /run/docker/plugins && \
ip link set lo up && touch \"$1\" && while :; do sleep 1; done";

/// Where our server listens there.
pub(crate) const SOCKET: &str = "/run/docker/plugins/wharfinger.sock";

/// Where things are on the machine.
const ENV: [&str; 4] = [
    "DOCKER_HOST=unix:///run/dockerd.sock",
    "WHARFINGER_RUN_DIR=/run/wf/run",
    "WHARFINGER_LIB_DIR=/run/wf/lib",
    "WHARFINGER_CONFIG=/run/wf/config.toml",
];

/// The machine.
pub(crate) struct Lab<'w> {
    world: &'w World,
    mounts: Mounts<'w>,
    holder: Child,
    init: String,
}

impl<'w> Lab<'w> {
    /// Our server runs, dockerd does not yet.
    #[track_caller]
    pub(crate) fn bare(world: &'w World) -> Self {
        world.rootfs();
        let mounts = Mounts::new(world);
        let ready = world.text_path("ready");
        let unshare =
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"];
        let words = [&unshare[..], &[MACHINE, "sh", &ready]].concat();
        let holder = mounts.command(&words).spawn().expect("unshare");
        until("the machine is there", || world.path("ready").exists());
        let init = child_of(holder.id());
        let lab = Self { world, mounts, holder, init };
        lab.serve();
        lab
    }

    /// With dockerd, whose options these are beside the usual ones.
    #[track_caller]
    pub(crate) fn new(world: &'w World, options: &str) -> Self {
        let lab = Self::bare(world);
        // Where Docker is the one to turn it on, its policy becomes to drop.
        lab.sh("echo 0 > /proc/sys/net/ipv4/ip_forward", &[]);
        lab.dockerd(options);
        lab.sh("tar -C \"$1\" -c . | docker import - box", &[&world.text_path("rootfs")]);
        lab
    }

    /// A command on the machine.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let bin = self.world.text_path("bin");
        // The distribution's own docker goes with its dockerd.
        let more = std::env::var("PATH").unwrap_or_default();
        let path = format!("PATH={bin}:/usr/sbin:/usr/bin:/sbin:/bin:{more}");
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init, "-m", "-n", "-p", "--", "env", &path]).args(ENV);
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn try_run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("a command")
    }

    /// Runs it; it must succeed. What it wrote.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{words:?}: {output:?}\n{}", self.logs());
        said
    }

    /// A shell's lines; `$1` and so on are the arguments.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str, arguments: &[&str]) -> String {
        let script = format!("set -e; {script}");
        self.run(&[&["sh", "-c", &script, "sh"], arguments].concat())
    }

    /// `docker WORDS`, which must succeed. What it wrote.
    #[track_caller]
    pub(crate) fn docker(&self, words: &str) -> String {
        self.run(&split(&format!("docker {words}")))
    }

    /// `docker WORDS`, which must fail. What it said.
    #[track_caller]
    pub(crate) fn refused(&self, words: &str) -> String {
        let output = self.try_run(&split(&format!("docker {words}")));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "docker {words} succeeded");
        said
    }

    /// What `docker inspect` has.
    #[track_caller]
    pub(crate) fn inspect(&self, what: &str) -> Value {
        let text = self.docker(&format!("inspect {what}"));
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list[0].clone()
    }

    /// Runs a container that sleeps.
    #[track_caller]
    pub(crate) fn sleeper(&self, name: &str, options: &str) {
        self.docker(&format!("run -d --name {name} {options} box sleep 1000"));
    }

    /// An address that a container has on a network, of Docker's key for it.
    #[track_caller]
    pub(crate) fn address(&self, container: &str, network: &str, key: &str) -> String {
        let inspected = self.inspect(container);
        let networks = &inspected["NetworkSettings"]["Networks"];
        networks[network][key].as_str().unwrap_or_default().to_owned()
    }

    /// Whether a container reaches an address or a name.
    #[track_caller]
    pub(crate) fn pings(&self, from: &str, to: &str) -> bool {
        let once = || {
            let words = format!("docker exec {from} ping -c 1 -W 2 {to}");
            self.try_run(&split(&words)).status.success()
        };
        (0..4).any(|_| once())
    }

    /// Starts our server, and waits until it listens.
    #[track_caller]
    pub(crate) fn serve(&self) {
        self.sh("wharfinger serve --docker >>/run/wf/log 2>&1 &", &[]);
        until("our server listens", || self.answers("Plugin.Activate", "").0 == 200);
    }

    /// One call of the protocol, past Docker: the status and the answer.
    #[track_caller]
    pub(crate) fn answers(&self, method: &str, body: &str) -> (u16, Value) {
        let socket = format!("/proc/{}/root{SOCKET}", self.init);
        let Ok(mut stream) = UnixStream::connect(socket) else { return (0, Value::Null) };
        // As 20.10 writes it: no host, and no body where there is nothing to say.
        let length = body.len();
        let request = format!(
            "POST /{method} HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let mut text = String::new();
        let _ = stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_string(&mut text).map(drop));
        let (head, answer) = text.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split_whitespace().nth(1).and_then(|it| it.parse().ok());
        (status.unwrap_or_default(), serde_json::from_str(answer).unwrap_or_default())
    }

    /// Ends our server.
    #[track_caller]
    pub(crate) fn kill_server(&self, signal: &str) {
        self.kill("wharfinger serve --docker", signal);
    }

    /// Starts dockerd.
    #[track_caller]
    pub(crate) fn dockerd(&self, options: &str) {
        let command = format!(
            "dockerd --data-root /run/docker-data --exec-root /run/docker-exec --pidfile \
             /run/dockerd.pid --storage-driver vfs -H unix:///run/dockerd.sock {options} \
             >>/run/dockerd.log 2>&1 &"
        );
        self.sh("rm -f /run/dockerd.pid", &[]);
        self.sh(&command, &[]);
        until("dockerd answers", || self.try_run(&["docker", "version"]).status.success());
    }

    /// Ends dockerd.
    #[track_caller]
    pub(crate) fn kill_dockerd(&self, signal: &str) {
        self.kill("dockerd --data-root", signal);
    }

    /// Ends what has this command line, and waits until it is gone.
    fn kill(&self, what: &str, signal: &str) {
        // Not itself: its own command line has brackets.
        let pattern = format!("^{}[{}]{}", "(/[^ ]*/)?", &what[..1], &what[1..]);
        self.sh("pkill -\"$1\" -f \"$2\"", &[signal, &pattern]);
        until("it is gone", || !self.try_run(&["pgrep", "-f", &pattern]).status.success());
    }

    /// Our ledger.
    #[track_caller]
    pub(crate) fn ledger(&self) -> Vec<Value> {
        let text = self.run(&["wharfinger", "ls", "--json"]);
        serde_json::from_str(&text).expect("JSON")
    }

    /// Names of the host's links.
    #[track_caller]
    pub(crate) fn links(&self) -> Vec<String> {
        let text = self.run(&["ip", "-o", "link"]);
        let name =
            |line: &str| Some(line.split_whitespace().nth(1)?.trim_end_matches(':').to_owned());
        text.lines().filter_map(name).collect()
    }

    /// What daemons said.
    pub(crate) fn logs(&self) -> String {
        let output = self.try_run(&["sh", "-c", "tail -n 40 /run/wf/log /run/dockerd.log"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Nothing of any network, endpoint or pool is left.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.ledger(), Vec::<Value>::new());
        let ours = |name: &String| ["wh-", "wd", "veth"].iter().any(|it| name.starts_with(it));
        let links: Vec<_> = self.links().into_iter().filter(ours).collect();
        assert!(links.is_empty(), "{links:?}");
        let rules = self.run(&["nft", "list", "ruleset"]);
        assert!(!rules.contains("docker-"), "{rules}");
    }
}

/// A process's only child. Not every kernel lists the children of one.
#[track_caller]
fn child_of(parent: u32) -> String {
    let parent = parent.to_string();
    let of = |process: &std::path::Path| {
        let stat = std::fs::read_to_string(process.join("stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1).map(str::to_owned)
    };
    let mut processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let child = processes.find(|process| of(&process.path()).as_ref() == Some(&parent));
    child.expect("a child").file_name().to_string_lossy().into_owned()
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.logs());
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Words, as a shell splits them: quotes keep blanks.
fn split(words: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = words.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        all.push(word);
        rest = after.trim_start();
    }
    all
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}
