//! nf_tables by netlink: how tables, chains, sets, rules and elements are written and read.
//!
//! It knows the words, not what is said with them: `filter` does. Numbers are those of
//! linux/netfilter/nf_tables.h. Start reading at [`Transaction`]; `expr` has what rules look at.

pub(crate) mod attrs;
pub(crate) mod comment;
pub(crate) mod expr;
mod read;

pub(crate) use read::{chains, element, elements, has_elements, has_table, rules, sets};

use crate::nft::attrs::Attrs;
use crate::nft::expr::Expr;
use crate::socket::{APPEND, Batch, CHANGE, ENSURE, Refusal, Socket};

/// NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END.
const BEGIN: u16 = 16;
const END: u16 = 17;
/// NLM_F_NONREC: only what is empty.
const NOT_RECURSIVE: u16 = 0x100;
const SET_MAP: u32 = 8;
/// NFTNL_UDATA_SET_KEYBYTEORDER, four octets, BYTEORDER_HOST_ENDIAN: without it nft(8) shows names
/// of links as empty.
const HOST_ORDER: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};
const LIST_ELEM: u16 = 1;
const VALUE: u16 = 1;
/// Elements in one message: its lists hold less than 64 KiB.
const AT_ONCE: usize = 100;

/// The families that we have a table in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    /// What the host receives, sends and routes.
    Inet = 1,
    /// What bridges receive and pass on.
    Bridge = 7,
}

/// What a key or a value is made of; the numbers are the types of nft(8), by which it shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    V4 = 7,
    V6 = 8,
    Mac = 9,
    Protocol = 12,
    Port = 13,
    Link = 41,
}

impl Type {
    /// In octets, as a field of a key.
    pub(crate) fn length(self) -> u32 {
        match self {
            Self::V4 | Self::Protocol | Self::Port => 4,
            Self::Mac => 8,
            Self::V6 | Self::Link => 16,
        }
    }

    /// In octets, where it is the whole key.
    fn alone(self) -> u32 {
        match self {
            Self::Mac => 6,
            other => other.length(),
        }
    }
}

/// A set, or with data a map, that is matched exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) family: Family,
    pub(crate) name: String,
    pub(crate) key: Vec<Type>,
    pub(crate) data: Vec<Type>,
}

/// Where the kernel itself goes through a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hook {
    /// "nat" or "filter".
    pub(crate) kind: &'static str,
    pub(crate) number: u32,
    pub(crate) priority: i32,
}

/// A chain with its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) family: Family,
    pub(crate) name: String,
    pub(crate) hook: Option<Hook>,
    pub(crate) rules: Vec<Rule>,
}

/// A rule; within a chain its comment tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) comment: String,
    pub(crate) exprs: Vec<Expr>,
}

/// An element of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) family: Family,
    pub(crate) set: String,
    pub(crate) key: Vec<u8>,
    /// Empty where the set is no map.
    pub(crate) data: Vec<u8>,
    pub(crate) comment: String,
}

/// A rule as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundRule {
    pub(crate) chain: String,
    pub(crate) handle: u64,
    pub(crate) comment: String,
}

/// A transaction for our tables: all of it is carried out, or nothing.
pub(crate) struct Transaction<'a> {
    batch: Batch,
    table: &'a str,
    sets: u32,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(socket: &Socket, table: &'a str) -> Self {
        let mut batch = Batch::on(socket);
        batch.add(BEGIN, 0, begin_or_end);
        Self { batch, table, sets: 0 }
    }

    /// Carries it out.
    pub(crate) fn commit(mut self, socket: &mut Socket) -> Result<(), Refusal> {
        self.batch.acknowledge_last();
        self.batch.add(END, 0, begin_or_end);
        socket.transact(&self.batch)
    }

    /// Has the kernel check it and drop it: a transaction without an end is none.
    pub(crate) fn rehearse(mut self, socket: &mut Socket) -> Result<(), Refusal> {
        self.batch.acknowledge_last();
        socket.transact(&self.batch)
    }

    fn add(
        &mut self,
        kind: i32,
        flags: u16,
        family: Family,
        write: impl FnOnce(&mut Attrs<'_>, &str),
    ) {
        let table = self.table;
        self.batch.add(of_nf_tables(kind), flags, |bytes| {
            bytes.extend(header(family));
            write(&mut Attrs(bytes), table);
        });
    }

    /// What may be there already.
    pub(crate) fn table(&mut self, family: Family) {
        self.add(libc::NFT_MSG_NEWTABLE, ENSURE, family, |attrs, table| attrs.text(1, table));
    }

    pub(crate) fn set(&mut self, flags: u16, set: &Set) {
        self.sets += 1;
        let id = self.sets;
        let (key, data) = (set.key.as_slice(), set.data.as_slice());
        self.add(libc::NFT_MSG_NEWSET, flags, set.family, |attrs, table| {
            attrs.text(1, table);
            attrs.text(2, &set.name);
            attrs.be32(3, if data.is_empty() { 0 } else { SET_MAP });
            attrs.be32(4, type_of(key));
            attrs.be32(5, length_of(key));
            if !data.is_empty() {
                attrs.be32(6, type_of(data));
                attrs.be32(7, length_of(data));
            }
            attrs.be32(10, id);
            if key == [Type::Link] {
                attrs.bytes(13, &HOST_ORDER);
            }
        });
    }

    /// Only where no element is in it and no rule refers to it.
    pub(crate) fn remove_empty_set(&mut self, family: Family, name: &str) {
        self.named(libc::NFT_MSG_DELSET, NOT_RECURSIVE, family, 2, name);
    }

    /// With all of its elements; only where no rule refers to it.
    pub(crate) fn remove_set(&mut self, family: Family, name: &str) {
        self.named(libc::NFT_MSG_DELSET, CHANGE, family, 2, name);
    }

    /// A chain, without its rules.
    pub(crate) fn chain(&mut self, flags: u16, chain: &Chain) {
        self.add(libc::NFT_MSG_NEWCHAIN, flags, chain.family, |attrs, table| {
            attrs.text(1, table);
            attrs.text(3, &chain.name);
            if let Some(hook) = chain.hook {
                attrs.nest(4, |attrs| {
                    attrs.be32(1, hook.number);
                    attrs.be32(2, hook.priority.cast_unsigned());
                });
                attrs.text(7, hook.kind);
            }
        });
    }

    /// Only where no rule refers to it.
    pub(crate) fn remove_chain(&mut self, family: Family, name: &str) {
        self.named(libc::NFT_MSG_DELCHAIN, CHANGE, family, 3, name);
    }

    /// A rule at the end of a chain, or at its beginning.
    pub(crate) fn rule(&mut self, family: Family, chain: &str, rule: &Rule, first: bool) {
        let flags = ENSURE | if first { 0 } else { APPEND };
        self.add(libc::NFT_MSG_NEWRULE, flags, family, |attrs, table| {
            attrs.text(1, table);
            attrs.text(2, chain);
            attrs.nest(4, |list| expr::write(list, &rule.exprs));
            if let Some(comment) = comment::write(&rule.comment) {
                attrs.bytes(7, &comment);
            }
        });
    }

    pub(crate) fn remove_rule(&mut self, family: Family, chain: &str, handle: u64) {
        self.add(libc::NFT_MSG_DELRULE, CHANGE, family, |attrs, table| {
            attrs.text(1, table);
            attrs.text(2, chain);
            attrs.bytes(3, &handle.to_be_bytes());
        });
    }

    /// All rules of a chain.
    pub(crate) fn empty_chain(&mut self, family: Family, chain: &str) {
        self.named(libc::NFT_MSG_DELRULE, CHANGE, family, 2, chain);
    }

    /// All elements of a set.
    pub(crate) fn empty_set(&mut self, family: Family, set: &str) {
        self.named(libc::NFT_MSG_DELSETELEM, CHANGE, family, 2, set);
    }

    /// Elements; neighbours of one set go together.
    pub(crate) fn elements(&mut self, flags: u16, all: &[&Element]) {
        for group in all.chunk_by(|a, b| (a.family, &a.set) == (b.family, &b.set)) {
            for part in group.chunks(AT_ONCE) {
                self.listed(libc::NFT_MSG_NEWSETELEM, flags, part, true);
            }
        }
    }

    pub(crate) fn remove_elements(&mut self, all: &[&Element]) {
        for group in all.chunk_by(|a, b| (a.family, &a.set) == (b.family, &b.set)) {
            self.listed(libc::NFT_MSG_DELSETELEM, CHANGE, group, false);
        }
    }

    fn listed(&mut self, kind: i32, flags: u16, all: &[&Element], whole: bool) {
        let Some(first) = all.first() else { return };
        self.add(kind, flags, first.family, |attrs, table| {
            attrs.text(1, table);
            attrs.text(2, &first.set);
            attrs.nest(3, |list| {
                for element in all {
                    list.nest(LIST_ELEM, |attrs| write_element(attrs, element, whole));
                }
            });
        });
    }

    fn named(&mut self, kind: i32, flags: u16, family: Family, attribute: u16, name: &str) {
        self.add(kind, flags, family, |attrs, table| {
            attrs.text(1, table);
            attrs.text(attribute, name);
        });
    }
}

fn write_element(attrs: &mut Attrs<'_>, element: &Element, whole: bool) {
    attrs.nest(1, |key| key.bytes(VALUE, &element.key));
    if !whole {
        return;
    }
    if !element.data.is_empty() {
        attrs.nest(2, |data| data.bytes(VALUE, &element.data));
    }
    if let Some(comment) = comment::write(&element.comment) {
        attrs.bytes(6, &comment);
    }
}

/// As nft(8) counts types of several fields: six bits each.
fn type_of(fields: &[Type]) -> u32 {
    fields.iter().fold(0, |all, field| (all << 6) | *field as u32)
}

fn length_of(fields: &[Type]) -> u32 {
    match fields {
        [alone] => match alone {
            Type::Protocol => 1,
            Type::Port => 2,
            other => other.alone(),
        },
        fields => fields.iter().map(|field| field.length()).sum(),
    }
}

fn of_nf_tables(kind: i32) -> u16 {
    let subsystem = libc::NFNL_SUBSYS_NFTABLES << 8;
    u16::try_from(subsystem | kind).unwrap_or_default()
}

/// nfgenmsg: the family, the version, and no resource.
fn header(family: Family) -> [u8; 4] {
    [family as u8, 0, 0, 0]
}

/// The header of a message that encloses a transaction: its resource is the subsystem.
fn begin_or_end(bytes: &mut Vec<u8>) {
    bytes.extend([0, 0]);
    bytes.extend(u16::try_from(libc::NFNL_SUBSYS_NFTABLES).unwrap_or_default().to_be_bytes());
}
