//! Reading configuration objects: typed, as Go decodes them, with errors that name the place.
//!
//! A key is found exactly or case-folded, and of several spellings the last counts; `null` is as
//! good as absent; addresses may come as IPv4 mapped into IPv6. What does not fit becomes a
//! [`ConfError`]: the RFC 6901 pointer, what was found, what is allowed. This module must never
//! guess: a value of the wrong kind is an error, not a default. Start reading at [`Fields`].
mod address;
mod key;

pub use address::{Address, parse_address, parse_ip, parse_net};
pub use key::{fold_eq, nearest, pointer_token};

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use crate::{CniError, NetConf, code};

/// The longest piece of somebody's configuration that an error repeats, in bytes.
const SHOWN: usize = 120;

/// Keys that the protocol itself puts at the top of a plugin's configuration, or reserves there.
pub const PROTOCOL_KEYS: &[&str] = &[
    "args",
    "capabilities",
    "cniVersion",
    "cniVersions",
    "disableCheck",
    "disableGC",
    "dns",
    "ipam",
    "name",
    "prevResult",
    "runtimeConfig",
    "type",
];

/// A configuration that does not fit. As a [`CniError`] its code is 7.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration at {place}: found {found}, allowed: {allowed}", place = shown_pointer(pointer))]
pub struct ConfError {
    /// RFC 6901; empty for the whole document. For what did not come in the configuration, the
    /// variable: `CNI_ARGS IP`.
    pub pointer: String,
    /// What stands there, shortened.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
}

fn shown_pointer(pointer: &str) -> &str {
    if pointer.is_empty() { "the top level" } else { pointer }
}

impl From<ConfError> for CniError {
    fn from(error: ConfError) -> Self {
        Self::new(code::INVALID_CONFIG, error.to_string()).with_json(&json!({
            "pointer": error.pointer,
            "found": error.found,
            "allowed": error.allowed,
        }))
    }
}

/// An object of a configuration, and where it stands.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    pointer: String,
}

/// A value of a configuration, and where it stands. Never `null`.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// The value.
    pub value: &'a Value,
    /// RFC 6901, with the key as it is spelled there.
    pub pointer: String,
}

impl NetConf {
    /// The whole configuration, to be read by key.
    pub fn fields(&self) -> Fields<'_> {
        Fields::new(&self.raw, "")
    }
}

impl<'a> Fields<'a> {
    /// The object that stands at `pointer`; the document itself is `""`.
    pub fn new(map: &'a Map<String, Value>, pointer: impl Into<String>) -> Self {
        Self { map, pointer: pointer.into() }
    }

    /// Where this object stands.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The object as it came.
    pub fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    /// The value of a key, if there is one other than `null`.
    ///
    /// Several spellings of one key: the last one counts, as Go has it.
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        let (spelled, value) =
            self.map.iter().rfind(|(spelled, value)| !value.is_null() && fold_eq(spelled, key))?;
        Some(Field { value, pointer: self.pointer_of(spelled) })
    }

    /// The pointer of a key, spelled as given.
    pub fn pointer_of(&self, key: &str) -> String {
        format!("{}/{}", self.pointer, pointer_token(key))
    }

    /// A string.
    pub fn str(&self, key: &str) -> Result<Option<&'a str>, ConfError> {
        self.get(key).map(|field| field.str()).transpose()
    }

    /// A boolean.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, ConfError> {
        self.get(key).map(|field| field.bool()).transpose()
    }

    /// A whole number from 0 to 2^32 - 1.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, ConfError> {
        self.get(key).map(|field| field.u32()).transpose()
    }

    /// A whole number from 0 to 2^64 - 1.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, ConfError> {
        self.get(key).map(|field| field.u64()).transpose()
    }

    /// A whole number from -2^63 to 2^63 - 1.
    pub fn i64(&self, key: &str) -> Result<Option<i64>, ConfError> {
        self.get(key).map(|field| field.i64()).transpose()
    }

    /// An object.
    pub fn object(&self, key: &str) -> Result<Option<Fields<'a>>, ConfError> {
        self.get(key).map(|field| field.object()).transpose()
    }

    /// A list. A `null` in it is an error.
    pub fn list(&self, key: &str) -> Result<Option<Vec<Field<'a>>>, ConfError> {
        self.get(key).map(|field| field.list()).transpose()
    }

    /// A list of strings.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&'a str>>, ConfError> {
        let Some(items) = self.list(key)? else { return Ok(None) };
        items.iter().map(Field::str).collect::<Result<_, _>>().map(Some)
    }

    /// An address without prefix. The empty string is as good as absent: go-cni sends it.
    pub fn ip(&self, key: &str) -> Result<Option<IpAddr>, ConfError> {
        let given = |field: &Field<'_>| field.value.as_str() != Some("");
        self.get(key).filter(given).map(|field| field.ip()).transpose()
    }

    /// An address with its prefix; host bits are kept.
    pub fn net(&self, key: &str) -> Result<Option<IpNet>, ConfError> {
        self.get(key).map(|field| field.net()).transpose()
    }

    /// An address, with or without prefix.
    pub fn address(&self, key: &str) -> Result<Option<Address>, ConfError> {
        self.get(key).map(|field| field.address()).transpose()
    }

    /// The error for a key whose value is of the right kind and yet cannot be; `nothing` is found
    /// where the key is absent.
    pub fn error(&self, key: &str, allowed: impl Into<String>) -> ConfError {
        match self.get(key) {
            Some(field) => field.error(allowed),
            None => ConfError {
                pointer: self.pointer_of(key),
                found: "nothing".to_owned(),
                allowed: allowed.into(),
            },
        }
    }

    /// Unknown keys that look like misspelled known ones: the pointer of each, and the nearest
    /// known key. `cni.dev/` keys are the protocol's and are left out. At the top level add
    /// [`PROTOCOL_KEYS`] to the known ones.
    pub fn near_misses<'k>(&self, known: &[&'k str]) -> Vec<(String, &'k str)> {
        self.map
            .keys()
            .filter(|key| !key.starts_with("cni.dev/"))
            .filter_map(|key| Some((self.pointer_of(key), nearest(key, known)?)))
            .collect()
    }

    /// The first of [`Fields::near_misses`] as an error.
    pub fn refuse_near_misses(&self, known: &[&str]) -> Result<(), ConfError> {
        match self.near_misses(known).into_iter().next() {
            None => Ok(()),
            Some((pointer, nearest)) => Err(ConfError {
                found: format!("a key that is not known and looks like {nearest:?}"),
                allowed: format!("{nearest:?}, or a key that cannot be mistaken for it"),
                pointer,
            }),
        }
    }
}

impl<'a> Field<'a> {
    /// A string.
    pub fn str(&self) -> Result<&'a str, ConfError> {
        self.value.as_str().ok_or_else(|| self.error("a string"))
    }

    /// A boolean.
    pub fn bool(&self) -> Result<bool, ConfError> {
        self.value.as_bool().ok_or_else(|| self.error("true or false"))
    }

    /// A whole number from 0 to 2^32 - 1.
    pub fn u32(&self) -> Result<u32, ConfError> {
        self.value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| self.error("a whole number from 0 to 4294967295"))
    }

    /// A whole number from 0 to 2^64 - 1.
    pub fn u64(&self) -> Result<u64, ConfError> {
        self.value.as_u64().ok_or_else(|| self.error("a whole number, not below 0"))
    }

    /// A whole number from -2^63 to 2^63 - 1.
    pub fn i64(&self) -> Result<i64, ConfError> {
        self.value.as_i64().ok_or_else(|| self.error("a whole number"))
    }

    /// An object.
    pub fn object(&self) -> Result<Fields<'a>, ConfError> {
        let map = self.value.as_object().ok_or_else(|| self.error("an object"))?;
        Ok(Fields::new(map, self.pointer.clone()))
    }

    /// A list. A `null` in it is an error.
    pub fn list(&self) -> Result<Vec<Field<'a>>, ConfError> {
        let items = self.value.as_array().ok_or_else(|| self.error("a list"))?;
        items.iter().enumerate().map(|(index, value)| self.item(index, value)).collect()
    }

    fn item(&self, index: usize, value: &'a Value) -> Result<Field<'a>, ConfError> {
        let item = Field { value, pointer: format!("{}/{index}", self.pointer) };
        if value.is_null() { Err(item.error("anything but null in a list")) } else { Ok(item) }
    }

    /// An address without prefix.
    pub fn ip(&self) -> Result<IpAddr, ConfError> {
        parse_ip(self.str()?).ok_or_else(|| self.error("an IP address, such as \"10.1.0.1\""))
    }

    /// An address with its prefix; host bits are kept.
    pub fn net(&self) -> Result<IpNet, ConfError> {
        parse_net(self.str()?)
            .ok_or_else(|| self.error("an IP address with its prefix, such as \"10.1.0.0/16\""))
    }

    /// An address, with or without prefix.
    pub fn address(&self) -> Result<Address, ConfError> {
        parse_address(self.str()?)
            .ok_or_else(|| self.error("an IP address, with or without a prefix"))
    }

    /// The error for this value.
    pub fn error(&self, allowed: impl Into<String>) -> ConfError {
        ConfError {
            pointer: self.pointer.clone(),
            found: describe(self.value),
            allowed: allowed.into(),
        }
    }
}

/// A value for an error's text: its kind, and what it is as far as that is short.
fn describe(value: &Value) -> String {
    let kind = match value {
        Value::Null | Value::Bool(_) => return value.to_string(),
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    format!("the {kind} {}", shorten(&value.to_string()))
}

/// The text, cut at a character's border when it is long.
pub(crate) fn shorten(text: &str) -> String {
    let mut end = SHOWN.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match text.get(..end) {
        Some(head) if head.len() < text.len() => format!("{head}..."),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
