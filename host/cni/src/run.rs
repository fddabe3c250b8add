//! One call, from the process boundary to the plugin and back.
//!
//! Whatever happens, at most one JSON object goes to stdout, written at once: on success the
//! result of ADD or VERSION and nothing for the rest, on failure the error. A panic is a failure.
//! It must never write a part of a result, and never touch the process itself.
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::call::{refuse_younger, valid_attachments};
use crate::vars::{Env, Vars, verb};
use crate::{Attach, CniError, NetConf, Plugin, Verb, Version, code, twice};

/// The longest configuration that is read, in bytes. Real ones stay below 100 KiB.
const LONGEST_STDIN: u64 = 16 << 20;

/// The streams of a call.
pub struct Io<'a> {
    /// The configuration comes from here.
    pub stdin: &'a mut dyn Read,
    /// The one object goes here. It should report a closed pipe.
    pub stdout: &'a mut dyn Write,
    /// Notes for people go here; that it fails is no matter.
    pub stderr: &'a mut dyn Write,
}

/// What goes out.
enum Reply {
    /// Success without output.
    Nothing,
    /// VERSION's.
    Versions(Value),
    /// ADD's: the call, and its result as text or why it cannot be one.
    Added(Box<Attach>, Result<String, CniError>),
}

/// A failure, and the version that its object is labelled with.
struct Failure {
    version: Version,
    error: CniError,
}

impl From<CniError> for Failure {
    fn from(error: CniError) -> Self {
        Self { version: Version::V1_1_0, error }
    }
}

/// Runs one call of a plugin and returns the exit status: 0 on success, else 1.
///
/// Without CNI_COMMAND it says on stderr what the plugin is and which versions it speaks
/// (nerdctl reads that), and succeeds.
pub fn run(env: &dyn Env, io: Io<'_>, plugin: &dyn Plugin) -> u8 {
    let Io { stdin, stdout, stderr } = io;
    let answered = guard(|| answer(env, stdin, stderr, plugin)).unwrap_or_else(|e| Err(e.into()));
    match answered {
        Ok(Reply::Nothing) => 0,
        Ok(Reply::Versions(value)) => status(write(stdout, &value.to_string(), stderr)),
        Ok(Reply::Added(call, Ok(text))) => {
            let delivered = write(stdout, &text, stderr);
            replied(plugin, &call, delivered, stderr);
            status(delivered)
        }
        Ok(Reply::Added(call, Err(error))) => {
            replied(plugin, &call, false, stderr);
            fail(stdout, &Failure { version: call.conf.version, error }, stderr)
        }
        Err(failure) => fail(stdout, &failure, stderr),
    }
}

fn status(written: bool) -> u8 {
    u8::from(!written)
}

fn fail(stdout: &mut dyn Write, failure: &Failure, stderr: &mut dyn Write) -> u8 {
    write(stdout, &render_error(failure.version, &failure.error).to_string(), stderr);
    1
}

/// The whole text and a newline, in one piece.
fn write(stdout: &mut dyn Write, text: &str, stderr: &mut dyn Write) -> bool {
    let written = stdout.write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout.flush());
    if let Err(error) = &written {
        note(stderr, &format!("the reply cannot be written to stdout: {error}"));
    }
    written.is_ok()
}

fn note(stderr: &mut dyn Write, text: &str) {
    // Notes are for people. When nobody listens, the call goes on.
    let _ = writeln!(stderr, "{text}");
}

/// The plugin learns whether the runtime has its result. What it does then cannot change the
/// reply, which is out.
fn replied(plugin: &dyn Plugin, call: &Attach, delivered: bool, stderr: &mut dyn Write) {
    if let Err(error) = guard(|| plugin.replied(call, delivered)) {
        note(stderr, &format!("after ADD of {}: {error}", call.id));
    }
}

/// A panic as error 999. What the plugin holds is not used again after one, but for `replied`.
fn guard<T>(work: impl FnOnce() -> T) -> Result<T, CniError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        // A payload may panic once more when it is dropped.
        std::mem::forget(payload);
        let text = text.unwrap_or_else(|| "without a message".to_owned());
        CniError::new(code::INTERNAL, format!("internal error: the plugin panicked: {text}"))
            .with_details("this is a bug of the plugin; stderr may say where")
    })
}

fn answer(
    env: &dyn Env,
    stdin: &mut dyn Read,
    stderr: &mut dyn Write,
    plugin: &dyn Plugin,
) -> Result<Reply, Failure> {
    match verb(env)? {
        None => {
            note(stderr, &about(plugin));
            Ok(Reply::Nothing)
        }
        Some(Verb::Version) => Ok(Reply::Versions(versions(plugin))),
        Some(verb) => {
            let vars = Vars::read(env, verb)?;
            let json = read_all(stdin)?;
            let mut conf = NetConf::read(&json)?.with_version(plugin.versions())?;
            refuse_twice(verb, &json)?;
            plugin.name().clone_into(&mut conf.called);
            let version = conf.version;
            perform(env, vars, conf, plugin, stderr).map_err(|error| Failure { version, error })
        }
    }
}

/// A kernel parameter that is named twice; a DEL does what it can.
fn refuse_twice(verb: Verb, json: &[u8]) -> Result<(), CniError> {
    let found = twice::sysctl(json).filter(|_| verb != Verb::Del);
    found.map_or(Ok(()), |key| {
        let msg = format!("the configuration names the kernel parameter {key:?} twice");
        Err(CniError::new(code::INVALID_CONFIG, msg).with_details("leave one of them out"))
    })
}

fn about(plugin: &dyn Plugin) -> String {
    let remark = plugin.remark();
    format!(
        "CNI {} plugin {}\nCNI protocol versions supported: {}{}{remark}",
        plugin.name(),
        plugin.release(),
        names(plugin).join(", "),
        if remark.is_empty() { "" } else { "\n" },
    )
}

fn names(plugin: &dyn Plugin) -> Vec<&'static str> {
    plugin.versions().iter().map(|version| version.as_str()).collect()
}

/// As in the reference, `cniVersion` is our newest and stdin is not read: it may be a terminal.
fn versions(plugin: &dyn Plugin) -> Value {
    let newest = plugin.versions().iter().max().copied().unwrap_or(Version::V1_1_0);
    json!({ "cniVersion": newest.as_str(), "supportedVersions": names(plugin) })
}

fn read_all(stdin: &mut dyn Read) -> Result<Vec<u8>, CniError> {
    let mut bytes = Vec::new();
    stdin.take(LONGEST_STDIN + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > LONGEST_STDIN {
        return Err(CniError::new(
            code::DECODING,
            format!("the network configuration on stdin is longer than {LONGEST_STDIN} bytes"),
        ));
    }
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> CniError {
    CniError::new(code::IO, format!("the network configuration cannot be read from stdin: {error}"))
}

fn perform(
    env: &dyn Env,
    vars: Vars,
    conf: NetConf,
    plugin: &dyn Plugin,
    stderr: &mut dyn Write,
) -> Result<Reply, CniError> {
    refuse_younger(vars.verb, &conf)?;
    match vars.verb {
        Verb::Add | Verb::Del | Verb::Check => {
            let verb = vars.verb;
            let (call, passed_over) = vars.attach(env, conf)?;
            if let Some(text) = passed_over {
                note(stderr, &text);
            }
            attachment(verb, call, plugin)
        }
        Verb::Status => nothing(guard(|| plugin.status(&vars.node(conf)))),
        Verb::Gc => {
            let valid = valid_attachments(&conf)?;
            nothing(guard(|| plugin.gc(&vars.node(conf), &valid)))
        }
        // Answered before there was a configuration.
        Verb::Version => Ok(Reply::Versions(versions(plugin))),
    }
}

fn attachment(verb: Verb, call: Attach, plugin: &dyn Plugin) -> Result<Reply, CniError> {
    match verb {
        Verb::Add => {
            let success = guard(|| plugin.add(&call))??;
            let text = success.render(call.conf.version).map(|value| value.to_string());
            Ok(Reply::Added(Box::new(call), text))
        }
        Verb::Check => nothing(guard(|| plugin.check(&call))),
        _ => nothing(guard(|| plugin.del(&call))),
    }
}

fn nothing(done: Result<Result<(), CniError>, CniError>) -> Result<Reply, CniError> {
    done?.map(|()| Reply::Nothing)
}

/// The object that says what a failure was: all four members always, `msg` in one line.
pub fn render_error(version: Version, error: &CniError) -> Value {
    json!({
        "cniVersion": version.as_str(),
        "code": error.code,
        "msg": error.msg.lines().map(str::trim).collect::<Vec<_>>().join(" "),
        "details": error.details,
    })
}
