//! A delegate that is an executable.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use wharfinger_cni::{CniError, code};

use crate::running::Running;
use crate::talk::{self, Limits, Outcome, Said};
use crate::{Delegate, DelegateCall, DelegateError, FileId, Verb, find};

/// What a result can be at most, in bytes.
const STDOUT_MAX: usize = 1 << 20;

/// How long an executable that is being written (`ETXTBSY`) is waited for, as libcni does, and
/// how often it is tried.
const BUSY: Duration = Duration::from_secs(2);
const BUSY_STEP: Duration = Duration::from_millis(20);

/// How many calls of this executable may stand around another: whoever delegates to whom, a circle
/// ends here.
pub const DEEPEST: u32 = 4;

/// The variable that counts them, from process to process.
pub const DEPTH: &str = "WHARFINGER_DEPTH";

/// Takes what a delegate writes to its stderr, piece by piece.
pub type Forward = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Runs executables of CNI_PATH.
pub struct Exec {
    /// The environment of this process: a delegate gets all of it (spec section 6).
    pub env: Vec<(OsString, OsString)>,
    /// This executable. A delegate that is the same file is refused, unless it may be.
    pub own: Option<FileId>,
    /// How many calls of this executable stand around this one.
    pub depth: u32,
    /// The file that says which process runs for this call, as long as it does, by which a later call about
    /// the attachment ends what a caller left that was killed. None: it is about no attachment.
    pub note: Option<PathBuf>,
    /// How long one call may take.
    pub timeout: Duration,
    /// Where a delegate's stderr goes.
    pub stderr: Forward,
}

impl Delegate for Exec {
    fn run(&self, call: &DelegateCall<'_>) -> Result<Option<Map<String, Value>>, DelegateError> {
        let path = find(call.path, call.name)?;
        self.refuse_circle(call, &path)?;
        let failed = |operation, source| {
            let (name, path) = (call.name.to_owned(), path.clone());
            DelegateError::System { name, operation, path, source }
        };
        let running = self.note.as_deref().map(Running::begin).transpose();
        let mut running =
            running.map_err(|error| failed("end what was left running of", error))?.flatten();
        let until = Instant::now() + self.timeout;
        let mut child = self.start(call, &path, until).map_err(|error| failed("start", error))?;
        let noted = running.as_mut().map_or(Ok(()), |running| running.note(&child));
        // Only what an ADD takes would be nobody's.
        if let (Verb::Add, Err(error)) = (call.verb, noted) {
            talk::kill(&mut child);
            return Err(failed("note the run of", error));
        }
        let config =
            serde_json::to_vec(call.config).map_err(|error| failed("talk to", error.into()))?;
        let limits = Limits { until, stdout: STDOUT_MAX };
        let outcome = talk::talk(child, &config, limits, &*self.stderr);
        self.judge(call, &path, outcome.map_err(|error| failed("talk to", error))?)
    }
}

impl Exec {
    fn refuse_circle(&self, call: &DelegateCall<'_>, path: &Path) -> Result<(), DelegateError> {
        let name = call.name.to_owned();
        if !call.may_be_us && self.own.is_some() && FileId::of(path).ok() == self.own {
            return Err(DelegateError::Circle { name, path: path.to_owned() });
        }
        if self.depth >= DEEPEST {
            return Err(DelegateError::Depth { name, depth: self.depth });
        }
        Ok(())
    }

    fn start(&self, call: &DelegateCall<'_>, path: &Path, until: Instant) -> io::Result<Child> {
        let mut command = self.command(call, path);
        let patience = until.min(Instant::now() + BUSY);
        loop {
            match command.spawn() {
                Err(error) if busy(&error) && Instant::now() < patience => thread::sleep(BUSY_STEP),
                other => return other,
            }
        }
    }

    fn command(&self, call: &DelegateCall<'_>, path: &Path) -> Command {
        let replaced = call.env.iter().map(|(name, value)| (*name, value));
        let mut command = Command::new(path);
        command
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(replaced)
            .env("CNI_COMMAND", call.verb.as_str())
            .env(DEPTH, (self.depth + 1).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that the deadline ends what it started too.
            .process_group(0);
        command
    }

    fn judge(
        &self,
        call: &DelegateCall<'_>,
        path: &Path,
        outcome: Outcome,
    ) -> Result<Option<Map<String, Value>>, DelegateError> {
        let name = call.name.to_owned();
        match outcome {
            Outcome::Ended(status, said) if status.success() => answer(call, &said),
            Outcome::Ended(status, said) => {
                let (path, said_last) = (path.to_owned(), tail(&said));
                let failed =
                    DelegateError::Failed { name: name.clone(), path, status, said: said_last };
                let refused = |error| DelegateError::Refused { name, error };
                Err(error_object(&said.stdout).map_or(failed, refused))
            }
            Outcome::TooLate(said) => {
                Err(DelegateError::Timeout { name, limit: self.timeout, said: tail(&said) })
            }
            Outcome::TooLong(said) => {
                Err(DelegateError::TooLong { name, limit: STDOUT_MAX, said: tail(&said) })
            }
        }
    }
}

fn busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ExecutableFileBusy
}

/// The status alone says that it succeeded; only ADD and VERSION have to say something.
fn answer(
    call: &DelegateCall<'_>,
    said: &Said,
) -> Result<Option<Map<String, Value>>, DelegateError> {
    let needed = matches!(call.verb, Verb::Add | Verb::Version);
    let stdout = &said.stdout;
    let found = match serde_json::from_slice(stdout) {
        Ok(Value::Object(object)) => return Ok(Some(object)),
        // libcni takes it for an empty result.
        Ok(Value::Null) => return Ok(Some(Map::new()).filter(|_| needed)),
        _ if !needed => return Ok(None),
        _ if stdout.trim_ascii().is_empty() => "empty".to_owned(),
        Ok(_) => "JSON of another kind".to_owned(),
        Err(error) => format!("not JSON ({error})"),
    };
    let said = match text(stdout.get(..talk::TAIL).unwrap_or(stdout)) {
        nothing if nothing.is_empty() => text(&said.stderr),
        said => said,
    };
    Err(DelegateError::BadAnswer { name: call.name.to_owned(), found, said })
}

/// The error object of the protocol (spec section 4), if that is what stdout ends with: the
/// reference plugins print a result and then an error where a namespace is their own.
fn error_object(stdout: &[u8]) -> Option<CniError> {
    let values = serde_json::Deserializer::from_slice(stdout).into_iter::<Map<String, Value>>();
    let object = values.last()?.ok()?;
    let code = object.get("code").and_then(Value::as_u64).and_then(|code| u32::try_from(code).ok());
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let (msg, details) = (text("msg"), text("details"));
    if code.is_none() && msg.is_empty() {
        return None;
    }
    // Zero means unknown.
    Some(CniError { code: code.filter(|code| *code != 0).unwrap_or(code::DELEGATE), msg, details })
}

/// The end of stderr, or of stdout where stderr has nothing.
fn tail(said: &Said) -> String {
    let last = said.stdout.len().saturating_sub(talk::TAIL);
    match text(&said.stderr) {
        stderr if stderr.is_empty() => text(said.stdout.get(last..).unwrap_or_default()),
        stderr => stderr,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
