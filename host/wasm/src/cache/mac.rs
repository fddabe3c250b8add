//! The store's key, and the tags made with it: HMAC with SHA-256 (RFC 2104), so that a file put
//! into the store by somebody who cannot read the key is told from our own.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Bytes of the key, and of a tag.
pub(super) const SIZE: usize = 32;
/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;

/// The key.
pub(super) struct Key([u8; SIZE]);

/// A tag.
pub(super) type Tag = [u8; SIZE];

impl Key {
    pub(super) fn new(bytes: [u8; SIZE]) -> Self {
        Self(bytes)
    }

    /// The tag of these parts. `what` keeps the tags of one kind of file from being those of
    /// another; where a part ends must follow from the parts before it.
    pub(super) fn tag(&self, what: &str, parts: &[&[u8]]) -> Tag {
        let mut inner = self.padded(0x36);
        inner.update(what);
        inner.update([0]);
        for part in parts {
            inner.update(part);
        }
        self.padded(0x5c).chain_update(inner.finalize()).finalize().into()
    }

    fn padded(&self, with: u8) -> Sha256 {
        let mut block = [with; BLOCK];
        block.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key);
        Sha256::new_with_prefix(block)
    }
}

/// Whether two tags are the same, in a time that does not tell where they differ.
pub(super) fn same(a: &Tag, b: &Tag) -> bool {
    a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

/// In hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, cases 2 and 3, whose keys are shorter than ours: a key is filled with zeroes.
    #[test]
    fn as_the_standard_has_it() {
        let key = |start: &[u8]| {
            let mut bytes = [0; SIZE];
            bytes[..start.len()].copy_from_slice(start);
            Key::new(bytes)
        };
        let plain = |key: &Key, text: &[u8]| {
            let mut inner = key.padded(0x36);
            inner.update(text);
            hex(&key.padded(0x5c).chain_update(inner.finalize()).finalize())
        };
        assert_eq!(
            plain(&key(b"Jefe"), b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            plain(&key(&[0xaa; 20]), &[0xdd; 50]),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        );
        let key = key(b"Jefe");
        assert_eq!(hex(&key.tag("a", &[b"bc", b"d"])), plain(&key, b"a\0bcd"));
    }

    #[test]
    fn tags_of_two_kinds_differ() {
        let key = Key::new([7; SIZE]);
        let tag = key.tag("lock", &[b"x"]);
        assert!(same(&tag, &key.tag("lock", &[b"x"])));
        for other in [key.tag("code", &[b"x"]), Key::new([8; SIZE]).tag("lock", &[b"x"])] {
            assert!(!same(&tag, &other));
        }
    }
}
