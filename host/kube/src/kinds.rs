//! The book's objects as custom resources: which kind and name a key has, and what stands in the
//! object beside what the book wrote, for people. Pure. Names are read back, so that nothing in an
//! object but its name says where it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use wharfinger_ledger::cluster::{self, BLOCKS, BOOK};

/// Group and version.
pub(crate) const API: &str = "wharfinger.dev/v1alpha1";
/// The longest name of an object.
const LONGEST: usize = 253;

/// See the module. Each is a kind of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A domain: how it is cut, and the ranges of its networks.
    Pool,
    /// Who has what in some addresses that follow each other.
    Block,
    /// What is remembered for an identity.
    Claim,
    /// What plugins keep, numbers of overlays, what nodes say of themselves.
    Note,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Pool, Self::Block, Self::Claim, Self::Note];

    /// As the API calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "Pool",
            Self::Block => "Block",
            Self::Claim => "Claim",
            Self::Note => "Note",
        }
    }

    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Pool => "pools",
            Self::Block => "blocks",
            Self::Claim => "claims",
            Self::Note => "notes",
        }
    }

    /// The collection's path.
    pub(crate) fn path(self) -> String {
        format!("/apis/{API}/{}", self.plural())
    }

    /// What the keys of all of them begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Pool => "book/domain/",
            Self::Block => BLOCKS,
            Self::Claim => "book/identity/",
            Self::Note => "",
        }
    }

    pub(crate) fn of(key: &str) -> Self {
        let of = Self::ALL.into_iter().find(|kind| key.starts_with(kind.prefix()));
        of.unwrap_or(Self::Note)
    }

    /// Whether any object of the kind may have a key that begins like this.
    pub(crate) fn meets(self, prefix: &str) -> bool {
        match self {
            Self::Note => prefix.is_empty() || prefix == BOOK || Self::of(prefix) == Self::Note,
            kind => kind.prefix().starts_with(prefix) || prefix.starts_with(kind.prefix()),
        }
    }
}

/// The name of the object of this key; none: it is too long.
pub(crate) fn name_of(key: &str) -> Option<String> {
    let rest = key.strip_prefix(Kind::of(key).prefix()).unwrap_or(key);
    let parts: Vec<String> =
        rest.split('/').map(|part| label(&cluster::name(part).unwrap_or_default())).collect();
    Some(parts.join(".")).filter(|name| name.len() <= LONGEST)
}

/// The key of the object of this name; none: it was not named by us.
pub(crate) fn key_of(kind: Kind, name: &str) -> Option<String> {
    let parts: Option<Vec<String>> =
        name.split('.').map(|text| Some(cluster::part(&unlabel(text)?))).collect();
    let key = format!("{}{}", kind.prefix(), parts?.join("/"));
    // Only what would be named like this is meant by it.
    (Kind::of(&key) == kind && name_of(&key).as_deref() == Some(name)).then_some(key)
}

/// Small letters, digits, and dashes within: all else as `x` and two digits, `x` too.
pub(crate) fn label(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_lowercase() && byte != b'x' || byte.is_ascii_digit();
        if plain || byte == b'-' && at > 0 && at < last {
            out.push(char::from(byte));
        } else {
            // To a string nothing can fail.
            let _ = write!(out, "x{byte:02x}");
        }
    }
    out
}

fn unlabel(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'x' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// The whole object, to be written after this version (zero: it is new).
pub(crate) fn object(key: &str, name: &str, value: &str, after: u64) -> Result<Value, String> {
    let kind = Kind::of(key);
    let content: Value = serde_json::from_str(value).map_err(|error| error.to_string())?;
    let mut spec = spec(kind, key, content);
    // Each write differs from what it was written over: the API server would not do it otherwise,
    // and one that is still under way could come after it.
    spec.insert("after".to_owned(), json!(after.to_string()));
    let mut metadata = json!({ "name": name });
    if after > 0 {
        metadata["resourceVersion"] = json!(after.to_string());
    }
    let status = if kind == Kind::Block { status(&spec) } else { None };
    let mut object =
        json!({ "apiVersion": API, "kind": kind.name(), "metadata": metadata, "spec": spec });
    if let Some(status) = status {
        object["status"] = status;
    }
    Ok(object)
}

/// What can be waited for (`kubectl wait`): true as of this write, and nobody writes a block's
/// addresses but by such a one. None: it is not known how many it has.
fn status(spec: &Map<String, Value>) -> Option<Value> {
    let number = |key: &str| spec.get(key).and_then(Value::as_u64).filter(|number| *number > 0);
    let (size, since) = (number("size")?, number("turned")?);
    let used = spec.get("used").and_then(Value::as_u64).unwrap_or_default();
    let is_full = used >= size;
    let since = UNIX_EPOCH.checked_add(Duration::from_secs(since))?;
    Some(json!({ "conditions": [{
        "type": "Full",
        "status": if is_full { "True" } else { "False" },
        "reason": if is_full { "AllHeld" } else { "SomeAreNotHeld" },
        "message": format!("{used} of {size} addresses are held"),
        "lastTransitionTime": humantime::format_rfc3339_seconds(since).to_string(),
    }] }))
}

fn spec(kind: Kind, key: &str, content: Value) -> Map<String, Value> {
    let mut parts = key.strip_prefix(kind.prefix()).unwrap_or(key).split('/').map(cluster::name);
    let mut part = || json!(parts.next().flatten().unwrap_or_default());
    let mut spec = Map::new();
    match kind {
        Kind::Pool | Kind::Block => {
            spec.insert("domain".to_owned(), part());
            if kind == Kind::Block {
                let first = first_of(part().as_str().unwrap_or_default());
                spec.insert("first".to_owned(), json!(first));
                shown(&content, first, &mut spec);
            }
            if let Value::Object(content) = content {
                spec.extend(content);
            }
        }
        Kind::Claim => {
            for name in ["domain", "network", "identity"] {
                spec.insert(name.to_owned(), part());
            }
            spec.insert("addresses".to_owned(), content);
        }
        Kind::Note => {
            spec.insert("key".to_owned(), json!(key));
            spec.insert("content".to_owned(), content);
        }
    }
    spec
}

/// Of a block, what people want to see: which addresses it has, how many are held, and how many free.
fn shown(block: &Value, first: Option<IpAddr>, spec: &mut Map<String, Value>) {
    let of = |key: &str| block.get(key).and_then(Value::as_object);
    spec.insert("used".to_owned(), json!(of("held").map_or(0, Map::len)));
    let size = block.get("size").and_then(Value::as_u64).and_then(|size| u32::try_from(size).ok());
    let (Some(first), Some(bits)) = (first, size.and_then(u32::checked_ilog2)) else { return };
    let whole: u32 = if first.is_ipv4() { 32 } else { 128 };
    spec.insert("range".to_owned(), json!(format!("{first}/{}", whole.saturating_sub(bits))));
    let known = ["held", "rests", "kept"].map(|key| of(key).into_iter().flat_map(Map::keys));
    let taken = known.into_iter().flatten().collect::<BTreeSet<_>>().len();
    let size = usize::try_from(size.unwrap_or_default()).unwrap_or_default();
    spec.insert("free".to_owned(), json!(size.saturating_sub(taken)));
}

/// `40a000040`: the family, and the address in hexadecimal digits.
fn first_of(number: &str) -> Option<IpAddr> {
    let (family, digits) = number.split_at_checked(1)?;
    let bits = u128::from_str_radix(digits, 16).ok()?;
    match family {
        "4" => Some(IpAddr::V4(u32::try_from(bits).ok()?.into())),
        _ => Some(IpAddr::V6(bits.into())),
    }
}

/// What the book wrote, out of an object.
pub(crate) fn value_of(kind: Kind, object: &Value) -> String {
    let spec = object.get("spec").cloned().unwrap_or_default();
    match kind {
        Kind::Pool | Kind::Block => spec.to_string(),
        Kind::Claim => spec.get("addresses").cloned().unwrap_or_else(|| json!([])).to_string(),
        Kind::Note => spec.get("content").cloned().unwrap_or_default().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes_and_read_back() {
        let keys = [
            ("book/block/bridge%3Acni0/40a000040", "bridgex3acni0.40a000040"),
            ("book/domain/a.b-c_D", "ax2eb-cx5fx44"),
            ("book/identity/d/pods/web-0", "d.pods.web-0"),
            ("book/identity/d/pods/-", "d.pods.x2d"),
            ("book/store/pods%2Fhost-local", "book.store.podsx2fhost-local"),
            ("machine/box", "machine.box78"),
            ("overlay/vni/4096", "overlay.vni.4096"),
            ("format", "format"),
        ];
        for (key, name) in keys {
            assert_eq!(name_of(key).as_deref(), Some(name));
            assert_eq!(key_of(Kind::of(key), name).as_deref(), Some(key));
            let good = |label: &str| {
                let ends = !label.starts_with('-') && !label.ends_with('-') && !label.is_empty();
                ends && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            assert!(name.split('.').all(good), "{name}");
        }
        assert_eq!(name_of(&format!("book/domain/{}", "a".repeat(254))), None);
        for name in ["x", "xzz", "x61", "book.block.d.1", "A"] {
            assert_eq!(key_of(Kind::Note, name), None, "{name}");
        }
    }

    #[test]
    fn what_the_book_wrote_comes_back_and_people_see_more() {
        let block = r#"{"owner":"n1","size":64,"held":{"10.0.0.65":{"node":"n1"}},
            "rests":{"10.0.0.66":{}},"kept":{"10.0.0.65":{}}}"#;
        let key = "book/block/d/40a000040";
        let object = object(key, "d.40a000040", block, 7).unwrap();
        assert_eq!(object["spec"]["first"], "10.0.0.64");
        assert_eq!((&object["spec"]["used"], &object["spec"]["after"]), (&json!(1), &json!("7")));
        assert_eq!(object["spec"]["range"], "10.0.0.64/26");
        assert_eq!(object["spec"]["free"], 62);
        assert_eq!(object["metadata"]["resourceVersion"], "7");
        let back: Value = serde_json::from_str(&value_of(Kind::Block, &object)).unwrap();
        assert_eq!(back["held"]["10.0.0.65"]["node"], "n1");
        for (key, value) in [("book/identity/d/n/i", r#"["10.0.0.1"]"#), ("node/n", r#"{"a":1}"#)] {
            let object = super::object(key, "n", value, 0).unwrap();
            assert_eq!(value_of(Kind::of(key), &object), value);
            assert_eq!(object["metadata"].get("resourceVersion"), None);
        }
    }

    #[test]
    fn a_block_says_whether_all_of_it_is_held_and_since_when() {
        let said = |held: &str, turned: u64| {
            let block = format!(r#"{{"size":2,"turned":{turned},"held":{{{held}}}}}"#);
            let object = object("book/block/d/40a000040", "d.40a000040", &block, 7).unwrap();
            object["status"]["conditions"][0].clone()
        };
        let full = said(r#""10.0.0.64":{},"10.0.0.65":{}"#, 1_700_000_000);
        assert_eq!((&full["type"], &full["status"]), (&json!("Full"), &json!("True")));
        assert_eq!(full["lastTransitionTime"], "2023-11-14T22:13:20Z");
        let free = said(r#""10.0.0.64":{}"#, 1_700_000_000);
        assert_eq!((&free["status"], &free["reason"]), (&json!("False"), &json!("SomeAreNotHeld")));
        assert_eq!(free["message"], "1 of 2 addresses are held");
        assert_eq!(said("", 0), Value::Null, "nobody knows since when");
        assert_eq!(said("", u64::MAX), Value::Null);
    }

    #[test]
    fn a_prefix_meets_the_kinds_that_may_be_below_it() {
        let kinds = |prefix: &str| {
            let all = Kind::ALL.into_iter().filter(|kind| kind.meets(prefix));
            all.map(Kind::plural).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(kinds(""), "pools blocks claims notes");
        assert_eq!(kinds(BOOK), "pools blocks claims notes");
        assert_eq!(kinds(BLOCKS), "blocks");
        assert_eq!(kinds("book/block/d/"), "blocks");
        assert_eq!(kinds("overlay/vni/"), "notes");
        assert_eq!(kinds("book/store/"), "notes");
    }
}
