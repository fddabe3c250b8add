//! What the kernel tells of tables, chains, rules, sets and elements.

use crate::nft::attrs::Attrs;
use crate::nft::{Element, Family, FoundRule, VALUE, comment, header, of_nf_tables};
use crate::socket::{Attributes, Refusal, Socket};

/// Octets of a message before its attributes.
const HEADER: usize = 4;
/// The kind of an attribute without the marks on it.
const KIND: u16 = 0x3fff;

/// Whether the table is there.
pub(crate) fn has_table(socket: &mut Socket, family: Family, table: &str) -> Result<bool, Refusal> {
    let write = |bytes: &mut Vec<u8>| request(bytes, family, |attrs| attrs.text(1, table));
    match socket.get(of_nf_tables(libc::NFT_MSG_GETTABLE), write, |_| true) {
        Err(refusal) if is_none(&refusal) => Ok(false),
        done => done,
    }
}

/// The element with the key of `wanted`; `None` where it, the set or the table is not there.
pub(crate) fn element(
    socket: &mut Socket,
    table: &str,
    wanted: &Element,
) -> Result<Option<Element>, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        request(bytes, wanted.family, |attrs| {
            attrs.text(1, table);
            attrs.text(2, &wanted.set);
            attrs.nest(3, |list| {
                list.nest(1, |elem| elem.nest(1, |key| key.bytes(VALUE, &wanted.key)));
            });
        });
    };
    let read = |payload: &[u8]| {
        let mut all = Vec::new();
        read_elements(payload, wanted.family, &wanted.set, &mut all);
        all.into_iter().next()
    };
    match socket.get(of_nf_tables(libc::NFT_MSG_GETSETELEM), write, read) {
        Err(refusal) if is_none(&refusal) => Ok(None),
        done => done,
    }
}

/// All elements of a set; none where the set or the table is not there.
pub(crate) fn elements(
    socket: &mut Socket,
    table: &str,
    family: Family,
    set: &str,
) -> Result<Vec<Element>, Refusal> {
    let mut all = Vec::new();
    let write = |bytes: &mut Vec<u8>| {
        request(bytes, family, |attrs| {
            attrs.text(1, table);
            attrs.text(2, set);
        });
    };
    let read = |payload: &[u8]| {
        let mut part = Vec::new();
        read_elements(payload, family, set, &mut part);
        Some(part)
    };
    match socket.dump(of_nf_tables(libc::NFT_MSG_GETSETELEM), write, read) {
        Err(refusal) if is_none(&refusal) => {}
        done => all.extend(done?.into_iter().flatten()),
    }
    Ok(all)
}

/// Whether a set has any element; one that is not there has none.
pub(crate) fn has_elements(
    socket: &mut Socket,
    table: &str,
    family: Family,
    set: &str,
) -> Result<bool, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        request(bytes, family, |attrs| {
            attrs.text(1, table);
            attrs.text(2, set);
        });
    };
    let read = |payload: &[u8]| {
        let mut part = Vec::new();
        read_elements(payload, family, set, &mut part);
        (!part.is_empty()).then_some(())
    };
    match socket.peek(of_nf_tables(libc::NFT_MSG_GETSETELEM), write, read) {
        Err(refusal) if is_none(&refusal) => Ok(false),
        done => Ok(done?.is_some()),
    }
}

/// The rules of a chain, or of all chains of the table.
pub(crate) fn rules(
    socket: &mut Socket,
    table: &str,
    family: Family,
    chain: Option<&str>,
) -> Result<Vec<FoundRule>, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        request(bytes, family, |attrs| {
            attrs.text(1, table);
            if let Some(chain) = chain {
                attrs.text(2, chain);
            }
        });
    };
    // Older kernels do not filter.
    let read = |payload: &[u8]| {
        let found = Found::of(payload, table)?;
        let rule = FoundRule {
            chain: found.text(2)?,
            handle: found.number(3)?,
            comment: found.bytes(7).map(comment::read).unwrap_or_default(),
        };
        chain.is_none_or(|chain| rule.chain == chain).then_some(rule)
    };
    listed(socket, libc::NFT_MSG_GETRULE, write, read)
}

/// The names of the table's chains, and whether the kernel itself goes through each.
pub(crate) fn chains(
    socket: &mut Socket,
    table: &str,
    family: Family,
) -> Result<Vec<(String, bool)>, Refusal> {
    let write = |bytes: &mut Vec<u8>| request(bytes, family, |attrs| attrs.text(1, table));
    let read = |payload: &[u8]| {
        let found = Found::of(payload, table)?;
        Some((found.text(3)?, found.bytes(4).is_some()))
    };
    listed(socket, libc::NFT_MSG_GETCHAIN, write, read)
}

/// The names of the table's sets, but for those that belong to a rule.
pub(crate) fn sets(
    socket: &mut Socket,
    table: &str,
    family: Family,
) -> Result<Vec<String>, Refusal> {
    const ANONYMOUS: u32 = 1;
    let write = |bytes: &mut Vec<u8>| request(bytes, family, |attrs| attrs.text(1, table));
    let read = |payload: &[u8]| {
        let found = Found::of(payload, table)?;
        let flags = found.bytes(3).and_then(|bytes| bytes.first_chunk().copied());
        let is_anonymous = flags.map_or(0, u32::from_be_bytes) & ANONYMOUS != 0;
        found.text(2).filter(|_| !is_anonymous)
    };
    listed(socket, libc::NFT_MSG_GETSET, write, read)
}

/// None where there is no such table.
fn listed<T>(
    socket: &mut Socket,
    kind: i32,
    write: impl Fn(&mut Vec<u8>),
    read: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Vec<T>, Refusal> {
    match socket.dump(of_nf_tables(kind), write, read) {
        Err(refusal) if is_none(&refusal) => Ok(Vec::new()),
        done => done,
    }
}

fn is_none(refusal: &Refusal) -> bool {
    refusal.errno == libc::ENOENT
}

fn request(bytes: &mut Vec<u8>, family: Family, write: impl FnOnce(&mut Attrs<'_>)) {
    bytes.extend(header(family));
    write(&mut Attrs(bytes));
}

/// The attributes of an object of one table.
struct Found<'a>(&'a [u8]);

impl<'a> Found<'a> {
    /// Older kernels tell of other tables' as well.
    fn of(payload: &'a [u8], table: &str) -> Option<Self> {
        let found = Self(payload.get(HEADER..)?);
        (found.text(1)? == table).then_some(found)
    }

    fn bytes(&self, wanted: u16) -> Option<&'a [u8]> {
        Attributes(self.0).find(|(kind, _)| kind & KIND == wanted).map(|(_, content)| content)
    }

    fn text(&self, kind: u16) -> Option<String> {
        let bytes = self.bytes(kind)?;
        let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn number(&self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(*self.bytes(kind)?.first_chunk()?))
    }
}

fn read_elements(payload: &[u8], family: Family, set: &str, all: &mut Vec<Element>) {
    let list = payload.get(HEADER..).and_then(|attributes| Found(attributes).bytes(3));
    for (_, entry) in Attributes(list.unwrap_or_default()) {
        let entry = Found(entry);
        let value = |kind| entry.bytes(kind).and_then(|data| Found(data).bytes(VALUE));
        let Some(key) = value(1) else { continue };
        all.push(Element {
            family,
            set: set.to_owned(),
            key: key.to_vec(),
            // A verdict's chain stands for its data: so it was before there were groups.
            data: value(2).map(<[u8]>::to_vec).or_else(|| chain_of(&entry)).unwrap_or_default(),
            comment: entry.bytes(6).map(comment::read).unwrap_or_default(),
        });
    }
}

/// The name of the chain that an element's verdict jumps to.
fn chain_of(entry: &Found<'_>) -> Option<Vec<u8>> {
    let verdict = Found(entry.bytes(2)?).bytes(2)?;
    Some(Found(verdict).text(2)?.into_bytes())
}
