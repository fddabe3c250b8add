//! nf_tables as other people's tables need it: of any family, with the expressions of xtables'
//! extensions, and rules that name a place in their chain.
//!
//! By hand, as the bindings know neither extensions nor the number of the ruleset. It knows the
//! layout, not what is said with it: `accept` and `remains` do. Numbers are those of
//! linux/netfilter/nf_tables.h and nf_tables_compat.h.

use crate::socket::{ACK, APPEND, Attributes, Batch, ENSURE, Refusal, Socket};

/// NFPROTO_*.
pub(crate) const INET: u8 = 1;
pub(crate) const IPV4: u8 = 2;
pub(crate) const BRIDGE: u8 = 7;
pub(crate) const IPV6: u8 = 10;

const SUBSYSTEM: u16 = 10;
const BEGIN: u16 = 16;
const END: u16 = 17;
const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const DELETE_RULE: u16 = 8;
const GET_GENERATION: u16 = 16;
const NESTED: u16 = 0x8000;

/// The attributes of a chain and of a rule that are used here.
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
pub(crate) const RULE_HANDLE: u16 = 3;
pub(crate) const RULE_EXPRESSIONS: u16 = 4;
pub(crate) const RULE_COMPAT: u16 = 5;
const RULE_POSITION: u16 = 6;
pub(crate) const RULE_USERDATA: u16 = 7;
/// NF_INET_FORWARD, in every family of ours.
const FORWARD: u32 = 2;
/// NF_DROP.
const DROP: u32 = 0;

/// A chain, and what the kernel itself uses it for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) name: String,
    /// Of a base chain on the forward hook.
    pub(crate) forward: Option<Base>,
}

/// What a base chain has beside its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) priority: i32,
    /// What reaches its end is dropped.
    pub(crate) drops: bool,
}

impl Chain {
    /// Whether it is this one.
    pub(crate) fn is(&self, family: u8, table: &str, name: &str) -> bool {
        self.family == family && self.table == table && self.name == name
    }
}

/// Where in its chain a rule is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Last,
    /// Behind the rule of this handle.
    After(u64),
}

/// A transaction over any tables: all of it is carried out, or nothing.
#[derive(Default)]
pub(crate) struct Changes {
    /// What each is, its flags, and what it says.
    requests: Vec<(u16, u16, Vec<u8>)>,
}

impl Changes {
    /// How many requests it has.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Carries it out; with nothing in it nothing is asked. `generation`: the number of the
    /// ruleset that it was decided on; where the ruleset has been changed since, nothing is
    /// carried out, and the refusal is ERESTART.
    pub(crate) fn commit(
        self,
        socket: &mut Socket,
        generation: Option<u32>,
    ) -> Result<(), Refusal> {
        const GENERATION: u16 = 1;
        let mut batch = Batch::on(socket);
        batch.add(BEGIN, 0, |bytes| {
            begin_or_end(bytes);
            if let Some(generation) = generation {
                number(bytes, GENERATION, generation);
            }
        });
        let Some((last, before)) = self.requests.split_last() else { return Ok(()) };
        // One acknowledgement serves all: the room for answers is small.
        for (kind, flags, content) in before {
            batch.add(of_nf_tables(*kind), *flags, |bytes| bytes.extend(content));
        }
        let (kind, flags, content) = last;
        batch.add(of_nf_tables(*kind), flags | ACK, |bytes| bytes.extend(content));
        batch.add(END, 0, begin_or_end);
        socket.transact(&batch)
    }

    fn add(&mut self, kind: u16, flags: u16, family: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let mut content = vec![family, 0, 0, 0];
        write(&mut content);
        self.requests.push((kind, flags, content));
    }

    /// A chain that others jump to; one that is there stays as it is.
    pub(crate) fn ensure_chain(&mut self, family: u8, table: &str, name: &str) {
        self.add(NEW_CHAIN, ENSURE, family, |bytes| {
            text(bytes, CHAIN_TABLE, table);
            text(bytes, CHAIN_NAME, name);
        });
    }

    /// A chain and its rules go; nobody may jump to it any more.
    pub(crate) fn remove_chain(&mut self, family: u8, table: &str, name: &str) {
        self.add(DELETE_CHAIN, 0, family, |bytes| {
            text(bytes, CHAIN_TABLE, table);
            text(bytes, CHAIN_NAME, name);
        });
    }

    /// A rule, of which `write` appends the attributes behind its table and chain.
    pub(crate) fn rule(
        &mut self,
        (family, table, chain): (u8, &str, &str),
        place: Place,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let flags = if place == Place::First { ENSURE } else { ENSURE | APPEND };
        self.add(NEW_RULE, flags, family, |bytes| {
            text(bytes, RULE_TABLE, table);
            text(bytes, RULE_CHAIN, chain);
            if let Place::After(handle) = place {
                attribute(bytes, RULE_POSITION, &handle.to_be_bytes());
            }
            write(bytes);
        });
    }

    pub(crate) fn remove_rule(&mut self, (family, table, chain): (u8, &str, &str), handle: u64) {
        self.add(DELETE_RULE, 0, family, |bytes| {
            text(bytes, RULE_TABLE, table);
            text(bytes, RULE_CHAIN, chain);
            attribute(bytes, RULE_HANDLE, &handle.to_be_bytes());
        });
    }
}

/// The number of the ruleset: another after each transaction.
pub(crate) fn generation(socket: &mut Socket) -> Result<u32, Refusal> {
    const ID: u16 = 1;
    let write = |bytes: &mut Vec<u8>| bytes.extend([0; 4]);
    let read = |payload: &[u8]| {
        let found = attributes(payload.get(4..).unwrap_or_default()).find(|(kind, _)| *kind == ID);
        found.and_then(|(_, content)| be32(content)).unwrap_or_default()
    };
    socket.get(of_nf_tables(GET_GENERATION), write, read)
}

/// All chains of all families: one dump.
pub(crate) fn chains(socket: &mut Socket) -> Result<Vec<Chain>, Refusal> {
    let write = |bytes: &mut Vec<u8>| bytes.extend([0; 4]);
    socket.dump(of_nf_tables(GET_CHAIN), write, |payload| {
        let (family, rest) = (*payload.first()?, payload.get(4..)?);
        let (mut table, mut name, mut hook, mut policy) = (None, None, None, None);
        for (kind, content) in attributes(rest) {
            match kind {
                CHAIN_TABLE => table = Some(as_text(content)),
                CHAIN_NAME => name = Some(as_text(content)),
                CHAIN_HOOK => hook = priority_of_forward(content),
                CHAIN_POLICY => policy = be32(content),
                _ => {}
            }
        }
        let forward = hook.filter(|_| [INET, IPV4, IPV6].contains(&family));
        let forward = forward.map(|priority| Base { priority, drops: policy == Some(DROP) });
        Some(Chain { family, table: table?, name: name?, forward })
    })
}

fn priority_of_forward(hook: &[u8]) -> Option<i32> {
    const NUMBER: u16 = 1;
    const PRIORITY: u16 = 2;
    let find = |wanted| attributes(hook).find(|(kind, _)| *kind == wanted).map(|(_, c)| c);
    let is_forward = find(NUMBER).and_then(be32) == Some(FORWARD);
    let priority = find(PRIORITY).and_then(|content| content.first_chunk().copied());
    priority.filter(|_| is_forward).map(i32::from_be_bytes)
}

/// The rules of a chain, in order; `read` gets the attributes of each. None where the chain is
/// not there.
pub(crate) fn rules<T>(
    socket: &mut Socket,
    (family, table, chain): (u8, &str, &str),
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Vec<T>, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        bytes.extend([family, 0, 0, 0]);
        text(bytes, RULE_TABLE, table);
        text(bytes, RULE_CHAIN, chain);
    };
    let found = socket.dump(of_nf_tables(GET_RULE), write, |payload| {
        let rest = payload.get(4..)?;
        // Older kernels do not filter.
        let is_of = |wanted: u16, name: &str| {
            attributes(rest).any(|(kind, content)| kind == wanted && as_text(content) == name)
        };
        let is_wanted = payload.first() == Some(&family)
            && is_of(RULE_TABLE, table)
            && is_of(RULE_CHAIN, chain);
        if is_wanted { read(rest) } else { None }
    });
    match found {
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(Vec::new()),
        found => found,
    }
}

fn of_nf_tables(kind: u16) -> u16 {
    SUBSYSTEM << 8 | kind
}

fn begin_or_end(bytes: &mut Vec<u8>) {
    bytes.extend([0, 0]);
    bytes.extend(SUBSYSTEM.to_be_bytes());
}

/// Attributes in a row: their kinds, without flags, and contents.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    Attributes(bytes).map(|(kind, content)| (kind & !NESTED, content))
}

/// The first attribute of a kind.
pub(crate) fn attribute_of(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, content)| content)
}

pub(crate) fn be32(content: &[u8]) -> Option<u32> {
    content.first_chunk().copied().map(u32::from_be_bytes)
}

pub(crate) fn as_text(content: &[u8]) -> String {
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    String::from_utf8_lossy(content.get(..end).unwrap_or_default()).into_owned()
}

pub(crate) fn attribute(bytes: &mut Vec<u8>, kind: u16, content: &[u8]) {
    let length = u16::try_from(content.len() + 4).unwrap_or(u16::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

pub(crate) fn number(bytes: &mut Vec<u8>, kind: u16, value: u32) {
    attribute(bytes, kind, &value.to_be_bytes());
}

pub(crate) fn text(bytes: &mut Vec<u8>, kind: u16, value: &str) {
    let content: Vec<u8> = value.bytes().chain([0]).collect();
    attribute(bytes, kind, &content);
}

pub(crate) fn nested(bytes: &mut Vec<u8>, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    write(&mut content);
    attribute(bytes, kind | NESTED, &content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_written_as_they_are_read() {
        let mut bytes = Vec::new();
        text(&mut bytes, 1, "filter");
        nested(&mut bytes, 4, |bytes| number(bytes, 2, 7));
        let read: Vec<_> = attributes(&bytes).collect();
        assert_eq!(read, [(1, &b"filter\0"[..]), (4, &[8, 0, 2, 0, 0, 0, 0, 7])]);
        assert_eq!(
            attribute_of(&bytes, 4).and_then(|b| attribute_of(b, 2)).and_then(be32),
            Some(7)
        );
        for cut in 0..bytes.len() {
            let _ = attributes(&bytes[..cut]).count();
        }
    }
}
