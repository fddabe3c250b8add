//! One call of a plugin, as a runtime makes it: configuration on stdin, `CNI_*` in the environment.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{Container, World};

/// A call in the making.
#[derive(Debug, Clone)]
#[must_use]
pub struct Call<'w> {
    world: &'w World,
    verb: String,
    program: String,
    stdin: Vec<u8>,
    variables: Vec<(String, String)>,
    under: Vec<String>,
}

impl<'w> Call<'w> {
    pub(crate) fn new(world: &'w World, verb: &str, program: String, conf: &Value) -> Self {
        let stdin = conf.to_string().into_bytes();
        Self { world, verb: verb.to_owned(), program, stdin, variables: Vec::new(), under: vec![] }
            .env("CNI_PATH", &world.cni_path())
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a variable out.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    /// For this container: its id, namespace and `eth0`.
    pub fn of(self, container: &Container) -> Self {
        self.env("CNI_CONTAINERID", &container.id)
            .env("CNI_NETNS", &container.ns.path())
            .env("CNI_IFNAME", "eth0")
    }

    /// Another namespace path.
    pub fn netns(self, path: &str) -> Self {
        self.env("CNI_NETNS", path)
    }

    /// Exactly these bytes on stdin.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Another plugin executable.
    pub fn program(mut self, path: &str) -> Self {
        path.clone_into(&mut self.program);
        self
    }

    /// Runs it by this program (`strace ...`), which gets the executable as its last argument.
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it, without waiting for its end.
    #[track_caller]
    pub fn start(&self) -> Child {
        let mut words = self.world.enter();
        words.extend(self.under.iter().cloned());
        words.push(self.program.clone());
        let Some((program, arguments)) = words.split_first() else { panic!("no program") };
        let mut command = Command::new(program);
        command.args(arguments).env_clear();
        if !self.verb.is_empty() {
            command.env("CNI_COMMAND", &self.verb);
        }
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.world.variables()).envs(self.variables.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("{program}: {error}"),
        };
        if let Some(mut stdin) = child.stdin.take() {
            // A plugin that ends without reading is not our failure.
            let _ = stdin.write_all(&self.stdin);
        }
        child
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.finish(self.start())
    }

    /// Waits for the end of a started one.
    #[track_caller]
    pub fn finish(&self, child: Child) -> Output {
        let name = format!("{} {}", self.verb, self.program);
        match child.wait_with_output() {
            Ok(done) => Output::new(name, &done),
            Err(error) => panic!("{name}: {error}"),
        }
    }

    /// Runs it without a verb: what it says about itself.
    #[track_caller]
    pub fn about(&self) -> Output {
        let mut call = self.clone();
        call.verb.clear();
        call.run()
    }

    /// Runs it; it must succeed. Its result, null where it printed nothing.
    #[track_caller]
    pub fn ok(&self) -> Value {
        self.run().ok()
    }

    /// Runs it; it must fail. Its error.
    #[track_caller]
    pub fn fails(&self) -> Failure {
        self.run().fails()
    }
}

/// What came of a call.
#[derive(Debug, Clone)]
pub struct Output {
    name: String,
    /// The exit status; none where a signal ended it.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

/// A CNI error object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `code`.
    pub code: u64,
    /// `msg`.
    pub msg: String,
    /// `details`, empty where absent.
    pub details: String,
}

impl Output {
    fn new(name: String, done: &std::process::Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self {
            name,
            status: done.status.code(),
            signal: done.status.signal(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// Whether it ended with status 0.
    pub fn succeeded(&self) -> bool {
        self.status == Some(0)
    }

    /// The result; fails unless it succeeded with one JSON object, or with nothing, on stdout.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.succeeded(), "should have succeeded: {self:?}");
        if self.stdout.trim().is_empty() { Value::Null } else { self.json() }
    }

    /// The error; fails unless it failed with one error object on stdout.
    #[track_caller]
    pub fn fails(&self) -> Failure {
        assert!(self.status.is_some_and(|status| status != 0), "should have failed: {self:?}");
        let json = self.json();
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(code) = json.get("code").and_then(Value::as_u64) else {
            panic!("no error object: {self:?}")
        };
        let failure = Failure { code, msg: text("msg"), details: text("details") };
        assert!(!failure.msg.is_empty() && !failure.msg.contains('\n'), "bad msg: {self:?}");
        failure
    }

    #[track_caller]
    fn json(&self) -> Value {
        match serde_json::from_str::<Value>(&self.stdout) {
            Ok(value) if value.is_object() => value,
            Ok(value) => panic!("{}: no object but {value}", self.name),
            Err(error) => panic!("{}: not one JSON object: {error}: {self:?}", self.name),
        }
    }
}
