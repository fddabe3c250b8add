//! Executables of CNI_PATH that decide on addresses in our stead (spec section 6): each verb is
//! passed on, and an allocation of an ADD that comes to nothing is given back.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use wharfinger_cni::conf::Fields;
use wharfinger_cni::{Attach, AttachmentId, NetConf, Node, Success, Version};
use wharfinger_delegate::{DelegateCall, Verb};
use wharfinger_ledger::Record;

use crate::conf::{self, Place, Source};
use crate::{Error, Host, allow, names};

/// All that a call of an executable needs.
struct Call<'a> {
    name: &'a str,
    id: Option<&'a AttachmentId>,
    netns: Option<OsString>,
    args: String,
    path: Vec<PathBuf>,
    config: &'a Map<String, Value>,
}

impl<'a> Call<'a> {
    fn of(call: &'a Attach, name: &'a str) -> Self {
        Self {
            name,
            id: Some(&call.id),
            netns: call.netns.clone().map(PathBuf::into_os_string),
            args: joined(&call.args),
            path: call.path.clone(),
            config: &call.conf.raw,
        }
    }

    fn run(&self, host: &Host, verb: Verb) -> Result<Option<Map<String, Value>>, Error> {
        let part = |part: fn(&AttachmentId) -> &String| {
            OsString::from(self.id.map(part).cloned().unwrap_or_default())
        };
        let path = std::env::join_paths(&self.path).unwrap_or_default();
        let env = [
            ("CNI_CONTAINERID", part(|id| &id.container)),
            ("CNI_IFNAME", part(|id| &id.ifname)),
            ("CNI_NETNS", self.netns.clone().unwrap_or_default()),
            ("CNI_ARGS", self.args.clone().into()),
            ("CNI_PATH", path),
        ];
        let call = DelegateCall {
            name: self.name,
            verb,
            path: &self.path,
            env: &env,
            config: self.config,
        };
        Ok(host.delegate.run(&call)?)
    }
}

fn joined(args: &[(String, String)]) -> String {
    args.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(";")
}

/// Asks the executable for addresses. Where it fails, what it may have taken is given back.
pub(crate) fn add(host: &Host, call: &Attach, name: &str) -> Result<Success, Error> {
    let deputy = Call::of(call, name);
    let answer = deputy.run(host, Verb::Add)?.unwrap_or_default();
    Success::parse(call.conf.version, &Value::Object(answer))
        .map_err(|source| Error::NoResult { name: name.to_owned(), source })
}

/// Whether an executable failed without having run.
pub(crate) fn not_there(error: &Error) -> bool {
    use wharfinger_delegate::DelegateError as E;
    matches!(error, Error::Delegate(E::BadName(_) | E::NotFound { .. } | E::Circle { .. }))
}

/// Asks the executable that decided whether it still knows of it.
pub(crate) fn check(host: &Host, call: &Attach) -> Result<(), Error> {
    attachment_verb(host, call, Verb::Check)
}

fn attachment_verb(host: &Host, call: &Attach, verb: Verb) -> Result<(), Error> {
    match executable(host, &call.conf) {
        Some(name) => Call::of(call, &name).run(host, verb).map(drop),
        None => Ok(()),
    }
}

/// Asks the executable whether it can serve.
pub(crate) fn status(host: &Host, call: &Attach) -> Result<(), Error> {
    node_verb(host, &call.conf, &call.path, Verb::Status)
}

/// Passes the runtime's list on.
pub(crate) fn gc(host: &Host, call: &Node) -> Result<(), Error> {
    node_verb(host, &call.conf, &call.path, Verb::Gc)
}

fn node_verb(host: &Host, conf: &NetConf, path: &[PathBuf], verb: Verb) -> Result<(), Error> {
    let Some(name) = executable(host, conf) else { return Ok(()) };
    let deputy = Call {
        name: &name,
        id: None,
        netns: None,
        args: String::new(),
        path: path.to_vec(),
        config: &conf.raw,
    };
    deputy.run(host, verb).map(drop)
}

/// The executable that a configuration names and the node allows; none also where it cannot be read, as with a DEL
/// that has no more than the network's name.
fn executable(host: &Host, conf: &NetConf) -> Option<String> {
    named(host, conf).filter(|name| allow::delegate(host, name))
}

/// As [`executable`], allowed or not: what was run while it was allowed must give back.
fn named(host: &Host, conf: &NetConf) -> Option<String> {
    // Without a driver we ask nobody for addresses.
    if conf::place(conf).is_ok_and(|place| place == Place::Chained) {
        return None;
    }
    match conf::ipam(conf, host.engine).ok()??.source {
        Source::Executable(name) => Some(name),
        Source::Component(_) => None,
    }
}

/// What a record keeps of the ADD's call: all that a later DEL needs, should the runtime's own
/// memory of it be gone.
/// `remote` tells that somebody else is to hear of the attachment's end.
pub(crate) fn kept(call: &Attach, remote: bool) -> Value {
    let args = joined(&call.args);
    let mut kept =
        json!({ "network": call.conf.raw, "args": args, "path": call.path, "remote": remote });
    if names::kind(&call.conf.called).is_some()
        && let Some(map) = kept.as_object_mut()
    {
        map.insert("called".to_owned(), call.conf.called.clone().into());
    }
    kept
}

/// Has the executable that decided at ADD give back what it gave. What the record does not tell,
/// since it was rebuilt from the kernel, `call` may.
pub(crate) fn release(host: &Host, record: &Record, call: Option<&Attach>) -> Result<(), Error> {
    if record.conf.get("network").is_none() {
        return call.map_or(Ok(()), |call| release_unrecorded(host, call));
    }
    let Some(conf) = kept_conf(&record.conf) else { return Ok(()) };
    let Some(name) = named(host, &conf) else { return Ok(()) };
    let text = |key: &str| record.conf.get(key).and_then(Value::as_str).unwrap_or_default();
    let deputy = Call {
        name: &name,
        id: Some(&record.id),
        netns: record.netns.clone().map(OsString::from),
        args: text("args").to_owned(),
        path: folders(record, call),
        config: &conf.raw,
    };
    deputy.run(host, Verb::Del).map(drop)
}

/// The configuration that a record keeps, as it was read at ADD.
pub(crate) fn kept_conf(kept: &Value) -> Option<NetConf> {
    let network = kept.get("network")?.to_string();
    let mut conf = NetConf::parse(network.as_bytes(), &Version::ALL).ok()?;
    conf.called = kept.get("called").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(conf)
}

/// Where the caller says that executables are, and then where they were at ADD: one that was
/// moved since is found.
fn folders(record: &Record, call: Option<&Attach>) -> Vec<PathBuf> {
    let kept = record.conf.get("path").cloned().unwrap_or_default();
    let kept: Vec<PathBuf> = serde_json::from_value(kept).unwrap_or_default();
    let mut folders = call.map(|call| call.path.clone()).unwrap_or_default();
    for folder in kept {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// As [`release`], where there is no record: by what the caller says.
pub(crate) fn release_unrecorded(host: &Host, call: &Attach) -> Result<(), Error> {
    attachment_verb(host, call, Verb::Del)
}

/// `coolDown` of a kept configuration.
pub(crate) fn cool_down(kept: &Value) -> std::time::Duration {
    let ipam = kept.get("network").and_then(|network| network.get("ipam"));
    ipam.and_then(Value::as_object)
        .and_then(|ipam| Fields::new(ipam, "/ipam").u32("coolDown").ok().flatten())
        .map_or(conf::COOL_DOWN, |seconds| std::time::Duration::from_secs(seconds.into()))
}
