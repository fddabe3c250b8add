//! A real Kubernetes for tests, by the programs of this folder: etcd and kube-apiserver, and nodes with
//! kubelet and containerd, each in namespaces of its own; all end with the value. Never touches what it did
//! not start. Nodes want a world around the test (`kube world TEST`), as the ring `kubernetes` has it.
//! Start reading at [`Lab`].
#![forbid(unsafe_code)]

mod identity;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

/// The script that does it all.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kube")
}

/// The API server, with its nodes.
#[derive(Debug)]
pub struct Lab {
    dir: TempDir,
}

/// A node that is to be.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What is laid over its own `/etc` and `/opt`: a directory with such folders.
    pub root: PathBuf,
    /// Images that it has beside `docker.io/lab/box:1`: archives.
    pub images: Vec<PathBuf>,
    /// Whether it needs not be Ready.
    pub unready: bool,
}

impl Lab {
    /// An API server alone, on loopback.
    pub fn api() -> Result<Self> {
        Self::up(&[])
    }

    /// One for nodes.
    pub fn for_nodes() -> Result<Self> {
        Self::up(&["--nodes"])
    }

    fn up(words: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("wharfinger-kube-").tempdir()?;
        let lab = Self { dir };
        lab.kube(&["up"], words)?;
        Ok(lab)
    }

    /// The lab's own directory.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    /// Another directory of this lab's, outside of its own; made.
    pub fn place(&self, name: &str) -> Result<PathBuf> {
        let place = self.dir.path().join(name);
        std::fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
        Ok(place)
    }

    /// Where the API server is.
    pub fn url(&self) -> Result<String> {
        let file = self.dir().join("url");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(text.trim().to_owned())
    }

    /// The certificate of the authority that signed the API server's.
    pub fn authority(&self) -> PathBuf {
        self.dir().join("pki/ca.crt")
    }

    /// The administrator's kubeconfig.
    pub fn admin(&self) -> PathBuf {
        self.dir().join("admin.kubeconfig")
    }

    /// A client certificate of this user and group: its kubeconfig.
    pub fn user(&self, name: &str, group: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(self.kube(&["user"], &[name, group])?.trim()))
    }

    /// The API server: `start`, `stop`, `kill`, `restart`, `pause`, `resume`.
    pub fn server(&self, what: &str) -> Result<()> {
        self.kube(&["api"], &[what]).map(drop)
    }

    /// `kubectl` as the administrator; what it wrote.
    pub fn kubectl(&self, words: &[&str]) -> Result<String> {
        self.kube(&["kubectl"], words)
    }

    /// The same, of what it reads: YAML or JSON, at its `-f -`.
    pub fn kubectl_with(&self, words: &[&str], input: &str) -> Result<String> {
        let mut command = self.command(&["kubectl"], words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("kube kubectl")?;
        if let Some(mut pipe) = child.stdin.take() {
            std::io::Write::write_all(&mut pipe, input.as_bytes()).context("to kubectl")?;
        }
        said(words, &child.wait_with_output()?)
    }

    /// `kubectl get WORDS -o json`.
    pub fn get(&self, words: &[&str]) -> Result<Value> {
        let all: Vec<&str> = ["get"].iter().chain(words).chain(&["-o", "json"]).copied().collect();
        Ok(serde_json::from_str(&self.kubectl(&all)?)?)
    }

    /// Starts a node, and waits until it is Ready.
    pub fn start(&self, node: &Node) -> Result<()> {
        let mut command = self.command(&["node", "up"], &["--name", &node.name]);
        command.arg("--root").arg(&node.root);
        node.images.iter().for_each(|image| _ = command.arg("--image").arg(image));
        command.args(node.unready.then_some("--no-wait"));
        said(&["node", "up", &node.name], &command.output().context("kube node up")?).map(drop)
    }

    /// A service of a node's, `kubelet` or `containerd`: `start`, `stop`, `kill`, `restart`.
    pub fn service(&self, node: &str, what: &str, service: &str) -> Result<()> {
        self.kube(&["node", what], &["--name", node, service]).map(drop)
    }

    /// Power off, and on again.
    pub fn reboot(&self, node: &str) -> Result<()> {
        self.kube(&["node", "reboot"], &["--name", node]).map(drop)
    }

    /// Takes a node away, with its disk; its object stays.
    pub fn remove(&self, node: &str) -> Result<()> {
        self.kube(&["node", "down"], &["--name", node]).map(drop)
    }

    /// A program in a node's namespaces that must succeed; what it wrote.
    pub fn exec(&self, node: &str, words: &[&str]) -> Result<String> {
        let mut command = self.inside(node, words);
        said(words, &command.output().context("kube node exec")?)
    }

    /// A program in a node's namespaces.
    pub fn inside<W: AsRef<OsStr>>(&self, node: &str, words: &[W]) -> Command {
        let mut command = self.command(&["node", "exec"], &["--name", node]);
        command.arg("--").args(words);
        command
    }

    /// A file of a node's, as it is found from outside: of its `/etc` and `/opt` alone.
    pub fn file(&self, node: &str, path: &str) -> PathBuf {
        self.dir().join("node").join(node).join(path.trim_start_matches('/'))
    }

    /// Where a node's static pods are written.
    pub fn manifests(&self, node: &str) -> PathBuf {
        self.dir().join("node").join(node).join("manifests")
    }

    /// A log: `apiserver`, `NODE.kubelet`, `NODE.containerd`.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir().join(format!("log/{name}.log"))).unwrap_or_default()
    }

    fn kube(&self, verb: &[&str], words: &[&str]) -> Result<String> {
        let all: Vec<&str> = verb.iter().chain(words).copied().collect();
        said(&all, &self.command(verb, words).output().context("tests/kube/kube")?)
    }

    fn command(&self, verb: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new(script());
        command.args(verb).arg("--dir").arg(self.dir());
        if let Some(programs) = std::env::var_os("WHARFINGER_KUBE_PROGRAMS") {
            command.arg("--bin").arg(programs);
        }
        command.args(words).stdin(Stdio::null());
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Of a node that hangs, or of an API server that was paused: `down` kills after some seconds.
        let _ = self.command(&["down"], &[]).output();
    }
}

/// What a program wrote, or what it said where it failed.
fn said(words: &[&str], output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}: {text}{complaint}", words.join(" "), output.status);
    }
    Ok(text)
}

/// Asks until there is an answer, for so long; the last reason why there was none.
pub fn eventually<T>(within: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > within => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}
