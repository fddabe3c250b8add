//! A real containerd with directories of its own, on the machine of a world.

use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::words::{must, say};
use crate::{Mounts, World};

const CONFIG: &str = r#"version = 2
root = "@/containerd/root"
state = "@/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "@/containerd/sock"
"#;

/// The daemon; it goes, with its containers, when this value goes.
#[derive(Debug)]
pub struct Containerd<'w> {
    world: &'w World,
    /// What it sees: `/etc/cni/net.d` is there to be configured.
    pub mounts: Mounts<'w>,
    daemon: Child,
}

impl<'w> Containerd<'w> {
    /// Starts it, and waits until it answers.
    #[track_caller]
    pub fn start(world: &'w World) -> Self {
        let mounts = Mounts::new(world);
        let root = world.text_path("");
        must(std::fs::create_dir_all(world.path("containerd")), "a directory");
        let config =
            world.write("containerd.toml", &CONFIG.replace('@', root.trim_end_matches('/')));
        let log = must(std::fs::File::create(world.path("containerd.log")), "a log");
        let mut command = mounts.command(&["containerd", "--config"]);
        command.arg(config).stdout(Stdio::null()).stderr(log);
        let daemon = must(command.spawn(), "containerd");
        let this = Self { world, mounts, daemon };
        let start = Instant::now();
        while !must(this.ctr(&["version"]).output(), "ctr").status.success() {
            assert!(start.elapsed() < Duration::from_secs(30), "containerd does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        this
    }

    /// Its command line, in a namespace of the world's own: runc names a container's cgroup by the
    /// namespace and its name, and kills all that is in there, also what another daemon put in.
    pub fn ctr(&self, words: &[&str]) -> Command {
        let socket = self.world.text_path("containerd/sock");
        let dir = self.world.path("");
        let namespace =
            must(dir.file_name().and_then(OsStr::to_str).ok_or(dir.display()), "a name");
        let mut all = vec!["ctr", "--address", &socket, "--namespace", namespace];
        all.extend(words);
        self.mounts.command(&all)
    }

    /// The words of a container that sleeps.
    fn sleeper(&self, id: &str) -> Command {
        let rootfs = self.world.text_path("rootfs");
        self.ctr(&["run", "--rm", "--cni", "--rootfs", &rootfs, id, "/bin/sleep", "1000"])
    }

    /// `ctr run --cni`, in the foreground: only then does ctr detach the container itself.
    #[track_caller]
    pub fn run(&self, id: &str) -> Child {
        let mut command = self.sleeper(id);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = must(child, "ctr");
        let start = Instant::now();
        while !self.exec(id, &["/bin/ip", "address"]).contains("10.1.") {
            let ended = must(child.try_wait(), "ctr").is_some();
            if ended || start.elapsed() > Duration::from_secs(30) {
                let _ = child.kill();
                panic!("{id} has no address: {:?}", child.wait_with_output());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        child
    }

    /// Ends a container that [`run`](Self::run) started: ctr must have nothing to say of its network.
    #[track_caller]
    pub fn stop(&self, id: &str, run: Child) {
        let killed = self.ctr(&["task", "kill", "--signal", "SIGKILL", id]).output();
        assert!(must(killed, "ctr").status.success(), "{id} cannot be killed");
        let ended = must(run.wait_with_output(), "ctr run");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!said.contains("CNI") && !said.contains("network"), "{said}");
    }

    /// The same of a container that gets no network: what ctr says.
    #[track_caller]
    pub fn refused(&self, id: &str) -> String {
        let output = must(self.sleeper(id).output(), "ctr");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A program in a container; what it wrote, also where it failed. `ctr` may lose what a short
    /// program wrote (containerd's issue 856), so a last line says that this is all of it.
    #[track_caller]
    pub fn exec(&self, id: &str, words: &[&str]) -> String {
        const END: &str = "that is all";
        for _ in 0..5 {
            let now = format!("exec-{:?}", Instant::now());
            let name = now.replace(|c: char| !c.is_alphanumeric(), "");
            let script = format!("\"$@\"; echo {END}");
            let mut all = vec!["task", "exec", "--exec-id", &name, id];
            all.extend(["/bin/sh", "-c", &script, "sh"]);
            all.extend(words);
            let output = must(self.ctr(&all).output(), "ctr task exec");
            let said = String::from_utf8_lossy(&output.stdout);
            if let Some(said) = said.trim_end().strip_suffix(END) {
                return said.to_owned();
            }
        }
        String::new()
    }

    /// The address of a container's `eth0`.
    #[track_caller]
    pub fn address(&self, id: &str) -> String {
        let shown = self.exec(id, &["/bin/ip", "-4", "-o", "address", "show", "eth0"]);
        let address = shown.split_whitespace().nth(3).and_then(|text| text.split('/').next());
        match address {
            Some(address) => address.to_owned(),
            None => panic!("{id} has no address: {shown}"),
        }
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        // Also of a container that was refused: its process waits to be started.
        let tasks = self.ctr(&["task", "ls", "--quiet"]).output().map(|output| output.stdout);
        for id in String::from_utf8_lossy(&tasks.unwrap_or_default()).lines() {
            let _ = self.ctr(&["task", "rm", "--force", id]).output();
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.world.path("containerd.log"));
            say(&log.unwrap_or_default());
        }
    }
}
