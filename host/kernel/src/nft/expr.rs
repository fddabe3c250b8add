//! Expressions: what a rule looks at, step by step, and what it says in the end.
//!
//! Numbers are those of linux/netfilter/nf_tables.h. A register is a word of four octets, counted
//! from 0; wider values take several in a row.

use crate::nft::attrs::Attrs;

const LIST_ELEM: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
/// NFT_REG_VERDICT, NFT_REG32_00.
const REG_VERDICT: u32 = 0;
const REG_FIRST: u32 = 8;
const FIB_DADDR: u32 = 2;
const FIB_ADDRTYPE: u32 = 3;
const NAT_DNAT: u32 = 1;

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expr {
    /// Loads what is known about the packet.
    Meta(Meta, u32),
    /// Loads octets of the packet.
    Payload { base: Base, offset: u32, length: u32, word: u32 },
    /// Loads what is known about its connection.
    Ct(Ct, u32),
    /// Loads of which type its destination is to this host.
    DestinationType(u32),
    /// Keeps these bits of a register.
    Mask { word: u32, mask: Vec<u8> },
    /// Goes on only where the register compares so.
    Compare { word: u32, how: How, value: Vec<u8> },
    /// Goes on only where the register is within, both ends included.
    Within { word: u32, from: Vec<u8>, to: Vec<u8> },
    /// Goes on only where the set has what is in the registers; or where it has not.
    In { set: String, word: u32, negated: bool },
    /// Goes on only where the map has it, with its data in the registers.
    Mapped { map: String, word: u32, data: u32 },
    /// Sends it to the address in one register, and the port in the next.
    Redirect { v4: bool, address: u32, port: u32 },
    /// It carries the host's address from here on.
    Masquerade,
    /// Says what becomes of it.
    Say(Verdict),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meta {
    Protocol = 1,
    Mark = 3,
    InName = 6,
    OutName = 7,
    Family = 15,
    Transport = 16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Link = 0,
    Network = 1,
    Transport = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ct {
    State,
    Status,
    /// The port that it was sent to before any translation.
    OriginalPort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Equal = 0,
    Different = 1,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Drop,
    Return,
    Jump(String),
}

/// Writes a rule's expressions.
pub(crate) fn write(list: &mut Attrs<'_>, all: &[Expr]) {
    for expr in all {
        list.nest(LIST_ELEM, |elem| {
            elem.text(EXPR_NAME, name(expr));
            if *expr != Expr::Masquerade {
                elem.nest(EXPR_DATA, |data| content(data, expr));
            }
        });
    }
}

fn name(expr: &Expr) -> &'static str {
    match expr {
        Expr::Meta(..) => "meta",
        Expr::Payload { .. } => "payload",
        Expr::Ct(..) => "ct",
        Expr::DestinationType(_) => "fib",
        Expr::Mask { .. } => "bitwise",
        Expr::Compare { .. } => "cmp",
        Expr::Within { .. } => "range",
        Expr::In { .. } | Expr::Mapped { .. } => "lookup",
        Expr::Redirect { .. } => "nat",
        Expr::Masquerade => "masq",
        Expr::Say(_) => "immediate",
    }
}

fn content(data: &mut Attrs<'_>, expr: &Expr) {
    match expr {
        Expr::Meta(key, word) => {
            data.be32(1, register(*word));
            data.be32(2, *key as u32);
        }
        Expr::Payload { base, offset, length, word } => {
            data.be32(1, register(*word));
            data.be32(2, *base as u32);
            data.be32(3, *offset);
            data.be32(4, *length);
        }
        Expr::Ct(key, word) => connection(data, *key, *word),
        Expr::DestinationType(word) => {
            data.be32(1, register(*word));
            data.be32(2, FIB_ADDRTYPE);
            data.be32(3, FIB_DADDR);
        }
        Expr::Mask { word, mask } => {
            data.be32(1, register(*word));
            data.be32(2, register(*word));
            data.be32(3, u32::try_from(mask.len()).unwrap_or(0));
            value(data, 4, mask);
            value(data, 5, &vec![0; mask.len()]);
        }
        Expr::Compare { word, how, value: wanted } => {
            data.be32(1, register(*word));
            data.be32(2, *how as u32);
            value(data, 3, wanted);
        }
        Expr::Within { word, from, to } => {
            data.be32(1, register(*word));
            data.be32(2, How::Equal as u32);
            value(data, 3, from);
            value(data, 4, to);
        }
        Expr::In { set, word, negated } => {
            data.text(1, set);
            data.be32(2, register(*word));
            if *negated {
                data.be32(5, 1);
            }
        }
        Expr::Mapped { map, word, data: to } => {
            data.text(1, map);
            data.be32(2, register(*word));
            data.be32(3, register(*to));
        }
        Expr::Redirect { v4, address, port } => {
            data.be32(1, NAT_DNAT);
            data.be32(2, if *v4 { 2 } else { 10 });
            data.be32(3, register(*address));
            data.be32(5, register(*port));
        }
        Expr::Masquerade => {}
        Expr::Say(verdict) => said(data, verdict),
    }
}

fn connection(data: &mut Attrs<'_>, key: Ct, word: u32) {
    const ORIGINAL: u8 = 0;
    data.be32(1, register(word));
    match key {
        Ct::State => data.be32(2, 0),
        Ct::Status => data.be32(2, 2),
        Ct::OriginalPort => {
            data.be32(2, 12);
            data.bytes(3, &[ORIGINAL]);
        }
    }
}

fn said(data: &mut Attrs<'_>, verdict: &Verdict) {
    let code: i32 = match verdict {
        Verdict::Drop => 0,
        Verdict::Accept => 1,
        Verdict::Jump(_) => -3,
        Verdict::Return => -5,
    };
    data.be32(1, REG_VERDICT);
    data.nest(2, |data| {
        data.nest(VERDICT, |verdict_of| {
            verdict_of.be32(VERDICT_CODE, code.cast_unsigned());
            if let Verdict::Jump(chain) = verdict {
                verdict_of.text(VERDICT_CHAIN, chain);
            }
        });
    });
}

fn value(data: &mut Attrs<'_>, kind: u16, octets: &[u8]) {
    data.nest(kind, |data| data.bytes(VALUE, octets));
}

fn register(word: u32) -> u32 {
    REG_FIRST + word
}
