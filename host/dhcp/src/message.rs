//! Messages: ours as bytes, a server's as what is looked at of it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dhcproto::v4::borrowed::{DhcpOptionIterator, Message as Borrowed};
use dhcproto::v4::{DhcpOption, Flags, Message, Opcode, OptionCode, UnknownOption};
use dhcproto::{Encodable, Encoder};

use crate::Hardware;
use crate::asked::option;

/// Servers of BOOTP's time want as much (RFC 1542, section 2.1).
const SHORTEST: usize = 300;
/// `htype` and `hlen` of Ethernet, and of all that calls itself that.
const ETHERNET: [u8; 2] = [1, 6];

/// The kinds of message that we send or look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
    Release = 7,
}

/// A message of ours.
#[derive(Debug, Clone)]
pub(crate) struct Ours {
    pub(crate) kind: Kind,
    pub(crate) xid: u32,
    /// Since when we ask, in seconds.
    pub(crate) secs: u64,
    /// The address that we have.
    pub(crate) has: Ipv4Addr,
    pub(crate) broadcast: bool,
    pub(crate) mac: Hardware,
    pub(crate) options: BTreeMap<u8, Vec<u8>>,
}

impl Ours {
    /// Its bytes; none come of what the protocol crate cannot write, which there is not.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.options.insert(option::MESSAGE_TYPE, vec![self.kind as u8]);
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message = Message::new_with_id(self.xid, self.has, none, none, none, &self.mac);
        let flags = Flags::default();
        message.set_opcode(Opcode::BootRequest);
        message.set_flags(if self.broadcast { flags.set_broadcast() } else { flags });
        message.set_secs(u16::try_from(self.secs).unwrap_or(u16::MAX));
        for (number, value) in self.options {
            let option = UnknownOption::new(OptionCode::from(number), value);
            message.opts_mut().insert(DhcpOption::Unknown(option));
        }
        let mut bytes = Vec::with_capacity(SHORTEST);
        if message.encode(&mut Encoder::new(&mut bytes)).is_err() {
            return Vec::new();
        }
        if bytes.len() < SHORTEST {
            bytes.resize(SHORTEST, 0);
        }
        bytes
    }
}

/// What is looked at of a server's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Theirs {
    pub(crate) kind: Kind,
    pub(crate) xid: u32,
    pub(crate) mac: Hardware,
    /// The address that it gives.
    pub(crate) gives: Ipv4Addr,
    options: BTreeMap<u8, Vec<u8>>,
}

impl Theirs {
    /// None where it is no message of a server to a client, or cannot be read.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let message = Borrowed::new(bytes).ok()?;
        // Looked at before the crate does, which takes the length on trust.
        if message.opcode() != Opcode::BootReply || bytes.get(1..3) != Some(&ETHERNET) {
            return None;
        }
        let mut options = BTreeMap::new();
        collect(message.opts(), &mut options);
        let overload = options.get(&option::OVERLOAD).and_then(|value| value.first()).copied();
        let overload = overload.unwrap_or_default();
        // RFC 2131, section 4.1: `file` first, then `sname`.
        for (bit, place) in [(1, 108..236), (2, 44..108)] {
            if overload & bit != 0 {
                collect(DhcpOptionIterator::new(bytes.get(place)?), &mut options);
            }
        }
        let kind = match options.get(&option::MESSAGE_TYPE)?.as_slice() {
            [2] => Kind::Offer,
            [5] => Kind::Ack,
            [6] => Kind::Nak,
            _ => return None,
        };
        let mac = bytes.get(28..34)?.try_into().ok()?;
        Some(Self { kind, xid: message.xid(), mac, gives: message.yiaddr(), options })
    }

    /// An option's bytes.
    pub(crate) fn bytes(&self, number: u8) -> Option<&[u8]> {
        self.options.get(&number).map(Vec::as_slice)
    }

    /// An option that is one address.
    pub(crate) fn address(&self, number: u8) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.bytes(number)?).ok()?))
    }

    /// An option that is addresses, at most so many of them.
    pub(crate) fn addresses(&self, number: u8, most: usize) -> Vec<Ipv4Addr> {
        let (whole, _) = self.bytes(number).unwrap_or_default().as_chunks::<4>();
        whole.iter().take(most).map(|octets| Ipv4Addr::from(*octets)).collect()
    }

    /// An option that is seconds.
    pub(crate) fn seconds(&self, number: u8) -> Option<u32> {
        Some(u32::from_be_bytes(<[u8; 4]>::try_from(self.bytes(number)?).ok()?))
    }

    /// An option as the protocol crate reads it.
    pub(crate) fn parsed(&self, number: u8) -> Option<DhcpOption> {
        let bytes = self.bytes(number)?;
        let mut encoded = Vec::with_capacity(bytes.len() + 4);
        for chunk in bytes.chunks(255) {
            encoded.push(number);
            encoded.push(u8::try_from(chunk.len()).ok()?);
            encoded.extend(chunk);
        }
        DhcpOptionIterator::new(&encoded).next()?.into_option().ok()
    }
}

/// One option may come in several pieces (RFC 3396).
fn collect(options: DhcpOptionIterator<'_>, into: &mut BTreeMap<u8, Vec<u8>>) {
    for option in options {
        into.entry(option.code().into()).or_default().extend(option.data());
    }
}
