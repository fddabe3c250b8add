//! Compiled components at the end of an executable file.
//!
//! Behind the program's own bytes: each component at a page boundary, an index in JSON, and a
//! footer of 32 bytes that leads to the index. The system's loader never looks there, and
//! reading costs two small reads and a mapping. Stripping the file afterwards cuts it all off.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde_json::{Value, json};

/// The last 16 bytes of the file.
const MAGIC: &[u8; 16] = b"wharfinger pack1";
/// Index offset, index length, magic.
pub(crate) const FOOTER: usize = 32;
/// Where components begin: a multiple of the page size, the largest in use on the target.
pub(crate) const PAGE: u64 = if cfg!(target_arch = "aarch64") { 65_536 } else { 4_096 };
/// An index is a few hundred bytes; more is no index.
const INDEX: u64 = 1 << 20;

/// What a file carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pack {
    /// Bytes of the program itself.
    pub(crate) program: u64,
    /// The engine that the code was compiled for.
    pub(crate) engine: String,
    /// In the order of packing.
    pub(crate) components: Vec<Entry>,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// "sha256:…" of the .wasm file.
    pub(crate) digest: String,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Pack {
    /// Reads a file's index; none where it carries nothing.
    pub(crate) fn read(file: &File) -> io::Result<Option<Self>> {
        let size = file.metadata()?.len();
        let Some(at) = size.checked_sub(FOOTER as u64) else { return Ok(None) };
        let mut footer = [0; FOOTER];
        file.read_exact_at(&mut footer, at)?;
        let Some((offset, len)) = parse_footer(&footer) else { return Ok(None) };
        if len > INDEX || offset.checked_add(len) != Some(at) {
            return Err(damaged());
        }
        let mut index = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        file.read_exact_at(&mut index, offset)?;
        let index: Value = serde_json::from_slice(&index).map_err(|_| damaged())?;
        Self::from_json(&index).map(Some).ok_or_else(damaged)
    }

    /// The index and the footer, for a file that is `offset` long so far.
    pub(crate) fn tail(&self, offset: u64) -> Vec<u8> {
        let mut tail = self.to_json().to_string().into_bytes();
        let len = tail.len() as u64;
        tail.extend(offset.to_le_bytes());
        tail.extend(len.to_le_bytes());
        tail.extend(MAGIC);
        tail
    }

    fn to_json(&self) -> Value {
        let components: Vec<Value> = self
            .components
            .iter()
            .map(|c| json!({"name": c.name, "digest": c.digest, "offset": c.offset, "len": c.len}))
            .collect();
        json!({"program": self.program, "engine": self.engine, "components": components})
    }

    fn from_json(index: &Value) -> Option<Self> {
        let components: Option<_> =
            index.get("components")?.as_array()?.iter().map(Entry::from_json).collect();
        Some(Self {
            program: index.get("program")?.as_u64()?,
            engine: index.get("engine")?.as_str()?.to_owned(),
            components: components?,
        })
    }
}

impl Entry {
    fn from_json(entry: &Value) -> Option<Self> {
        Some(Self {
            name: entry.get("name")?.as_str()?.to_owned(),
            digest: entry.get("digest")?.as_str()?.to_owned(),
            offset: entry.get("offset")?.as_u64()?,
            len: entry.get("len")?.as_u64()?,
        })
    }
}

fn parse_footer(footer: &[u8; FOOTER]) -> Option<(u64, u64)> {
    let (offset, rest) = footer.split_first_chunk::<8>()?;
    let (len, magic) = rest.split_first_chunk::<8>()?;
    (magic == MAGIC).then(|| (u64::from_le_bytes(*offset), u64::from_le_bytes(*len)))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the index of its built-in components is damaged")
}
