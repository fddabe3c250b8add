//! Words that rules are made of: what to look at, in which register, and what to say.

use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_plan::{Mac, Protocol, Span};

use crate::nft::expr::{Base, Ct, Expr, How, Meta, Verdict};
use crate::nft::{Rule, Type};

pub(super) const ETHER_V4: u16 = 0x0800;
pub(super) const ETHER_V6: u16 = 0x86dd;
pub(super) const ETHER_ARP: u16 = 0x0806;
const CT_ESTABLISHED: u32 = 2;
const CT_RELATED: u32 = 4;
/// IPS_DST_NAT.
const CT_REDIRECTED: u32 = 0x20;
/// RTN_LOCAL.
const LOCAL: u32 = 2;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A rule in the making: goes on as long as everything holds.
#[derive(Debug, Clone)]
pub(super) struct When(Vec<Expr>);

/// What of a packet is a field of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    InName,
    OutName,
    Source(bool),
    Destination(bool),
    Transport,
    DestinationPort,
    OriginalPort,
    LinkSource,
    ArpMac,
    ArpAddress,
    /// The address that a neighbour advertisement is about.
    NdTarget,
}

impl Field {
    fn kind(self) -> Type {
        match self {
            Self::InName | Self::OutName => Type::Link,
            Self::Source(true) | Self::Destination(true) | Self::ArpAddress => Type::V4,
            Self::Source(false) | Self::Destination(false) | Self::NdTarget => Type::V6,
            Self::Transport => Type::Protocol,
            Self::DestinationPort | Self::OriginalPort => Type::Port,
            Self::LinkSource | Self::ArpMac => Type::Mac,
        }
    }

    fn words(self) -> u32 {
        self.kind().length() / 4
    }

    fn load(self, word: u32) -> Expr {
        let payload = |base, offset, length| Expr::Payload { base, offset, length, word };
        match self {
            Self::InName => Expr::Meta(Meta::InName, word),
            Self::OutName => Expr::Meta(Meta::OutName, word),
            Self::Source(true) => payload(Base::Network, 12, 4),
            Self::Source(false) => payload(Base::Network, 8, 16),
            Self::Destination(true) => payload(Base::Network, 16, 4),
            Self::Destination(false) => payload(Base::Network, 24, 16),
            Self::Transport => Expr::Meta(Meta::Transport, word),
            Self::DestinationPort => payload(Base::Transport, 2, 2),
            Self::OriginalPort => Expr::Ct(Ct::OriginalPort, word),
            Self::LinkSource => payload(Base::Link, 6, 6),
            Self::ArpMac => payload(Base::Network, 8, 6),
            Self::ArpAddress => payload(Base::Network, 14, 4),
            Self::NdTarget => payload(Base::Transport, 8, 16),
        }
    }
}

impl When {
    pub(super) fn always() -> Self {
        Self(Vec::new())
    }

    /// Goes on where the other holds as well.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// For packets of one family of addresses.
    pub(super) fn family(v4: bool) -> Self {
        let family = if v4 { libc::AF_INET } else { libc::AF_INET6 };
        let octet = u8::try_from(family).unwrap_or_default();
        Self::always().is(Expr::Meta(Meta::Family, 0), &[octet])
    }

    /// For frames that carry this.
    pub(super) fn ether(kind: u16) -> Self {
        Self::always().is(Expr::Meta(Meta::Protocol, 0), &kind.to_be_bytes())
    }

    /// Goes on where what is loaded into the first register is this.
    fn is(mut self, load: Expr, value: &[u8]) -> Self {
        self.0.push(load);
        self.0.push(Expr::Compare { word: 0, how: How::Equal, value: value.to_vec() });
        self
    }

    /// Goes on where the set has these fields.
    pub(super) fn found(self, fields: &[Field], set: &str) -> Self {
        self.looked_up(fields, set, false)
    }

    /// Goes on where the set has not these fields.
    pub(super) fn not_found(self, fields: &[Field], set: &str) -> Self {
        self.looked_up(fields, set, true)
    }

    fn looked_up(mut self, fields: &[Field], set: &str, negated: bool) -> Self {
        self.load(fields);
        self.0.push(Expr::In { set: set.to_owned(), word: 0, negated });
        self
    }

    fn load(&mut self, fields: &[Field]) {
        let mut word = 0;
        for field in fields {
            self.0.push(field.load(word));
            word += field.words();
        }
    }

    /// Goes on for what is established, or belongs to something that is.
    pub(super) fn established(mut self) -> Self {
        self.0.push(Expr::Ct(Ct::State, 0));
        self.any_bit(CT_ESTABLISHED | CT_RELATED)
    }

    /// Goes on for what was sent to another destination before.
    pub(super) fn redirected(mut self) -> Self {
        self.0.push(Expr::Ct(Ct::Status, 0));
        self.any_bit(CT_REDIRECTED)
    }

    fn any_bit(mut self, bits: u32) -> Self {
        self.0.push(Expr::Mask { word: 0, mask: bits.to_ne_bytes().to_vec() });
        self.0.push(Expr::Compare { word: 0, how: How::Different, value: vec![0; 4] });
        self
    }

    /// Goes on where the destination is an address of this host.
    pub(super) fn local(self) -> Self {
        self.is(Expr::DestinationType(0), &LOCAL.to_ne_bytes())
    }

    pub(super) fn link(self, name: &str) -> Self {
        self.is(Expr::Meta(Meta::InName, 0), &link(name))
    }

    pub(super) fn mark(self, mark: u32) -> Self {
        self.is(Expr::Meta(Meta::Mark, 0), &mark.to_ne_bytes())
    }

    pub(super) fn transport(self, protocol: Protocol, v4: bool) -> Self {
        self.is(Expr::Meta(Meta::Transport, 0), &[number(protocol, v4)])
    }

    /// Goes on where the port that it comes from, or is sent to, is within.
    pub(super) fn ports(self, of_source: bool, (from, to): (u16, u16)) -> Self {
        let offset = if of_source { 0 } else { 2 };
        let load = Expr::Payload { base: Base::Transport, offset, length: 2, word: 0 };
        self.within(load, from.to_be_bytes().to_vec(), to.to_be_bytes().to_vec())
    }

    /// Goes on for messages of ICMPv6 of these types.
    pub(super) fn icmpv6(self, from: u8, to: u8) -> Self {
        let load = Expr::Payload { base: Base::Transport, offset: 0, length: 1, word: 0 };
        self.transport(Protocol::Icmp, false).within(load, vec![from], vec![to])
    }

    fn within(mut self, load: Expr, from: Vec<u8>, to: Vec<u8>) -> Self {
        if from == to {
            return self.is(load, &from);
        }
        self.0.push(load);
        self.0.push(Expr::Within { word: 0, from, to });
        self
    }

    /// Goes on where the address in `field` is within.
    pub(super) fn span(self, field: Field, span: Span) -> Self {
        match network(span) {
            Some(network) => self.inside(field, network, How::Equal),
            None => self.within(field.load(0), address(span.from), address(span.to)),
        }
    }

    /// Goes on where the address in `field` is of the network, or is not.
    pub(super) fn inside(mut self, field: Field, network: IpNet, how: How) -> Self {
        if network.prefix_len() == 0 && how == How::Equal {
            return self;
        }
        self.0.push(field.load(0));
        if network.prefix_len() < network.max_prefix_len() {
            self.0.push(Expr::Mask { word: 0, mask: address(network.netmask()) });
        }
        self.0.push(Expr::Compare { word: 0, how, value: address(network.network()) });
        self
    }

    /// Sends the packet where the map says.
    pub(super) fn redirect(mut self, fields: &[Field], map: &str, v4: bool) -> Rule {
        self.load(fields);
        self.0.push(Expr::Mapped { map: map.to_owned(), word: 0, data: 0 });
        let port = if v4 { 1 } else { 4 };
        self.0.push(Expr::Redirect { v4, address: 0, port });
        self.rule(map)
    }

    pub(super) fn masquerade(mut self, comment: &str) -> Rule {
        self.0.push(Expr::Masquerade);
        self.rule(comment)
    }

    pub(super) fn say(mut self, verdict: Verdict, comment: &str) -> Rule {
        self.0.push(Expr::Say(verdict));
        self.rule(comment)
    }

    pub(super) fn jump(self, chain: &str) -> Rule {
        self.say(Verdict::Jump(chain.to_owned()), chain)
    }

    fn rule(self, comment: &str) -> Rule {
        Rule { comment: comment.to_owned(), exprs: self.0 }
    }
}

/// The network that has just these addresses, where there is one.
fn network(span: Span) -> Option<IpNet> {
    let longest = if span.from.is_ipv4() { 32 } else { 128 };
    (0..=longest)
        .filter_map(|prefix| IpNet::new(span.from, prefix).ok())
        .find(|network| Span::from(*network) == span)
}

/// The number of a protocol (IANA).
pub(super) fn number(protocol: Protocol, v4: bool) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
        Protocol::Icmp => {
            if v4 {
                ICMP
            } else {
                ICMPV6
            }
        }
    }
}

/// The protocol that a key has.
pub(super) fn protocol(number: u8) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| self::number(*protocol, true) == number)
}

/// A key in the making: its fields in a row, each to a word's end.
#[derive(Debug, Clone, Default)]
pub(super) struct Key(Vec<u8>);

impl Key {
    fn field(mut self, octets: &[u8]) -> Self {
        self.0.extend(octets);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn address(self, address: IpAddr) -> Self {
        self.field(&self::address(address))
    }

    pub(super) fn link(self, name: &str) -> Self {
        self.field(&link(name))
    }

    pub(super) fn mac(self, mac: Mac) -> Self {
        self.field(&mac.0)
    }

    pub(super) fn port(self, protocol: Protocol, port: u16) -> Self {
        self.field(&[number(protocol, true)]).field(&port.to_be_bytes())
    }

    pub(super) fn protocol(self, protocol: Protocol) -> Self {
        self.field(&[number(protocol, true)])
    }

    pub(super) fn service(self, port: u16) -> Self {
        self.field(&port.to_be_bytes())
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// A key that is read: its fields from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest.get(N.next_multiple_of(4) - N..).unwrap_or_default();
        Some(*field)
    }

    pub(super) fn address(&mut self, v4: bool) -> Option<IpAddr> {
        if v4 { self.take::<4>().map(IpAddr::from) } else { self.take::<16>().map(IpAddr::from) }
    }

    pub(super) fn link(&mut self) -> Option<String> {
        let name = self.take::<16>()?;
        let end = name.iter().position(|octet| *octet == 0).unwrap_or(name.len());
        Some(String::from_utf8_lossy(name.get(..end)?).into_owned())
    }

    pub(super) fn mac(&mut self) -> Option<Mac> {
        self.take::<6>().map(Mac)
    }

    pub(super) fn port(&mut self) -> Option<(Protocol, u16)> {
        Some((self.protocol()?, self.service()?))
    }

    pub(super) fn protocol(&mut self) -> Option<Protocol> {
        let [number] = self.take::<1>()?;
        protocol(number)
    }

    pub(super) fn service(&mut self) -> Option<u16> {
        self.take::<2>().map(u16::from_be_bytes)
    }
}

/// As the kernel compares link names: sixteen octets.
pub(super) fn link(name: &str) -> [u8; 16] {
    let mut octets = [0; 16];
    octets.iter_mut().zip(name.bytes().take(15)).for_each(|(octet, byte)| *octet = byte);
    octets
}

fn address(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A name that nft(8) reads: letters, digits and `/ - _ .`; another octet as a dot and its two
/// digits.
pub(super) fn name(prefix: &str, rest: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"/-_".contains(&octet);
    rest.bytes().fold(prefix.to_owned(), |name, octet| {
        if plain(octet) {
            name + char::from(octet).to_string().as_str()
        } else {
            format!("{name}.{octet:02x}")
        }
    })
}
