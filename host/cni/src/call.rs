//! A call: its variables and its configuration, put together and checked (spec sections 1 to 3).
//!
//! DEL drops what it cannot use, with a note; it must never fail for that. Nothing here may take a
//! list of GC that it cannot read for an empty one.
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::conf::{ConfError, Field, Fields};
use crate::vars::{Env, Vars};
use crate::{Attach, AttachmentId, CniError, NetConf, Node, Success, ValidAttachment, Verb, code};

/// Error 1 where the configuration's version does not have the verb yet.
pub(crate) fn refuse_younger(verb: Verb, conf: &NetConf) -> Result<(), CniError> {
    if conf.version >= verb.since() {
        return Ok(());
    }
    Err(CniError::new(
        code::INCOMPATIBLE_VERSION,
        format!(
            "CNI version {} of network {} has no {verb}; it came with {}",
            conf.version,
            conf.name,
            verb.since()
        ),
    )
    .with_json(&json!({ "cniVersion": conf.version.as_str(), "needed": verb.since().as_str() })))
}

impl Vars {
    /// The attachment that ADD, DEL or CHECK is about, and a note where something of the call is
    /// passed over.
    ///
    /// Errors: 8 where the namespace is our own (DEL takes it for absent), 6 for a `prevResult`
    /// that cannot be read, 7 for a CHECK without one.
    pub(crate) fn attach(
        self,
        env: &dyn Env,
        conf: NetConf,
    ) -> Result<(Attach, Option<String>), CniError> {
        let mut call = Attach {
            id: AttachmentId {
                network: conf.name.clone(),
                container: self.container,
                ifname: self.ifname,
            },
            netns: self.netns,
            args: self.args,
            path: self.path,
            netns_override: self.netns_override,
            conf,
            prev_result: None,
        };
        let own = |path: &PathBuf| !call.netns_override && env.same_netns(path);
        let own = call.netns.as_ref().is_some_and(own);
        match (self.verb, prev_result(&call.conf)) {
            (Verb::Del, prev) => Ok(del(call, own, prev)),
            (verb, _) if own => Err(own_netns(verb, &call)),
            (Verb::Check, Ok(None)) => Err(no_prev_result(&call)),
            (_, prev) => {
                call.prev_result = prev?;
                Ok((call, None))
            }
        }
    }

    /// What STATUS and GC are about.
    pub(crate) fn node(self, conf: NetConf) -> Node {
        Node { path: self.path, conf }
    }
}

/// DEL goes on without what it cannot use.
fn del(
    mut call: Attach,
    own: bool,
    prev: Result<Option<Success>, CniError>,
) -> (Attach, Option<String>) {
    let mut notes = Vec::new();
    if own {
        call.netns = None;
        notes.push(format!("DEL of {}: CNI_NETNS is our own namespace, left alone", call.id));
    }
    match prev {
        Ok(prev) => call.prev_result = prev,
        Err(error) => notes.push(format!("DEL of {} goes on without prevResult: {error}", call.id)),
    }
    (call, (!notes.is_empty()).then(|| notes.join("\n")))
}

fn prev_result(conf: &NetConf) -> Result<Option<Success>, CniError> {
    let Some(field) = conf.fields().get("prevResult") else { return Ok(None) };
    Success::parse_at(&field.pointer, conf.version, field.value).map(Some).map_err(|error| {
        CniError { msg: format!("prevResult of network {}: {}", conf.name, error.msg), ..error }
    })
}

fn own_netns(verb: Verb, call: &Attach) -> CniError {
    let path = call.netns.as_deref().unwrap_or(Path::new(""));
    CniError::new(
        code::INVALID_NETNS,
        format!(
            "{verb} of {}: CNI_NETNS {} is the namespace that the plugin runs in",
            call.id,
            path.display()
        ),
    )
    .with_details("give the container a namespace of its own, or set CNI_NETNS_OVERRIDE=1")
}

fn no_prev_result(call: &Attach) -> CniError {
    CniError::new(
        code::INVALID_CONFIG,
        format!("CHECK of {}: the configuration has no prevResult to check against", call.id),
    )
}

/// What GC is to keep: `cni.dev/valid-attachments`, else `cni.dev/attachments`, else nothing.
///
/// Error 7 for a list that cannot be read: whatever it was to keep would be removed.
pub(crate) fn valid_attachments(conf: &NetConf) -> Result<Vec<ValidAttachment>, CniError> {
    let fields = conf.fields();
    let keys = ["cni.dev/valid-attachments", "cni.dev/attachments"];
    let Some(list) = keys.into_iter().find_map(|key| fields.get(key)) else {
        return Ok(Vec::new());
    };
    Ok(list.list()?.iter().map(valid_attachment).collect::<Result<_, _>>()?)
}

fn valid_attachment(item: &Field<'_>) -> Result<ValidAttachment, ConfError> {
    let fields = item.object()?;
    Ok(ValidAttachment {
        container: given(&fields, "containerID")?,
        ifname: given(&fields, "ifname")?,
    })
}

fn given(fields: &Fields<'_>, key: &str) -> Result<String, ConfError> {
    match fields.str(key)?.filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(fields.error(key, "a text that is not empty")),
    }
}
