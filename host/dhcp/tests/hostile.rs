//! Answers of servers that are wrong, absurd or not theirs to give.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod server;

use std::net::Ipv4Addr;

use dhcproto::v4::MessageType as Kind;
use proptest::prelude::*;
use server::{Answer, GIVEN, MAC, bound, hears, next, wrapped};
use wharfinger_dhcp::{Asked, Client, Lease, Step, client_id};

fn client() -> Client {
    Client::new(Asked::new(client_id("c1", "lan", "eth0")), MAC, 42, 0)
}

fn leased(ack: &Answer) -> Lease {
    bound(&mut client(), ack)
}

/// An offer that is not taken: and why.
fn unusable(offer: &Answer) -> String {
    let mut client = client();
    let (now, discover) = next(&mut client);
    assert_eq!(hears(&mut client, now, &offer.to(&discover.packet)), Step::Nothing);
    client.so().unusable.clone().unwrap()
}

#[test]
fn offers_that_cannot_be_used_are_passed_over() {
    let offer = || Answer::new(Kind::Offer);
    assert!(unusable(&offer().without(1)).contains("subnet mask"));
    assert!(unusable(&offer().with(1, &[255, 0, 255, 0])).contains("255.0.255.0"));
    assert!(unusable(&offer().with(1, &[0; 4])).contains("0.0.0.0"));
    assert!(unusable(&offer().without(54)).contains("option 54"));
    assert!(unusable(&offer().with(51, &[0; 4])).contains("for 0 s"));
    for odd in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
        let odd: Ipv4Addr = odd.parse().unwrap();
        assert!(unusable(&offer().giving(odd)).contains(&odd.to_string()));
    }
}

#[test]
fn answers_to_others_are_not_ours() {
    let mut client = client();
    let (now, discover) = next(&mut client);
    let offer = Answer::new(Kind::Offer).to(&discover.packet);
    for at in [28 + 4, 28 + 28, 28 + 33] {
        let mut other = offer.clone();
        other[at] ^= 1;
        assert_eq!(hears(&mut client, now, &other), Step::Nothing, "byte {at}");
    }
    let mut asks = offer.clone();
    asks[28] = 1;
    assert_eq!(hears(&mut client, now, &asks), Step::Nothing, "a client's message");
    for kind in [Kind::Ack, Kind::Nak, Kind::Discover] {
        let early = Answer::new(kind).to(&discover.packet);
        assert_eq!(hears(&mut client, now, &early), Step::Nothing, "{kind:?}");
    }
    assert!(matches!(hears(&mut client, now, &offer), Step::Send(_)));
    let another = Answer::new(Kind::Ack).with(54, &[10, 9, 0, 2]).to(&discover.packet);
    assert_eq!(hears(&mut client, now, &another), Step::Nothing, "not the server that was asked");
}

#[test]
fn nothing_is_heard_before_anything_was_said() {
    let mut client = client();
    let (_, discover) = next(&mut client.clone());
    let offer = Answer::new(Kind::Offer).to(&discover.packet);
    assert_eq!(hears(&mut client, 0, &offer), Step::Nothing);
}

#[test]
fn names_that_could_be_lines_of_a_file_are_left_out() {
    let ack = Answer::new(Kind::Ack).with(15, b"a\nnameserver 6.6.6.6");
    assert_eq!(leased(&ack).domain, None);
    let ack = Answer::new(Kind::Ack).with(15, b"example.org\0");
    assert_eq!(leased(&ack).domain.as_deref(), Some("example.org"));
    let mut search = b"\x03lan\x00\x05a b\nc\x00\x04corp\x03lan\x00".to_vec();
    assert_eq!(leased(&Answer::new(Kind::Ack).with(119, &search)).search, ["lan", "corp.lan"]);
    search.extend([0xc0, 0]);
    assert_eq!(leased(&Answer::new(Kind::Ack).with(119, &search)).search, ["lan", "corp.lan"]);
}

#[test]
fn classless_routes_stand_alone() {
    let classless = [24, 192, 168, 7, 10, 9, 0, 2, 0, 10, 9, 0, 3, 16, 172, 16, 0, 0, 0, 0];
    let classful = [10, 1, 2, 3, 10, 9, 0, 4];
    let ack = Answer::new(Kind::Ack).with(33, &classful);
    let shown = |lease: &Lease| -> Vec<String> {
        let via = |via: Option<Ipv4Addr>| via.map(|via| via.to_string()).unwrap_or_default();
        lease.routes.iter().map(|r| format!("{} {}", r.destination, via(r.via))).collect()
    };
    assert_eq!(shown(&leased(&ack)), ["10.0.0.0/8 10.9.0.4", "0.0.0.0/0 10.9.0.1"]);
    let both = leased(&ack.with(121, &classless));
    assert_eq!(shown(&both), ["192.168.7.0/24 10.9.0.2", "0.0.0.0/0 10.9.0.3", "172.16.0.0/16 "]);
    assert_eq!(both.routers, [Ipv4Addr::new(10, 9, 0, 1)]);
    let broken = leased(&Answer::new(Kind::Ack).with(121, &[33, 1, 2, 3, 4, 5]));
    assert_eq!(shown(&broken), ["0.0.0.0/0 10.9.0.1"]);
}

#[test]
fn there_is_an_end_to_what_a_server_may_give() {
    let many: Vec<u8> = (0..60).flat_map(|n| [10, 9, 1, n]).collect();
    let names: Vec<u8> = (0..60).flat_map(|n| [2, b'a' + n / 26, b'a' + n % 26, 0]).collect();
    let lease = leased(&Answer::new(Kind::Ack).with(3, &many).with(6, &many).with(119, &names));
    assert_eq!((lease.routers.len(), lease.dns.len(), lease.search.len()), (16, 16, 32));
    let itself = leased(&Answer::new(Kind::Ack).with(3, &GIVEN.octets()));
    assert!(itself.routers.is_empty() && itself.routes.is_empty());
}

#[test]
fn times_that_contradict_each_other_are_not_taken() {
    let seconds = |n: u32| n.to_be_bytes();
    let cases = [
        ((0, 0), (500, 875)),
        ((900, 0), (500, 875)),
        ((300, 400), (300, 400)),
        ((0, 200), (200, 200)),
        ((600, 5000), (600, 875)),
        ((u32::MAX, u32::MAX), (500, 875)),
    ];
    for ((t1, t2), (renew, rebind)) in cases {
        let lease = leased(&Answer::new(Kind::Ack).with(58, &seconds(t1)).with(59, &seconds(t2)));
        let times = lease.times.unwrap();
        assert_eq!((times.renew / 1000, times.rebind / 1000), (renew, rebind), "{t1} {t2}");
    }
}

/// Options in `file` and `sname` count where the message says so.
#[test]
fn overloaded_fields_are_read() {
    let mut client = client();
    let (now, discover) = next(&mut client);
    let mut offer = Answer::new(Kind::Offer).without(1).with(52, &[3]).to(&discover.packet);
    offer[28 + 44..28 + 50].copy_from_slice(&[1, 4, 255, 255, 0, 0]);
    assert!(matches!(hears(&mut client, now, &offer), Step::Send(_)));
}

/// All that a client may be moved by, in any order.
fn any_packet() -> impl Strategy<Value = Vec<u8>> {
    let tlv = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(code, value)| {
        let length = u8::try_from(value.len()).unwrap();
        [vec![code, length], value].concat()
    });
    let body = (any::<[u8; 16]>(), prop::collection::vec(tlv, 0..12)).prop_map(|(yours, tlvs)| {
        let mut message = vec![0; 236];
        message[..4].copy_from_slice(&[2, 1, 6, 0]);
        message[16..20].copy_from_slice(&yours[..4]);
        message.extend([99, 130, 83, 99]);
        message.extend(tlvs.concat());
        message
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600),
        prop::collection::vec(any::<u8>(), 0..600).prop_map(|bytes| wrapped(&bytes)),
        body.prop_map(|bytes| wrapped(&bytes)),
    ]
}

proptest! {
    /// Whatever comes, a client neither panics nor stands still, and what it holds is bounded.
    #[test]
    fn any_bytes_are_survived(
        packets in prop::collection::vec((any_packet(), any::<bool>(), 2..7_u8), 1..20),
        start in prop_oneof![Just(0), Just(u64::MAX - 10), any::<u64>()],
    ) {
        let mut client = Client::new(Asked::new(vec![0]), MAC, start, start);
        let (mut now, mut xid) = (start, [0; 4]);
        for (mut packet, ours, kind) in packets {
            if ours && packet.len() > 28 + 236 {
                // As if somebody had listened: with our own transaction and address.
                packet[28 + 4..28 + 8].copy_from_slice(&xid);
                packet[28 + 28..28 + 34].copy_from_slice(&MAC);
                packet[28..31].copy_from_slice(&[2, 1, 6]);
                if packet.len() > 28 + 243 {
                    packet[28 + 236..28 + 243].copy_from_slice(&[99, 130, 83, 99, 53, 1, kind]);
                }
            }
            for step in [client.heard(now, None, &packet), client.tick(now)] {
                match step {
                    Step::Send(out) => {
                        prop_assert!(out.packet.len() >= 328 && out.packet.len() < 1500);
                        xid.copy_from_slice(&out.packet[32..36]);
                    }
                    Step::Bound(lease) => prop_assert!(lease.routes.len() <= 257),
                    Step::Nothing | Step::Lost(_) => {}
                }
            }
            now = now.max(client.next().min(now.saturating_add(100_000)));
        }
    }

    /// Each of the options that are looked at, with any bytes.
    #[test]
    fn any_value_of_an_option_is_survived(
        option in prop::sample::select(vec![1_u8, 3, 6, 15, 33, 42, 51, 52, 54, 58, 59, 119, 121]),
        value in prop::collection::vec(any::<u8>(), 0..255),
    ) {
        let mut client = client();
        let (now, discover) = next(&mut client);
        let offer = Answer::new(Kind::Offer).with(option, &value).to(&discover.packet);
        if let Step::Send(request) = hears(&mut client, now, &offer) {
            let ack = Answer::new(Kind::Ack).with(option, &value).to(&request.packet);
            if let Step::Bound(lease) = hears(&mut client, now, &ack) {
                prop_assert!(lease.search.iter().chain(&lease.domain).all(|n| n.is_ascii()));
                prop_assert!(lease.times.is_none_or(|t| t.renew <= t.rebind && t.rebind <= t.end));
            }
        }
    }
}
