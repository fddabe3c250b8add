//! Real members of etcd for tests: one or more, each with its own directory, on loopback or on
//! addresses of namespaces, with TLS and users where wanted; they are killed, stopped, paused and
//! started again, and all end with the value. Never touches an etcd that it did not start. Start
//! reading at [`Cluster`].
#![forbid(unsafe_code)]

mod tls;

use std::ffi::OsStr;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use tls::Certificates;

/// What this machine lacks for it: a reason for a ring of tests to be left out.
pub fn missing() -> Option<String> {
    let programs = [("etcd", "etcd-server"), ("etcdctl", "etcd-client"), ("openssl", "openssl")];
    let lacks = |program: &str| Command::new(program).arg("version").output().is_err();
    let (program, package) = programs.into_iter().find(|(program, _)| lacks(program))?;
    Some(format!("{program} is not installed (Debian: apt-get install {package})"))
}

/// Where a member runs.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where clients reach it.
    pub clients: SocketAddr,
    /// Where other members reach it.
    pub peers: SocketAddr,
    /// Words before the program's: `["ip", "netns", "exec", NAME]`. It must become the program,
    /// not start it, so that what is killed is the member.
    pub before: Vec<String>,
}

impl Place {
    /// etcd's own ports at an address, behind these words.
    pub fn at(address: IpAddr, before: &[&str]) -> Self {
        Self {
            clients: SocketAddr::new(address, 2379),
            peers: SocketAddr::new(address, 2380),
            before: before.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// A place on loopback that nobody has.
    pub fn free() -> Result<Self> {
        // Addresses of this process alone: a port that is free stays free until it is used.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let [_, number] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let address = Ipv4Addr::new(127, high.max(1), low, number.max(1));
        let port = || -> Result<SocketAddr> {
            Ok(TcpListener::bind((address, 0)).context("a port of loopback")?.local_addr()?)
        };
        Ok(Self { clients: port()?, peers: port()?, before: Vec::new() })
    }
}

/// What is started.
#[derive(Debug, Default)]
pub struct Setup {
    /// A member in each.
    pub places: Vec<Place>,
    /// TLS between clients and members, with certificates of both.
    pub tls: bool,
    /// More options for each: `--snapshot-count=10`, `--quota-backend-bytes=...`.
    pub options: Vec<String>,
}

/// Members of one etcd; they end when this value goes.
#[derive(Debug)]
pub struct Cluster {
    dir: TempDir,
    setup: Setup,
    certificates: Option<Certificates>,
    root: Option<String>,
    children: Vec<Option<Child>>,
}

/// How long a member, or an election, may take on a busy machine.
const WAIT: Duration = Duration::from_mins(1);

impl Cluster {
    /// Starts one member on loopback.
    pub fn one() -> Result<Self> {
        Self::start(Setup { places: vec![Place::free()?], ..Setup::default() })
    }

    /// Starts three members on loopback.
    pub fn three() -> Result<Self> {
        let places = vec![Place::free()?, Place::free()?, Place::free()?];
        Self::start(Setup { places, ..Setup::default() })
    }

    /// Starts them, and waits until each answers.
    pub fn start(setup: Setup) -> Result<Self> {
        if let Some(reason) = missing() {
            bail!(reason);
        }
        let dir = tempfile::Builder::new().prefix("wharfinger-etcd-").tempdir()?;
        let addresses: Vec<IpAddr> = setup.places.iter().map(|place| place.clients.ip()).collect();
        let make = || Certificates::make(dir.path().join("tls"), &addresses);
        let certificates = setup.tls.then(make).transpose()?;
        let children = setup.places.iter().map(|_| None).collect();
        let mut this = Self { dir, setup, certificates, root: None, children };
        for member in 0..this.len() {
            this.begin(member)?;
        }
        for member in 0..this.len() {
            this.ready(member)?;
        }
        Ok(this)
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.setup.places.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.setup.places.is_empty()
    }

    /// What the authority and the client have; None without TLS.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The URLs of all members.
    pub fn endpoints(&self) -> Vec<String> {
        self.setup.places.iter().map(|place| self.url(place)).collect()
    }

    fn url(&self, place: &Place) -> String {
        let scheme = if self.setup.tls { "https" } else { "http" };
        format!("{scheme}://{}", place.clients)
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        self.children.iter().enumerate().filter_map(|(at, child)| child.as_ref().map(|_| at))
    }

    fn place(&self, member: usize) -> Result<&Place> {
        self.setup.places.get(member).ok_or_else(|| anyhow!("there is no member {member}"))
    }

    /// Starts a member that does not run; does not wait for it.
    pub fn begin(&mut self, member: usize) -> Result<()> {
        let place = self.place(member)?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log(member))?;
        let mut command = program(place, "etcd");
        command.args(self.options(member, place)).args(&self.setup.options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().with_context(|| format!("start etcd's member {member}"))?;
        if let Some(Some(mut old)) = self.children.get_mut(member).map(|it| it.replace(child)) {
            end(&mut old, Signal::KILL);
        }
        Ok(())
    }

    /// What makes a member this one: of its start, and of what it is restored to.
    fn identity(&self, member: usize, place: &Place) -> Vec<String> {
        let all: Vec<String> = self.setup.places.iter().enumerate().map(peer).collect();
        vec![
            format!("--name=m{member}"),
            format!("--data-dir={}", self.data(member).display()),
            format!("--initial-advertise-peer-urls=http://{}", place.peers),
            format!("--initial-cluster={}", all.join(",")),
        ]
    }

    fn data(&self, member: usize) -> std::path::PathBuf {
        self.dir.path().join(format!("data-{member}"))
    }

    fn options(&self, member: usize, place: &Place) -> Vec<String> {
        let url = self.url(place);
        let mut options = self.identity(member, place);
        options.extend([
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            format!("--listen-peer-urls=http://{}", place.peers),
            "--logger=zap".into(),
            "--log-level=warn".into(),
        ]);
        if let Some(certificates) = &self.certificates {
            options.extend(
                certificates.options(["trusted-ca-file", "cert-file", "key-file"], "member"),
            );
            options.push("--client-cert-auth".into());
        }
        options
    }

    /// Waits until a member answers a read that the majority stands behind.
    pub fn ready(&self, member: usize) -> Result<()> {
        let start = Instant::now();
        loop {
            let Err(error) = self.ctl_at(member, &["endpoint", "health"]) else { return Ok(()) };
            if start.elapsed() > WAIT {
                let log = std::fs::read_to_string(self.log(member)).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                bail!("etcd's member {member} does not answer: {error}; its log: {tail:?}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts a member that does not run, and waits for it.
    pub fn restart(&mut self, member: usize) -> Result<()> {
        self.begin(member)?;
        self.ready(member)
    }

    /// All members end, and begin again with what a snapshot has, and nothing else.
    pub fn restore(&mut self, snapshot: &Path) -> Result<()> {
        for member in 0..self.len() {
            self.stop(member);
            std::fs::remove_dir_all(self.data(member)).context("what a member had")?;
            let restored = self.restored(member, snapshot)?.output().context("restore")?;
            if !restored.status.success() {
                bail!("restore {}: {restored:?}", snapshot.display());
            }
        }
        (0..self.len()).try_for_each(|member| self.begin(member))?;
        (0..self.len()).try_for_each(|member| self.ready(member))
    }

    /// By the tool of etcd's version: 3.6 has only `etcdutl` for it, 3.4 only `etcdctl`.
    fn restored(&self, member: usize, snapshot: &Path) -> Result<Command> {
        let newer = Command::new("etcdutl").arg("version").output().is_ok();
        let mut command = Command::new(if newer { "etcdutl" } else { "etcdctl" });
        command.env("ETCDCTL_API", "3").args(["snapshot", "restore"]).arg(snapshot);
        command.args(self.identity(member, self.place(member)?)).stdin(Stdio::null());
        Ok(command)
    }

    /// `kill -9`, and its end.
    pub fn kill(&mut self, member: usize) {
        if let Some(Some(mut child)) = self.children.get_mut(member).map(Option::take) {
            end(&mut child, Signal::KILL);
        }
    }

    /// Ends a member in its own way.
    pub fn stop(&mut self, member: usize) {
        if let Some(Some(mut child)) = self.children.get_mut(member).map(Option::take) {
            end(&mut child, Signal::TERM);
        }
    }

    /// Stops a member's time: it is there, and does not answer.
    pub fn pause(&self, member: usize) -> Result<()> {
        self.signal(member, Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(&self, member: usize) -> Result<()> {
        self.signal(member, Signal::CONT)
    }

    fn signal(&self, member: usize, signal: Signal) -> Result<()> {
        let child = self.children.get(member).and_then(Option::as_ref);
        let child = child.ok_or_else(|| anyhow!("member {member} does not run"))?;
        Ok(kill_process(Pid::from_child(child), signal)?)
    }

    /// Which member leads, by what it says itself.
    pub fn leader(&self) -> Result<usize> {
        let start = Instant::now();
        while start.elapsed() < WAIT {
            for member in self.running() {
                let said = self.ctl_at(member, &["endpoint", "status"]).unwrap_or_default();
                if said.split(", ").nth(4) == Some("true") {
                    return Ok(member);
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("no member leads")
    }

    /// Forgets all history up to now.
    pub fn compact(&self) -> Result<()> {
        let got = self.ctl(&["get", "nothing", "--write-out=fields"])?;
        let line = got.lines().find_map(|line| line.strip_prefix("\"Revision\" : "));
        let revision = line.ok_or_else(|| anyhow!("no revision in {got}"))?;
        self.ctl(&["compact", revision.trim(), "--physical=true"])?;
        Ok(())
    }

    /// Turns on users: `user` may read and write below `prefix`; root stays etcdctl's.
    pub fn users(&mut self, user: &str, password: &str, prefix: &str) -> Result<()> {
        let commands: [&[&str]; 7] = [
            &["user", "add", "root:secret"],
            &["user", "grant-role", "root", "root"],
            &["role", "add", "book"],
            &["role", "grant-permission", "--prefix=true", "book", "readwrite", prefix],
            &["user", "add", &format!("{user}:{password}")],
            &["user", "grant-role", user, "book"],
            &["auth", "enable"],
        ];
        for words in commands {
            self.ctl(words)?;
        }
        self.root = Some("root:secret".into());
        Ok(())
    }

    /// `etcdctl` with these words, at any member that runs; what it printed.
    pub fn ctl(&self, words: &[&str]) -> Result<String> {
        let mut last = anyhow!("no member runs");
        for member in self.running() {
            match self.ctl_at(member, words) {
                Ok(said) => return Ok(said),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// `etcdctl` with these words, at one member; what it printed. Words need not be text.
    pub fn ctl_at<W: AsRef<OsStr> + Debug>(&self, member: usize, words: &[W]) -> Result<String> {
        let place = self.place(member)?;
        let mut command = program(place, "etcdctl");
        command.env("ETCDCTL_API", "3").arg(format!("--endpoints={}", self.url(place)));
        if let Some(certificates) = &self.certificates {
            command.args(certificates.options(["cacert", "cert", "key"], "client"));
        }
        if let Some(root) = &self.root {
            command.arg(format!("--user={root}"));
        }
        let Output { status, stdout, stderr } = command.args(words).output()?;
        if !status.success() {
            bail!("etcdctl {words:?}: {}", String::from_utf8_lossy(&stderr).trim());
        }
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    fn log(&self, member: usize) -> std::path::PathBuf {
        self.dir.path().join(format!("log-{member}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            end(child, Signal::KILL);
        }
    }
}

fn program(place: &Place, name: &str) -> Command {
    let mut words = place.before.iter().map(String::as_str).chain([name]);
    let mut command = Command::new(words.next().unwrap_or(name));
    command.args(words);
    command
}

fn peer((member, place): (usize, &Place)) -> String {
    format!("m{member}=http://{}", place.peers)
}

/// A member that is paused does not see SIGTERM: it goes on first.
fn end(child: &mut Child, signal: Signal) {
    let pid = Pid::from_child(child);
    let _ = kill_process(pid, signal);
    let _ = kill_process(pid, Signal::CONT);
    let _ = child.wait();
}
