//! nf_tables by netlink: how tables, chains, maps, rules and elements are written and read.
//!
//! It knows the words, not what is said with them: `masquerade` does. Numbers that are not
//! named by the bindings are those of linux/netfilter/nf_tables.h.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_bindings::nftables::{
    CmpOps, DataAttrs, MetaKeys, Nfgenmsg, OpDelsetelemDo, OpGetruleDump, OpGetsetelemDo,
    OpGettableDo, OpNewchainDo, OpNewruleDo, OpNewsetDo, OpNewsetelemDo, OpNewtableDo, PayloadBase,
    PushExprListAttrs, PushSetelemListAttrs, RuleAttrs, SetFlags, SetelemAttrs, SetelemListAttrs,
    SetelemListElemAttrs, VerdictAttrs, VerdictCode,
};
use netlink_bindings::utils::{Pusher, finalize_nested_header, push_header, push_nested_header};

use crate::socket::{ACK, APPEND, Batch, CHANGE, Refusal, Socket};

const INET: u8 = 1;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// NF_INET_POST_ROUTING, and the priority that nft(8) calls srcnat.
const POSTROUTING: u32 = 4;
const SRCNAT: i32 = 100;
/// Registers: the verdict's, and the first of 16 octets.
const VERDICT: u32 = 0;
const REGISTER: u32 = 1;
/// The data types of nft(8) for keys, by which it shows them.
const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_IPV6_ADDR: u32 = 8;
/// NFT_DATA_VERDICT.
const TYPE_VERDICT: u32 = 0xffff_ff00;
/// NFNL_MSG_BATCH_BEGIN and NFNL_MSG_BATCH_END.
const BEGIN: u16 = 16;
const END: u16 = 17;

/// A transaction for one table: all of it is carried out, or nothing.
pub(crate) struct Transaction<'a> {
    batch: Batch,
    table: &'a str,
}

/// One of the two addresses of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// An element of a map from addresses to chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) address: IpAddr,
    pub(crate) chain: String,
    pub(crate) userdata: Vec<u8>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(socket: &Socket, table: &'a str) -> Self {
        let mut batch = Batch::on(socket);
        batch.add(BEGIN, 0, begin_or_end);
        Self { batch, table }
    }

    /// Carries it out.
    pub(crate) fn commit(mut self, socket: &mut Socket) -> Result<(), Refusal> {
        self.batch.add(END, 0, begin_or_end);
        socket.transact(&self.batch)
    }

    /// Has the kernel check it and drop it: a transaction without an end is none.
    pub(crate) fn rehearse(self, socket: &mut Socket) -> Result<(), Refusal> {
        socket.transact(&self.batch)
    }

    fn add(&mut self, kind: i32, flags: u16, write: impl FnOnce(&mut Vec<u8>, &[u8])) {
        let (kind, table) = (of_nf_tables(kind), self.table);
        self.batch.add(kind, flags | ACK, |bytes| write(bytes, table.as_bytes()));
    }

    pub(crate) fn table(&mut self, flags: u16) {
        self.add(libc::NFT_MSG_NEWTABLE, flags, |bytes, table| {
            OpNewtableDo::encode_request(bytes, &header()).push_name_bytes(table);
        });
    }

    /// A chain that others jump to.
    pub(crate) fn chain(&mut self, flags: u16, name: &str) {
        self.add(libc::NFT_MSG_NEWCHAIN, flags, |bytes, table| {
            let chain = OpNewchainDo::encode_request(bytes, &header());
            chain.push_table_bytes(table).push_name_bytes(name.as_bytes());
        });
    }

    /// The chain that the kernel itself goes through with what leaves.
    pub(crate) fn nat_chain(&mut self, flags: u16, name: &str) {
        self.add(libc::NFT_MSG_NEWCHAIN, flags, |bytes, table| {
            let chain = OpNewchainDo::encode_request(bytes, &header());
            let chain = chain.push_table_bytes(table).push_name_bytes(name.as_bytes());
            let hook = chain.nested_hook().push_num(POSTROUTING).push_priority(SRCNAT);
            hook.end_nested().push_type(c"nat");
        });
    }

    /// A map from addresses of one family to verdicts, matched exactly.
    pub(crate) fn map(&mut self, flags: u16, name: &str, is_v4: bool, id: u32) {
        let (key, length) = if is_v4 { (TYPE_IPV4_ADDR, 4) } else { (TYPE_IPV6_ADDR, 16) };
        self.add(libc::NFT_MSG_NEWSET, flags, |bytes, table| {
            let set = OpNewsetDo::encode_request(bytes, &header());
            let set = set.push_table_bytes(table).push_name_bytes(name.as_bytes()).push_id(id);
            let set = set.push_flags(SetFlags::Map as u32).push_key_type(key).push_key_len(length);
            set.push_data_type(TYPE_VERDICT);
        });
    }

    /// A rule at the end of a chain.
    pub(crate) fn rule(&mut self, flags: u16, chain: &str, rule: &Rule<'_>) {
        let flags = flags | APPEND;
        self.add(libc::NFT_MSG_NEWRULE, flags, |bytes, table| {
            let request = OpNewruleDo::encode_request(bytes, &header());
            let request = request.push_table_bytes(table).push_chain_bytes(chain.as_bytes());
            let list = request.nested_expressions();
            match rule {
                Rule::ReturnTo(network) => returned(matching(list, *network)),
                Rule::Map { side, is_v4, map } => looked_up(list, *side, *is_v4, map),
                Rule::Masquerade => drop(list.nested_elem().push_name(c"masq")),
            }
        });
    }

    /// An element of a map.
    pub(crate) fn element(&mut self, flags: u16, map: &str, element: &Element) {
        self.add(libc::NFT_MSG_NEWSETELEM, flags, |bytes, table| {
            let request = OpNewsetelemDo::encode_request(bytes, &header());
            let entry = named(request, table, map).nested_elements().nested_elem();
            let entry = entry.nested_key().push_value(&octets(element.address)).end_nested();
            let verdict = entry.nested_data().nested_verdict();
            let verdict = verdict.push_code(VerdictCode::Jump as u32);
            let verdict = verdict.push_chain_bytes(element.chain.as_bytes());
            verdict.end_nested().end_nested().push_userdata(&element.userdata);
        });
    }

    pub(crate) fn remove_element(&mut self, map: &str, address: IpAddr) {
        self.add(libc::NFT_MSG_DELSETELEM, CHANGE, |bytes, table| {
            let request = OpDelsetelemDo::encode_request(bytes, &header());
            let entry = named(request, table, map).nested_elements().nested_elem();
            entry.nested_key().push_value(&octets(address));
        });
    }
}

/// What a rule does.
#[derive(Debug)]
pub(crate) enum Rule<'a> {
    /// What goes to this network goes back to where the chain was called.
    ReturnTo(IpNet),
    /// What the map says of the address.
    Map {
        /// Of which address.
        side: Side,
        /// Of which family.
        is_v4: bool,
        /// The map.
        map: &'a str,
    },
    /// The packet carries the host's address from here on.
    Masquerade,
}

/// Whether the table is there.
pub(crate) fn has_table(socket: &mut Socket, table: &str) -> Result<bool, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        OpGettableDo::encode_request(bytes, &header()).push_name_bytes(table.as_bytes());
    };
    match socket.get(of_nf_tables(libc::NFT_MSG_GETTABLE), write, |_| true) {
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(false),
        done => done,
    }
}

/// The element of an address; `None` where it, the map or the table is not there.
pub(crate) fn element(
    socket: &mut Socket,
    table: &str,
    map: &str,
    address: IpAddr,
) -> Result<Option<Element>, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        let request = OpGetsetelemDo::encode_request(bytes, &header());
        let entry = named(request, table.as_bytes(), map).nested_elements().nested_elem();
        entry.nested_key().push_value(&octets(address));
    };
    let read = |payload: &[u8]| read_elements(payload).into_iter().next();
    match socket.get(of_nf_tables(libc::NFT_MSG_GETSETELEM), write, read) {
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(None),
        done => done,
    }
}

/// All elements of a map; none where the map or the table is not there.
pub(crate) fn elements(
    socket: &mut Socket,
    table: &str,
    map: &str,
) -> Result<Vec<Element>, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        let request = OpGetsetelemDo::encode_request(bytes, &header());
        named(request, table.as_bytes(), map);
    };
    let read = |payload: &[u8]| Some(read_elements(payload));
    match socket.dump(of_nf_tables(libc::NFT_MSG_GETSETELEM), write, read) {
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(Vec::new()),
        done => done.map(|lists| lists.into_iter().flatten().collect()),
    }
}

/// How many rules a chain has; none where it is not there.
pub(crate) fn count_rules(socket: &mut Socket, table: &str, chain: &str) -> Result<usize, Refusal> {
    let write = |bytes: &mut Vec<u8>| {
        let request = OpGetruleDump::encode_request(bytes, &header());
        request.push_table_bytes(table.as_bytes()).push_chain_bytes(chain.as_bytes());
    };
    // Older kernels do not filter.
    let read = |payload: &[u8]| {
        let (_, mut attributes) = OpNewruleDo::decode_request(payload);
        let is_ours = |attribute| matches!(attribute, Ok(RuleAttrs::Chain(name)) if name.to_bytes() == chain.as_bytes());
        attributes.any(is_ours).then_some(())
    };
    match socket.dump(of_nf_tables(libc::NFT_MSG_GETRULE), write, read) {
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(0),
        done => done.map(|rules| rules.len()),
    }
}

fn of_nf_tables(kind: i32) -> u16 {
    let subsystem = libc::NFNL_SUBSYS_NFTABLES << 8;
    u16::try_from(subsystem | kind).unwrap_or_default()
}

fn header() -> Nfgenmsg {
    Nfgenmsg { nfgen_family: INET, ..Nfgenmsg::default() }
}

/// The header of a message that encloses a transaction: its resource is the subsystem.
fn begin_or_end(bytes: &mut Vec<u8>) {
    bytes.extend([0, 0]);
    bytes.extend(u16::try_from(libc::NFNL_SUBSYS_NFTABLES).unwrap_or_default().to_be_bytes());
}

fn named<P: Pusher>(
    request: PushSetelemListAttrs<P>,
    table: &[u8],
    map: &str,
) -> PushSetelemListAttrs<P> {
    request.push_table_bytes(table).push_set_bytes(map.as_bytes())
}

/// Goes on only for packets of this family, with their address in the register.
fn loaded<P: Pusher>(list: PushExprListAttrs<P>, side: Side, is_v4: bool) -> PushExprListAttrs<P> {
    let (family, offset, length) = match (is_v4, side) {
        (true, Side::Source) => (IPV4, 12, 4),
        (true, Side::Destination) => (IPV4, 16, 4),
        (false, Side::Source) => (IPV6, 8, 16),
        (false, Side::Destination) => (IPV6, 24, 16),
    };
    let meta = list.nested_elem().nested_data_meta();
    let list =
        meta.push_key(MetaKeys::Nfproto as u32).push_dreg(REGISTER).end_nested().end_nested();
    let list = compared(list, &[family]);
    let payload = list.nested_elem().nested_data_payload().push_dreg(REGISTER);
    let payload = payload.push_base(PayloadBase::NetworkHeader as u32);
    payload.push_offset(offset).push_len(length).end_nested().end_nested()
}

/// Goes on only where the register holds this.
fn compared<P: Pusher>(list: PushExprListAttrs<P>, value: &[u8]) -> PushExprListAttrs<P> {
    let cmp = list.nested_elem().nested_data_cmp().push_sreg(REGISTER);
    let data = cmp.push_op(CmpOps::Eq as u32).nested_data().push_value(value);
    data.end_nested().end_nested().end_nested()
}

/// Goes on only for packets to this network.
fn matching<P: Pusher>(list: PushExprListAttrs<P>, network: IpNet) -> PushExprListAttrs<P> {
    let is_v4 = network.addr().is_ipv4();
    let mask = octets(network.netmask());
    let zeroes = vec![0; mask.len()];
    let list = loaded(list, Side::Destination, is_v4);
    let bitwise = list.nested_elem().nested_data_bitwise().push_sreg(REGISTER).push_dreg(REGISTER);
    let bitwise = bitwise.push_len(if is_v4 { 4 } else { 16 });
    let bitwise = bitwise.nested_mask().push_value(&mask).end_nested();
    let bitwise = bitwise.nested_xor().push_value(&zeroes).end_nested();
    compared(bitwise.end_nested().end_nested(), &octets(network.network()))
}

fn returned<P: Pusher>(list: PushExprListAttrs<P>) {
    let immediate = list.nested_elem().nested_data_immediate().push_dreg(VERDICT);
    immediate.nested_data().nested_verdict().push_code(VerdictCode::Return as u32);
}

/// By hand: the bindings (0.3.5) number the attributes of this expression otherwise than the
/// kernel does.
fn looked_up<P: Pusher>(list: PushExprListAttrs<P>, side: Side, is_v4: bool, map: &str) {
    const DATA: u16 = 2;
    const SET: u16 = 1;
    const SREG: u16 = 2;
    const DREG: u16 = 3;
    let list = loaded(list, side, is_v4);
    let mut expression = list.nested_elem().push_name(c"lookup");
    let bytes = expression.as_vec_mut();
    let data = push_nested_header(bytes, DATA);
    push_header(bytes, SET, u16::try_from(map.len() + 1).unwrap_or(u16::MAX));
    bytes.extend(map.bytes().chain([0]));
    for (attribute, register) in [(SREG, REGISTER), (DREG, VERDICT)] {
        push_header(bytes, attribute, 4);
        bytes.extend(register.to_be_bytes());
    }
    finalize_nested_header(bytes, data);
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn read_elements(payload: &[u8]) -> Vec<Element> {
    let (_, attributes) = OpNewsetelemDo::decode_request(payload);
    let mut elements = Vec::new();
    for attribute in attributes.map_while(Result::ok) {
        if let SetelemListAttrs::Elements(list) = attribute {
            for SetelemListElemAttrs::Elem(entry) in list.map_while(Result::ok) {
                elements.extend(read_element(entry.map_while(Result::ok)));
            }
        }
    }
    elements
}

fn read_element<'a>(attributes: impl Iterator<Item = SetelemAttrs<'a>>) -> Option<Element> {
    let (mut address, mut chain, mut userdata) = (None, None, Vec::new());
    for attribute in attributes {
        match attribute {
            SetelemAttrs::Key(data) => {
                address = data.map_while(Result::ok).find_map(|data| to_address(&data));
            }
            SetelemAttrs::Data(data) => {
                chain = data.map_while(Result::ok).find_map(|data| verdict(&data));
            }
            SetelemAttrs::Userdata(bytes) => userdata = bytes.to_vec(),
            _ => {}
        }
    }
    Some(Element { address: address?, chain: chain?, userdata })
}

/// The chain that a verdict jumps to.
fn verdict(data: &DataAttrs<'_>) -> Option<String> {
    let DataAttrs::Verdict(attributes) = *data else { return None };
    attributes.map_while(Result::ok).find_map(|attribute| match attribute {
        VerdictAttrs::Chain(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    })
}

fn to_address(data: &DataAttrs<'_>) -> Option<IpAddr> {
    let DataAttrs::Value(octets) = *data else { return None };
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
