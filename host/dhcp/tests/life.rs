//! A lease from its first message to its end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod server;

use std::net::Ipv4Addr;

use dhcproto::v4::MessageType as Kind;
use server::{Answer, GIVEN, MAC, SERVER, SERVER_MAC, bound, hears, kind, next, option, sent};
use wharfinger_dhcp::{Asked, Client, Resend, Step, Why, client_id};

const BEGIN: u64 = 5_000;

fn asked() -> Asked {
    Asked::new(client_id("c1", "lan", "eth0"))
}

fn client() -> Client {
    Client::new(asked(), MAC, 42, BEGIN)
}

#[test]
fn a_lease_is_discovered_and_requested() {
    let mut client = client();
    let (now, discover) = next(&mut client);
    assert_eq!((now, discover.to), (BEGIN, None));
    assert_eq!(kind(&discover.packet), Kind::Discover);
    assert_eq!(option(&discover.packet, 61).unwrap(), b"\0c1/lan/eth0");
    assert_eq!(option(&discover.packet, 55).unwrap(), [121, 1, 3, 6, 15, 33, 119, 58, 59]);
    assert!(client.listens(now));
    let offer = Answer::new(Kind::Offer).to(&discover.packet);
    let request = sent(hears(&mut client, now + 300, &offer));
    assert_eq!(kind(&request.packet), Kind::Request);
    assert_eq!(option(&request.packet, 50).unwrap(), GIVEN.octets());
    assert_eq!(option(&request.packet, 54).unwrap(), SERVER.octets());
    assert!(server::source(&request.packet).is_unspecified());
    assert!(server::destination(&request.packet).is_broadcast());
    assert_eq!(client.so().discovers, 1);
}

#[test]
fn a_lease_counts_from_its_request() {
    let mut client = client();
    let (now, discover) = next(&mut client);
    let offer = Answer::new(Kind::Offer).to(&discover.packet);
    let request = sent(hears(&mut client, now + 300, &offer));
    let ack = Answer::new(Kind::Ack).to(&request.packet);
    let Step::Bound(lease) = hears(&mut client, now + 900, &ack) else { panic!() };
    assert_eq!(lease.address.to_string(), "10.9.0.50/24");
    let times = lease.times.unwrap();
    let began = now + 300;
    assert_eq!(
        (times.renew, times.rebind, times.end),
        (began + 500_000, began + 875_000, began + 1_000_000)
    );
    assert_eq!(client.next(), times.renew);
    assert!(!client.listens(now + 1_000));
}

#[test]
fn what_is_not_answered_is_sent_again_later_and_later() {
    let mut client = client();
    let mut last = BEGIN;
    for wait in [0, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000, 64_000] {
        let (now, again) = next(&mut client);
        assert_eq!(kind(&again.packet), Kind::Discover);
        assert!(now.abs_diff(last + wait) <= 1_000, "{now} after {last}, not {wait}");
        last = now;
    }
    assert_eq!(client.so().discovers, 8);
    let mut client = self::client().resending(Resend { first: 100, longest: 300 });
    let times: Vec<u64> = (0..5).map(|_| next(&mut client).0).collect();
    assert!(times.windows(2).all(|pair| pair[1] > pair[0] && pair[1] - pair[0] <= 450));
}

#[test]
fn an_offer_that_nobody_stands_by_is_given_up() {
    let mut client = client();
    let (now, discover) = next(&mut client);
    let offer = Answer::new(Kind::Offer).to(&discover.packet);
    let _ = sent(hears(&mut client, now, &offer));
    for _ in 0..2 {
        assert_eq!(kind(&next(&mut client).1.packet), Kind::Request);
    }
    let now = client.next();
    assert_eq!(client.tick(now), Step::Nothing);
    assert_eq!(kind(&next(&mut client).1.packet), Kind::Discover);
}

#[test]
fn a_refused_request_begins_anew() {
    let mut client = client();
    let (now, discover) = next(&mut client);
    let request = sent(hears(&mut client, now, &Answer::new(Kind::Offer).to(&discover.packet)));
    let nak = Answer::new(Kind::Nak).giving(Ipv4Addr::UNSPECIFIED).to(&request.packet);
    assert_eq!(hears(&mut client, now, &nak), Step::Nothing);
    assert_eq!(client.so().refusals, 1);
    let (later, again) = next(&mut client);
    assert!(later > now);
    assert_eq!(kind(&again.packet), Kind::Discover);
    assert_ne!(server::message(&again.packet).xid(), server::message(&discover.packet).xid());
}

#[test]
fn a_lease_is_renewed_with_its_server_and_then_with_any() {
    let mut client = client();
    let lease = bound(&mut client, &Answer::new(Kind::Ack));
    let times = lease.times.unwrap();
    let (now, renew) = next(&mut client);
    assert_eq!((now, renew.to), (times.renew, Some(SERVER_MAC)));
    assert_eq!(server::destination(&renew.packet), SERVER);
    assert_eq!(server::source(&renew.packet), GIVEN);
    assert_eq!(server::message(&renew.packet).ciaddr(), GIVEN);
    assert_eq!((option(&renew.packet, 50), option(&renew.packet, 54)), (None, None));
    // Half of what is left until T2, again and again, and not more often than each minute.
    let mut last = now;
    loop {
        let (now, again) = next(&mut client);
        if now >= times.rebind {
            assert_eq!((now, again.to), (times.rebind, None));
            assert!(server::destination(&again.packet).is_broadcast());
            let ack = Answer::new(Kind::Ack).to(&again.packet);
            let Step::Bound(renewed) = hears(&mut client, now + 5, &ack) else { panic!() };
            assert_eq!(renewed.times.unwrap().end, now + 1_000_000);
            break;
        }
        assert!(now - last >= 60_000);
        last = now;
    }
}

#[test]
fn a_renewal_brings_new_times() {
    let mut client = client();
    let lease = bound(&mut client, &Answer::new(Kind::Ack));
    let (now, renew) = next(&mut client);
    let ack =
        Answer::new(Kind::Ack).with(51, &50_u32.to_be_bytes()).with(58, &20_u32.to_be_bytes());
    let Step::Bound(renewed) = hears(&mut client, now, &ack.to(&renew.packet)) else { panic!() };
    assert_eq!(renewed.address, lease.address);
    let times = renewed.times.unwrap();
    assert_eq!((times.renew, times.end), (now + 20_000, now + 50_000));
}

#[test]
fn a_lease_that_nobody_extends_ends_and_another_is_looked_for() {
    let mut client = client();
    let lease = bound(&mut client, &Answer::new(Kind::Ack));
    let end = lease.times.unwrap().end;
    let lost = loop {
        let now = client.next();
        match client.tick(now) {
            Step::Send(_) => assert!(now < end),
            Step::Lost(why) => break (now, why),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(lost, (end, Why::Ended));
    assert_eq!(client.lease(), None);
    assert_eq!(kind(&next(&mut client).1.packet), Kind::Discover);
}

#[test]
fn a_server_may_take_a_lease_back() {
    let mut client = client();
    let _ = bound(&mut client, &Answer::new(Kind::Ack));
    let (now, renew) = next(&mut client);
    let nak = Answer::new(Kind::Nak).to(&renew.packet);
    assert_eq!(hears(&mut client, now, &nak), Step::Lost(Why::Refused));
    assert_eq!(kind(&next(&mut client).1.packet), Kind::Discover);
}

#[test]
fn a_lease_for_ever_is_left_alone() {
    let mut client = client();
    let lease = bound(&mut client, &Answer::new(Kind::Ack).with(51, &[255; 4]));
    assert_eq!(lease.times, None);
    assert_eq!(client.next(), u64::MAX);
    assert!(!lease.has_ended(u64::MAX));
}

#[test]
fn a_lease_is_taken_up_where_it_was_left() {
    let lease = bound(&mut client(), &Answer::new(Kind::Ack));
    let text = serde_json::to_string(&lease).unwrap();
    let read = serde_json::from_str(&text).unwrap();
    assert_eq!(lease, read);
    let times = lease.times.unwrap();
    let mut resumed = Client::new(asked(), MAC, 7, times.rebind + 1).holding(read);
    let step = resumed.tick(times.rebind + 1);
    assert_eq!(sent(step).to, None, "T2 has passed meanwhile");
    let mut late = Client::new(asked(), MAC, 7, times.end).holding(lease);
    assert_eq!(late.tick(times.end), Step::Lost(Why::Ended));
}

#[test]
fn an_address_is_asked_for_again_where_its_lease_is_forgotten() {
    let mut client = client().wanting(GIVEN);
    let (now, request) = next(&mut client);
    assert_eq!(kind(&request.packet), Kind::Request);
    assert_eq!(option(&request.packet, 50).unwrap(), GIVEN.octets());
    assert_eq!(option(&request.packet, 54), None);
    let ack = Answer::new(Kind::Ack).to(&request.packet);
    assert!(matches!(hears(&mut client, now, &ack), Step::Bound(_)));
}

#[test]
fn an_address_that_is_refused_is_lost_and_another_is_looked_for() {
    let mut client = client().wanting(GIVEN);
    let (now, request) = next(&mut client);
    let nak = Answer::new(Kind::Nak).to(&request.packet);
    assert_eq!(hears(&mut client, now, &nak), Step::Lost(Why::Refused));
    assert_eq!(kind(&next(&mut client).1.packet), Kind::Discover);
}

#[test]
fn where_nobody_answers_for_an_address_another_is_looked_for() {
    let mut client = client().wanting(GIVEN);
    let mut asked = Vec::new();
    while asked.last() != Some(&Kind::Discover) {
        let now = client.next();
        if let Step::Send(outgoing) = client.tick(now) {
            asked.push(kind(&outgoing.packet));
        }
    }
    assert!(asked.len() > 2 && asked.len() < 20, "{asked:?}");
}

#[test]
fn a_lease_is_given_back_and_declined() {
    let mut client = client();
    let lease = bound(&mut client, &Answer::new(Kind::Ack));
    let release = client.release(&lease);
    assert_eq!(kind(&release.packet), Kind::Release);
    assert_eq!(release.to, Some(SERVER_MAC));
    assert_eq!(server::destination(&release.packet), SERVER);
    assert_eq!(server::message(&release.packet).ciaddr(), GIVEN);
    assert_eq!(option(&release.packet, 54).unwrap(), SERVER.octets());
    assert_eq!(option(&release.packet, 61).unwrap(), b"\0c1/lan/eth0");
    assert_eq!(option(&release.packet, 55), None);
    let decline = client.decline(&lease);
    assert_eq!(kind(&decline.packet), Kind::Decline);
    assert_eq!(option(&decline.packet, 50).unwrap(), GIVEN.octets());
    assert!(server::message(&decline.packet).ciaddr().is_unspecified());
}

#[test]
fn answers_are_broadcast_where_that_is_asked_for() {
    for broadcast in [false, true] {
        let mut asked = asked();
        asked.broadcast = broadcast;
        let mut client = Client::new(asked, MAC, 1, 0);
        let (_, discover) = next(&mut client);
        assert_eq!(server::message(&discover.packet).flags().broadcast(), broadcast);
    }
}
