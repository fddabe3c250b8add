//! What every book must do. The file that has this one as a module says on which books: by the
//! macro `each`.

use std::time::Duration;

use serde_json::json;
use wharfinger_ledger::{
    Commit, Error, Holder, Ledger, Range, Record, Refusal, Release, State, Usage,
};

use crate::common::*;

const NOW: u64 = 1_700_000_000;

each! {
/// What is written comes back as it was, number for number, key order included.
fn a_record_comes_back_as_it_was_written<K>() {
    let kind = K::new();
    let book = kind.book();
    let written = record(&id("a"), &[ip("10.0.0.1"), ip("fd00::1")]);
    let mut session = session(book, &id("a"), NOW);
    for address in &written.addresses {
        session.take(*address).unwrap().unwrap();
    }
    let seq = seq_of(session.commit(&written));
    assert_eq!(entry(book, &id("a")).seq, seq);
    assert_eq!(entry(book, &id("a")).record, written);
    let text = |record: &Record| serde_json::to_string(record).unwrap();
    assert_eq!(text(&entry(book, &id("a")).record), text(&written));
    assert_eq!(book.get(&id("b")).unwrap(), None);
}

fn records_are_listed_by_their_keys<K>() {
    let kind = K::new();
    let book = kind.book();
    for (network, container) in [("zoo", "a"), ("pods", "é"), ("pods", "b"), ("pods", "B")] {
        let id = id_of(network, container);
        seq_of(session(book, &id, NOW).commit(&record(&id, &[])));
    }
    let names = |network: Option<&str>| -> Vec<String> {
        let all = book.list(network).unwrap();
        all.iter().map(|entry| entry.record.id.container.clone()).collect()
    };
    assert_eq!(names(None), ["B", "b", "é", "a"]);
    assert_eq!(names(Some("pods")), ["B", "b", "é"]);
    assert!(names(Some("pod")).is_empty());
}

fn sequence_numbers_rise_over_the_book_and_outlive_their_records<K>() {
    let kind = K::new();
    let book = kind.book();
    let mut last = book.horizon().unwrap();
    for turn in 0..3 {
        let a = id(&format!("a{}", turn % 2));
        let seq = add_named(book, &a, ip("10.0.0.1"), NOW);
        assert!(seq > last);
        assert_eq!(book.attached(&a, seq, &json!({"ips": []})).unwrap(), Release::Done);
        let attached = entry(book, &a);
        assert!(attached.seq > seq, "finishing a record is a write of it");
        assert_eq!(attached.record.state, State::Attached);
        assert_eq!(attached.record.result, Some(json!({"ips": []})));
        assert_eq!(book.attached(&a, seq, &json!({})).unwrap(), Release::Stale);
        assert_eq!(book.release(&a, seq, NOW, COOL).unwrap(), Release::Stale);
        assert_eq!(book.release(&a, attached.seq, NOW, COOL).unwrap(), Release::Done);
        assert_eq!(book.release(&a, attached.seq, NOW, COOL).unwrap(), Release::Absent);
        assert_eq!(book.attached(&a, attached.seq, &json!({})).unwrap(), Release::Absent);
        last = book.horizon().unwrap();
        assert!(last >= attached.seq);
    }
}

/// What becomes of an attachment is written without what plugins keep for it being lost.
fn a_record_is_amended_and_can_only_lose_addresses<K>() {
    let kind = K::new();
    let book = kind.book();
    let held = [ip("10.0.0.1"), ip("10.0.0.2")];
    let mut writing = session(book, &id("a"), NOW);
    for address in held {
        writing.take(address).unwrap().unwrap();
    }
    writing.store_put(&own(), "k", "v", true);
    let seq = seq_of(writing.commit(&record(&id("a"), &held)));
    let less = Record { state: State::Attached, ..record(&id("a"), &held[..1]) };
    assert_eq!(book.amend(&less, seq).unwrap(), Release::Done);
    let now = entry(book, &id("a"));
    assert_eq!(now.record, less);
    assert!(now.seq > seq);
    assert_eq!(session(book, &id("a"), NOW).store_get(&own(), "k").unwrap(), Some("v".into()));
    let _ = add_named(book, &id("b"), held[1], NOW);
    assert_eq!(book.amend(&less, seq).unwrap(), Release::Stale);
    assert_eq!(book.amend(&record(&id("c"), &[]), seq).unwrap(), Release::Absent);
    let more = record(&id("a"), &held);
    assert!(matches!(book.amend(&more, now.seq), Err(Error::Misuse { .. })));
    assert_eq!(entry(book, &id("a")), now);
}

/// A1: a reboot destroys every attachment, so no address leaks across it.
fn pain_a1_a_reboot_leaves_no_address_taken<K>() {
    let kind = K::new();
    let ranges = [range("10.0.0.1-10.0.0.4")];
    for name in ["a", "b", "c", "d"] {
        add_from(kind.book(), &id(name), &ranges, NOW).unwrap();
    }
    assert_eq!(add_from(kind.book(), &id("e"), &ranges, NOW), None);
    let before = kind.book().horizon().unwrap();
    let kind = kind.rebooted(NOW + 100);
    assert!(kind.book().list(None).unwrap().is_empty());
    assert!(kind.book().horizon().unwrap() > before);
    for name in ["e", "f", "g", "h"] {
        add_from(kind.book(), &id(name), &ranges, NOW + 100).unwrap();
    }
}

/// A4: an ADD that ended half-way reserves nothing.
fn pain_a4_what_is_taken_and_not_committed_stays_free<K>() {
    let kind = K::new();
    let book = kind.book();
    let ranges = [range("10.0.0.1-10.0.0.2")];
    for _ in 0..10 {
        let mut given_up = session(book, &id("a"), NOW);
        assert_eq!(given_up.take_free(&ranges, &[], None).unwrap(), Some(ip("10.0.0.1")));
        given_up.store_put(&own(), "k", "v", true);
        given_up.remember("pod");
        given_up.pools(&ranges).unwrap();
    }
    // Taken, and not kept in the record.
    let mut kept_one = session(book, &id("b"), NOW);
    kept_one.take_free(&ranges, &[], None).unwrap().unwrap();
    let second = kept_one.take_free(&ranges, &[], None).unwrap().unwrap();
    seq_of(kept_one.commit(&record(&id("b"), &[second])));
    let usage = book.usage(DOMAIN, &ranges, NOW).unwrap();
    assert_eq!((usage.held, usage.cooling, usage.remembered), (1, 0, 0));
    assert_eq!(add_from(book, &id("c"), &ranges, NOW), Some(ip("10.0.0.1")));
}

/// A5: who holds a static address is named.
fn pain_a5_a_refusal_names_the_holder<K>() {
    let kind = K::new();
    let book = kind.book();
    add_named(book, &id("dead"), ip("10.0.0.7"), NOW);
    let mut asking = session(book, &id("new"), NOW);
    let refused = asking.take(ip("10.0.0.7")).unwrap();
    assert_eq!(refused, Err(Refusal::Held(id("dead"))));
    drop(asking);
    del(book, &id("dead"), NOW, COOL);
    add_named(book, &id("new"), ip("10.0.0.7"), NOW);
}

/// A7: all families of an attachment or none.
fn pain_a7_a_conflict_in_one_family_leaves_the_other_free<K>() {
    let kind = K::new();
    let book = kind.book();
    let (v4, v6) = ([range("10.0.0.1-10.0.0.9")], [range("fd00::1-fd00::9")]);
    let mut slow = session(book, &id("slow"), NOW);
    let four = slow.take_free(&v4, &[], None).unwrap().unwrap();
    let six = slow.take_free(&v6, &[], None).unwrap().unwrap();
    add_named(book, &id("fast"), six, NOW);
    assert_eq!(slow.commit(&record(&id("slow"), &[four, six])).unwrap(), Commit::Conflict);
    assert_eq!(book.get(&id("slow")).unwrap(), None);
    assert_eq!(next_of(book, &v4, NOW), Some(four));
    dual(book, "slow", &v4, &v6);
    assert_eq!(entry(book, &id("slow")).record.addresses, [four, ip("fd00::2")]);
    del(book, &id("slow"), NOW, Duration::ZERO);
    for ranges in [&v4, &v6] {
        assert_eq!(book.usage(DOMAIN, ranges, NOW).unwrap().held, u128::from(ranges == &v6));
    }
}

/// B2: the key is never the pod's name: a late release of the old record frees nothing of the
/// new one, whether it has the same key or only the same identity.
fn pain_b2_a_late_release_frees_nothing_of_the_successor<K>() {
    let kind = K::new();
    let book = kind.book();
    for turn in 0..20 {
        let (old, new) = (id(&format!("web-0-{turn}")), id(&format!("web-0-{}", turn + 1)));
        if turn == 0 {
            add_sticky(book, &old, "web-0");
        }
        let stale = entry(book, &old).seq;
        del(book, &old, NOW, COOL);
        assert_eq!(add_sticky(book, &new, "web-0"), ip("10.0.0.1"), "it keeps its address");
        assert_eq!(book.release(&old, stale, NOW, COOL).unwrap(), Release::Absent);
        // The same key again, too.
        let stale = entry(book, &new).seq;
        del(book, &new, NOW, COOL);
        add_sticky(book, &new, "web-0");
        assert_eq!(book.release(&new, stale, NOW, COOL).unwrap(), Release::Stale);
        assert_eq!(entry(book, &new).record.addresses, [ip("10.0.0.1")]);
    }
}

/// B3: a collector that decided on what a record said then, and not on what it says now, frees
/// nothing.
fn pain_b3_a_decision_on_old_attributes_frees_nothing<K>() {
    let kind = K::new();
    let book = kind.book();
    let a = id("a");
    add_named(book, &a, ip("10.0.0.1"), NOW);
    let seen = entry(book, &a);
    let mut session = session(book, &a, NOW);
    session.take(ip("10.0.0.1")).unwrap().unwrap();
    let moved = Record { netns: Some("/run/netns/other".into()), cookie: None, ..seen.record };
    seq_of(session.commit(&moved));
    assert_eq!(book.release(&a, seen.seq, NOW, COOL).unwrap(), Release::Stale);
    assert_eq!(entry(book, &a).record, moved);
}

/// B6: a static address has one owner.
fn pain_b6_one_static_address_is_not_given_to_two<K>() {
    let kind = K::new();
    let book = kind.book();
    let mut first = session(book, &id("a"), NOW);
    let mut second = session(book, &id("b"), NOW);
    first.take(ip("10.0.0.5")).unwrap().unwrap();
    second.take(ip("10.0.0.5")).unwrap().unwrap();
    seq_of(first.commit(&record(&id("a"), &[ip("10.0.0.5")])));
    let late = second.commit(&record(&id("b"), &[ip("10.0.0.5")]));
    assert_eq!(late.unwrap(), Commit::Conflict);
    let again = session(book, &id("b"), NOW).take(ip("10.0.0.5")).unwrap();
    assert_eq!(again, Err(Refusal::Held(id("a"))));
}

/// F6: a port of the host has one owner on the node, whatever network and domain; who comes
/// second is told who has it, and since when.
fn pain_f6_a_port_of_the_host_has_one_owner<K>() {
    let kind = K::new();
    let book = kind.book();
    add_ports(book, &id("a"), &[port("tcp/80"), port("udp/53@10.0.0.1")]);
    let refused = |id: &_, text: &str| session(book, id, NOW).claim(&port(text)).unwrap().err();
    let holder = Some(Holder { id: id("a"), since: entry(book, &id("a")).record.created });
    for text in ["tcp/80", "tcp/80@0.0.0.0", "tcp/80@::", "tcp/80@10.0.0.9", "tcp/80@fd00::9"] {
        assert_eq!(refused(&id_of("other", "b"), text), holder, "{text}");
        assert_eq!(refused(&id("a"), text), None, "one's own {text}");
    }
    for text in ["udp/53", "udp/53@0.0.0.0", "udp/53@10.0.0.1", "udp/53@::ffff:10.0.0.1"] {
        assert_eq!(refused(&id("b"), text), holder, "{text}");
    }
    let free = ["udp/80", "sctp/80", "tcp/81", "udp/53@10.0.0.2", "udp/53@::"].map(port);
    add_ports(book, &id("b"), &free);
    assert_eq!(entry(book, &id("b")).record.ports, free);
    del(book, &id("a"), NOW, COOL);
    // No port rests, and what `b` has is its own still.
    add_ports(book, &id("c"), &[port("tcp/80")]);
    assert_eq!(refused(&id("c"), "udp/53@10.0.0.2").unwrap().id, id("b"));
    assert_eq!(refused(&id("c"), "udp/53@10.0.0.1"), None);
}

/// F6: an ADD again of the same attachment keeps its ports, and frees those that it wants no
/// longer.
fn pain_f6_an_add_again_keeps_and_gives_up_ports<K>() {
    let kind = K::new();
    let book = kind.book();
    add_ports(book, &id("a"), &[port("tcp/80"), port("tcp/443@10.0.0.1")]);
    add_ports(book, &id("a"), &[port("tcp/80@0.0.0.0"), port("tcp/443@10.0.0.1")]);
    let free = |text: &str| session(book, &id("b"), NOW).claim(&port(text)).unwrap().is_ok();
    assert!(free("tcp/80@::") && !free("tcp/80@10.0.0.7") && !free("tcp/443"));
    seq_of(session(book, &id("a"), NOW).commit(&record(&id("a"), &[])));
    assert!(free("tcp/80") && free("tcp/443"));
}

/// F6: two that were both told that a port is free do not both get it; and one that was told
/// whose it is, and whose answer that is not any longer, runs again.
fn pain_f6_what_a_claim_was_told_is_checked_at_the_commit<K>() {
    let kind = K::new();
    let book = kind.book();
    let (mut first, mut second) = (session(book, &id("a"), NOW), session(book, &id("b"), NOW));
    first.claim(&port("tcp/80@10.0.0.1")).unwrap().unwrap();
    second.claim(&port("tcp/80")).unwrap().unwrap();
    let with = |name: &str, text: &str| Record { ports: vec![port(text)], ..record(&id(name), &[]) };
    seq_of(first.commit(&with("a", "tcp/80@10.0.0.1")));
    assert_eq!(second.commit(&with("b", "tcp/80")).unwrap(), Commit::Conflict);
    let mut late = session(book, &id("b"), NOW);
    assert_eq!(late.claim(&port("tcp/80")).unwrap().unwrap_err().id, id("a"));
    del(book, &id("a"), NOW, COOL);
    assert_eq!(late.commit(&record(&id("b"), &[])).unwrap(), Commit::Conflict);
    // One that was claimed and not kept stays free; one that was not claimed cannot be kept.
    let mut given_up = session(book, &id("b"), NOW);
    given_up.claim(&port("tcp/80")).unwrap().unwrap();
    seq_of(given_up.commit(&record(&id("b"), &[])));
    add_ports(book, &id("c"), &[port("tcp/80")]);
    let misuse = session(book, &id("d"), NOW).commit(&with("d", "tcp/81")).unwrap_err();
    assert!(misuse.to_string().contains("tcp port 81 was not claimed"), "{misuse}");
}

/// B8: ranges of two networks of a domain do not overlap; one's own may grow and shrink; a
/// network without attachments has none.
fn pain_b8_overlapping_networks_are_refused_and_enlarging_is_not<K>() {
    let kind = K::new();
    let book = kind.book();
    add_pool(book, "pods", "a", "10.0.0.0-10.0.0.99").unwrap();
    for (other, clash) in [
        ("10.0.0.99-10.0.0.120", true),
        ("9.0.0.0-11.0.0.0", true),
        ("10.0.0.5-10.0.0.6", true),
        ("10.0.0.100-10.0.0.120", false),
        ("::10.0.0.5", false),
    ] {
        let refused = session(book, &id_of("jobs", "j"), NOW).pools(&[range(other)]);
        assert_eq!(refused.is_err(), clash, "{other}: {refused:?}");
        if let Err(error) = refused {
            assert!(matches!(&error, Error::Overlap { network, .. } if network == "pods"));
            assert!(error.to_string().contains("10.0.0.0-10.0.0.99"), "{error}");
        }
    }
    add_pool(book, "pods", "b", "10.0.0.0-10.0.0.199").unwrap();
    add_pool(book, "jobs", "j", "10.0.0.150-10.0.0.250").unwrap_err();
    add_pool(book, "pods", "c", "10.0.0.0-10.0.0.149").unwrap();
    add_pool(book, "jobs", "j", "10.0.0.150-10.0.0.250").unwrap();
    add_pool(book, "pods", "d", "10.0.0.0-10.0.0.199").unwrap_err();
    del(book, &id_of("jobs", "j"), NOW, COOL);
    add_pool(book, "pods", "d", "10.0.0.0-10.0.0.199").unwrap();
}

/// B8: two networks that begin at once do not both get the range.
fn pain_b8_two_first_attachments_do_not_both_get_the_range<K>() {
    let kind = K::new();
    let book = kind.book();
    let (a, b) = (id_of("pods", "a"), id_of("jobs", "b"));
    let (mut first, mut second) = (session(book, &a, NOW), session(book, &b, NOW));
    first.pools(&[range("10.0.0.0-10.0.0.9")]).unwrap();
    second.pools(&[range("10.0.0.9-10.0.0.19")]).unwrap();
    seq_of(first.commit(&record(&a, &[])));
    assert_eq!(second.commit(&record(&b, &[])).unwrap(), Commit::Conflict);
    session(book, &b, NOW).pools(&[range("10.0.0.9-10.0.0.19")]).unwrap_err();
}

/// B9: an address rests after its release; rest gives way before exhaustion, the oldest release
/// first; by name it is granted at once; when the rest is over it is as any other.
fn pain_b9_a_released_address_rests_while_there_is_another<K>() {
    let kind = K::new();
    let book = kind.book();
    let ranges = [range("10.0.0.1-10.0.0.4")];
    for name in ["a", "b", "c"] {
        add_from(book, &id(name), &ranges, NOW).unwrap();
    }
    for (later, name) in [(0, "c"), (1, "a"), (2, "b")] {
        del(book, &id(name), NOW + later, COOL);
    }
    let usage = book.usage(DOMAIN, &ranges, NOW + 59).unwrap();
    assert_eq!(usage, Usage { total: 4, held: 0, cooling: 3, remembered: 0 });
    let given = |name, now| add_from(book, &id(name), &ranges, now).map(|ip| ip.to_string());
    assert_eq!(given("d", NOW + 3).as_deref(), Some("10.0.0.4"));
    assert_eq!(given("e", NOW + 3).as_deref(), Some("10.0.0.3"), "released first");
    assert_eq!(given("f", NOW + 3).as_deref(), Some("10.0.0.1"), "released next");
    add_named(book, &id("g"), ip("10.0.0.2"), NOW + 3);
    assert_eq!(given("h", NOW + 3), None);
    del(book, &id("g"), NOW + 10, COOL);
    assert_eq!(book.usage(DOMAIN, &ranges, NOW + 69).unwrap().cooling, 1);
    assert_eq!(book.usage(DOMAIN, &ranges, NOW + 70).unwrap().cooling, 0);
    del(book, &id("e"), NOW + 70, Duration::ZERO);
    // From above the last one taken, .1: what has rested is as free as what never did.
    assert_eq!(given("i", NOW + 70).as_deref(), Some("10.0.0.2"));
}

/// B9: every address of a small range is reached.
fn pain_b9_every_address_of_a_tiny_range_is_given<K>() {
    for (text, size) in [
        ("10.0.0.0-10.0.0.3", 4),
        ("255.255.255.254-255.255.255.255", 2),
        ("0.0.0.0", 1),
        ("0.0.0.0-0.0.0.1", 2),
        ("255.255.255.255", 1),
        ("fd00::-fd00::3", 4),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2),
        ("::", 1),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1),
    ] {
        let kind = K::new();
        let ranges = [range(text)];
        let names: Vec<_> = (0..size).map(|n| id(&n.to_string())).collect();
        for round in 0..3 {
            let given = names.iter().map(|id| add_from(kind.book(), id, &ranges, NOW).unwrap());
            let given: std::collections::BTreeSet<_> = given.collect();
            assert_eq!(given.len(), size, "{text}, round {round}");
            assert_eq!(add_from(kind.book(), &id("one more"), &ranges, NOW), None);
            for id in &names {
                del(kind.book(), id, NOW, if round == 0 { Duration::ZERO } else { COOL });
            }
        }
    }
}

/// B10: several ranges are searched in their order, single addresses are ranges, families can
/// stand beside each other.
fn pain_b10_ranges_are_taken_from_in_their_order<K>() {
    let kind = K::new();
    let book = kind.book();
    let ranges = ["10.0.9.1-10.0.9.2", "10.0.0.7", "fd00::5", "10.0.0.1-10.0.0.2"].map(range);
    let all: Vec<_> = (0..7).map(|n| add_from(book, &id(&n.to_string()), &ranges, NOW)).collect();
    let all: Vec<_> = all.into_iter().flatten().map(|ip| ip.to_string()).collect();
    assert_eq!(all, ["10.0.9.1", "10.0.9.2", "10.0.0.7", "fd00::5", "10.0.0.1", "10.0.0.2"]);
}

/// The order of the search: from `start`, else from above the last one, range after range, once
/// round; what is excluded is passed over.
fn the_search_goes_up_and_round_once<K>() {
    let kind = K::new();
    let book = kind.book();
    let ranges = ["10.0.0.1-10.0.0.4", "10.0.1.1-10.0.1.2"].map(range);
    let excluded = ["10.0.0.2-10.0.0.3", "9.0.0.0-10.0.0.0"].map(range);
    let mut session = session(book, &id("a"), NOW);
    let mut next = |start: Option<&str>| {
        let found = session.take_free(&ranges, &excluded, start.map(ip)).unwrap();
        found.map(|ip| ip.to_string()).unwrap_or_default()
    };
    assert_eq!(next(Some("10.0.0.3")), "10.0.0.4");
    assert_eq!(next(Some("172.16.0.1")), "10.0.1.1", "a start elsewhere is none");
    assert_eq!(next(Some("10.0.1.1")), "10.0.1.2");
    assert_eq!(next(Some("10.0.1.2")), "10.0.0.1");
    assert_eq!(next(None), "");
}

fn the_last_one_taken_is_known_for_each_set_of_ranges_and_network<K>() {
    let kind = K::new();
    let book = kind.book();
    let (wide, narrow) = ([range("10.0.0.1-10.0.0.9")], [range("10.0.0.1-10.0.0.8")]);
    assert_eq!(add_from(book, &id("a"), &wide, NOW), Some(ip("10.0.0.1")));
    assert_eq!(add_from(book, &id("b"), &wide, NOW), Some(ip("10.0.0.2")));
    del(book, &id("a"), NOW, Duration::ZERO);
    assert_eq!(next_of(book, &wide, NOW), Some(ip("10.0.0.3")));
    assert_eq!(next_of(book, &narrow, NOW), Some(ip("10.0.0.1")));
    let mut other = session(book, &id_of("jobs", "j"), NOW);
    assert_eq!(other.take_free(&wide, &[], None).unwrap(), Some(ip("10.0.0.1")));
}

/// C1: asked again for the same attachment, it gets the same.
fn pain_c1_an_add_run_again_gets_the_same_addresses<K>() {
    let kind = K::new();
    let book = kind.book();
    let (v4, v6) = ([range("10.0.0.1-10.0.0.9")], [range("fd00::1-fd00::9")]);
    for name in ["a", "b", "a", "a", "b"] {
        dual(book, name, &v4, &v6);
    }
    assert_eq!(entry(book, &id("a")).record.addresses, [ip("10.0.0.1"), ip("fd00::1")]);
    assert_eq!(entry(book, &id("b")).record.addresses, [ip("10.0.0.2"), ip("fd00::2")]);
    // Given up what the new record does not name, at once.
    let mut session = session(book, &id("a"), NOW);
    assert_eq!(session.take(ip("fd00::1")).unwrap(), Ok(()));
    seq_of(session.commit(&record(&id("a"), &[ip("fd00::1")])));
    assert_eq!(next_of(book, &[range("10.0.0.1")], NOW), Some(ip("10.0.0.1")));
}

fn two_adds_of_one_attachment_do_not_both_commit<K>() {
    let kind = K::new();
    let book = kind.book();
    let (mut one, mut two) = (session(book, &id("a"), NOW), session(book, &id("a"), NOW));
    one.take(ip("10.0.0.1")).unwrap().unwrap();
    two.take(ip("10.0.0.2")).unwrap().unwrap();
    let seq = seq_of(two.commit(&record(&id("a"), &[ip("10.0.0.2")])));
    let late = one.commit(&record(&id("a"), &[ip("10.0.0.1")])).unwrap();
    assert_eq!(late, Commit::Conflict);
    let mut three = session(book, &id("a"), NOW);
    three.take(ip("10.0.0.2")).unwrap().unwrap();
    assert_eq!(book.release(&id("a"), seq, NOW, COOL).unwrap(), Release::Done);
    let late = three.commit(&record(&id("a"), &[ip("10.0.0.2")])).unwrap();
    assert_eq!(late, Commit::Conflict);
}

/// A negative answer that has changed since is a conflict as well.
fn a_refusal_or_exhaustion_that_no_longer_holds_is_a_conflict<K>() {
    let kind = K::new();
    let book = kind.book();
    let ranges = [range("10.0.0.1")];
    add_named(book, &id("a"), ip("10.0.0.1"), NOW);
    let mut full = session(book, &id("b"), NOW);
    assert_eq!(full.take_free(&ranges, &[], None).unwrap(), None);
    let mut refused = session(book, &id("c"), NOW);
    refused.take(ip("10.0.0.1")).unwrap().unwrap_err();
    del(book, &id("a"), NOW, COOL);
    assert_eq!(full.commit(&record(&id("b"), &[])).unwrap(), Commit::Conflict);
    assert_eq!(refused.commit(&record(&id("c"), &[])).unwrap(), Commit::Conflict);
}

/// Somebody else's release does not make a session run again that took a free address.
fn unrelated_changes_are_no_conflict<K>() {
    let kind = K::new();
    let book = kind.book();
    let ranges = [range("10.0.0.1-10.0.0.9")];
    add_from(book, &id("a"), &ranges, NOW);
    let mut session = session(book, &id("b"), NOW);
    let mine = session.take_free(&ranges, &[], None).unwrap().unwrap();
    del(book, &id("a"), NOW, Duration::ZERO);
    add_named(book, &id("c"), ip("10.0.0.9"), NOW);
    seq_of(session.commit(&record(&id("b"), &[mine])));
}

fn a_domain_is_an_address_space_of_its_own<K>() {
    let kind = K::new();
    let book = kind.book();
    add_named(book, &id("a"), ip("10.0.0.1"), NOW);
    let b = id("b");
    let other = wharfinger_ledger::Scope { domain: "host".into(), ..scope(&b, NOW) };
    let mut session = book.session(other).unwrap();
    session.take(ip("10.0.0.1")).unwrap().unwrap();
    let there = Record { domain: "host".into(), ..record(&b, &[ip("10.0.0.1")]) };
    seq_of(session.commit(&there));
    del(book, &id("a"), NOW, COOL);
    assert_eq!(book.usage("host", &[range("10.0.0.1")], NOW).unwrap().held, 1);
    assert_eq!(book.usage(DOMAIN, &[range("10.0.0.1")], NOW).unwrap().cooling, 1);
    // An attachment that moves to another domain leaves nothing behind.
    let mut session = self::session(book, &b, NOW);
    session.take(ip("10.0.0.1")).unwrap().unwrap();
    seq_of(session.commit(&record(&b, &[ip("10.0.0.1")])));
    assert_eq!(book.usage("host", &[range("10.0.0.1")], NOW).unwrap().held, 0);
}

fn a_record_that_the_session_did_not_take_is_refused<K>() {
    let kind = K::new();
    let book = kind.book();
    let wrong = [
        record(&id("a"), &[ip("10.0.0.1")]),
        record(&id("b"), &[]),
        Record { domain: "host".into(), ..record(&id("a"), &[]) },
    ];
    for record in wrong {
        let error = session(book, &id("a"), NOW).commit(&record).unwrap_err();
        assert!(matches!(error, Error::Misuse { .. }), "{error}");
    }
    assert!(book.list(None).unwrap().is_empty());
}

/// G2: widths of all kinds, 128-bit arithmetic, and no walk over what lies between.
fn pain_g2_the_width_of_a_range_does_not_matter<K>() {
    let kind = K::new();
    let book = kind.book();
    let all = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let ranges = [range(all), range("0.0.0.0-255.255.255.255")];
    assert_eq!(book.usage(DOMAIN, &ranges, NOW).unwrap().total, u128::MAX);
    let half = [range("fd00::-fd00::ffff:ffff:ffff:ffff")];
    assert_eq!(book.usage(DOMAIN, &half, NOW).unwrap().total, 1 << 64);
    let excluded = [
        range("::-7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        range("8000::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"),
        range("0.0.0.1-255.255.255.254"),
    ];
    let mut session = session(book, &id("a"), NOW);
    let mut next = || session.take_free(&ranges, &excluded, None).unwrap();
    let expected = ["8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0", "255.255.255.255"];
    for text in expected {
        assert_eq!(next(), Some(ip(text)));
    }
    assert_eq!(next(), None);
}

/// More rest at once than are freed in one go: they are given all the same.
fn many_rests_that_end_at_once_block_nothing<K>() {
    let kind = K::new();
    let book = kind.book();
    let ranges = [range("10.0.0.0-10.0.2.87")];
    let all = ranges.to_vec();
    let names: Vec<_> = (0..6).map(|n| id(&n.to_string())).collect();
    for name in &names {
        let mut session = session(book, name, NOW);
        let taken: Vec<_> =
            (0..100).map(|_| session.take_free(&all, &[], None).unwrap().unwrap()).collect();
        seq_of(session.commit(&record(name, &taken)));
    }
    assert_eq!(next_of(book, &all, NOW), None);
    for name in &names {
        del(book, name, NOW, COOL);
    }
    let usage = book.usage(DOMAIN, &all, NOW + 60).unwrap();
    assert_eq!(usage, Usage { total: 600, held: 0, cooling: 0, remembered: 0 });
    let mut session = session(book, &id("z"), NOW + 60);
    let given: std::collections::BTreeSet<_> =
        (0..600).map(|_| session.take_free(&all, &[], None).unwrap().unwrap()).collect();
    assert_eq!(given.len(), 600);
}

fn the_book_can_be_written<K>() {
    let kind = K::new();
    let before = kind.book().horizon().unwrap();
    kind.book().writable().unwrap();
    assert_eq!(kind.book().horizon().unwrap(), before);
}

}

/// A whole ADD of one address of each family.
fn dual(book: &dyn Ledger, name: &str, v4: &[Range], v6: &[Range]) {
    let mut session = session(book, &id(name), NOW);
    let four = session.take_free(v4, &[], None).unwrap().unwrap();
    let six = session.take_free(v6, &[], None).unwrap().unwrap();
    seq_of(session.commit(&record(&id(name), &[four, six])));
}

/// A whole ADD on a network with this range.
fn add_pool(book: &dyn Ledger, network: &str, name: &str, pool: &str) -> Result<(), Error> {
    let id = id_of(network, name);
    let mut session = session(book, &id, NOW);
    session.pools(&[range(pool)])?;
    seq_of(session.commit(&record(&id, &[])));
    Ok(())
}
