//! What a command answers: lines for people, and the same for programs; and the one place that prints
//! either. A command never asks which of both is wanted.
//!
//! With `--json` there is one JSON document on standard output, whatever happens: the answer, or an
//! object with an `error`. Start at [`Answer`].

use std::ffi::OsString;
use std::fmt;
use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use wharfinger_cni::CniError;

use super::progress::Progress;
use super::{is_read, print};

/// How a command's output is wanted: the same words for every command.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print one JSON document, also of an error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Do not show how far long work is
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

impl Output {
    /// What shows how far long work is: to somebody who looks, and nobody else.
    pub(crate) fn progress(self) -> Progress {
        Progress::new(!self.json && !self.quiet && std::io::stderr().is_terminal())
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Answer {
    said: Said,
    status: u8,
}

#[derive(Debug)]
enum Said {
    /// For people, and for programs.
    Now(String, Value),
    /// It was printed as it came: a stream, or what is in a format of its own.
    Already,
}

impl Answer {
    /// All is well.
    pub(super) fn new(text: impl Into<String>, value: Value) -> Self {
        Self { said: Said::Now(text.into(), value), status: 0 }
    }

    /// Of what people are told nothing of where it is well.
    pub(super) fn quiet(value: Value) -> Self {
        Self::new("", value)
    }

    /// It has printed what there was to print.
    pub(super) fn printed() -> Self {
        Self { said: Said::Already, status: 0 }
    }

    /// The status is 1 where this is so: something was found, or is not as it should be.
    pub(super) fn unless(self, wrong: bool) -> Self {
        Self { status: u8::from(wrong), ..self }
    }

    /// Prints it; answers the exit status.
    pub(crate) fn print(self, output: Output) -> Result<u8> {
        match self.said {
            Said::Now(_, value) if output.json => print(&format!("{value:#}\n"))?,
            Said::Now(text, _) => print(&text)?,
            Said::Already => {}
        }
        Ok(self.status)
    }
}

/// Prints an error: for people on standard error; for programs where the answer would be. Answers the
/// exit status.
pub(crate) fn failed(error: &anyhow::Error, output: Output) -> u8 {
    // Nothing is left to do where nobody reads that.
    if output.json {
        let _ = is_read(format!("{:#}\n", object(error)).as_bytes());
    } else {
        let _ = writeln!(std::io::stderr(), "wharfinger: {error:#}");
    }
    1
}

/// Prints what there is to say to words that are no command: help, or what is wrong with them. That is an error as
/// any where the words ask for JSON. Answers the exit status.
pub(crate) fn unread(error: &clap::Error, words: &[OsString]) -> u8 {
    if error.use_stderr() && ask_for_json(words) {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
        failed(&anyhow::Error::msg(text.to_owned()), Output { json: true, quiet: true });
    } else {
        // Nothing is left to do where nobody reads that.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).unwrap_or(1)
}

/// The parser does not say, as it stops at the first word that it does not know.
fn ask_for_json(words: &[OsString]) -> bool {
    words.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// `error` is what people are told; what a runtime would be told is beside it, where there is that.
fn object(error: &anyhow::Error) -> Value {
    let mut object = json!({ "error": format!("{error:#}") });
    if let Some(Refused(refused)) = error.downcast_ref() {
        object["code"] = json!(refused.code);
        object["msg"] = json!(refused.msg);
        // The protocol has it as a text, in which we put an object.
        let details = serde_json::from_str(&refused.details);
        object["details"] = details.unwrap_or_else(|_| json!(refused.details));
    }
    object
}

/// The protocol's error, for people.
#[derive(Debug)]
pub(super) struct Refused(pub(super) CniError);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CniError { code, msg, details } = &self.0;
        write!(f, "{msg} (code {code})")?;
        lines(msg, details).iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// What people want of the details beside the message: what to do, and what else there is to look at. What
/// another plugin wrote there stands as it is.
fn lines(msg: &str, details: &str) -> Vec<String> {
    let Ok(Value::Object(object)) = serde_json::from_str(details) else {
        return details.lines().map(str::to_owned).collect();
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    let causes = object.get("causes").and_then(Value::as_array).into_iter().flatten();
    let causes = causes.filter_map(Value::as_str).filter(|cause| !msg.contains(cause));
    let mut lines: Vec<String> = causes.map(|cause| format!("because: {cause}")).collect();
    lines.extend(text("plugin").map(|said| format!("the component says: {said}")));
    lines.extend(text("said").map(|said| format!("it printed: {said}")));
    lines.extend(text("hint"));
    lines.extend(
        text("record").map(|file| format!("the call again: wharfinger plugin replay {file}")),
    );
    lines
}

impl std::error::Error for Refused {}

/// One thing that was done to something.
#[derive(Debug)]
pub(super) struct Did {
    line: String,
    value: Value,
}

impl Did {
    /// In words of its own; `did` is for programs.
    pub(super) fn so(did: &str, to: impl fmt::Display, line: String) -> Self {
        Self { line, value: json!({ "did": did, "to": to.to_string() }) }
    }

    /// `removed /opt/cni/bin/wharfinger`.
    pub(super) fn new(did: &str, to: impl fmt::Display) -> Self {
        let line = format!("{did} {to}");
        Self::so(did, to, line)
    }

    /// A line each.
    pub(super) fn lines(all: &[Self]) -> String {
        all.iter().flat_map(|did| [did.line.as_str(), "\n"]).collect()
    }

    /// A list of all.
    pub(super) fn answer(all: &[Self]) -> Answer {
        let values = all.iter().map(|did| did.value.clone()).collect();
        Answer::new(Self::lines(all), Value::Array(values))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn words_behind_two_dashes_ask_for_nothing() {
        let ask =
            |words: &[&str]| ask_for_json(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(ask(&["wharfinger", "frob", "--json"]) && ask(&["wharfinger", "--json", "frob"]));
        assert!(!ask(&["wharfinger", "frob"]) && !ask(&["wharfinger", "frob", "--", "--json"]));
    }

    #[test]
    fn an_error_is_an_object_with_what_a_runtime_would_be_told() {
        assert_eq!(object(&anyhow!("no such file")), json!({ "error": "no such file" }));
        let refused = CniError::new(100, "full").with_json(&json!({ "hint": "more" }));
        let error = Err::<(), _>(super::super::explained(refused)).context("web");
        let object = object(&error.unwrap_err());
        assert_eq!((&object["code"], &object["msg"]), (&json!(100), &json!("full")));
        assert_eq!(object["details"]["hint"], "more");
        let text = object["error"].as_str().unwrap_or_default();
        assert_eq!(text, "web: full (code 100)\n  more");
    }

    #[test]
    fn people_are_told_what_the_message_lacks() {
        let told = |details: &str| lines("kernel: link eth0: refused", details);
        let ours = json!({
            "causes": ["link eth0: refused", "Operation not permitted"], "hint": "run it as root",
            "holder": { "network": "pods" }, "record": "/run/x.json"
        });
        let wanted = [
            "because: Operation not permitted",
            "run it as root",
            "the call again: wharfinger plugin replay /run/x.json",
        ];
        assert_eq!(told(&ours.to_string()), wanted);
        assert_eq!(told("line\nline"), ["line", "line"], "of another plugin");
        assert!(told("").is_empty());
    }
}
