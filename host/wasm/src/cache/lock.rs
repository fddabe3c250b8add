//! The lock file: which component each name stands for, and what the compiled forms looked like
//! when they were last checked as a whole. Pure text; a tag over all of it stands at its end.

use std::collections::BTreeMap;

use rustix::fs::Stat;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::mac::{Key, hex};

/// What the tag of a lock file is made for.
const WHAT: &str = "wharfinger lock";
/// The format that this version writes.
const FORMAT: u32 = 1;
/// What stands before the tag, and after it.
const BEFORE: &str = ",\n  \"mac\": \"";
const AFTER: &str = "\"\n}\n";
/// Digits of a tag.
const DIGITS: usize = 64;

/// "sha256:…" of a component's .wasm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex(&sha2::Sha256::digest(bytes)))
    }

    /// Reads "sha256:" and 64 lower-case digits.
    pub fn parse(text: &str) -> Option<Self> {
        text.strip_prefix("sha256:").and_then(Self::from_hex)
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == DIGITS && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no digest"))
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Of the .wasm.
    pub digest: Digest,
    /// Bytes of the .wasm.
    pub size: u64,
    /// "ipam-plugin" or "policy-plugin".
    pub world: String,
    /// Of the contract: "0.2.0".
    pub version: String,
    /// What it imports, by the names of the interfaces.
    pub imports: Vec<String>,
    /// What the name stood for before the last upgrade: still there for a call that has begun.
    pub replaced: Option<Digest>,
}

/// What tells that a file is the one that was checked (inode(7)). The kernel alone sets `ctime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    #[allow(clippy::useless_conversion, reason = "the fields' types differ by platform")]
    pub(super) fn of(stat: &Stat) -> Self {
        let whole = |seconds, nanoseconds| (seconds, i64::try_from(nanoseconds).unwrap_or(0));
        Self {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            size: stat.st_size.into(),
            modified: whole(stat.st_mtime.into(), stat.st_mtime_nsec),
            changed: whole(stat.st_ctime.into(), stat.st_ctime_nsec),
        }
    }
}

/// The lock file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) plugins: BTreeMap<String, Pin>,
    /// By the name of the compiled file.
    pub(super) compiled: BTreeMap<String, Seen>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    plugins: BTreeMap<String, Pin>,
    compiled: BTreeMap<String, Seen>,
    #[serde(default, skip_serializing)]
    #[expect(dead_code, reason = "found right before anything is read")]
    mac: String,
}

impl Lock {
    /// The file's text.
    pub(super) fn render(&self, key: &Key) -> Result<String, serde_json::Error> {
        let written = Written {
            format: FORMAT,
            plugins: self.plugins.clone(),
            compiled: self.compiled.clone(),
            mac: String::new(),
        };
        let body = serde_json::to_string_pretty(&written)?;
        let head = format!("{}{BEFORE}", body.strip_suffix("\n}").unwrap_or(&body));
        let tag = hex(&key.tag(WHAT, &[head.as_bytes()]));
        Ok(format!("{head}{tag}{AFTER}"))
    }

    /// Reads it. Nothing in it is looked at before its tag is found right.
    pub(super) fn parse(bytes: &[u8], key: &Key) -> Result<Self, String> {
        const CUT: &str = "is cut off or not of ours";
        let text = std::str::from_utf8(bytes).map_err(|_| CUT)?;
        let text = text.strip_suffix(AFTER).ok_or(CUT)?;
        let at = text.len().checked_sub(DIGITS).ok_or(CUT)?;
        let (head, tag) = text.split_at_checked(at).ok_or(CUT)?;
        if tag != hex(&key.tag(WHAT, &[head.as_bytes()])) {
            return Err("was changed, or written with another key: its mac is not right".to_owned());
        }
        let written: Written =
            serde_json::from_slice(bytes).map_err(|e| format!("cannot be read: {e}"))?;
        if written.format != FORMAT {
            let found = written.format;
            return Err(format!("has the format {found}; this version knows {FORMAT}"));
        }
        Ok(Self { plugins: written.plugins, compiled: written.compiled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let pin = Pin {
            digest: Digest::of(b"wasm"),
            size: 4,
            world: "ipam-plugin".to_owned(),
            version: "0.2.0".to_owned(),
            imports: vec!["wharfinger:plugin/ledger@0.2.0".to_owned()],
            replaced: None,
        };
        let stat = rustix::fs::stat("/proc/self/exe").unwrap();
        Lock {
            plugins: BTreeMap::from([("sticky".to_owned(), pin)]),
            compiled: BTreeMap::from([("x.cwasm".to_owned(), Seen::of(&stat))]),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let key = Key::new([1; 32]);
        for lock in [Lock::default(), lock()] {
            let text = lock.render(&key).unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
            assert_eq!(Lock::parse(text.as_bytes(), &key).unwrap(), lock);
        }
    }

    #[test]
    fn pain_h10_no_byte_of_it_can_be_changed_and_none_taken_away() {
        let key = Key::new([1; 32]);
        let text = lock().render(&key).unwrap().into_bytes();
        for at in 0..text.len() {
            assert!(Lock::parse(&text[..at], &key).is_err(), "cut at {at}");
            let mut changed = text.clone();
            for bit in [0x01, 0x20, 0x80] {
                changed[at] = text[at] ^ bit;
                assert!(Lock::parse(&changed, &key).is_err(), "byte {at}");
            }
        }
        let longer = [text.as_slice(), b" "].concat();
        assert!(Lock::parse(&longer, &key).is_err());
        assert!(Lock::parse(&text, &Key::new([2; 32])).unwrap_err().contains("another key"));
    }

    /// What has the right tag is believed to be of ours, and may be of another version all the same.
    #[test]
    fn fuzz_lock_files() {
        let key = Key::new([1; 32]);
        wharfinger_fuzz::fuzz("lock", 1000, |input| {
            let body = String::from_utf8_lossy(input);
            let head = format!("{}{BEFORE}", body.trim_end().strip_suffix('}').unwrap_or(&body));
            let tag = hex(&key.tag(WHAT, &[head.as_bytes()]));
            let text = format!("{head}{tag}{AFTER}");
            match Lock::parse(text.as_bytes(), &key) {
                Err(error) => error,
                Ok(lock) => {
                    let again = lock.render(&key).unwrap();
                    assert_eq!(Lock::parse(again.as_bytes(), &key), Ok(lock));
                    "read".to_owned()
                }
            }
        });
    }

    #[test]
    fn a_digest_has_one_form() {
        let good = Digest::of(b"x");
        assert_eq!(Digest::parse(&good.to_string()), Some(good.clone()));
        for bad in [good.hex(), "sha256:", "sha256:../../etc", &good.to_string().to_uppercase()] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }
}
