//! Docker: containers on its own bridge and on ours, interleaved, and without a network: what is not
//! the network's part. A dockerd of its own, in memory, which goes with this process. Start reading
//! at [`run`].

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Options;
use super::machine::Machine;
use super::process::{Took, timed};
use super::report::Figures;
use super::subject::{BEFORE, OURS};
use crate::command::{capture, find, program, say, text};

/// What it needs from the machine.
pub(crate) const PROGRAMS: [&str; 7] =
    ["dockerd", "docker", "containerd", "runc", "busybox", "nsenter", "unshare"];

/// Where plugins listen, by their names.
const PLUGINS: &str = "/run/docker/plugins";

const THEIRS: &str = "Docker's bridge";
const NONE: &str = "no network";

/// Whose, and the network's name.
const NETWORKS: [(&str, &str); 3] = [(OURS, "ours"), (THEIRS, "theirs"), (NONE, "none")];
/// Of an earlier executable, where there is one.
const EARLIER: (&str, &str) = (BEFORE, "before");

/// The first process of Docker's machine: when it ends, all do. `$1` is there once it is ready, `$2`
/// is busybox, `$3` ours, `$4` an earlier one of ours or empty.
const MACHINE: &str = r#"set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/etc/up /run/etc/work /run/wf /run/netns /run/docker/plugins /run/image/bin /run/bin
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc/up,workdir=/run/etc/work /etc
cp "$2" /run/image/bin/busybox
ln -s busybox /run/image/bin/sleep
ln -s busybox /run/image/bin/true
echo '{}' >/run/docker.json
"$3" serve --docker >/run/wf/log 2>&1 &
if [ -n "$4" ]; then
  WHARFINGER_RUN_DIR=/run/before/run WHARFINGER_LIB_DIR=/run/before/lib \
    "$4" serve --docker --socket /run/docker/plugins/before.sock >>/run/wf/log 2>&1 &
fi
dockerd --config-file /run/docker.json --data-root /run/docker-data --exec-root /run/docker-exec \
  --pidfile /run/dockerd.pid --storage-driver vfs -H "$DOCKER_HOST" >/run/dockerd.log 2>&1 &
touch "$1"
while :; do sleep 1; done"#;

/// Where things are there.
const ENV: [(&str, &str); 4] = [
    ("DOCKER_HOST", "unix:///run/dockerd.sock"),
    ("WHARFINGER_RUN_DIR", "/run/wf/run"),
    ("WHARFINGER_LIB_DIR", "/run/wf/lib"),
    ("WHARFINGER_CONFIG", "/run/wf/config.toml"),
];

/// Docker's machine, on the host that is measured on.
struct Daemons {
    holder: Child,
    init: String,
    networks: Vec<(&'static str, &'static str)>,
}

/// Runs it.
pub(crate) fn run(machine: &Machine, options: &Options) -> Result<()> {
    if let Some(missing) = PROGRAMS.iter().find(|name| find(name).is_none()) {
        say(&format!("\nno {missing}: Docker is not measured (`--only docker` installs it)"));
        return Ok(());
    }
    let docker = Daemons::start(machine)?;
    let outcome = measure(&docker, options);
    if outcome.is_err() {
        let mut logs = docker.command("tail -n 20 /run/wf/log /run/dockerd.log");
        say(&text(&mut logs).unwrap_or_default());
    }
    outcome
}

fn measure(docker: &Daemons, options: &Options) -> Result<()> {
    docker.prepare()?;
    let mut figures = Figures::default();
    // A round is a dozen containers.
    for round in 0..=options.rounds.min(15) {
        let networks = &docker.networks;
        for turn in 0..networks.len() {
            let Some((whose, network)) = networks.get((turn + round) % networks.len()) else {
                continue;
            };
            let note = |what: &str, took| {
                if round > 0 {
                    figures.add(what, whose, took);
                }
            };
            docker.lives(network, note).context(*whose)?;
        }
    }
    figures.print("Docker: until the command is done (cpu: the client's alone)", OURS, &[]);
    Ok(())
}

impl Daemons {
    fn start(machine: &Machine) -> Result<Self> {
        let ready = machine.dir.join("docker-ready");
        let (ours, before) = (&machine.executables.ours, &machine.executables.before);
        let busybox = find("busybox").context("busybox")?;
        // Among the mounts of the process that made the namespace: `ip netns exec` has hidden the
        // control groups.
        let mounts = format!("/proc/{}/ns/mnt", std::os::unix::process::parent_id());
        let mut command = program(&format!(
            "nsenter --mount={mounts} unshare --mount --pid --fork --kill-child --mount-proc sh -c"
        ));
        command.arg(MACHINE).arg("sh").arg(&ready).arg(busybox).arg(ours).envs(ENV);
        command.arg(before.as_deref().unwrap_or(Path::new("")));
        let mut networks = NETWORKS.to_vec();
        networks.extend(before.as_ref().map(|_| EARLIER));
        let holder = command.stdin(Stdio::null()).spawn().context("unshare")?;
        let mut this = Self { holder, init: String::new(), networks };
        until("Docker's machine is there", || ready.exists())?;
        let id = this.holder.id();
        let children = format!("/proc/{id}/task/{id}/children");
        let children = std::fs::read_to_string(&children).context(children)?;
        children.trim().clone_into(&mut this.init);
        Ok(this)
    }

    /// The image, the networks with a container each that stays, the same without one, and a
    /// container that is connected to them.
    fn prepare(&self) -> Result<()> {
        until("dockerd answers", || {
            capture(&mut self.command("docker version")).is_ok_and(|it| it.status.success())
        })?;
        let earlier = self.networks.contains(&EARLIER);
        for name in ["wharfinger", "before"].iter().take(1 + usize::from(earlier)) {
            let socket = format!("/proc/{}/root{PLUGINS}/{name}.sock", self.init);
            until("ours listens", || Path::new(&socket).exists())?;
        }
        let import = "tar -C /run/image -c . | docker import - box";
        text(self.command("sh -c").arg(import))?;
        for (at, (_, network)) in self.networks.iter().enumerate() {
            let driver = match *network {
                "ours" => "-d wharfinger --ipam-driver wharfinger",
                "before" => "-d before --ipam-driver before",
                "theirs" => "-d bridge",
                _ => continue,
            };
            for (octet, suffix) in [(111, ""), (121, "-alone")] {
                let subnet = format!("10.{}.0.0/16", octet + at);
                let words = format!("{driver} --subnet {subnet} {network}{suffix}");
                self.docker(&format!("network create {words}"))?;
            }
            self.docker(&format!("run -d --network {network} box sleep 100000"))?;
        }
        self.docker("run -d --name quay box sleep 100000")
    }

    /// Containers on a network, and one that is there already.
    fn lives(&self, network: &str, mut note: impl FnMut(&str, Took)) -> Result<()> {
        let mut run = |what: &str, words: &str| -> Result<()> {
            let ((), took) = timed(|| self.docker(words))?;
            note(what, took);
            Ok(())
        };
        run("run -d", &format!("run -d --name boat --network {network} box sleep 1000"))?;
        run("rm -f", "rm -f boat")?;
        run("run --rm true", &format!("run --rm --network {network} box true"))?;
        if network == "none" {
            return Ok(());
        }
        let ports = "-p 18080:80 -p 18053:53/udp";
        run(
            "run -d, two ports",
            &format!("run -d --name boat --network {network} {ports} box sleep 1000"),
        )?;
        run("rm -f, two ports", "rm -f boat")?;
        for (suffix, alone) in [("", ""), (", the only one", "-alone")] {
            for what in ["connect", "disconnect"] {
                let words = format!("network {what} {network}{alone} quay");
                run(&format!("network {what}{suffix}"), &words)?;
            }
        }
        Ok(())
    }

    fn docker(&self, words: &str) -> Result<()> {
        text(&mut self.command(&format!("docker {words}"))).map(drop)
    }

    /// A command there.
    fn command(&self, words: &str) -> Command {
        let mut command = program(&format!("nsenter -t {} -m -n -p -- {words}", self.init));
        command.envs(ENV);
        command
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Waits until something is so.
fn until(what: &str, so: impl Fn() -> bool) -> Result<()> {
    let start = Instant::now();
    while !so() {
        if start.elapsed() > Duration::from_mins(1) {
            bail!("{what}: not within a minute");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
