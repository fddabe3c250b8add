//! Policies as they are written: in a conflist, in an `ipam` object, in the node's file.

use serde_json::{Map, Value};
use wharfinger_cni::NetConf;
use wharfinger_cni::conf::{ConfError, Field, Fields};

use crate::conf::Place;

/// One policy of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyConf {
    /// The component.
    pub plugin: String,
    /// Its own configuration.
    pub config: Map<String, Value>,
    /// Its failures are noted and passed; its refusals count.
    pub advisory: bool,
}

/// The policies of a configuration, and the pointer of their list.
pub(crate) fn read(
    conf: &NetConf,
    place: &Place,
) -> Result<(Vec<PolicyConf>, &'static str), ConfError> {
    let fields = conf.fields();
    let ipam = fields.object("ipam")?;
    if *place == Place::Ipam {
        let list = ipam.map(|ipam| ipam.list("policies")).transpose()?.flatten();
        return Ok((policies(list)?, "/ipam/policies"));
    }
    // Who wrote them there meant them, and they would not be heard.
    if let Some(ipam) = ipam
        && ipam.get("policies").is_some()
    {
        return Err(ipam.error("policies", "nothing: they stand at the top level, as /policies"));
    }
    Ok((policies(fields.list("policies")?)?, "/policies"))
}

/// The names of a configuration's own policies, as far as they can be read.
pub(crate) fn names(conf: &NetConf) -> Vec<String> {
    let list = conf.fields().list("policies").ok().flatten().unwrap_or_default();
    let name = |item: &Field<'_>| Some(item.object().ok()?.str("plugin").ok()??.to_owned());
    list.iter().filter_map(name).collect()
}

fn policies(list: Option<Vec<Field<'_>>>) -> Result<Vec<PolicyConf>, ConfError> {
    list.unwrap_or_default().iter().map(|item| policy(&item.object()?)).collect()
}

fn policy(fields: &Fields<'_>) -> Result<PolicyConf, ConfError> {
    fields.refuse_near_misses(&["plugin", "config", "onError"])?;
    let plugin = fields.str("plugin")?.filter(|name| !name.is_empty());
    let config = fields.object("config")?.map(|config| config.map().clone());
    Ok(PolicyConf {
        plugin: plugin.ok_or_else(|| fields.error("plugin", "the name of a policy"))?.to_owned(),
        config: config.unwrap_or_default(),
        advisory: match fields.str("onError")? {
            None | Some("deny") => false,
            Some("allow") => true,
            Some(_) => return Err(fields.error("onError", "deny or allow")),
        },
    })
}
