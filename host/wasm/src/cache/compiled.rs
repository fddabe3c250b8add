//! A compiled component as a file: its code, so that it can be mapped from the file's start, and
//! a footer with the tag that binds it to its component, its engine, its length and itself.

use super::lock::Digest;
use super::mac::{Key, SIZE, Tag};

/// The footer's first bytes.
const MAGIC: &[u8; 16] = b"wharfinger code1";
/// Bytes of the footer: magic, length of the code, tag.
pub(super) const FOOTER: usize = MAGIC.len() + 8 + SIZE;
/// What the tag is made for.
const WHAT: &str = "wharfinger code";
/// How the name ends.
const ENDING: &str = ".cwasm";
/// Digits of the engine's part of the name.
const ENGINE: usize = 32;

/// The name of a compiled component: of which component, for which engine.
pub(super) fn name(component: &Digest, engine: &str) -> String {
    let engine = Digest::of(engine.as_bytes());
    let engine: String = engine.hex().chars().take(ENGINE).collect();
    format!("{}-{engine}{ENDING}", component.hex())
}

/// The component that a file of this name belongs to; none of a name that is not ours.
pub(super) fn component(name: &str) -> Option<Digest> {
    let (component, engine) = name.strip_suffix(ENDING)?.split_once('-')?;
    let ours = engine.len() == ENGINE && engine.bytes().all(|b| b.is_ascii_hexdigit());
    if ours { Digest::from_hex(component) } else { None }
}

/// The footer of the file of this name.
pub(super) fn footer(key: &Key, name: &str, code: &[u8]) -> Vec<u8> {
    let length = (code.len() as u64).to_le_bytes();
    let tag = key.tag(WHAT, &[name.as_bytes(), &length, code]);
    [MAGIC.as_slice(), &length, &tag].concat()
}

/// The tag of a footer, of a file that is `size` long with it.
pub(super) fn parse_footer(footer: &[u8; FOOTER], size: u64) -> Result<Tag, &'static str> {
    let (magic, rest) = footer.split_first_chunk().ok_or("it has no footer")?;
    let (length, tag) = rest.split_first_chunk().ok_or("it has no footer")?;
    if magic != MAGIC {
        return Err("it is cut off, or none of ours");
    }
    if u64::from_le_bytes(*length).checked_add(FOOTER as u64) != Some(size) {
        return Err("its length is not the one it was written with");
    }
    tag.try_into().map_err(|_| "it has no tag")
}

/// Whether the tag is the one of this code, for the file of this name.
pub(super) fn fits(key: &Key, name: &str, code: &[u8], tag: &Tag) -> bool {
    let length = (code.len() as u64).to_le_bytes();
    super::mac::same(&key.tag(WHAT, &[name.as_bytes(), &length, code]), tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is() {
        let digest = Digest::of(b"x");
        let named = name(&digest, "engine-1");
        assert_eq!(component(&named), Some(digest.clone()));
        assert_ne!(named, name(&digest, "engine-2"));
        let long = format!("{}-{}.cwasm", digest.hex(), "0".repeat(33));
        for other in ["x.cwasm", "../x.cwasm", named.trim_end_matches("wasm"), &long] {
            assert_eq!(component(other), None, "{other}");
        }
    }

    #[test]
    fn the_tag_binds_name_length_and_code() {
        let key = Key::new([3; 32]);
        let named = name(&Digest::of(b"x"), "engine-1");
        let footer = footer(&key, &named, b"code");
        let footer: &[u8; FOOTER] = footer.as_slice().try_into().unwrap();
        let tag = parse_footer(footer, 4 + FOOTER as u64).unwrap();
        assert!(fits(&key, &named, b"code", &tag));
        assert!(!fits(&key, &named, b"cod3", &tag));
        assert!(!fits(&key, &named, b"code0", &tag));
        assert!(!fits(&key, &name(&Digest::of(b"x"), "engine-2"), b"code", &tag));
        assert!(!fits(&key, &name(&Digest::of(b"y"), "engine-1"), b"code", &tag));
        assert!(parse_footer(footer, 5 + FOOTER as u64).is_err());
    }
}
