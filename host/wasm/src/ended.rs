//! Every way in which a call can end badly, as a typed error that names the plugin, the call
//! and the reason.

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::bindings::v0_3::wharfinger::plugin::types;
use crate::journal::Stop;
use crate::limits::{Limit, Limits};
use crate::{Error, Reason, answer};

/// Innermost functions named by a trap.
const FRAMES: usize = 4;

/// Whose call ended.
pub(crate) struct Ended<'a> {
    /// Name and as much of the digest as tells it from others.
    pub(crate) plugin: &'a str,
    pub(crate) call: &'static str,
    pub(crate) limits: &'a Limits,
}

impl Ended<'_> {
    /// By the engine, or by the host through the engine; `words` are the last that the plugin
    /// logged as errors: what a panic says.
    pub(crate) fn error(&self, error: wasmtime::Error, words: Option<&str>) -> Error {
        let place = place(&error);
        let error = match error.downcast::<Stop>() {
            Ok(Stop::Limit(limit)) => return self.limit_at(limit, place),
            Ok(stop) => return self.stopped(stop),
            Err(error) => error,
        };
        if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            return self.bad(format!(
                "it ended itself (wasi:cli/exit, status {status}) in place of answering{words}"
            ));
        }
        match met(&error) {
            Some(limit) => self.limit_at(limit, place),
            None => Error::Trapped {
                plugin: self.plugin.to_owned(),
                call: self.call,
                message: trap(&error, &place, words),
            },
        }
    }

    /// By the host.
    pub(crate) fn stopped(&self, stop: Stop) -> Error {
        match stop {
            Stop::Limit(limit) => self.limit(limit),
            Stop::BadArgument(what) => self.bad(what),
            Stop::Refused { import, grant } => Error::Refused {
                plugin: self.plugin.to_owned(),
                call: self.call,
                import: answer::line(&import),
                grant,
            },
            Stop::Book(error) => Error::Book(error),
        }
    }

    /// By a limit.
    pub(crate) fn limit(&self, limit: Limit) -> Error {
        limit.error(self.plugin, self.call, self.limits)
    }

    /// The same, met in these functions.
    fn limit_at(&self, limit: Limit, at: String) -> Error {
        limit.error_at(self.plugin, self.call, self.limits, at)
    }

    /// By an answer, or an argument, that is not allowed.
    pub(crate) fn bad(&self, what: String) -> Error {
        Error::BadAnswer { plugin: self.plugin.to_owned(), call: self.call, what }
    }

    /// By the plugin's own word.
    pub(crate) fn failed(&self, failure: &types::Failure) -> Error {
        Error::Failed {
            plugin: self.plugin.to_owned(),
            call: self.call,
            reason: reason(failure.reason),
            message: answer::line(&failure.message),
            detail: failure.detail.as_deref().map(answer::detail),
        }
    }
}

/// The limit behind an error of the engine's own.
fn met(error: &wasmtime::Error) -> Option<Limit> {
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        return Some(Limit::Stack);
    }
    // These two have no public type; a test of each would notice other words.
    let root = error.root_cause().to_string();
    if root.contains("fuel allocated for hostcalls") {
        return Some(Limit::HostcallBytes);
    }
    root.starts_with("resource limit exceeded").then_some(Limit::Instances)
}

/// A trap in words: what the plugin said last, a panic's message and place, then the trap itself, and
/// in which of the plugin's innermost functions it was.
fn trap(error: &wasmtime::Error, place: &str, words: Option<&str>) -> String {
    let what = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    answer::line(&match words {
        Some(words) => format!("{words} ({what}{place})"),
        None => format!("{what}{place}"),
    })
}

/// ", in " and the plugin's innermost functions, as far as it has their names.
fn place(error: &wasmtime::Error) -> String {
    let names: Vec<String> = error
        .downcast_ref::<WasmBacktrace>()
        .into_iter()
        .flat_map(WasmBacktrace::frames)
        .filter_map(|frame| frame.func_name())
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        .skip_while(|name| is_of_the_language(name))
        .take(FRAMES)
        .collect();
    let names = answer::line(&names.join(" < "));
    if names.is_empty() { names } else { format!(", in {names}") }
}

/// Innermost are functions of the guest's own language where it ends itself, as in a panic:
/// they say nothing about the plugin.
fn is_of_the_language(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    ["std::", "core::", "alloc::", "__rust", "rust_", "__rg_", "abort"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn reason(reason: types::Reason) -> Reason {
    match reason {
        types::Reason::InvalidConfig => Reason::InvalidConfig,
        types::Reason::Exhausted => Reason::Exhausted,
        types::Reason::Conflict => Reason::Conflict,
        types::Reason::TryAgain => Reason::TryAgain,
        types::Reason::Other => Reason::Other,
    }
}
