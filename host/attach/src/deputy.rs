//! Executables of CNI_PATH that decide on addresses in our stead (spec section 6): each verb is
//! passed on, and an allocation of an ADD that comes to nothing is given back. How such an
//! executable is called is here as well, for those that we stand around.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use wharfinger_cni::conf::Fields;
use wharfinger_cni::{Attach, AttachmentId, NetConf, Node, Success, ValidAttachment, Version};
use wharfinger_delegate::{DelegateCall, DelegateError, Verb};
use wharfinger_ledger::Record;

use crate::conf::{self, Place, Source};
use crate::{Error, Host, allow, chain, names, reserve, wrap};

/// The keys of GC's list: the specification's, and that of the first text of its version.
pub(crate) const VALID: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

/// Where the end of an attachment finds it.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    /// Who asks, where somebody does.
    pub(crate) call: Option<&'a Attach>,
    /// A path of its own namespace, where that is still to be had.
    pub(crate) netns: Option<&'a Path>,
}

/// All that a call of an executable needs.
pub(crate) struct Call<'a> {
    name: &'a str,
    id: Option<&'a AttachmentId>,
    netns: Option<OsString>,
    args: String,
    path: Vec<PathBuf>,
    config: &'a Map<String, Value>,
    wrapped: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn of(call: &'a Attach, name: &'a str, config: &'a Map<String, Value>) -> Self {
        Self {
            name,
            id: Some(&call.id),
            netns: call.netns.clone().map(PathBuf::into_os_string),
            args: joined(&call.args),
            path: call.path.clone(),
            config,
            wrapped: false,
        }
    }

    /// As it was called at ADD.
    pub(crate) fn recorded(
        record: &'a Record,
        at: At<'_>,
        name: &'a str,
        config: &'a Map<String, Value>,
    ) -> Self {
        let args = record.conf.get("args").and_then(Value::as_str).unwrap_or_default();
        Self {
            name,
            id: Some(&record.id),
            netns: at.netns.map(OsString::from),
            args: args.to_owned(),
            path: folders(record, at.call),
            config,
            wrapped: false,
        }
    }

    /// About a network.
    pub(crate) fn of_node(name: &'a str, path: &[PathBuf], config: &'a Map<String, Value>) -> Self {
        let (id, netns, args, path) = (None, None, String::new(), path.to_vec());
        Self { name, id, netns, args, path, config, wrapped: false }
    }

    /// It has a configuration of its own, so it may be ourselves under another name: with ours, that
    /// would go round.
    pub(crate) fn wrapped(self) -> Self {
        Self { wrapped: true, ..self }
    }

    pub(crate) fn run(&self, host: &Host, verb: Verb) -> Result<Option<Map<String, Value>>, Error> {
        let container = self.id.map(|id| id.container.clone()).unwrap_or_default();
        let ifname = self.id.map(|id| chain::interface(&id.ifname)).unwrap_or_default();
        let path = std::env::join_paths(&self.path).unwrap_or_default();
        let env = [
            ("CNI_CONTAINERID", container.into()),
            ("CNI_IFNAME", ifname.into()),
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
            may_be_us: self.wrapped,
        };
        match host.delegate.run(&call) {
            // Nobody was ever run there, so there is nothing to delete; to fail would be to keep the
            // attachment for ever.
            Err(DelegateError::Circle { .. } | DelegateError::Depth { .. })
                if verb == Verb::Del =>
            {
                Ok(None)
            }
            ran => Ok(ran?),
        }
    }
}

fn joined(args: &[(String, String)]) -> String {
    args.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(";")
}

/// Asks the executable for addresses. Where it fails, what it may have taken is given back.
pub(crate) fn add(host: &Host, call: &Attach, name: &str) -> Result<Success, Error> {
    let answer = Call::of(call, name, &call.conf.raw).run(host, Verb::Add)?;
    result(name, call, answer)
}

/// What an executable printed, as a result.
pub(crate) fn result(
    name: &str,
    call: &Attach,
    answer: Option<Map<String, Value>>,
) -> Result<Success, Error> {
    Success::parse(call.conf.version, &Value::Object(answer.unwrap_or_default()))
        .map_err(|source| Error::NoResult { name: name.to_owned(), source })
}

/// Whether an executable failed without having run, or all of several did.
pub(crate) fn not_there(error: &Error) -> bool {
    use wharfinger_delegate::DelegateError as E;
    match error {
        Error::Several(errors) => errors.iter().all(not_there),
        Error::Delegate(
            E::BadName(_) | E::NotFound { .. } | E::Circle { .. } | E::Depth { .. },
        ) => true,
        _ => false,
    }
}

/// Asks the executables that had a part in the attachment whether all is as they made it.
pub(crate) fn check(host: &Host, call: &Attach, record: &Record) -> Result<(), Error> {
    if is_wrapper(&call.conf) {
        return wrap::check(host, call, record);
    }
    if let Some(reserved) = reserve::of_called(host, &call.conf, &call.path) {
        return reserve::check(&reserved, call);
    }
    match executable(host, &call.conf, &call.path) {
        Some(name) => Call::of(call, &name, &call.conf.raw).run(host, Verb::Check).map(drop),
        None => Ok(()),
    }
}

fn is_wrapper(conf: &NetConf) -> bool {
    conf::place(conf).is_ok_and(|place| place == Place::Wrapper)
}

/// Asks the executables whether they can serve.
pub(crate) fn status(host: &Host, call: &Attach) -> Result<(), Error> {
    if is_wrapper(&call.conf) {
        return wrap::status(host, call);
    }
    let Some(name) = executable(host, &call.conf, &call.path) else { return Ok(()) };
    Call::of_node(&name, &call.path, &call.conf.raw).run(host, Verb::Status).map(drop)
}

/// Passes the runtime's list on.
pub(crate) fn gc(host: &Host, call: &Node, valid: &[ValidAttachment]) -> Result<(), Error> {
    let entry = |v: &ValidAttachment| json!({ "containerID": v.container, "ifname": v.ifname });
    let valid: Value = valid.iter().map(entry).collect();
    if is_wrapper(&call.conf) {
        return wrap::gc(host, call, &valid);
    }
    let Some(name) = executable(host, &call.conf, &call.path) else { return Ok(()) };
    let mut config = Cow::Borrowed(&call.conf.raw);
    for key in VALID.iter().filter(|key| call.conf.raw.get(**key) != Some(&valid)) {
        config.to_mut().insert((*key).to_owned(), valid.clone());
    }
    Call::of_node(&name, &call.path, &config).run(host, Verb::Gc).map(drop)
}

/// The executable that a configuration names and the node allows; none also where it cannot be read, as with a DEL
/// that has no more than the network's name.
fn executable(host: &Host, conf: &NetConf, path: &[PathBuf]) -> Option<String> {
    named(host, conf, path).filter(|name| allow::delegate(host, conf, name))
}

/// As [`executable`], allowed or not: what was run while it was allowed must give back.
fn named(host: &Host, conf: &NetConf, path: &[PathBuf]) -> Option<String> {
    // Without a driver we ask nobody for addresses.
    if matches!(conf::place(conf), Ok(Place::Chained | Place::Wrapper)) {
        return None;
    }
    match conf::ipam(conf, host, path).ok()??.source {
        Source::Executable(name) => Some(name),
        Source::Component(_) | Source::Dhcp => None,
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

/// Has the executables that were run at ADD undo what they did. What the record does not tell,
/// since it was rebuilt from the kernel, `call` may.
pub(crate) fn release(host: &Host, record: &Record, at: At<'_>) -> Result<(), Error> {
    if !record.conf.get("network").is_some_and(Value::is_object) {
        return at.call.map_or(Ok(()), |call| release_called(host, call));
    }
    let Some(conf) = kept_conf(&record.conf) else { return Ok(()) };
    if is_wrapper(&conf) {
        return wrap::release(host, record, &conf, at);
    }
    let path = folders(record, at.call);
    if let Some(reserved) = reserve::of_conf(host, &conf, &path) {
        return reserve::release(&reserved, &record.id);
    }
    let Some(name) = named(host, &conf, &path) else { return Ok(()) };
    Call::recorded(record, at, &name, &conf.raw).run(host, Verb::Del).map(drop)
}

/// The configuration that a record keeps, as it was read at ADD.
pub(crate) fn kept_conf(kept: &Value) -> Option<NetConf> {
    let network = kept.get("network")?.to_string();
    let mut conf = NetConf::parse(network.as_bytes(), &Version::ALL).ok()?;
    kept.get("called").and_then(Value::as_str).unwrap_or_default().clone_into(&mut conf.called);
    Some(conf)
}

/// Where the caller says that executables are, and then where they were at ADD: one that was
/// moved since is found.
pub(crate) fn folders(record: &Record, call: Option<&Attach>) -> Vec<PathBuf> {
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

/// As [`release`], where there is no record: by what the caller says. The ADD of an executable that
/// is not there failed, and left no record; to fail would be to keep the attachment for ever.
pub(crate) fn release_unrecorded(host: &Host, call: &Attach) -> Result<(), Error> {
    match release_called(host, call) {
        Err(error) if not_there(&error) => Ok(()),
        released => released,
    }
}

fn release_called(host: &Host, call: &Attach) -> Result<(), Error> {
    if is_wrapper(&call.conf) {
        return wrap::release_called(host, call);
    }
    if let Some(reserved) = reserve::of_called(host, &call.conf, &call.path) {
        return reserve::release(&reserved, &call.id);
    }
    match executable(host, &call.conf, &call.path) {
        Some(name) => Call::of(call, &name, &call.conf.raw).run(host, Verb::Del).map(drop),
        None => Ok(()),
    }
}

/// `coolDown` of a kept configuration.
pub(crate) fn cool_down(kept: &Value) -> std::time::Duration {
    let ipam = kept.get("network").and_then(|network| network.get("ipam"));
    ipam.and_then(Value::as_object)
        .and_then(|ipam| Fields::new(ipam, "/ipam").u32("coolDown").ok().flatten())
        .map_or(conf::COOL_DOWN, |seconds| std::time::Duration::from_secs(seconds.into()))
}
