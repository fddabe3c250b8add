//! What a policy may change of a configuration: without a grant what cannot raise anybody's
//! privilege, with one what the grant names, and some things never. Pure.

use serde_json::{Map, Value};
use wharfinger_cni::conf::{Fields, fold_eq};

/// Any policy may change these, and what is in them. Of `/ipam/ranges` it may only leave some.
const FREE: &[&[&str]] = &[
    &["mtu"],
    &["dns"],
    &["ipam", "dns"],
    &["ipam", "ranges"],
    &["ipam", "routes"],
    &["runtimeConfig", "ips"],
    &["runtimeConfig", "bandwidth"],
    &["runtimeConfig", "portMappings"],
    &["features", "bandwidth"],
];

/// Of these of a delegate's configuration too: what follows it, or follows one of its plugins, is
/// judged as if it stood at the top.
const DELEGATE: &str = "delegate";

/// The plugins of a delegate: which they are, and in which order, is another's choice.
const PLUGINS: &str = "plugins";

/// Of a delegate, no grant opens these either: what it gets of the runtime is said at the top.
const NEVER_OF_A_DELEGATE: &[&[&str]] = &[&[PLUGINS], &["runtimeConfig"], &[DELEGATE]];

/// No grant opens these: they say who does the work, on what, with whose word.
const NEVER: &[&[&str]] = &[
    &["cniVersion"],
    &["cniVersions"],
    &["name"],
    &["type"],
    &["driver"],
    &["policies"],
    &["prevResult"],
    &["capabilities"],
    &["disableCheck"],
    &["disableGC"],
    &["bridge"],
    &["ipam", "type"],
    &["ipam", "plugin"],
    &["ipam", "domain"],
    &["ipam", "policies"],
    // The pod's author said this, and what a policy puts there would be taken for it.
    &["args"],
];

/// Names of paths and devices, wherever they stand.
const NEVER_ANYWHERE: &[&str] = &[
    "dataDir",
    "resolvConf",
    "daemonSocketPath",
    "socketPath",
    "cgroupPath",
    "path",
    "master",
    "device",
    "hwaddr",
    "kernelpath",
    "pciBusID",
    "runtimeDeviceID",
    "deviceID",
    "parent",
    "lower",
    "linkInContainer",
    "mtuFrom",
    "hostAccess",
    "selinuxContext",
];

/// Whether a policy may change what is at a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// Any may.
    Freely,
    /// One whose grant names it.
    Granted,
    /// None may.
    Never,
}

/// The parts of an RFC 6901 pointer.
fn parts(pointer: &str) -> Vec<String> {
    let part = |part: &str| part.replace("~1", "/").replace("~0", "~");
    pointer.split('/').skip(1).map(part).collect()
}

/// Whether the pointer is at or below the place.
fn within(pointer: &[String], place: &[impl AsRef<str>]) -> bool {
    pointer.len() >= place.len()
        && pointer.iter().zip(place).all(|(part, name)| fold_eq(part, name.as_ref()))
}

/// Whether a grant may name this pointer at all.
pub fn can_be_granted(pointer: &str) -> bool {
    pointer.strip_prefix('/').is_some_and(|rest| !rest.is_empty()) && rule(pointer) != May::Never
}

fn rule(pointer: &str) -> May {
    let pointer = parts(pointer);
    let (whose, rest) = pointer.split_at(delegates(&pointer));
    let never = NEVER_OF_A_DELEGATE.iter().any(|place| within(rest, place));
    if !whose.is_empty() && never { May::Never } else { rule_of(rest) }
}

/// How many of a pointer's parts say of which delegate it is: none, `delegate`, or the three of one
/// of its plugins.
fn delegates(pointer: &[String]) -> usize {
    let is = |at: usize, name: &str| pointer.get(at).is_some_and(|part| fold_eq(part, name));
    let numbered = pointer.get(2).is_some_and(|part| part.parse::<usize>().is_ok());
    match (is(0, DELEGATE), is(1, PLUGINS) && numbered) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 3,
    }
}

/// Whether a grant opens what is at a pointer. One for a delegate is one for each of its plugins.
fn covers(grant: &str, pointer: &str) -> bool {
    let (grant, pointer) = (parts(grant), parts(pointer));
    let (whose, rest) = pointer.split_at(delegates(&pointer));
    let of_each: Vec<String> = whose.iter().take(1).chain(rest).cloned().collect();
    within(&pointer, &grant) || within(&of_each, &grant)
}

fn rule_of(pointer: &[String]) -> May {
    let named = |part: &String| NEVER_ANYWHERE.iter().any(|name| fold_eq(part, name));
    let protocol = pointer.first().is_some_and(|part| part.starts_with("cni.dev/"));
    if protocol
        || pointer.iter().any(named)
        || NEVER.iter().any(|place| within(pointer, place))
        || pointer.is_empty()
    {
        return May::Never;
    }
    if FREE.iter().any(|place| within(pointer, place)) { May::Freely } else { May::Granted }
}

/// Of the pointers that a patch changed, the first that this policy may not, and how that is.
pub(crate) fn refused<'p>(
    changed: &'p [String],
    after: &Value,
    granted: &[String],
) -> Option<(&'p str, May)> {
    changed.iter().find_map(|pointer| {
        let may = match rule(pointer) {
            // A path is one also where its key does not say so.
            _ if after.pointer(pointer).is_some_and(is_path) => May::Never,
            may @ (May::Never | May::Freely) => may,
            May::Granted => {
                let covers = |grant: &String| covers(grant, pointer);
                if granted.iter().any(covers) { May::Freely } else { May::Granted }
            }
        };
        (may != May::Freely).then_some((pointer.as_str(), may))
    })
}

/// Whether some text in it is a path.
fn is_path(value: &Value) -> bool {
    match value {
        Value::String(text) => ["/", "./", "../"].iter().any(|start| text.starts_with(start)),
        Value::Array(items) => items.iter().any(is_path),
        Value::Object(map) => map.values().any(is_path),
        _ => false,
    }
}

/// Whether a pointer is of the ranges, and then the place of the configuration whose they are.
pub(crate) fn of_ranges(pointer: &str) -> Option<Vec<String>> {
    let pointer = parts(pointer);
    let (whose, rest) = pointer.split_at(delegates(&pointer));
    within(rest, &["ipam", "ranges"]).then(|| whose.to_vec())
}

/// Whether the ranges after a change are a choice among those before it: each remaining list is
/// part of one configured list, in their order, and nothing comes twice.
pub(crate) fn chooses_ranges(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    whose: &[String],
) -> bool {
    let (Some(configured), Some(left)) = (ranges(before, whose), ranges(after, whose)) else {
        return false;
    };
    let mut configured = configured.into_iter();
    // Each list is looked for behind the one that was found before it.
    !left.is_empty()
        && left.iter().all(|set| !set.is_empty() && configured.any(|of| is_part(set, of)))
}

fn is_part(set: &[Value], of: &[Value]) -> bool {
    let mut of = of.iter();
    set.iter().all(|range| of.any(|configured| configured == range))
}

fn ranges<'m>(conf: &'m Map<String, Value>, whose: &[String]) -> Option<Vec<&'m Vec<Value>>> {
    let top = Fields::new(conf, "");
    let fields = match whose {
        [] => top,
        [_] => top.object(DELEGATE).ok()??,
        [_, _, number, ..] => {
            let plugins = top.object(DELEGATE).ok()??.list(PLUGINS).ok()??;
            plugins.get(number.parse::<usize>().ok()?)?.object().ok()?
        }
        _ => return None,
    };
    let ipam = fields.object("ipam").ok()??;
    let sets = ipam.get("ranges")?.value.as_array()?;
    sets.iter().map(Value::as_array).collect()
}
