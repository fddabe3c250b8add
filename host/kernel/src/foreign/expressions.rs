//! Rules as they are written into other people's chains.
//!
//! In a chain of iptables-nft each rule is, octet for octet, what iptables 1.8.9 itself writes
//! for the same words: it compares rules by their expressions, and calls a chain that has one it
//! does not know "incompatible", which blinds whoever reads it. Elsewhere rules are as nft(8)
//! writes them. What both read back is known from `rule`.

use std::net::IpAddr;

use super::Accept;
use super::rule::State;
use super::wire::{
    INET, IPV4, IPV6, RULE_COMPAT, RULE_EXPRESSIONS, RULE_USERDATA, attribute, nested, number, text,
};

const ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;
const VALUE: u16 = 1;
/// The registers of a verdict, and of what is compared.
const VERDICT: u32 = 0;
const REGISTER: u32 = 1;
/// NF_ACCEPT and NFT_JUMP.
const ACCEPT: u32 = 1;
const JUMP: u32 = 0xffff_fffd;
/// Bits of a connection's states ESTABLISHED and RELATED: the same for xt_conntrack and nft_ct.
pub(crate) const ANSWERS: u16 = 0b110;
/// XT_CONNTRACK_STATE_DNAT, and what nft_ct has for it: IPS_DST_NAT, of the status.
pub(crate) const MAPPED: u16 = 0x80;
pub(crate) const MAPPED_STATUS: u32 = 0x20;
/// XT_CONNTRACK_STATE.
pub(crate) const CONNTRACK_STATE: u16 = 1;
/// sizeof(struct xt_comment_info), sizeof(struct xt_conntrack_mtinfo3) and where in the latter
/// the flags of what is matched and the states are.
const COMMENT_LENGTH: usize = 256;
const CONNTRACK_LENGTH: usize = 168;
pub(crate) const CONNTRACK_FLAGS: usize = 146;
pub(crate) const CONNTRACK_STATES: usize = 150;

/// In whose words a chain's rules are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// iptables-nft.
    Xtables,
    /// nft(8), in a table of this family.
    Native(u8),
}

/// Jumps to a chain, with a comment.
pub(crate) fn jump(bytes: &mut Vec<u8>, dialect: Dialect, chain: &str, comment: &str) {
    rule(bytes, dialect, |list| {
        if dialect == Dialect::Xtables {
            xtables_comment(list, comment);
        }
        counter(list);
        verdict(list, JUMP, Some(chain));
    });
    if dialect != Dialect::Xtables {
        let length = u8::try_from(comment.len() + 1).unwrap_or_default();
        let userdata: Vec<u8> = [0, length].into_iter().chain(comment.bytes()).chain([0]).collect();
        attribute(bytes, RULE_USERDATA, &userdata);
    }
}

/// Accepts.
pub(crate) fn accept(bytes: &mut Vec<u8>, dialect: Dialect, accept: Accept) {
    rule(bytes, dialect, |list| {
        addressed(list, dialect, accept.address, accept.is_source);
        match (dialect, accept.state) {
            (_, State::Any) => {}
            (Dialect::Xtables, State::Answers) => xtables_conntrack(list, ANSWERS),
            (Dialect::Xtables, State::Mapped) => xtables_conntrack(list, MAPPED),
            (Dialect::Native(_), State::Answers) => native_conntrack(list, 0, ANSWERS.into()),
            (Dialect::Native(_), State::Mapped) => native_conntrack(list, 2, MAPPED_STATUS),
        }
        counter(list);
        verdict(list, ACCEPT, None);
    });
}

fn rule(bytes: &mut Vec<u8>, dialect: Dialect, write: impl FnOnce(&mut Vec<u8>)) {
    nested(bytes, RULE_EXPRESSIONS, write);
    if dialect == Dialect::Xtables {
        // Protocol and flags: of any protocol.
        nested(bytes, RULE_COMPAT, |bytes| {
            number(bytes, 1, 0);
            number(bytes, 2, 0);
        });
    }
}

fn expression(list: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    nested(list, ELEMENT, |bytes| {
        text(bytes, NAME, name);
        nested(bytes, DATA, write);
    });
}

fn addressed(list: &mut Vec<u8>, dialect: Dialect, address: IpAddr, is_source: bool) {
    const NFPROTO: u32 = 15;
    let (family, offset, octets) = match (address, is_source) {
        (IpAddr::V4(address), true) => (IPV4, 12, address.octets().to_vec()),
        (IpAddr::V4(address), false) => (IPV4, 16, address.octets().to_vec()),
        (IpAddr::V6(address), true) => (IPV6, 8, address.octets().to_vec()),
        (IpAddr::V6(address), false) => (IPV6, 24, address.octets().to_vec()),
    };
    if dialect == Dialect::Native(INET) {
        expression(list, "meta", |bytes| {
            number(bytes, 2, NFPROTO);
            number(bytes, 1, REGISTER);
        });
        compare(list, 0, &[family]);
    }
    let length = u32::try_from(octets.len()).unwrap_or_default();
    expression(list, "payload", |bytes| {
        const NETWORK_HEADER: u32 = 1;
        for (kind, value) in [(1, REGISTER), (2, NETWORK_HEADER), (3, offset), (4, length)] {
            number(bytes, kind, value);
        }
    });
    compare(list, 0, &octets);
}

/// `how`: 0 for equal, 1 for not equal.
fn compare(list: &mut Vec<u8>, how: u32, value: &[u8]) {
    expression(list, "cmp", |bytes| {
        number(bytes, 1, REGISTER);
        number(bytes, 2, how);
        nested(bytes, 3, |bytes| attribute(bytes, VALUE, value));
    });
}

fn extension(list: &mut Vec<u8>, name: &str, revision: u32, content: &[u8]) {
    expression(list, "match", |bytes| {
        text(bytes, 1, name);
        number(bytes, 2, revision);
        attribute(bytes, 3, content);
    });
}

fn xtables_comment(list: &mut Vec<u8>, comment: &str) {
    let mut content: Vec<u8> = comment.bytes().take(COMMENT_LENGTH - 1).collect();
    content.resize(COMMENT_LENGTH, 0);
    extension(list, "comment", 0, &content);
}

fn xtables_conntrack(list: &mut Vec<u8>, state: u16) {
    let mut content = vec![0; CONNTRACK_LENGTH];
    for (at, value) in [(CONNTRACK_FLAGS, CONNTRACK_STATE), (CONNTRACK_STATES, state)] {
        if let Some(place) = content.get_mut(at..at + 2) {
            place.copy_from_slice(&value.to_ne_bytes());
        }
    }
    extension(list, "conntrack", 3, &content);
}

/// `key`: 0 for the state, 2 for the status.
fn native_conntrack(list: &mut Vec<u8>, key: u32, mask: u32) {
    expression(list, "ct", |bytes| {
        number(bytes, 2, key);
        number(bytes, 1, REGISTER);
    });
    expression(list, "bitwise", |bytes| {
        number(bytes, 1, REGISTER);
        number(bytes, 2, REGISTER);
        number(bytes, 3, 4);
        nested(bytes, 4, |bytes| attribute(bytes, VALUE, &mask.to_ne_bytes()));
        nested(bytes, 5, |bytes| attribute(bytes, VALUE, &[0; 4]));
    });
    compare(list, 1, &[0; 4]);
}

/// Bytes and packets, from nothing.
fn counter(list: &mut Vec<u8>) {
    expression(list, "counter", |bytes| {
        attribute(bytes, 1, &[0; 8]);
        attribute(bytes, 2, &[0; 8]);
    });
}

fn verdict(list: &mut Vec<u8>, code: u32, chain: Option<&str>) {
    expression(list, "immediate", |bytes| {
        number(bytes, 1, VERDICT);
        nested(bytes, 2, |bytes| {
            nested(bytes, 2, |bytes| {
                number(bytes, 1, code);
                if let Some(chain) = chain {
                    text(bytes, 2, chain);
                }
            });
        });
    });
}
