//! A mount namespace in which runtimes find their usual paths, the machine's own left as they are:
//! what is written below `/etc`, `/opt`, `/var/lib` and `/run/containerd` goes into memory.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::{World, subject};

/// The namespace, held by a process; it goes when this value goes.
#[derive(Debug)]
pub struct Mounts<'w> {
    world: &'w World,
    holder: Child,
}

/// Overlays, then the usual directories, then says that it is ready, then waits.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs tmpfs "$1"
for dir in etc opt var/lib; do
  mkdir -p "$1/$dir/up" "$1/$dir/work"
  mount -t overlay overlay -o "lowerdir=/$dir,upperdir=$1/$dir/up,workdir=$1/$dir/work" "/$dir"
done
mkdir -p /etc/cni/net.d /opt/cni/bin /var/lib/cni
mount -t tmpfs tmpfs /etc/cni/net.d
mount -t tmpfs tmpfs /opt/cni/bin
mount -t tmpfs tmpfs /var/lib/cni
mkdir -p /run/containerd
mount -t tmpfs tmpfs /run/containerd
for plugin in "$3"/* "$2"/*; do
  test ! -e "$plugin" || ln -sf "$(readlink -f "$plugin")" "/opt/cni/bin/${plugin##*/}"
done
touch "$4"
exec sleep infinity
"#;

impl<'w> Mounts<'w> {
    /// `/opt/cni/bin` has the reference plugins and ours; `/etc/cni/net.d` is empty.
    #[track_caller]
    pub fn new(world: &'w World) -> Self {
        let upper = world.text_path("overlay");
        let ready = world.text_path("mounted");
        assert!(std::fs::create_dir_all(&upper).is_ok(), "{upper}");
        let reference = subject::reference().display().to_string();
        let bin = world.text_path("bin");
        let net = format!("--net={}", world.host.path());
        let holder = Command::new("nsenter")
            .args([&net, "unshare", "--mount", "--propagation", "slave", "sh", "-c", SCRIPT])
            .args(["sh", &upper, &bin, &reference, &ready])
            .stdin(Stdio::null())
            .spawn();
        let holder = match holder {
            Ok(holder) => holder,
            Err(error) => panic!("nsenter: {error}"),
        };
        let start = Instant::now();
        while !world.path("mounted").exists() {
            assert!(start.elapsed() < Duration::from_secs(20), "the mounts are not made");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { world, holder }
    }

    /// A program among these mounts, on the host of the world, with the world's directories.
    pub fn command(&self, words: &[&str]) -> Command {
        let process = format!("/proc/{}/ns", self.holder.id());
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount={process}/mnt")).arg(format!("--net={process}/net"));
        command.args(words).envs(self.world.variables()).env("CNI_PATH", "/opt/cni/bin");
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn try_run(&self, words: &[&str]) -> Output {
        match self.command(words).output() {
            Ok(output) => output,
            Err(error) => panic!("{words:?}: {error}"),
        }
    }

    /// Runs it; it must succeed. What it wrote.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Writes a configuration into `/etc/cni/net.d`.
    #[track_caller]
    pub fn configure(&self, name: &str, conf: &serde_json::Value) {
        let file = self.world.write(&format!("conf/{name}"), &conf.to_string());
        let to = format!("/etc/cni/net.d/{name}");
        self.run(&["cp", &file.display().to_string(), &to]);
    }
}

impl Drop for Mounts<'_> {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
