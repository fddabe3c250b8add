//! A server in memory, for the tests of the client.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode, UnknownOption};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use wharfinger_dhcp::{Client, Lease, Outgoing, Step};

pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
pub const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const GIVEN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 50);

/// The message of a packet.
pub fn message(packet: &[u8]) -> Message {
    Message::decode(&mut Decoder::new(&packet[28..])).unwrap()
}

pub fn kind(packet: &[u8]) -> MessageType {
    message(packet).opts().msg_type().unwrap()
}

pub fn option(packet: &[u8], number: u8) -> Option<Vec<u8>> {
    let message = message(packet);
    let option = message.opts().get(OptionCode::from(number))?;
    let mut bytes = Vec::new();
    option.encode(&mut Encoder::new(&mut bytes)).unwrap();
    Some(bytes[2..].to_vec())
}

pub fn source(packet: &[u8]) -> Ipv4Addr {
    Ipv4Addr::from(<[u8; 4]>::try_from(&packet[12..16]).unwrap())
}

pub fn destination(packet: &[u8]) -> Ipv4Addr {
    Ipv4Addr::from(<[u8; 4]>::try_from(&packet[16..20]).unwrap())
}

/// What a server answers.
#[derive(Debug, Clone)]
pub struct Answer {
    pub kind: MessageType,
    pub gives: Ipv4Addr,
    pub options: Vec<(u8, Vec<u8>)>,
}

impl Answer {
    pub fn new(kind: MessageType) -> Self {
        let options = vec![
            (54, SERVER.octets().to_vec()),
            (51, 1000_u32.to_be_bytes().to_vec()),
            (1, vec![255, 255, 255, 0]),
            (3, vec![10, 9, 0, 1]),
        ];
        Self { kind, gives: GIVEN, options }
    }

    pub fn with(mut self, number: u8, value: &[u8]) -> Self {
        self.options.retain(|(known, _)| *known != number);
        self.options.push((number, value.to_vec()));
        self
    }

    pub fn without(mut self, number: u8) -> Self {
        self.options.retain(|(known, _)| *known != number);
        self
    }

    pub fn giving(self, gives: Ipv4Addr) -> Self {
        Self { gives, ..self }
    }

    /// The packet that answers this one.
    pub fn to(&self, asked: &[u8]) -> Vec<u8> {
        let asked = message(asked);
        let none = Ipv4Addr::UNSPECIFIED;
        let mut reply =
            Message::new_with_id(asked.xid(), none, self.gives, none, none, asked.chaddr());
        reply.set_opcode(Opcode::BootReply);
        reply.opts_mut().insert(DhcpOption::MessageType(self.kind));
        for (number, value) in &self.options {
            let option = UnknownOption::new(OptionCode::from(*number), value.clone());
            reply.opts_mut().insert(DhcpOption::Unknown(option));
        }
        let mut bytes = Vec::new();
        reply.encode(&mut Encoder::new(&mut bytes)).unwrap();
        wrapped(&bytes)
    }
}

/// A message in a packet from a server.
pub fn wrapped(message: &[u8]) -> Vec<u8> {
    let udp = u16::try_from(8 + message.len()).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend((udp + 20).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(SERVER.octets());
    packet.extend([255; 4]);
    packet.extend([0, 67, 0, 68]);
    packet.extend(udp.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(message);
    packet
}

#[track_caller]
pub fn sent(step: Step) -> Outgoing {
    match step {
        Step::Send(outgoing) => outgoing,
        other => panic!("{other:?}"),
    }
}

/// Goes on to the next thing that is due.
#[track_caller]
pub fn next(client: &mut Client) -> (u64, Outgoing) {
    let now = client.next();
    (now, sent(client.tick(now)))
}

pub fn hears(client: &mut Client, now: u64, packet: &[u8]) -> Step {
    client.heard(now, Some(SERVER_MAC), packet)
}

/// A client that has a lease, obtained at once.
#[track_caller]
pub fn bound(client: &mut Client, ack: &Answer) -> Lease {
    let (now, discover) = next(client);
    let offer = Answer { kind: MessageType::Offer, ..ack.clone() };
    let request = sent(hears(client, now, &offer.to(&discover.packet)));
    match hears(client, now, &ack.to(&request.packet)) {
        Step::Bound(lease) => lease,
        other => panic!("{other:?}"),
    }
}
