//! Our tables as a whole: what they hold is what the attachments have, through any history, and
//! they can be made anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{
    Container, KERNEL, attachment, forward, guard, host_port, isolation, key, leftovers,
    masquerade, on_host, port_map, rules, run,
};
use wharfinger_kernel::Kernel;
use wharfinger_plan::{
    Action, Allow, Condition, Forward, Guard, IngressPolicy, Plan, PortMap, Ports, Protocol, Rules,
    Step, Values,
};

/// As drivers name what attachments of one configuration share.
fn digest(number: u16) -> String {
    format!("{number:032x}")
}

/// One of several kinds of attachment, by its number: all that there is of the packet filter.
fn all_of(number: u16) -> Vec<Action> {
    let (v4, v6) = (format!("10.1.0.{number}"), format!("fd00:1::{number:x}"));
    let both = [v4.as_str(), v6.as_str()];
    let tcp = |range| Ports { protocol: Protocol::Tcp, range };
    let allow =
        Allow { peers: vec!["10.0.0.0/8".parse().unwrap()], ports: vec![tcp(Some((1, 9)))] };
    let policy =
        if number.is_multiple_of(2) { IngressPolicy::Isolated } else { IngressPolicy::SameBridge };
    let conditions = vec![Condition {
        v4: true,
        negated: number.is_multiple_of(3),
        values: Values::Link(vec!["up0".to_owned()]),
    }];
    let port = |host: &str| host_port(Protocol::Udp, host, &format!("{v4}:53"));
    vec![
        Action::Masquerade(masquerade(&v4, "10.1.0.0/16", &key(number))),
        Action::Masquerade(masquerade(&v6, "fd00:1::/64", &key(number))),
        Action::Forward(Forward {
            admin_chain: number.is_multiple_of(3).then(|| "MY-ADMIN".to_owned()),
            ..forward(&both, &key(number))
        }),
        Action::PortMap(port_map(
            vec![
                port(&format!("{}", 1000 + number)),
                port(&format!("192.0.2.1:{}", 1000 + number)),
                host_port(Protocol::Tcp, &format!("{}", 1000 + number), &format!("[{v6}]:80")),
            ],
            &key(number),
        )),
        Action::PortMap(PortMap {
            conditions,
            group: Some(digest(0xc0 + number % 3)),
            masq_all: true,
            ..port_map(vec![port(&format!("{}", 2000 + number))], &key(number))
        }),
        Action::Isolation(isolation(number, &format!("br{}", number % 2), policy, &both)),
        Action::Guard(Guard { port: number.is_multiple_of(2), ..guard(number, &both) }),
        Action::Rules(Rules {
            bridge: None,
            group: digest(0xf0 + number % 2),
            ..rules(number, &both, Some(vec![allow]), number.is_multiple_of(2).then(Vec::new))
        }),
    ]
}

fn plan(number: u16) -> Plan {
    Plan::new(all_of(number).into_iter().map(Step::owned).collect())
}

/// The keys that are in the tables.
fn keys() -> BTreeSet<String> {
    let survey = KERNEL.survey().unwrap();
    let masquerades = survey.masquerades.into_iter().map(|it| it.comment);
    let others = survey.filter.iter().filter_map(Action::comment).map(str::to_owned);
    masquerades.chain(others).collect()
}

/// What nft(8) shows, whatever the order of elements.
fn shown() -> BTreeMap<String, usize> {
    let text = run("nft list ruleset");
    let mut words = BTreeMap::new();
    for line in text.split(['\n', ',']) {
        let line = line.replace("elements = {", "").replace('}', "");
        *words.entry(line.trim().to_owned()).or_default() += 1;
    }
    words
}

#[test]
#[ignore = "needs root: ring netns"]
fn all_that_there_is_can_be_read_and_loaded_by_nft() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        // nft 1.0.6 shows what it cannot read again: the address in a neighbour advertisement.
        KERNEL.apply(&plan(6), &netns).unwrap();
        assert!(shown().contains_key("\"veth6\" comment \"wharfinger:pods:veth6:eth0\""));
        assert!(KERNEL.undo(&plan(6), None).is_empty());
        run("nft delete table bridge wharfinger");
        for number in [5, 7, 9] {
            KERNEL.apply(&plan(number), &netns).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules");
        std::fs::write(&file, run("nft list ruleset")).unwrap();
        let before = shown();
        for part in [
            "udp . 1005 comment \"wharfinger:pods:veth5:eth0\" : 10.1.0.5 . 53",
            "udp . 192.0.2.1 . 1005 comment \"wharfinger:pods:veth5:eth0\" : 10.1.0.5 . 53",
            "type nat hook prerouting priority dstnat - 1; policy accept;",
            "type nat hook postrouting priority srcnat - 1; policy accept;",
            "type filter hook forward priority filter; policy accept;",
            "type filter hook prerouting priority raw; policy accept;",
        ] {
            assert!(before.contains_key(part), "{part} is not in {before:#?}");
        }
        run(&format!("nft flush ruleset; nft -f {}", file.display()));
        assert_eq!(shown(), before);
        for number in [5, 7, 9] {
            assert_eq!(KERNEL.verify(&plan(number), &netns).unwrap(), []);
            assert!(KERNEL.undo(&plan(number), None).is_empty());
        }
        assert_eq!(leftovers(), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f3_a_ruleset_that_was_flushed_is_made_anew_and_is_the_same() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        for number in 5..12 {
            KERNEL.apply(&plan(number), &netns).unwrap();
        }
        let before = shown();
        let all: Vec<Action> = (5..12).flat_map(all_of).collect();
        for harm in [
            "nft flush ruleset",
            "nft delete table inet wharfinger",
            "nft flush chain inet wharfinger forward",
            "nft flush table inet wharfinger; nft flush set bridge wharfinger macs",
            "true",
        ] {
            run(harm);
            let drifts = KERNEL.verify(&plan(6), &netns).unwrap();
            assert_eq!(drifts.is_empty(), harm == "true", "{harm}: {drifts:?}");
            KERNEL.reload(&all).unwrap();
            assert_eq!(shown(), before, "{harm}");
            for number in 5..12 {
                assert_eq!(KERNEL.verify(&plan(number), &netns).unwrap(), [], "{harm}");
            }
        }
        // What of the tables no attachment has goes.
        KERNEL.apply(&plan(20), &netns).unwrap();
        KERNEL.reload(&all).unwrap();
        assert_eq!(shown(), before);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn two_that_claim_one_port_do_not_keep_the_rest_from_being_made_anew() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let rival = PortMap {
            comment: "rival".to_owned(),
            ..port_map(vec![host_port(Protocol::Udp, "1005", "10.1.0.9:53")], "rival")
        };
        let all: Vec<Action> =
            all_of(5).into_iter().chain([Action::PortMap(rival.clone())]).collect();
        KERNEL.reload(&all).unwrap();
        assert_eq!(KERNEL.verify(&plan(5), &netns).unwrap(), []);
        let rival = Plan::new(vec![Step::owned(Action::PortMap(rival))]);
        let drifts = KERNEL.verify(&rival, &netns).unwrap();
        assert!(drifts.iter().any(|it| it.found.starts_with("owner of udp/1005")), "{drifts:?}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f3_check_names_each_thing_that_is_missing() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let plan = plan(6);
        KERNEL.apply(&plan, &netns).unwrap();
        let all: Vec<Action> = all_of(6);
        for (harm, word) in [
            (
                "nft flush chain inet wharfinger ports-in",
                "chain ports-in is missing, or has no rules",
            ),
            (
                "nft flush chain inet wharfinger isolation",
                "chain isolation is missing, or has no rules",
            ),
            (
                "nft -a list chain inet wharfinger masquerade-out | \
                 sed -n 's/.*@masq-10.*handle /nft delete rule inet wharfinger masquerade-out handle /p' \
                 | sh",
                "rule \"masq-10.1.0.0-16\" of chain masquerade-out is missing",
            ),
            ("nft flush map inet wharfinger ports4", "udp/1006 of ports4 is missing"),
            ("nft flush set bridge wharfinger alone", "veth6 of alone is missing"),
            ("nft flush set inet wharfinger isolated", "br0 of isolated is missing"),
            (
                "nft delete element inet wharfinger forward4 { 10.1.0.6 }",
                "10.1.0.6 of forward4 is missing",
            ),
            (
                "nft flush chain inet wharfinger ingress4-000000000000000000000000000000f0",
                "chain ingress4-000000000000000000000000000000f0 is missing, or has no rules",
            ),
            (
                "nft flush chain inet wharfinger ports4-000000000000000000000000000000c0",
                "chain ports4-000000000000000000000000000000c0 is missing, or has no rules",
            ),
        ] {
            run(harm);
            let drifts = KERNEL.verify(&plan, &netns).unwrap();
            assert!(drifts.iter().any(|it| it.found == word), "{harm}: {drifts:#?}");
            KERNEL.reload(&all).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), [], "{harm}");
        }
    });
}

/// A small generator of numbers: each history can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c6_through_any_history_the_tables_are_what_the_attachments_have() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        for seed in 1..3_u64 {
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut there: BTreeSet<u16> = BTreeSet::new();
            for _ in 0..25 {
                let number = u16::try_from(5 + dice.below(8)).unwrap();
                match dice.below(5) {
                    0 | 1 => {
                        KERNEL.apply(&plan(number), &netns).unwrap();
                        there.insert(number);
                    }
                    2 | 3 => {
                        assert!(KERNEL.undo(&plan(number), None).is_empty());
                        there.remove(&number);
                    }
                    _ => {
                        let all: Vec<Action> = there.iter().copied().flat_map(all_of).collect();
                        KERNEL.reload(&all).unwrap();
                    }
                }
                assert_eq!(keys(), there.iter().copied().map(key).collect(), "seed {seed}");
                for number in &there {
                    assert_eq!(KERNEL.verify(&plan(*number), &netns).unwrap(), [], "seed {seed}");
                }
            }
            for number in there {
                assert!(KERNEL.undo(&plan(number), None).is_empty());
            }
            let left = run("nft list ruleset");
            for word in ["elements", "-0000", "-br0", "-br1", "-MY-ADMIN"] {
                assert!(!left.contains(word), "{word}: {left}");
            }
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c2_two_hundred_parallel_changes_of_everything() {
    on_host(|| {
        std::thread::scope(|scope| {
            for thread in 0..20_u16 {
                scope.spawn(move || {
                    let container = Container::new();
                    let netns = container.netns();
                    for round in 0..10 {
                        let plan = plan(10 + thread * 10 + round);
                        KERNEL.apply(&plan, &netns).unwrap();
                        let errors = KERNEL.undo(&plan, None);
                        assert!(errors.is_empty(), "{errors:?}");
                    }
                });
            }
        });
        assert_eq!(leftovers(), "");
        let left = run("nft list ruleset");
        assert!(!left.contains("elements"), "{left}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f4_no_tool_is_needed_and_both_families_come_together() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let me = std::env::current_exe().unwrap();
        let out = run(&format!(
            "PATH=/nonexistent /usr/bin/strace -f -qq -e trace=execve {} --ignored --exact \
             pain_f4_what_is_traced 2>&1 || true",
            me.display()
        ));
        assert_eq!(out.matches("execve(").count(), 1, "{out}");
        assert!(out.contains("1 passed"), "{out}");
        KERNEL.apply(&plan(5), &netns).unwrap();
        assert_eq!(KERNEL.survey().unwrap().masquerades.len(), 2);
    });
}

/// Started by the test above, with no tool on its path.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_f4_what_is_traced() {
    let thread = std::thread::spawn(|| {
        // SAFETY: unshare(2) takes no pointers; it changes this thread alone.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        let container = Container::new();
        let netns = container.netns();
        KERNEL.apply(&plan(5), &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan(5), &netns).unwrap(), []);
        assert!(KERNEL.undo(&plan(5), None).is_empty());
    });
    thread.join().unwrap();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c8_without_ports_the_packet_filter_is_not_asked() {
    on_host(|| {
        let me = std::env::current_exe().unwrap();
        let out = run(&format!(
            "/usr/bin/strace -f -qq -e trace=socket {} --ignored --exact pain_c8_what_is_traced 2>&1",
            me.display()
        ));
        assert!(out.contains("1 passed") && out.contains("NETLINK_ROUTE"), "{out}");
        assert!(!out.contains("NETLINK_NETFILTER"), "{out}");
    });
}

/// Started by the test above.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_c8_what_is_traced() {
    let thread = std::thread::spawn(|| {
        // SAFETY: unshare(2) takes no pointers; it changes this thread alone.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        let container = Container::new();
        let netns = container.netns();
        let mut plan = attachment(5);
        plan.steps.retain(|step| step.action.comment().is_none());
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
    });
    thread.join().unwrap();
}
