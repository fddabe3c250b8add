//! The configuration as it comes on stdin: an object, a name, a version (spec sections 1 and 5).
//!
//! It must never accept a name or a version that the rest cannot trust: names become parts of
//! keys, comments and paths.
use serde_json::{Value, json};

use crate::conf::{ConfError, shorten};
use crate::{CniError, NetConf, Version, code};

/// What names of networks and containers are made of.
pub(crate) const NAME_ALLOWED: &str = "a letter or digit, then letters, digits, '_', '.' and '-'";

impl NetConf {
    /// The configuration of a network, of one of the `supported` versions.
    ///
    /// Errors: 6 where it is no JSON object or a part has the wrong kind, 7 where the name is
    /// missing or ill-formed, 1 where the version is not supported.
    pub fn parse(json: &[u8], supported: &[Version]) -> Result<Self, CniError> {
        Self::read(json)?.with_version(supported)
    }

    /// All but the version, which is taken for the newest: the first half of [`NetConf::parse`].
    pub(crate) fn read(json: &[u8]) -> Result<Self, CniError> {
        let value: Value = serde_json::from_slice(json).map_err(|error| not_json(json, &error))?;
        let Value::Object(raw) = value else {
            return Err(CniError::new(
                code::DECODING,
                "the network configuration on stdin is JSON, but not an object",
            ));
        };
        let mut conf = Self {
            version: Version::V1_1_0,
            name: String::new(),
            plugin_type: String::new(),
            called: String::new(),
            raw,
        };
        conf.name = conf.read_name()?;
        conf.plugin_type = conf.read_type()?;
        Ok(conf)
    }

    /// Absent or empty is 0.1.0.
    pub(crate) fn with_version(mut self, supported: &[Version]) -> Result<Self, CniError> {
        let text = self.fields().str("cniVersion").map_err(decoding)?.unwrap_or_default();
        let text = if text.is_empty() { Version::V0_1_0.as_str() } else { text };
        let version = text.parse().ok().filter(|version| supported.contains(version));
        self.version = version
            .ok_or_else(|| unsupported(text, &format!("of network {}", self.name), supported))?;
        Ok(self)
    }

    fn read_name(&self) -> Result<String, CniError> {
        let name = self.fields().str("name").map_err(decoding)?.unwrap_or_default();
        if name.is_empty() {
            return Err(CniError::new(
                code::INVALID_CONFIG,
                "the network configuration has no \"name\"",
            ));
        }
        if !is_name(name) {
            return Err(self.fields().error("name", NAME_ALLOWED).into());
        }
        Ok(name.to_owned())
    }

    fn read_type(&self) -> Result<String, CniError> {
        let plugin_type = self.fields().str("type").map_err(decoding)?.unwrap_or_default();
        if plugin_type.contains(['/', '\\']) {
            return Err(self.fields().error("type", "a file's name, without '/' and '\\'").into());
        }
        Ok(plugin_type.to_owned())
    }
}

fn not_json(json: &[u8], error: &serde_json::Error) -> CniError {
    if json.iter().all(u8::is_ascii_whitespace) {
        return CniError::new(code::DECODING, "no network configuration came on stdin");
    }
    CniError::new(
        code::DECODING,
        format!("the network configuration on stdin cannot be decoded: {error}"),
    )
}

/// The error for a part that has the wrong kind: 6, not 7.
pub(crate) fn decoding(error: ConfError) -> CniError {
    CniError { code: code::DECODING, ..error.into() }
}

/// Error 1 for a version; `whose` reads "of network pods".
pub(crate) fn unsupported(text: &str, whose: &str, supported: &[Version]) -> CniError {
    let names: Vec<&str> = supported.iter().map(|version| version.as_str()).collect();
    CniError::new(
        code::INCOMPATIBLE_VERSION,
        format!(
            "CNI version {:?} {whose} is not supported; supported are {}",
            shorten(text),
            names.join(", ")
        ),
    )
    .with_json(&json!({ "cniVersion": shorten(text), "supportedVersions": names }))
}

/// The grammar of network names and container IDs.
pub(crate) fn is_name(text: &str) -> bool {
    let rest = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.chars().all(rest)
}
