//! An attachment against the real kernel: applied, verified, in use, undone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use common::{Container, KERNEL, attachment, eth0, leftovers, on_host, run, try_run};
use wharfinger_kernel::{AtPath, Error, Kernel};
use wharfinger_plan::{Action, LinkRef, Plan};

#[test]
#[ignore = "needs root: ring netns"]
fn applied_is_as_planned_and_undone_without_a_trace() {
    on_host(|| {
        let container = Container::new();
        let (netns, plan) = (container.netns(), attachment(5));
        let facts = KERNEL.apply(&plan, &netns).unwrap();
        let names: Vec<String> = facts.iter().map(|facts| facts.link.to_string()).collect();
        assert_eq!(names, ["cni0", "veth5", "container:eth0"]);
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        assert_eq!(facts[1].alias.as_deref(), Some("wharfinger:pods:veth5:eth0"));
        assert_eq!(facts[2].mac.unwrap().to_string(), "02:01:00:00:00:05");
        assert!(facts[2].addresses.contains(&"10.1.0.5/16".parse().unwrap()));
        let shown = run("bridge link show dev veth5");
        assert!(shown.contains("master cni0 state forwarding"), "{shown}");
        assert!(run("ip -d link show veth5").contains("state UP"));
        assert_eq!(container.run("cat /proc/sys/net/ipv4/conf/eth0/arp_notify").trim(), "1");
        assert!(container.reaches("10.1.0.1"));
        assert!(container.reaches("fd00:1::1"));

        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert_eq!(leftovers(), "");
        assert!(KERNEL.links(&[eth0()], Some(&netns)).unwrap()[0].is_none());
        assert!(run("ip addr show cni0").contains("10.1.0.1/16"), "the bridge is shared");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn two_containers_reach_each_other() {
    on_host(|| {
        let (one, two) = (Container::new(), Container::new());
        KERNEL.apply(&attachment(5), &one.netns()).unwrap();
        KERNEL.apply(&attachment(6), &two.netns()).unwrap();
        assert!(one.reaches("10.1.0.6"));
        assert!(two.reaches("fd00:1::5"));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_second_attachment_of_the_same_name_fails_and_harms_nothing() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        KERNEL.apply(&attachment(5), &netns).unwrap();
        // Its host link is free, its container link is not.
        let error = KERNEL.apply(&attachment(6), &netns).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("add link container:eth0: File exists"), "{text}");
        assert_eq!(error.errno(), Some(libc::EEXIST));
        // Its host link is not free.
        let other = Container::new();
        let error = KERNEL.apply(&attachment(5), &other.netns()).unwrap_err();
        assert!(error.to_string().contains("add link veth5: File exists"), "{error}");
        assert_eq!(KERNEL.verify(&attachment(5), &netns).unwrap(), []);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_failure_at_each_step_undoes_the_steps_before_it() {
    on_host(|| {
        let count = attachment(5).steps.len();
        for bad in 3..=count {
            let container = Container::new();
            let netns = container.netns();
            let mut plan = attachment(5);
            let sysctl = common::sysctl(wharfinger_plan::Place::Host, "net/none", "1");
            plan.steps.insert(bad, wharfinger_plan::Step::owned(Action::Sysctl(sysctl)));
            let error = KERNEL.apply(&plan, &netns).unwrap_err();
            let Error::Step { step, undoing, .. } = &error else { panic!("{error}") };
            assert_eq!((*step, undoing.len()), (bad, 0), "{error}");
            assert_eq!(leftovers(), "", "after a failure at {bad}");
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c3_undo_is_fine_at_any_time() {
    on_host(|| {
        let container = Container::new();
        let (netns, plan) = (container.netns(), attachment(5));
        // Before any apply, with nothing of ours there at all.
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(KERNEL.undo(&plan, None).is_empty());
        KERNEL.apply(&plan, &netns).unwrap();
        for _ in 0..3 {
            assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
            assert_eq!(leftovers(), "");
        }
        // After others took half of it away.
        KERNEL.apply(&plan, &netns).unwrap();
        run("ip link del veth5");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        KERNEL.apply(&plan, &netns).unwrap();
        run("nft delete table inet wharfinger");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert_eq!(leftovers(), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_a2_pain_a3_undo_without_a_namespace_removes_links_and_rules() {
    on_host(|| {
        let container = Container::new();
        let plan = attachment(5);
        KERNEL.apply(&plan, &container.netns()).unwrap();
        // The namespace lives, but nobody knows where.
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert_eq!(leftovers(), "");

        KERNEL.apply(&plan, &container.netns()).unwrap();
        let path = container.path.clone();
        drop(container);
        assert!(matches!(KERNEL.netns(&path).unwrap(), AtPath::Gone));
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert_eq!(leftovers(), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_has_anothers_alias_stays_and_what_was_not_named_yet_goes() {
    on_host(|| {
        let container = Container::new();
        let (netns, plan) = (container.netns(), attachment(5));
        KERNEL.apply(&plan, &netns).unwrap();
        run("ip link set veth5 alias other");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(run("ip link show veth5").contains("veth5"));
        // Killed between making the link and naming it: known by its MAC address.
        run("ip link set veth5 alias ''");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert_eq!(leftovers(), "");
        // Whose it is, is told by the first word of the alias alone.
        KERNEL.apply(&plan, &netns).unwrap();
        run("ip link set veth5 alias 'wharfinger:pods:veth5:eth0 host 10.1.0.5/16'");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert_eq!(leftovers(), "");
        // Somebody else's, with no alias.
        run("ip link add veth5 type veth peer name veth6");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        run("ip link show veth5");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn each_drift_is_named() {
    let drifts = |command: &'static str| {
        let (sender, receiver) = std::sync::mpsc::channel();
        on_host(move || {
            let container = Container::new();
            let (netns, plan) = (container.netns(), hairpin(attachment(5)));
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
            match command.strip_prefix("in ") {
                Some(command) => container.run(command),
                None => run(command),
            };
            for drift in KERNEL.verify(&plan, &netns).unwrap() {
                sender.send(format!("{} {}", drift.object, drift.found)).unwrap();
            }
        });
        receiver.into_iter().collect::<Vec<String>>()
    };
    for (command, drift) in [
        ("ip link set cni0 down", "link cni0 is down"),
        ("ip addr del 10.1.0.1/16 dev cni0", "address 10.1.0.1/16 dev cni0 is missing"),
        ("ip link set veth5 down", "link veth5 is down"),
        ("ip link set veth5 nomaster", "link veth5 is no port of cni0"),
        (
            "ip link set veth5 type bridge_slave hairpin off",
            "link veth5 hairpin on cni0 is false, not true",
        ),
        ("ip link set veth5 mtu 1400", "link veth5 mtu is 1400, not 1450"),
        (
            "ip link set veth5 address 02:00:00:00:00:99",
            "link veth5 mac is 02:00:00:00:00:99, not 02:02:00:00:00:05",
        ),
        ("ip link set veth5 alias x", "link veth5 alias is x, not wharfinger:pods:veth5:eth0"),
        ("ip link del veth5", "link veth5 is missing"),
        ("in ip link set eth0 mtu 1300", "link container:eth0 mtu is 1300, not 1450"),
        ("in ip link set eth0 down", "link container:eth0 is down"),
        (
            "in ip addr del 10.1.0.5/16 dev eth0",
            "address 10.1.0.5/16 dev container:eth0 is missing",
        ),
        ("in ip route del default", "route 0.0.0.0/0 dev container:eth0 is missing"),
        ("in ip -6 route del default", "route ::/0 dev container:eth0 is missing"),
        (
            "nft flush chain inet wharfinger masquerade-out",
            "masquerade 10.1.0.5 chain masquerade-out is missing, or has no rules",
        ),
        ("nft delete table inet wharfinger", "masquerade 10.1.0.5 is missing"),
        (
            "nft flush set inet wharfinger masq-fd00.1.0.0.0.0.0.0-64",
            "masquerade fd00:1::5 is missing",
        ),
    ] {
        let drifts = drifts(command);
        assert!(drifts.iter().any(|found| found == drift), "{command}: {drifts:?}");
    }
    assert_eq!(drifts("true"), [""; 0]);
}

fn hairpin(mut plan: Plan) -> Plan {
    for step in &mut plan.steps {
        if let Action::Link(wharfinger_plan::Link { port: Some(port), mtu, .. }) = &mut step.action
        {
            (port.hairpin, port.isolated) = (true, true);
            *mtu = Some(1450);
        }
    }
    plan
}

#[test]
#[ignore = "needs root: ring netns"]
fn flags_of_ports_are_set() {
    on_host(|| {
        let container = Container::new();
        KERNEL.apply(&hairpin(attachment(5)), &container.netns()).unwrap();
        let shown = run("bridge -d link show dev veth5");
        assert!(shown.contains("hairpin on") && shown.contains("isolated on"), "{shown}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn an_alias_may_be_as_long_as_the_kernel_keeps() {
    on_host(|| {
        let container = Container::new();
        for length in [1, 254, 255] {
            let alias = "k".repeat(length);
            let mut plan = attachment(5);
            for step in &mut plan.steps {
                if let Action::Link(link) = &mut step.action {
                    link.alias = link.alias.as_ref().map(|_| alias.clone());
                }
            }
            let facts = KERNEL.apply(&plan, &container.netns()).unwrap();
            assert_eq!(facts[1].alias.as_deref(), Some(alias.as_str()));
            assert!(KERNEL.undo(&plan, None).is_empty());
            assert_eq!(leftovers(), "");
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_link_that_cannot_be_named_is_not_left_behind() {
    on_host(|| {
        let container = Container::new();
        let mut plan = attachment(5);
        for step in &mut plan.steps {
            if let Action::Link(link) = &mut step.action {
                link.alias = link.alias.as_ref().map(|_| "k".repeat(256));
            }
        }
        let error = KERNEL.apply(&plan, &container.netns()).unwrap_err();
        assert!(error.to_string().contains("set alias and flags of link veth5"), "{error}");
        assert_eq!(leftovers(), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn the_survey_tells_of_every_attachment() {
    on_host(|| {
        let containers = [Container::new(), Container::new()];
        for (number, container) in (5..).zip(&containers) {
            KERNEL.apply(&attachment(number), &container.netns()).unwrap();
        }
        let survey = KERNEL.survey().unwrap();
        let mut aliases: Vec<_> = survey.links.iter().filter_map(|l| l.alias.clone()).collect();
        aliases.sort();
        assert_eq!(aliases, ["wharfinger:pods:veth5:eth0", "wharfinger:pods:veth6:eth0"]);
        let mut rules: Vec<String> = survey
            .masquerades
            .iter()
            .map(|m| format!("{} {} {}", m.address, m.network, m.comment))
            .collect();
        rules.sort();
        assert_eq!(
            rules,
            [
                "10.1.0.5 10.1.0.0/16 wharfinger:pods:veth5:eth0",
                "10.1.0.6 10.1.0.0/16 wharfinger:pods:veth6:eth0",
                "fd00:1::5 fd00:1::/64 wharfinger:pods:veth5:eth0",
                "fd00:1::6 fd00:1::/64 wharfinger:pods:veth6:eth0",
            ]
        );
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn nothing_is_missing_here_and_asking_changes_nothing() {
    on_host(|| {
        assert_eq!(KERNEL.missing(&attachment(5)).unwrap(), [""; 0]);
        assert_eq!(run("ip -o link show").lines().count(), 1);
        assert_eq!(run("nft list ruleset"), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn loopback_is_set_up_and_left_so() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let lo = LinkRef::container("lo");
        let steps = vec![
            wharfinger_plan::Step::owned(Action::Link(wharfinger_plan::Link {
                up: false,
                ..common::link(lo.clone(), wharfinger_plan::LinkKind::Existing)
            })),
            wharfinger_plan::Step::owned(Action::Up { link: lo.clone() }),
        ];
        let plan = Plan::new(steps);
        let facts = KERNEL.apply(&plan, &netns).unwrap();
        assert!(facts[0].up && facts[0].mac.is_none() && facts[0].kind.is_empty());
        assert!(facts[0].addresses.contains(&"127.0.0.1/8".parse().unwrap()));
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(container.reaches("127.0.0.1"));
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn only_a_network_namespace_is_one() {
    on_host(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let pipe = folder.path().join("pipe");
        run(&format!("mkfifo {}", pipe.display()));
        for path in [
            "/nowhere/at/all",
            "/etc/passwd/net",
            "/proc/self/ns/mnt",
            "/proc/self/ns",
            "/dev/null",
        ] {
            let found = KERNEL.netns(path.as_ref()).unwrap();
            assert!(matches!(found, AtPath::Gone), "{path}: {found:?}");
        }
        assert!(matches!(KERNEL.netns(&file).unwrap(), AtPath::Gone));
        assert!(matches!(KERNEL.netns(&pipe).unwrap(), AtPath::Gone));
        let own = KERNEL.netns("/proc/thread-self/ns/net".as_ref()).unwrap();
        let AtPath::Netns(own) = own else { panic!("the own namespace is one") };
        assert_eq!(own.cookie, KERNEL.host_cookie().unwrap());
        assert_ne!(own.cookie, Container::new().netns().cookie);
        assert!(try_run("true").0);
    });
}
