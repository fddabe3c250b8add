//! A process in memory: an environment, three streams, and a plugin that notes what it is asked.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "only tests call it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wharfinger_cni::{
    Attach, CniError, Env, Io, Node, Plugin, Success, ValidAttachment, Version, run,
};

/// The namespace that the plugin runs in.
pub const OWN_NETNS: &str = "/proc/self/ns/net";
/// The container's.
pub const NETNS: &str = "/run/netns/one";

/// An environment; the path of [`OWN_NETNS`] is our own namespace.
#[derive(Debug, Clone, Default)]
pub struct MemEnv(pub BTreeMap<String, OsString>);

impl Env for MemEnv {
    fn var(&self, name: &str) -> Option<OsString> {
        self.0.get(name).cloned()
    }

    fn same_netns(&self, path: &Path) -> bool {
        path == Path::new(OWN_NETNS)
    }
}

/// A call to be made.
#[derive(Debug, Clone)]
pub struct Call {
    pub env: MemEnv,
    pub stdin: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub struct Out {
    pub status: u8,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// A configuration of this version.
pub fn conf(version: &str) -> Value {
    json!({ "cniVersion": version, "name": "pods", "type": "test" })
}

/// The same with a `prevResult` of no address.
pub fn conf_with_prev(version: &str) -> Value {
    let mut conf = conf(version);
    conf["prevResult"] = json!({ "cniVersion": version, "dns": {} });
    conf
}

impl Call {
    /// A call as libcni makes it, of version 1.1.0.
    pub fn new(verb: &str) -> Self {
        let mut call = Self { env: MemEnv::default(), stdin: Vec::new() };
        call = call.var("CNI_COMMAND", verb).var("CNI_PATH", "/opt/cni/bin");
        if matches!(verb, "ADD" | "DEL" | "CHECK") {
            call = call.var("CNI_CONTAINERID", "c1").var("CNI_IFNAME", "eth0");
            call = call.var("CNI_NETNS", NETNS).var("CNI_ARGS", "");
        }
        call.conf(&conf_with_prev("1.1.0"))
    }

    pub fn var(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.0.insert(name.to_owned(), value.into());
        self
    }

    pub fn unset(mut self, name: &str) -> Self {
        self.env.0.remove(name);
        self
    }

    pub fn conf(self, conf: &Value) -> Self {
        self.stdin(conf.to_string())
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub fn run(&self, plugin: &Recorder) -> Out {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let status = run(
            &self.env,
            Io { stdin: &mut self.stdin.as_slice(), stdout: &mut stdout, stderr: &mut stderr },
            plugin,
        );
        Out { status, stdout, stderr: String::from_utf8(stderr).unwrap() }
    }

    /// The error of a call that must fail without the plugin being asked.
    pub fn refused(&self) -> Refused {
        let plugin = Recorder::default();
        let out = self.run(&plugin);
        assert!(plugin.asked().is_empty(), "asked: {:?}", plugin.asked());
        out.error()
    }

    /// The attachment that the plugin of a call that must succeed is asked about.
    pub fn seen(&self) -> Attach {
        let plugin = Recorder::default();
        let out = self.run(&plugin);
        assert_eq!(out.status, 0, "{}", String::from_utf8_lossy(&out.stdout));
        plugin.attach.take().expect("an attachment")
    }
}

/// An error object.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    pub version: String,
    pub code: u64,
    pub msg: String,
    pub details: String,
}

impl Out {
    /// The one object on stdout.
    pub fn object(&self) -> Value {
        let value: Value = serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.stdout)));
        assert!(value.is_object(), "{value}");
        value
    }

    /// The error object of a failure.
    pub fn error(&self) -> Refused {
        assert_ne!(self.status, 0);
        let object = self.object();
        assert_eq!(object.as_object().unwrap().len(), 4, "{object}");
        let text = |key: &str| object[key].as_str().unwrap_or_else(|| panic!("{key}")).to_owned();
        let msg = text("msg");
        assert!(!msg.contains('\n'), "one line: {msg:?}");
        Refused {
            version: text("cniVersion"),
            code: object["code"].as_u64().unwrap(),
            msg,
            details: text("details"),
        }
    }

    /// Success without output.
    pub fn assert_silent(&self) {
        assert_eq!((self.status, self.stdout.as_slice()), (0, &b""[..]), "{self:?}");
    }
}

/// How the plugin answers.
#[derive(Debug, Clone, Default)]
pub enum Answer {
    #[default]
    Well,
    Fails(CniError),
    /// With this text, as `panic!("...")` has it.
    Panics(String),
    /// With something that is no text.
    PanicsOddly,
}

/// A plugin that notes what it is asked.
#[derive(Debug, Default)]
pub struct Recorder {
    pub answer: Answer,
    pub result: Success,
    pub versions: Option<Vec<Version>>,
    pub verbs: RefCell<Vec<&'static str>>,
    pub attach: RefCell<Option<Attach>>,
    pub node: RefCell<Option<Node>>,
    pub valid: RefCell<Option<Vec<ValidAttachment>>>,
    pub delivered: RefCell<Vec<bool>>,
}

impl Recorder {
    pub fn answering(answer: Answer) -> Self {
        Self { answer, ..Self::default() }
    }

    /// The verbs that it was asked, in order.
    pub fn asked(&self) -> Vec<&'static str> {
        self.verbs.borrow().clone()
    }

    fn done(&self, verb: &'static str) -> Result<(), CniError> {
        self.verbs.borrow_mut().push(verb);
        match &self.answer {
            Answer::Well => Ok(()),
            Answer::Fails(error) => Err(error.clone()),
            Answer::Panics(text) => panic!("{text}"),
            Answer::PanicsOddly => std::panic::panic_any(7_u8),
        }
    }

    fn attachment(&self, verb: &'static str, call: &Attach) -> Result<(), CniError> {
        self.attach.replace(Some(call.clone()));
        self.done(verb)
    }
}

impl Plugin for Recorder {
    fn name(&self) -> &'static str {
        "firewall"
    }

    fn release(&self) -> &'static str {
        "v1.2.3"
    }

    fn versions(&self) -> &[Version] {
        self.versions.as_deref().unwrap_or(&Version::ALL)
    }

    fn add(&self, call: &Attach) -> Result<Success, CniError> {
        self.attachment("ADD", call).map(|()| self.result.clone())
    }

    fn replied(&self, _call: &Attach, delivered: bool) {
        self.delivered.borrow_mut().push(delivered);
    }

    fn del(&self, call: &Attach) -> Result<(), CniError> {
        self.attachment("DEL", call)
    }

    fn check(&self, call: &Attach) -> Result<(), CniError> {
        self.attachment("CHECK", call)
    }

    fn status(&self, call: &Node) -> Result<(), CniError> {
        self.node.replace(Some(call.clone()));
        self.done("STATUS")
    }

    fn gc(&self, call: &Node, valid: &[ValidAttachment]) -> Result<(), CniError> {
        self.node.replace(Some(call.clone()));
        self.valid.replace(Some(valid.to_vec()));
        self.done("GC")
    }
}

/// A stdout that takes so many bytes and then fails, and counts the writes.
#[derive(Debug, Default)]
pub struct Broken {
    pub room: usize,
    pub taken: Vec<u8>,
    pub writes: usize,
}

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        let taken = bytes.len().min(self.room - self.taken.len());
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.taken.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A result with one address of each family, as a bridge makes it.
pub fn dual_stack() -> Success {
    let value = json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            { "name": "br0", "mac": "02:00:00:00:00:01", "mtu": 1400 },
            { "name": "veth0a1b2c3d", "mac": "02:00:00:00:00:02", "mtu": 1400 },
            { "name": "eth0", "mac": "02:00:00:00:00:03", "mtu": 1400, "sandbox": NETNS },
        ],
        "ips": [
            { "interface": 2, "address": "10.1.0.5/16", "gateway": "10.1.0.1" },
            { "interface": 2, "address": "fd00::5/64", "gateway": "fd00::1" },
        ],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0", "gw": "fd00::1" }],
        "dns": { "nameservers": ["10.1.0.53"] },
    });
    Success::parse(Version::V1_1_0, &value).unwrap()
}

/// A path as CNI_PATH has it.
pub fn paths(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

/// Panics that the tests ask for are not to fill the output.
pub fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str();
            if text.is_some_and(|text| !text.starts_with("on purpose")) {
                usual(info);
            }
        }));
    });
}

/// A call into a stdout that may fail.
pub fn run_into(call: &Call, stdout: &mut Broken, plugin: &Recorder) -> u8 {
    let mut stderr = Vec::new();
    let io = Io { stdin: &mut call.stdin.as_slice(), stdout, stderr: &mut stderr };
    run(&call.env, io, plugin)
}
