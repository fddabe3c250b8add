//! The variables of a call, validated for its verb alone (spec section 1).
//!
//! An empty variable is an unset one: libcni exports all six whatever the verb. It must never
//! look at a variable that the verb does not use: GC gets the attachment's empty, VERSION dummies.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::{parse_args, parse_args_leniently};
use crate::conf::{ConfError, shorten};
use crate::netconf::{NAME_ALLOWED, is_name};
use crate::verb::UnknownVerb;
use crate::{Args, CniError, Verb, code};

/// The environment of a call.
pub trait Env {
    /// A variable, as the system has it.
    fn var(&self, name: &str) -> Option<OsString>;
    /// The path names the network namespace that the plugin runs in. False where it names nothing.
    fn same_netns(&self, path: &Path) -> bool;
}

/// The verb; none where CNI_COMMAND is unset.
pub(crate) fn verb(env: &dyn Env) -> Result<Option<Verb>, CniError> {
    let Some(text) = non_empty(env, "CNI_COMMAND") else { return Ok(None) };
    let text = text.to_string_lossy();
    match text.parse() {
        Ok(verb) => Ok(Some(verb)),
        Err(UnknownVerb(_)) => Err(unknown_verb(&text)),
    }
}

fn unknown_verb(text: &str) -> CniError {
    let known = Verb::ALL.map(Verb::as_str).join(", ");
    CniError::new(
        code::BAD_ENVIRONMENT,
        format!("CNI_COMMAND is {:?}; known are {known}", shorten(text)),
    )
}

fn non_empty(env: &dyn Env, name: &str) -> Option<OsString> {
    env.var(name).filter(|value| !value.is_empty())
}

/// The variables of a verb other than VERSION.
#[derive(Debug)]
pub(crate) struct Vars {
    pub(crate) verb: Verb,
    pub(crate) container: String,
    pub(crate) ifname: String,
    pub(crate) netns: Option<PathBuf>,
    pub(crate) args: Args,
    pub(crate) path: Vec<PathBuf>,
    pub(crate) netns_override: bool,
}

/// Reads variables, and notes all that is wrong with them.
struct Reader<'a> {
    env: &'a dyn Env,
    missing: Vec<&'static str>,
    wrong: Vec<ConfError>,
}

impl Vars {
    /// Error 4 names every variable that is missing or wrong.
    pub(crate) fn read(env: &dyn Env, verb: Verb) -> Result<Self, CniError> {
        let mut reader = Reader { env, missing: Vec::new(), wrong: Vec::new() };
        let attachment = matches!(verb, Verb::Add | Verb::Del | Verb::Check);
        let mut vars = Self {
            verb,
            container: String::new(),
            ifname: String::new(),
            netns: None,
            args: Args::new(),
            path: Vec::new(),
            netns_override: reader.flag("CNI_NETNS_OVERRIDE"),
        };
        if attachment {
            vars.container = reader.text("CNI_CONTAINERID", NAME_ALLOWED, is_name);
            vars.netns = reader.netns(verb);
            vars.ifname = reader.text("CNI_IFNAME", IFNAME_ALLOWED, is_ifname);
            vars.args = reader.args(verb);
        }
        vars.path = reader.path(verb);
        reader.finish(verb).map(|()| vars)
    }
}

/// Whether an attachment may have these names, where they do not come in an environment: `container` as
/// CNI_CONTAINERID, `ifname` as CNI_IFNAME (spec section 2).
///
/// # Errors
/// The first that is refused; it names no variable, but what it is.
pub fn check_names(container: &str, ifname: &str) -> Result<(), ConfError> {
    let wrong = |what: &str, found: &str, allowed: &str| ConfError {
        pointer: what.to_owned(),
        found: format!("{:?}", shorten(found)),
        allowed: allowed.to_owned(),
    };
    if !is_name(container) {
        return Err(wrong("the container's id", container, NAME_ALLOWED));
    }
    if !is_ifname(ifname) {
        return Err(wrong("the interface's name", ifname, IFNAME_ALLOWED));
    }
    Ok(())
}

const IFNAME_ALLOWED: &str = "1 to 15 bytes without '/', ':' and white space, not \".\" or \"..\"";

fn is_ifname(text: &str) -> bool {
    let refused = |letter: char| matches!(letter, '/' | ':') || letter.is_whitespace();
    (1..=15).contains(&text.len()) && text != "." && text != ".." && !text.contains(refused)
}

impl Reader<'_> {
    fn wrong(&mut self, name: &str, value: &OsString, allowed: &str) {
        self.wrong.push(ConfError {
            pointer: name.to_owned(),
            found: format!("{:?}", shorten(&value.to_string_lossy())),
            allowed: allowed.to_owned(),
        });
    }

    /// A required text of this form; empty where it is missing or wrong.
    fn text(&mut self, name: &'static str, allowed: &str, good: impl Fn(&str) -> bool) -> String {
        let Some(value) = non_empty(self.env, name) else {
            self.missing.push(name);
            return String::new();
        };
        if let Some(text) = value.to_str().filter(|text| good(text)) {
            return text.to_owned();
        }
        self.wrong(name, &value, allowed);
        String::new()
    }

    /// Results are JSON and carry the path, so only DEL takes one that is not UTF-8.
    fn netns(&mut self, verb: Verb) -> Option<PathBuf> {
        const NAME: &str = "CNI_NETNS";
        let value = non_empty(self.env, NAME);
        match &value {
            None if verb != Verb::Del => self.missing.push(NAME),
            Some(path) if verb != Verb::Del && path.to_str().is_none() => {
                self.wrong(NAME, path, "a path in UTF-8");
            }
            _ => {}
        }
        value.map(PathBuf::from)
    }

    /// DEL does what it can: it drops what is no pair.
    fn args(&mut self, verb: Verb) -> Args {
        let Some(value) = non_empty(self.env, "CNI_ARGS") else { return Args::new() };
        if verb == Verb::Del {
            return parse_args_leniently(&value.to_string_lossy());
        }
        let Some(text) = value.to_str() else {
            self.wrong("CNI_ARGS", &value, "text in UTF-8");
            return Args::new();
        };
        parse_args(text).unwrap_or_else(|error| {
            self.wrong.push(error);
            Args::new()
        })
    }

    /// The specification requires it for GC only, where the delegates must be found.
    fn path(&mut self, verb: Verb) -> Vec<PathBuf> {
        let Some(value) = non_empty(self.env, "CNI_PATH") else {
            if verb == Verb::Gc {
                self.missing.push("CNI_PATH");
            }
            return Vec::new();
        };
        std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect()
    }

    fn flag(&self, name: &str) -> bool {
        let value = non_empty(self.env, name).unwrap_or_default();
        value == "1" || value.eq_ignore_ascii_case("true")
    }

    fn finish(self, verb: Verb) -> Result<(), CniError> {
        if self.missing.is_empty() && self.wrong.is_empty() {
            return Ok(());
        }
        let missing = self.missing.iter().map(|name| format!("{name} is not set"));
        let wrong = self.wrong.iter().map(|error| {
            format!("{} is {}, allowed: {}", error.pointer, error.found, error.allowed)
        });
        let all: Vec<String> = missing.chain(wrong).collect();
        let names: Vec<&str> = self.wrong.iter().map(|error| error.pointer.as_str()).collect();
        Err(CniError::new(code::BAD_ENVIRONMENT, format!("{verb} cannot run: {}", all.join("; ")))
            .with_json(&json!({ "missing": self.missing, "wrong": names })))
    }
}
