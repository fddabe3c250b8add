//! Lists with other plugins in them, run as a runtime's library runs them (libcni): ADD and CHECK in
//! their order, DEL in the reverse one, each plugin with what the list, the caller and the plugins
//! before it say. Entries of our own are answered in this process.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value, json};
use wharfinger_attach::conf::OUR_TYPE;
use wharfinger_cni::conf::{Fields, fold_eq};
use wharfinger_cni::{
    Attach, AttachmentId, CniError, NetConf, Node, Plugin, Success, ValidAttachment, Verb, Version,
};
use wharfinger_delegate::DelegateCall;

use super::by_hand::{detached, ready};
use super::network::List;
use super::results::Results;
use super::{Answer, explained, named, print};
use crate::cache::Kept;
use crate::program::Program;
use crate::serve::Served;

/// An attachment to a list, as its caller names it.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) id: AttachmentId,
    pub(super) netns: Option<PathBuf>,
    pub(super) args: Vec<(String, String)>,
    /// Values of capabilities.
    pub(super) capabilities: Map<String, Value>,
}

/// A list about to be run.
pub(super) struct Run<'a> {
    pub(super) program: &'a Program,
    pub(super) list: &'a List,
    pub(super) path: Vec<PathBuf>,
    pub(super) results: Results,
}

/// Of one call: for whom, and what is put into each configuration.
struct Call<'c> {
    verb: Verb,
    who: Option<&'c Who>,
    more: Vec<(&'static str, Value)>,
}

impl Run<'_> {
    /// Attaches; where one plugin fails, those that were begun are deleted.
    pub(super) fn add(&self, who: &Who) -> Result<Answer> {
        let mut result = Value::Null;
        for (number, plugin) in self.list.plugins.iter().enumerate() {
            let more = previous(&result);
            match self.one(&Call { verb: Verb::Add, who: Some(who), more }, plugin) {
                Ok(answer) => result = answer,
                Err(error) => return Err(self.undone(who, number, &result, error)),
            }
        }
        let mut kept = Kept::new(&who.id, &self.list.map);
        kept.netns = who.netns.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        kept.cni_args.clone_from(&who.args);
        kept.capability_args.clone_from(&who.capabilities);
        kept.result.clone_from(&result);
        if let Err(error) = self.results.put(&kept) {
            let all = self.list.plugins.len();
            let undone = self.delete(who, all, &result);
            return Err(undone.err().map_or(error, |more| anyhow!("{more:#}")));
        }
        print(&format!("{result:#}\n"))?;
        Ok(Answer::printed())
    }

    /// The error, and what could not be undone.
    fn undone(&self, who: &Who, number: usize, result: &Value, error: CniError) -> anyhow::Error {
        match self.delete(who, number + 1, result) {
            Ok(()) => explained(error),
            Err(more) => anyhow!("{:#}; and undoing it: {more:#}", explained(error)),
        }
    }

    /// Each plugin gets the result of the whole list.
    pub(super) fn check(&self, who: &Who) -> Result<Answer> {
        let checked = Answer::quiet(named(&who.id));
        if self.list.flag("disableCheck") {
            return Ok(checked);
        }
        let Some(kept) = self.results.get(&who.id) else {
            bail!("{} is not attached by this list, as far as its cache tells", who.id);
        };
        let who = Who { args: kept.cni_args, capabilities: kept.capability_args, ..who.clone() };
        for plugin in &self.list.plugins {
            let more = previous(&kept.result);
            self.one(&Call { verb: Verb::Check, who: Some(&who), more }, plugin)
                .map_err(explained)?;
        }
        Ok(checked)
    }

    /// Detaches, with what is kept of the ADD where something is.
    pub(super) fn del(&self, who: &Who) -> Result<Answer> {
        let kept = self.results.get(&who.id);
        let result = kept.as_ref().map(|kept| kept.result.clone()).unwrap_or_default();
        let who = match kept {
            Some(kept) if who.args.is_empty() && who.capabilities.is_empty() => {
                Who { args: kept.cni_args, capabilities: kept.capability_args, ..who.clone() }
            }
            _ => who.clone(),
        };
        self.delete(&who, self.list.plugins.len(), &result)?;
        self.results.remove(&who.id)?;
        Ok(detached(&who.id, !result.is_null()))
    }

    /// DEL of the first so many plugins, the last of them first. One that fails does not keep the
    /// others.
    fn delete(&self, who: &Who, count: usize, result: &Value) -> Result<()> {
        let with_result = self.list.version() >= Version::V0_4_0;
        let mut errors = Vec::new();
        for plugin in self.list.plugins.iter().take(count).rev() {
            let more = if with_result { previous(result) } else { Vec::new() };
            let done = self.one(&Call { verb: Verb::Del, who: Some(who), more }, plugin);
            errors.extend(done.err().map(|error| format!("{:#}", explained(error))));
        }
        if errors.is_empty() { Ok(()) } else { Err(anyhow!("{}", errors.join("; "))) }
    }

    /// The first plugin that is not well says so.
    pub(super) fn status(&self) -> Result<Answer> {
        if self.list.version() < Verb::Status.since() {
            bail!("network {}: its cniVersion has no STATUS; it came with 1.1.0", self.list.name());
        }
        for plugin in &self.list.plugins {
            let call = Call { verb: Verb::Status, who: None, more: Vec::new() };
            self.one(&call, plugin).map_err(explained)?;
        }
        Ok(ready(self.list.name(), &[]))
    }

    /// Deletes what is kept of others than `keep`, and has each plugin collect.
    pub(super) fn gc(&self, keep: &[ValidAttachment]) -> Result<()> {
        let mut errors = Vec::new();
        let all = self.results.of_network(self.list.name());
        for (done, kept) in all.iter().enumerate() {
            self.program.heard.progress().at(done, all.len(), "attachments");
            let id = kept.id();
            let valid =
                |it: &ValidAttachment| it.container == id.container && it.ifname == id.ifname;
            if !keep.iter().any(valid) {
                errors.extend(self.collect(kept).err().map(|error| format!("{error:#}")));
            }
        }
        if self.list.version() >= Verb::Gc.since() && !self.list.flag("disableGC") {
            let valid =
                |it: &ValidAttachment| json!({ "containerID": it.container, "ifname": it.ifname });
            let valid: Value = keep.iter().map(valid).collect();
            for plugin in &self.list.plugins {
                let keys = ["cni.dev/valid-attachments", "cni.dev/attachments"];
                let more = keys.map(|key| (key, valid.clone())).to_vec();
                let done = self.one(&Call { verb: Verb::Gc, who: None, more }, plugin);
                errors.extend(done.err().map(|error| format!("{:#}", explained(error))));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(anyhow!("{}", errors.join("; "))) }
    }

    fn collect(&self, kept: &Kept) -> Result<Answer> {
        let netns = Some(PathBuf::from(&kept.netns)).filter(|path| path.exists());
        let (args, capabilities) = (kept.cni_args.clone(), kept.capability_args.clone());
        self.del(&Who { id: kept.id(), netns, args, capabilities })
    }

    /// One plugin; an ADD's answer is its result in the list's version.
    fn one(&self, call: &Call<'_>, plugin: &Map<String, Value>) -> Result<Value, CniError> {
        let config = self.list.request(plugin, call);
        let conf = NetConf::parse(Value::Object(config).to_string().as_bytes(), &Version::ALL)?;
        if conf.plugin_type == OUR_TYPE {
            return self.ours(call, conf);
        }
        self.theirs(call, &conf)
    }

    fn ours(&self, call: &Call<'_>, conf: NetConf) -> Result<Value, CniError> {
        let served = Served::new(self.program);
        let Some(who) = call.who else {
            let node = Node { path: self.path.clone(), conf };
            match call.verb {
                Verb::Gc => served.gc(&node, &listed(call))?,
                _ => served.status(&node)?,
            }
            return Ok(Value::Null);
        };
        let version = conf.version;
        let prev_result = call.more.iter().find(|(key, _)| *key == "prevResult");
        let prev_result =
            prev_result.map(|(_, value)| Success::parse(version, value)).transpose()?;
        let attach = Attach {
            id: who.id.clone(),
            netns: who.netns.clone(),
            args: who.args.clone(),
            path: self.path.clone(),
            netns_override: false,
            conf,
            prev_result,
        };
        match call.verb {
            Verb::Add => {
                let success = served.add(&attach)?;
                // The next plugin has it now; what becomes of it is ours to see to.
                served.replied(&attach, true);
                return success.render(version);
            }
            Verb::Check => served.check(&attach)?,
            _ => served.del(&attach)?,
        }
        Ok(Value::Null)
    }

    fn theirs(&self, call: &Call<'_>, conf: &NetConf) -> Result<Value, CniError> {
        let id = call.who.map(|who| &who.id);
        let args = call.who.map(|who| who.args.as_slice()).unwrap_or_default();
        let args: Vec<String> = args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let netns = call.who.and_then(|who| who.netns.clone()).unwrap_or_default();
        let part = |part: fn(&AttachmentId) -> &String| -> OsString {
            id.map(part).cloned().unwrap_or_default().into()
        };
        let env = [
            ("CNI_CONTAINERID", part(|id| &id.container)),
            ("CNI_IFNAME", part(|id| &id.ifname)),
            ("CNI_NETNS", netns.into_os_string()),
            ("CNI_ARGS", args.join(";").into()),
            ("CNI_PATH", std::env::join_paths(&self.path).unwrap_or_default()),
        ];
        let answer = self.program.delegate(&DelegateCall {
            name: &conf.plugin_type,
            verb: call.verb,
            path: &self.path,
            env: &env,
            config: &conf.raw,
            may_be_us: true,
        })?;
        match (call.verb, answer) {
            (Verb::Add, Some(answer)) => {
                Success::parse(conf.version, &Value::Object(answer))?.render(conf.version)
            }
            _ => Ok(Value::Null),
        }
    }
}

/// A plugin's result for the next one.
fn previous(result: &Value) -> Vec<(&'static str, Value)> {
    if result.is_null() { Vec::new() } else { vec![("prevResult", result.clone())] }
}

/// GC's list, for entries of our own.
fn listed(call: &Call<'_>) -> Vec<ValidAttachment> {
    let list = call.more.first().map(|(_, list)| list.clone()).unwrap_or_default();
    serde_json::from_value(list).unwrap_or_default()
}

impl List {
    /// The plugin's configuration as it is sent (spec section 3, "Deriving request
    /// configuration").
    fn request(&self, plugin: &Map<String, Value>, call: &Call<'_>) -> Map<String, Value> {
        let mut request = plugin.clone();
        let mut put = |key: &str, value: Value| {
            request.retain(|spelled, _| !fold_eq(spelled, key));
            request.insert(key.to_owned(), value);
        };
        put("name", self.name().into());
        if let Some(version) = self.map.get("cniVersion") {
            put("cniVersion", version.clone());
        }
        let takes = Fields::new(plugin, "").object("capabilities").ok().flatten();
        let takes = |name: &str| {
            takes.as_ref().and_then(|it| it.map().get(name)) == Some(&Value::Bool(true))
        };
        let offered = call.who.map(|who| who.capabilities.clone()).unwrap_or_default();
        let runtime: Map<_, _> = offered.into_iter().filter(|(name, _)| takes(name)).collect();
        if !runtime.is_empty() {
            put("runtimeConfig", Value::Object(runtime));
        }
        for (key, value) in &call.more {
            put(key, value.clone());
        }
        request
    }
}
