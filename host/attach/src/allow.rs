//! The node's lists: what a configuration may name at all, whoever wrote it. A conflist can come
//! from a tenant, so these stand in the node's file, and a policy's patch does not get past them.

use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};
use wharfinger_cni::NetConf;
use wharfinger_cni::conf::{ConfError, Fields, fold_eq, pointer_token};
use wharfinger_drivers::features::Feature;

use crate::conf::{IpamConf, Place, Source};
use crate::policy::Policies;
use crate::wrap::Wrapped;
use crate::{Error, Host, dhcp, error, names};

/// `[allow]` of the node's file. A list that is not there allows all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    /// Drivers.
    pub drivers: Option<Vec<String>>,
    /// What `features` may have, and under which reference plugin's name we may add something.
    pub features: Option<Vec<String>>,
    /// Executables of CNI_PATH, for addresses and in `delegate`.
    pub delegates: Option<Vec<String>>,
    /// Components, for addresses and as policies of a conflist; as they are named there.
    pub components: Option<Vec<String>>,
    /// Kernel settings; `*` at an end stands for any rest: `net.ipv4.conf.*`.
    pub sysctls: Option<Vec<String>>,
    /// Directories that hold every file which a configuration names.
    pub directories: Option<Vec<PathBuf>>,
}

/// Where a configuration has paths that are no choice of its author: what the runtime and the pod
/// wrote names no file that anybody opens, and components have a list of their own.
const NOT_FILES: &[&str] = &["prevResult", "runtimeConfig", "args", "policies"];

/// Refuses a configuration that names what the lists do not have.
pub(crate) fn check(
    host: &Host,
    conf: &NetConf,
    place: &Place,
    ipam: Option<&IpamConf>,
) -> Result<(), Error> {
    let allow = &host.settings.allow;
    if let Place::Main { driver } = place {
        listed(allow.drivers.as_ref(), "drivers", "/driver", driver)?;
        keys(host, conf, driver)?;
    }
    match ipam.map(|ipam| (&ipam.source, ipam.pointer())) {
        Some((Source::Component(name), pointer)) => {
            listed(allow.components.as_ref(), "components", pointer, name)?;
        }
        Some((Source::Dhcp, pointer)) => {
            listed(allow.components.as_ref(), "components", pointer, dhcp::NAME)?;
        }
        Some((Source::Executable(name), pointer)) => {
            listed(allow.delegates.as_ref(), "delegates", pointer, name)?;
        }
        None => {}
    }
    if *place == Place::Wrapper {
        for (name, pointer) in Wrapped::read(conf)?.names() {
            listed(allow.delegates.as_ref(), "delegates", pointer, name)?;
        }
    }
    features(allow, conf, place)?;
    if allow.components.is_some() {
        for (name, pointer) in Policies::named(conf, place)? {
            listed(allow.components.as_ref(), "components", &pointer, &name)?;
        }
    }
    sysctls(allow, conf)?;
    files(host, conf)
}

/// What is encrypted, and has no keys, would be attached, and reach nobody.
fn keys(host: &Host, conf: &NetConf, driver: &str) -> Result<(), Error> {
    let fields = conf.fields();
    match host.settings.no_keys {
        Some(why) if driver == "overlay" && fields.bool("encrypt")? == Some(true) => {
            Err(fields.error("encrypt", why).into())
        }
        _ => Ok(()),
    }
}

/// The reference plugin's own list of kernel parameters. Where there is none, the node's list
/// counts alone.
const SYSCTL_LIST: &str = "/etc/cni/tuning/allowlist.conf";

/// Refuses kernel parameters that the reference plugin's list does not have.
pub(crate) fn listed_sysctls(host: &Host, features: &[Feature]) -> Result<(), Error> {
    let mut asking = features.iter().filter(|feature| feature.sets_sysctls()).peekable();
    if asking.peek().is_none() {
        return Ok(());
    }
    match host.node.read(Path::new(SYSCTL_LIST)) {
        Ok(list) => Ok(asking.try_for_each(|feature| feature.check_sysctls(&list))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ConfError {
            pointer: SYSCTL_LIST.to_owned(),
            found: error.to_string(),
            allowed: "a file that can be read, or none".to_owned(),
        }
        .into()),
    }
}

/// Whether an executable may be run with this configuration.
pub(crate) fn delegate(host: &Host, conf: &NetConf, name: &str) -> bool {
    let list = host.settings.allow.delegates.as_ref();
    listed(list, "delegates", "", name).is_ok() && files(host, conf).is_ok()
}

fn listed(
    list: Option<&Vec<String>>,
    setting: &'static str,
    pointer: &str,
    name: &str,
) -> Result<(), Error> {
    match list {
        Some(list) if !list.iter().any(|known| known == name) => {
            Err(not_allowed(setting, pointer, name, list))
        }
        _ => Ok(()),
    }
}

fn not_allowed(setting: &'static str, pointer: &str, name: &str, list: &[String]) -> Error {
    Error::NotAllowed {
        setting,
        pointer: error::shown(pointer),
        name: error::shown(name),
        allowed: list.join(", "),
    }
}

/// What is added to an attachment.
fn features(allow: &Allow, conf: &NetConf, place: &Place) -> Result<(), Error> {
    let list = allow.features.as_ref();
    if *place == Place::Chained && names::kind(&conf.called).is_some() {
        return listed(list, "features", "/type", &conf.called);
    }
    let Some(features) = conf.fields().object("features")? else { return Ok(()) };
    for key in features.map().keys() {
        listed(list, "features", &features.pointer_of(key), &key.to_ascii_lowercase())?;
    }
    Ok(())
}

/// Kernel settings, as `tuning` has them: at the top level, among our features, in what we stand
/// around, and what the pod's author asks of it.
fn sysctls(allow: &Allow, conf: &NetConf) -> Result<(), Error> {
    let Some(list) = &allow.sysctls else { return Ok(()) };
    let fields = conf.fields();
    let mut places = vec![fields.clone()];
    let tuning = object(&fields, &["features", "tuning"]);
    // The pod's author is only heard by who tunes.
    if tuning.is_some() || conf.called == "tuning" || fields.get("delegate").is_some() {
        places.extend(object(&fields, &["args", "cni"]));
    }
    places.extend(tuning);
    if let Some(delegate) = object(&fields, &["delegate"]) {
        let plugins = delegate.list("plugins").ok().flatten().unwrap_or_default();
        places.extend(plugins.iter().filter_map(|plugin| plugin.object().ok()));
        places.push(delegate);
    }
    for fields in places {
        let Some(sysctl) = fields.object("sysctl")? else { continue };
        for key in sysctl.map().keys() {
            let allowed = list.iter().any(|pattern| matches(pattern, key));
            if !allowed {
                return Err(not_allowed("sysctls", &sysctl.pointer_of(key), key, list));
            }
        }
    }
    Ok(())
}

/// The object at a path of keys, as far as it is one.
fn object<'a>(fields: &Fields<'a>, path: &[&str]) -> Option<Fields<'a>> {
    path.iter().try_fold(fields.clone(), |fields, key| fields.object(key).ok().flatten())
}

/// sysctl(8) has `/` and `.` for the same.
fn matches(pattern: &str, key: &str) -> bool {
    let (pattern, key) = (pattern.replace('/', "."), key.replace('/', "."));
    match pattern.strip_suffix('*') {
        Some(start) => key.starts_with(start),
        None => pattern == key,
    }
}

/// Every path that the configuration names is in one of the directories: of some keys we know
/// that they are paths, of others by how they begin. Without a record nobody knows that an ADD came
/// past this, so it holds for a DEL too.
pub(crate) fn files(host: &Host, conf: &NetConf) -> Result<(), Error> {
    let Some(directories) = &host.settings.allow.directories else { return Ok(()) };
    let mut paths = Vec::new();
    collect(&conf.raw, "", &mut paths);
    for (pointer, text) in paths {
        if !inside(host, directories, Path::new(text)) {
            let list: Vec<String> = directories.iter().map(|d| d.display().to_string()).collect();
            return Err(not_allowed("directories", &pointer, text, &list));
        }
    }
    Ok(())
}

fn collect<'v>(map: &'v Map<String, Value>, pointer: &str, paths: &mut Vec<(String, &'v str)>) {
    let is = |key: &str, names: &[&str]| names.iter().any(|name| fold_eq(key, name));
    let ipam = fold_eq(pointer, "/ipam");
    for (key, value) in map {
        let here = format!("{pointer}/{}", pointer_token(key));
        let skipped = if ipam { &["policies", "plugin", "type"] } else { NOT_FILES };
        if (pointer.is_empty() || ipam) && is(key, skipped) {
            continue;
        }
        let named = is(key, &["dataDir", "resolvConf", "daemonSocketPath"]);
        gather(value, here, named, paths);
    }
}

fn gather<'v>(value: &'v Value, here: String, named: bool, paths: &mut Vec<(String, &'v str)>) {
    match value {
        Value::String(text) if named && !text.is_empty() || text.starts_with('/') => {
            paths.push((here, text));
        }
        Value::Object(map) => collect(map, &here, paths),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                gather(item, format!("{here}/{index}"), named, paths);
            }
        }
        _ => {}
    }
}

/// Whether the file is in one of the directories, also when links are followed. A path that
/// climbs is not judged at all.
fn inside(host: &Host, directories: &[PathBuf], path: &Path) -> bool {
    let climbs = path.components().any(|part| part == Component::ParentDir);
    if climbs || !path.is_absolute() {
        return false;
    }
    let Ok(real) = host.node.real_path(path) else { return false };
    directories.iter().any(|directory| {
        let held = host.node.real_path(directory);
        path.starts_with(directory) && held.is_ok_and(|held| real.starts_with(held))
    })
}
