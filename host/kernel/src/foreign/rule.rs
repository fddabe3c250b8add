//! Rules as they are read out of other people's chains: as much of them as is asked for here,
//! and how much there is beside it.
//!
//! The same is read from the kernel's expressions, whoever wrote them, and from a line of
//! iptables-save. What is not understood counts as a condition more, so that a rule is never
//! taken for a wider one than it is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Accept;
use super::expressions::{
    ANSWERS, CONNTRACK_FLAGS, CONNTRACK_STATE, CONNTRACK_STATES, MAPPED, MAPPED_STATUS,
};
use super::wire::{
    IPV4, RULE_EXPRESSIONS, RULE_HANDLE, RULE_USERDATA, as_text, attribute_of, attributes, be32,
};

/// A rule of somebody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) handle: u64,
    pub(crate) comment: Option<String>,
    pub(crate) source: Option<IpNet>,
    pub(crate) destination: Option<IpNet>,
    pub(crate) state: State,
    /// The first address that a destination NAT goes to.
    pub(crate) dnat: Option<IpAddr>,
    pub(crate) end: End,
    /// How many conditions it has beside those above.
    pub(crate) others: usize,
}

/// Which connections a rule is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Any,
    /// ESTABLISHED or RELATED.
    Answers,
    /// Their destination was another one, and has been translated.
    Mapped,
}

/// What a rule comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// The next rule: it counts, marks or logs; or what is not asked for here.
    #[default]
    Other,
    Accept,
    /// Dropped or rejected.
    Drop,
    /// Goes on in this chain.
    Chain(String),
}

impl Rule {
    /// Whether every packet that gets to it is dropped.
    pub(crate) fn drops_all(&self) -> bool {
        self.end == End::Drop && self.is_unconditional()
    }

    fn is_unconditional(&self) -> bool {
        self.source.is_none()
            && self.destination.is_none()
            && self.state == State::Any
            && self.others == 0
    }

    /// Whether it goes on in this chain with every packet.
    pub(crate) fn jumps_to(&self, chain: &str) -> bool {
        self.is_unconditional() && self.goes_to(chain)
    }

    /// Whether it goes on in this chain with some packets.
    pub(crate) fn goes_to(&self, chain: &str) -> bool {
        matches!(&self.end, End::Chain(name) if name == chain)
    }

    /// Whether it accepts this, and nothing else.
    pub(crate) fn accepts(&self, accept: Accept) -> bool {
        let address = Some(IpNet::from(accept.address));
        let (source, destination) =
            if accept.is_source { (address, None) } else { (None, address) };
        (self.source, self.destination, self.state) == (source, destination, accept.state)
            && self.others == 0
            && self.end == End::Accept
    }

    /// Reads the attributes of a rule of a table of this family.
    pub(crate) fn read(family: u8, bytes: &[u8]) -> Option<Self> {
        let handle = attribute_of(bytes, RULE_HANDLE)?.first_chunk().copied()?;
        let mut reader = Reader {
            family,
            rule: Self { handle: u64::from_be_bytes(handle), ..Self::default() },
            registers: BTreeMap::new(),
        };
        let list = attribute_of(bytes, RULE_EXPRESSIONS).unwrap_or_default();
        for (_, expression) in attributes(list) {
            let name = attribute_of(expression, 1).map(as_text).unwrap_or_default();
            let data = attribute_of(expression, 2).unwrap_or_default();
            reader.expression(&name, data);
        }
        let userdata = attribute_of(bytes, RULE_USERDATA).unwrap_or_default();
        reader.rule.comment = reader.rule.comment.or_else(|| comment_of(userdata));
        Some(reader.rule)
    }
}

/// The comment of nft(8): records of a kind, a length and octets.
fn comment_of(mut userdata: &[u8]) -> Option<String> {
    while let [kind, length, behind @ ..] = userdata {
        let (content, rest) = behind.split_at_checked(usize::from(*length))?;
        if *kind == 0 {
            return Some(as_text(content));
        }
        userdata = rest;
    }
    None
}

/// What a register holds.
#[derive(Debug, Clone)]
enum Held {
    /// Octets of the network header, from this offset on.
    Header(u32),
    /// The same, as far as this mask.
    Masked(u32, Vec<u8>),
    /// The family of the packet.
    Family,
    /// The state of its connection, or what has been done to it; masked by this.
    State(Option<u32>),
    Status(Option<u32>),
    Value(Vec<u8>),
}

struct Reader {
    family: u8,
    rule: Rule,
    registers: BTreeMap<u32, Held>,
}

impl Reader {
    fn expression(&mut self, name: &str, data: &[u8]) {
        match name {
            "payload" => self.payload(data),
            "meta" => self.meta(data),
            "ct" => self.conntrack(data),
            "bitwise" => self.bitwise(data),
            "cmp" => self.compare(data),
            "immediate" => self.immediate(data),
            "match" => self.extension(data),
            "target" => self.target(data),
            "nat" => self.nat(data),
            "reject" => self.rule.end = End::Drop,
            "counter" | "masq" | "log" => {}
            _ => self.rule.others += 1,
        }
    }

    /// What the expression loads, of which `what` is known.
    fn hold(&mut self, data: &[u8], register: u16, what: Option<Held>) {
        let Some(register) = number(data, register) else { return };
        match what {
            Some(what) => drop(self.registers.insert(register, what)),
            None => drop(self.registers.remove(&register)),
        }
    }

    fn payload(&mut self, data: &[u8]) {
        const NETWORK_HEADER: u32 = 1;
        let offset = number(data, 3).filter(|_| number(data, 2) == Some(NETWORK_HEADER));
        self.hold(data, 1, offset.map(Held::Header));
    }

    fn meta(&mut self, data: &[u8]) {
        const NFPROTO: u32 = 15;
        if attribute_of(data, 1).is_none() {
            // It sets, and asks nothing.
            return;
        }
        self.hold(data, 1, (number(data, 2) == Some(NFPROTO)).then_some(Held::Family));
    }

    fn conntrack(&mut self, data: &[u8]) {
        let what = match number(data, 2) {
            Some(0) => Some(Held::State(None)),
            Some(2) => Some(Held::Status(None)),
            _ => None,
        };
        self.hold(data, 1, what);
    }

    fn bitwise(&mut self, data: &[u8]) {
        let mask = attribute_of(data, 4).and_then(|data| attribute_of(data, 1));
        let held = number(data, 1).and_then(|register| self.registers.get(&register).cloned());
        let masked = match (held, mask) {
            (Some(Held::Header(offset)), Some(mask)) => Some(Held::Masked(offset, mask.to_vec())),
            (Some(Held::State(None)), Some(mask)) => Some(Held::State(word(mask))),
            (Some(Held::Status(None)), Some(mask)) => Some(Held::Status(word(mask))),
            _ => None,
        };
        self.hold(data, 2, masked);
    }

    fn compare(&mut self, data: &[u8]) {
        let is_equal = number(data, 2) == Some(0);
        let value = attribute_of(data, 3).and_then(|data| attribute_of(data, 1));
        let value = value.unwrap_or_default();
        let is_nothing = value == [0; 4];
        let held = number(data, 1).and_then(|register| self.registers.get(&register));
        let understood = match held {
            Some(Held::Family) if is_equal => true,
            Some(Held::Header(offset)) if is_equal => network(*offset, value, None)
                .is_some_and(|(is_source, network)| self.rule.about(is_source, network)),
            Some(Held::Masked(offset, mask)) if is_equal => network(*offset, value, Some(mask))
                .is_some_and(|(is_source, network)| self.rule.about(is_source, network)),
            Some(Held::State(Some(mask))) if !is_equal && is_nothing => {
                let state = (*mask == u32::from(ANSWERS)).then_some(State::Answers);
                self.rule.limit(state)
            }
            Some(Held::Status(Some(mask))) if !is_equal && is_nothing => {
                self.rule.limit((*mask == MAPPED_STATUS).then_some(State::Mapped))
            }
            _ => false,
        };
        self.rule.others += usize::from(!understood);
    }

    fn immediate(&mut self, data: &[u8]) {
        let Some(content) = attribute_of(data, 2) else { return };
        if let Some(verdict) = attribute_of(content, 2) {
            let chain = attribute_of(verdict, 2).map(as_text);
            self.rule.end = match (number(verdict, 1), chain) {
                (Some(0), _) => End::Drop,
                (Some(1), _) => End::Accept,
                (_, Some(chain)) => End::Chain(chain),
                _ => End::Other,
            };
        } else {
            let value = attribute_of(content, 1).map(|value| Held::Value(value.to_vec()));
            self.hold(data, 1, value);
        }
    }

    fn extension(&mut self, data: &[u8]) {
        let content = attribute_of(data, 3).unwrap_or_default();
        match attribute_of(data, 1).map(as_text).as_deref() {
            Some("comment") => self.rule.comment = Some(as_text(content)),
            Some("conntrack") => {
                let state = xtables_state(content).filter(|_| number(data, 2) == Some(3));
                self.rule.others += usize::from(!self.rule.limit(state));
            }
            _ => self.rule.others += 1,
        }
    }

    fn target(&mut self, data: &[u8]) {
        let content = attribute_of(data, 3).unwrap_or_default();
        match attribute_of(data, 1).map(as_text).as_deref() {
            Some("DNAT") => self.rule.dnat = xtables_dnat(self.family, number(data, 2), content),
            Some("REJECT") => self.rule.end = End::Drop,
            _ => {}
        }
    }

    fn nat(&mut self, data: &[u8]) {
        const DNAT: u32 = 1;
        let register = number(data, 3).filter(|_| number(data, 1) == Some(DNAT));
        if let Some(Held::Value(value)) = register.and_then(|r| self.registers.get(&r)) {
            self.rule.dnat = address(value);
        }
    }
}

impl Rule {
    /// Notes a condition on the connection; answers whether it is understood, and the first.
    pub(super) fn limit(&mut self, state: Option<State>) -> bool {
        let is_first = self.state == State::Any;
        if let Some(state) = state {
            self.state = state;
        }
        state.is_some() && is_first
    }

    /// Notes a condition on an address; answers whether there is none yet.
    fn about(&mut self, is_source: bool, network: IpNet) -> bool {
        let place = if is_source { &mut self.source } else { &mut self.destination };
        let is_first = place.is_none();
        place.get_or_insert(network);
        is_first
    }
}

fn number(data: &[u8], kind: u16) -> Option<u32> {
    attribute_of(data, kind).and_then(be32)
}

/// Octets of a header as a network of sources or destinations. Where a prefix ends with an
/// octet, iptables loads no more than its octets.
fn network(offset: u32, value: &[u8], mask: Option<&[u8]>) -> Option<(bool, IpNet)> {
    let (is_source, is_v4) = match offset {
        12 => (true, true),
        16 => (false, true),
        8 => (true, false),
        24 => (false, false),
        _ => return None,
    };
    let bits = match mask {
        None => u8::try_from(value.len() * 8).ok()?,
        Some(mask) => {
            u8::try_from(mask.iter().map(|octet| octet.count_ones()).sum::<u32>()).ok()?
        }
    };
    let length = if is_v4 { 4 } else { 16 };
    let mut octets = value.to_vec();
    if octets.len() > length {
        return None;
    }
    octets.resize(length, 0);
    Some((is_source, IpNet::new(address(&octets)?, bits).ok()?))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// What this xt_conntrack_mtinfo3 asks for, where it is a state alone.
fn xtables_state(content: &[u8]) -> Option<State> {
    let at = |at: usize| content.get(at..at + 2)?.first_chunk().copied().map(u16::from_ne_bytes);
    let inverted = at(CONNTRACK_FLAGS + 2)?;
    match (at(CONNTRACK_FLAGS)?, inverted, at(CONNTRACK_STATES)?) {
        (CONNTRACK_STATE, 0, ANSWERS) => Some(State::Answers),
        (CONNTRACK_STATE, 0, MAPPED) => Some(State::Mapped),
        _ => None,
    }
}

fn word(content: &[u8]) -> Option<u32> {
    content.first_chunk().copied().map(u32::from_ne_bytes)
}

/// The address of a target DNAT. Revision 0 of IPv4 is the old form, which counts its ranges.
fn xtables_dnat(family: u8, revision: Option<u32>, content: &[u8]) -> Option<IpAddr> {
    let is_old = family == IPV4 && revision == Some(0);
    let behind = content.get(if is_old { 8 } else { 4 }..)?;
    let length = if family == IPV4 { 4 } else { 16 };
    address(behind.get(..length)?)
}
