//! Network namespaces with names, by `ip netns`, and running programs in them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A named network namespace; it goes when this value goes.
#[derive(Debug)]
pub struct Netns {
    name: String,
    kept: bool,
}

impl Netns {
    /// A new one, `lo` up. `what` is part of its name.
    #[track_caller]
    pub fn new(what: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wft-{}-{number}-{what}", std::process::id());
        run(&["ip", "netns", "add", &name]);
        let made = Self { name, kept: true };
        made.ip("link set lo up");
        made
    }

    /// The one that the tests run in: for what needs no root.
    pub(crate) fn own() -> Self {
        Self { name: String::new(), kept: false }
    }

    /// Whether it is the one that the tests run in.
    pub(crate) fn is_own(&self) -> bool {
        self.name.is_empty()
    }

    /// Its path, as `CNI_NETNS` wants it.
    pub fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// Its name, as `ip -n` wants it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes it. What is at [`Netns::path`] afterwards: nothing.
    #[track_caller]
    pub fn delete(&mut self) {
        run(&["ip", "netns", "del", &self.name]);
        self.kept = false;
    }

    /// Makes it anew: another namespace at the same path.
    #[track_caller]
    pub fn again(&mut self) {
        run(&["ip", "netns", "add", &self.name]);
        self.kept = true;
    }

    /// `ip ARGUMENTS` in it.
    #[track_caller]
    pub fn ip(&self, arguments: &str) -> String {
        let mut command = vec!["ip", "-n", &self.name];
        command.extend(arguments.split_whitespace());
        run(&command)
    }

    /// `ip -json ARGUMENTS` in it.
    #[track_caller]
    pub fn ip_json(&self, arguments: &str) -> Value {
        let text = self.ip(&format!("-json -d {arguments}"));
        if text.trim().is_empty() {
            return Value::Array(Vec::new());
        }
        match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => panic!("ip {arguments}: {error}: {text}"),
        }
    }

    /// A program in it, that must succeed.
    #[track_caller]
    pub fn run(&self, command: &[&str]) -> String {
        run(&self.inside(command))
    }

    /// A program in it.
    #[track_caller]
    pub fn try_run(&self, command: &[&str]) -> Output {
        try_run(&self.inside(command))
    }

    fn inside<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["ip", "netns", "exec", &self.name];
        all.extend(command);
        all
    }

    /// A page by HTTP, asked for from here; empty where nothing comes within some seconds.
    #[track_caller]
    pub fn fetch(&self, at: &str, page: &str) -> String {
        let Ok(to) = at.parse::<SocketAddr>() else { panic!("no address and port: {at}") };
        let once = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(format!("GET {page} HTTP/1.0\r\n\r\n").as_bytes())?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let again = |_| {
            std::thread::sleep(Duration::from_millis(100));
            once().ok().filter(|text| !text.is_empty())
        };
        crate::side::inside(self, || (0..5).find_map(again)).unwrap_or_default()
    }

    /// Whether an answer to an echo request comes from `address`; four tries of a second.
    #[track_caller]
    pub fn pings(&self, address: &str) -> bool {
        let once = || self.try_run(&["ping", "-n", "-c", "1", "-W", "1", address]).status.success();
        (0..4).any(|_| once())
    }

    /// Whether no answer comes from `address`; two tries.
    #[track_caller]
    pub fn is_cut_off_from(&self, address: &str) -> bool {
        !self.try_run(&["ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", address]).status.success()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if self.kept {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Runs a program that must succeed; what it wrote.
#[track_caller]
pub fn run(command: &[&str]) -> String {
    let output = try_run(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}: {text}{complaint}", command.join(" "), output.status);
    text
}

/// Runs a program to its end, without input.
#[track_caller]
pub fn try_run(command: &[&str]) -> Output {
    let [program, arguments @ ..] = command else { panic!("no program") };
    match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("{program}: {error}"),
    }
}
