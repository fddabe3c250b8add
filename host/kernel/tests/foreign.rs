//! Our accepts in other people's chains, against the real kernel and the real tools.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use common::{
    Container, KERNEL, Way, ask, forwarded, host_port, on_host, port_map, run, serve, try_run,
};
use wharfinger_kernel::Kernel;
use wharfinger_plan::{Action, Forward, Plan, Protocol, Step};

fn plan(forward: Forward) -> Plan {
    Plan::new(vec![Step::owned(Action::Forward(forward))])
}

/// What iptables shows of table filter, but for the time and counters.
fn saved(tool: &str) -> String {
    let text = run(&format!("{tool} -t filter"));
    assert!(!text.contains("incompatible"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with("# "));
    // A chain's counters stand behind its policy.
    lines.map(|line| line.split(" [").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The octets that the kernel has for the rules of a table, as nft's debug output shows them.
fn octets() -> String {
    run(
        "(nft --debug=netlink list table ip filter; nft --debug=netlink list table ip6 filter) 2>/dev/null | grep '^  \\['",
    )
}

fn by_iptables(tool: &str, address: &str, length: u8) {
    run(&format!(
        "{tool} -N CNI-FORWARD; {tool} -N CNI-ADMIN; \
         {tool} -I CNI-FORWARD -m comment --comment 'CNI firewall plugin admin overrides' -j CNI-ADMIN && \
         {tool} -A CNI-FORWARD -d {address}/{length} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT && \
         {tool} -A CNI-FORWARD -s {address}/{length} -j ACCEPT && \
         {tool} -I FORWARD -m comment --comment 'CNI firewall plugin rules' -j CNI-FORWARD"
    ));
}

fn drop_policy() {
    run("iptables -P FORWARD DROP && ip6tables -P FORWARD DROP");
}

#[test]
#[ignore = "needs root: ring netns"]
fn accepts_are_what_iptables_itself_would_have_written() {
    let (send, receive) = std::sync::mpsc::channel();
    on_host(move || {
        drop_policy();
        by_iptables("iptables", "10.1.0.5", 32);
        by_iptables("ip6tables", "fd00:1::5", 128);
        send.send((saved("iptables-save"), saved("ip6tables-save"), octets())).unwrap();
    });
    let expected = receive.recv().unwrap();
    on_host(move || {
        drop_policy();
        let netns = Container::new();
        let plan = plan(forwarded(&["10.1.0.5", "fd00:1::5"]));
        let before = (saved("iptables-save"), saved("ip6tables-save"));
        KERNEL.apply(&plan, &netns.netns()).unwrap();
        assert_eq!((saved("iptables-save"), saved("ip6tables-save"), octets()), expected);
        assert_eq!(KERNEL.verify(&plan, &netns.netns()).unwrap(), []);
        // Twice is once.
        KERNEL.apply(&plan, &netns.netns()).unwrap();
        assert_eq!(saved("iptables-save"), expected.0);
        for rule in [
            "FORWARD -m comment --comment 'CNI firewall plugin rules' -j CNI-FORWARD",
            "CNI-FORWARD -m comment --comment 'CNI firewall plugin admin overrides' -j CNI-ADMIN",
            "CNI-FORWARD -d 10.1.0.5 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "CNI-FORWARD -s 10.1.0.5 -j ACCEPT",
        ] {
            run(&format!("iptables -C {rule}"));
        }
        assert!(run("iptables -L -n").contains("Chain CNI-FORWARD (1 references)"));
        // What iptables itself loads again is still ours.
        run("iptables-save > /dev/null; iptables-save | iptables-restore");
        assert_eq!(KERNEL.verify(&plan, &netns.netns()).unwrap(), []);
        assert_eq!(KERNEL.undo(&plan, None).len(), 0);
        let after = (saved("iptables-save"), saved("ip6tables-save"));
        assert!(!after.0.contains("10.1.0.5") && !after.1.contains("fd00:1::5"), "{after:?}");
        // The shared part stays; without it all is as before.
        run(
            "for t in iptables ip6tables; do $t -D FORWARD 1; $t -D CNI-FORWARD 1; $t -X CNI-FORWARD; $t -X CNI-ADMIN; done",
        );
        assert_eq!((saved("iptables-save"), saved("ip6tables-save")), before);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn where_nobody_drops_nothing_is_made() {
    on_host(|| {
        let netns = Container::new();
        run("iptables -P FORWARD ACCEPT; nft add table ip6 other");
        let before = run("nft list ruleset");
        let plan = plan(forwarded(&["10.1.0.5", "fd00:1::5"]));
        KERNEL.apply(&plan, &netns.netns()).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns.netns()).unwrap(), []);
        let foreign = |text: &str| {
            text.split("table ").filter(|t| !t.starts_with("inet wharfinger")).collect::<String>()
        };
        assert_eq!(foreign(&run("nft list ruleset")), foreign(&before));
        assert_eq!(KERNEL.forward_drops().unwrap(), []);
        assert!(KERNEL.undo(&plan, None).is_empty());
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn check_names_each_chain_that_drops_and_lacks_an_accept() {
    on_host(|| {
        let netns = Container::new();
        let plan = plan(forwarded(&["10.1.0.5", "fd00:1::5"]));
        KERNEL.apply(&plan, &netns.netns()).unwrap();
        drop_policy();
        run(
            "nft add table inet mine; nft add chain inet mine guard '{ type filter hook forward priority 10; policy drop; }'",
        );
        let found: Vec<String> =
            KERNEL.verify(&plan, &netns.netns()).unwrap().into_iter().map(|d| d.found).collect();
        assert_eq!(
            found,
            [
                "chain ip filter FORWARD (policy drop) lacks the accept of answers to 10.1.0.5, \
                 the accept from 10.1.0.5, its jump to CNI-FORWARD",
                "chain ip6 filter FORWARD (policy drop) lacks the accept of answers to fd00:1::5, \
                 the accept from fd00:1::5, its jump to CNI-FORWARD",
                "chain inet mine guard (policy drop) lacks the accept of answers to 10.1.0.5, the \
                 accept from 10.1.0.5, the accept of answers to fd00:1::5, the accept from \
                 fd00:1::5, its jump to CNI-FORWARD",
            ]
        );
        let shown: Vec<String> =
            KERNEL.forward_drops().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "chain ip filter FORWARD (forward, priority 0): policy drop",
                "chain ip6 filter FORWARD (forward, priority 0): policy drop",
                "chain inet mine guard (forward, priority 10): policy drop",
            ]
        );
        KERNEL.apply(&plan, &netns.netns()).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns.netns()).unwrap(), []);
        run("iptables -F FORWARD");
        let found = KERNEL.verify(&plan, &netns.netns()).unwrap();
        assert_eq!(
            found[0].found,
            "chain ip filter FORWARD (policy drop) lacks its jump to CNI-FORWARD"
        );
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn packets_get_through_a_policy_of_drop_and_only_answers_get_in() {
    on_host(|| {
        let way = Way::new();
        assert_eq!(way.passes(), [true; 4]);
        let plan = plan(forwarded(&["10.1.0.5", "fd00:1::5"]));
        for drops in [
            "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP",
            "iptables -A FORWARD -j REJECT; ip6tables -A FORWARD -j REJECT",
            "nft add table inet mine; nft add chain inet mine guard '{ type filter hook forward priority 10; policy drop; }'",
            "nft add table ip six; nft add chain ip six guard '{ type filter hook forward priority 10; policy drop; }';
             nft add table ip6 six; nft add chain ip6 six guard '{ type filter hook forward priority 10; policy drop; }'",
        ] {
            run(drops);
            assert_eq!(way.passes(), [false; 4], "{drops}");
            KERNEL.apply(&plan, &way.inside.netns()).unwrap();
            assert_eq!(KERNEL.verify(&plan, &way.inside.netns()).unwrap(), []);
            assert_eq!(way.passes(), [true, true, false, false], "{drops}");
            assert!(KERNEL.undo(&plan, None).is_empty());
            assert_eq!(way.passes(), [false; 4], "{drops}");
            run("nft flush ruleset");
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_an_administrator_drops_stays_dropped() {
    on_host(|| {
        let way = Way::new();
        drop_policy();
        let named = Forward { admin_chain: Some("MINE".to_owned()), ..forwarded(&["10.1.0.5"]) };
        KERNEL.apply(&plan(named.clone()), &way.inside.netns()).unwrap();
        assert!(way.inside.reaches("10.2.0.5"));
        run("iptables -A MINE -d 10.2.0.5 -j DROP");
        assert!(!way.inside.reaches("10.2.0.5"));
        // A chain's name is one word to the tools.
        for bad in ["", "-X", "a b", "a\nCOMMIT", "a23456789012345678901234567890"] {
            let bad = Forward { admin_chain: Some(bad.to_owned()), ..named.clone() };
            let error = KERNEL.apply(&plan(bad), &way.inside.netns()).unwrap_err();
            assert!(error.to_string().contains("28 at most"), "{error}");
        }
        let ours = Forward { admin_chain: Some("egress".to_owned()), ..named };
        let error = KERNEL.apply(&plan(ours), &way.inside.netns()).unwrap_err();
        assert!(error.to_string().contains("our own"), "{error}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn thirty_two_that_are_first_at_once_make_one_of_what_they_share() {
    on_host(|| {
        drop_policy();
        std::thread::scope(|scope| {
            for number in 1..=32 {
                scope.spawn(move || {
                    let netns = Container::new();
                    let addresses = [format!("10.1.0.{number}"), format!("fd00:1::{number:x}")];
                    let plan = plan(forwarded(&[&addresses[0], &addresses[1]]));
                    KERNEL.apply(&plan, &netns.netns()).unwrap();
                });
            }
        });
        for tool in ["iptables-save", "ip6tables-save"] {
            let text = saved(tool);
            let count = |what: &str| text.matches(what).count();
            assert_eq!(count("-j CNI-FORWARD"), 1, "{text}");
            assert_eq!(count("-j CNI-ADMIN"), 1, "{text}");
            assert_eq!(count("-j ACCEPT"), 64, "{text}");
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn isolation_of_the_reference_stays_ahead_of_our_accepts() {
    on_host(|| {
        let netns = Container::new();
        run("iptables -P FORWARD DROP; iptables -N CNI-ISOLATION-STAGE-1; \
             iptables -A FORWARD -m comment --comment 'CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)' -j CNI-ISOLATION-STAGE-1; \
             iptables -A FORWARD -j LOG");
        KERNEL.apply(&plan(forwarded(&["10.1.0.5"])), &netns.netns()).unwrap();
        let forward = run("iptables -S FORWARD");
        let jumps: Vec<&str> =
            forward.lines().filter_map(|line| line.split("-j ").nth(1)).collect();
        assert_eq!(jumps, ["CNI-ISOLATION-STAGE-1", "CNI-FORWARD", "LOG"]);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn chains_such_as_kube_proxys_are_as_they_were() {
    on_host(|| {
        let netns = Container::new();
        drop_policy();
        run(
            "iptables -N KUBE-FORWARD; iptables -A FORWARD -m comment --comment 'kubernetes forwarding rules' -j KUBE-FORWARD; \
             iptables -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP; \
             iptables -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT; \
             iptables -t nat -N KUBE-SERVICES; iptables -t nat -A PREROUTING -j KUBE-SERVICES; \
             iptables -t nat -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 192.0.2.1:6443",
        );
        let kube = || {
            let text = run("iptables-save");
            text.lines().filter(|line| line.contains("KUBE")).collect::<Vec<_>>().join("\n")
        };
        let before = kube();
        let plan = plan(forwarded(&["10.1.0.5"]));
        KERNEL.apply(&plan, &netns.netns()).unwrap();
        assert_eq!(kube(), before);
        run("iptables -C KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT");
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert_eq!(kube(), before);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn ip_tables_is_changed_by_its_own_tool_and_only_where_it_drops() {
    on_host(|| {
        let way = Way::new();
        let plan = plan(forwarded(&["10.1.0.5", "fd00:1::5"]));
        run("iptables-legacy -P FORWARD ACCEPT; ip6tables-legacy -P FORWARD ACCEPT");
        KERNEL.apply(&plan, &way.inside.netns()).unwrap();
        let listed = || run("iptables-legacy -S; ip6tables-legacy -S");
        assert!(!listed().contains("CNI"), "{}", listed());
        assert_eq!(KERNEL.forward_drops().unwrap(), []);
        run("iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP");
        assert_eq!(way.passes(), [false; 4]);
        let drifts = KERNEL.verify(&plan, &way.inside.netns()).unwrap();
        let found = drifts.iter().map(|drift| drift.found.as_str()).collect::<String>();
        assert!(found.contains("chain FORWARD of iptables-legacy lacks"), "{found}");
        assert!(found.contains("chain FORWARD of ip6tables-legacy lacks"), "{found}");
        assert_eq!(KERNEL.forward_drops().unwrap().len(), 2);
        KERNEL.apply(&plan, &way.inside.netns()).unwrap();
        assert_eq!(KERNEL.verify(&plan, &way.inside.netns()).unwrap(), []);
        assert_eq!(way.passes(), [true, true, false, false]);
        let ours = listed();
        KERNEL.apply(&plan, &way.inside.netns()).unwrap();
        assert_eq!(listed(), ours);
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert!(!listed().contains("10.1.0.5") && !listed().contains("fd00:1::5"));
        assert_eq!(way.passes(), [false; 4]);
        let (_, nft) = try_run("nft list ruleset");
        assert!(!nft.contains("CNI-FORWARD"), "{nft}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f3_what_a_flush_threw_away_comes_back_with_a_reload() {
    on_host(|| {
        let way = Way::new();
        drop_policy();
        let actions: Vec<Action> = [&["10.1.0.5", "fd00:1::5"][..], &["10.1.0.6"]]
            .map(|addresses| Action::Forward(forwarded(addresses)))
            .to_vec();
        let plan = Plan::new(actions.iter().cloned().map(Step::owned).collect());
        KERNEL.apply(&plan, &way.inside.netns()).unwrap();
        let made = (saved("iptables-save"), saved("ip6tables-save"));
        // As firewalls do that load their own rules anew.
        run("iptables -F; iptables -X; nft delete table ip6 filter");
        drop_policy();
        let drifts = KERNEL.verify(&plan, &way.inside.netns()).unwrap();
        let lacking = drifts.iter().filter(|drift| drift.found.contains("lacks")).count();
        assert_eq!(lacking, 3, "{drifts:?}");
        assert_eq!(way.passes(), [false; 4]);
        KERNEL.reload(&actions).unwrap();
        assert_eq!(KERNEL.verify(&plan, &way.inside.netns()).unwrap(), []);
        assert_eq!((saved("iptables-save"), saved("ip6tables-save")), made);
        assert_eq!(way.passes(), [true, true, false, false]);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn many_at_once_are_more_than_one_transaction() {
    on_host(|| {
        drop_policy();
        let addresses: Vec<String> = (1..=300_u32)
            .flat_map(|n| [format!("10.1.{}.{}", n / 256, n % 256), format!("fd00:1::{n:x}")])
            .collect();
        let all: Vec<Action> =
            addresses.iter().map(|address| Action::Forward(forwarded(&[address]))).collect();
        KERNEL.reload(&all).unwrap();
        for tool in ["iptables-save", "ip6tables-save"] {
            assert_eq!(saved(tool).matches("-j ACCEPT").count(), 600);
        }
    });
}

/// Both families are one transaction, and nobody is asked what there is by running it.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_f4_neither_iptables_nor_nft_is_needed_or_run() {
    on_host(|| {
        let way = Way::new();
        drop_policy();
        // SAFETY: unshare(2) takes no pointers; it changes this thread alone.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
        run("mount --make-rprivate /; \
             for tool in xtables-nft-multi xtables-legacy-multi nft; do mount --bind /dev/null /usr/sbin/$tool; done");
        assert!(!try_run("iptables -L").0 && !try_run("nft list tables").0);
        let action = Action::Forward(forwarded(&["10.1.0.5", "fd00:1::5"]));
        let plan = Plan::new(vec![Step::owned(action.clone())]);
        let netns = way.inside.netns();
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        KERNEL.reload(&[action]).unwrap();
        assert_eq!(way.passes(), [true, true, false, false]);
        assert_eq!(KERNEL.forward_drops().unwrap().len(), 2);
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert_eq!(way.passes(), [false; 4]);
    });
}

/// A host's port leads in, whatever others drop, and nothing else does.
#[test]
#[ignore = "needs root: ring netns"]
fn ports_of_the_host_lead_in_past_a_policy_of_drop() {
    on_host(|| {
        let way = Way::new();
        let ports = [("10.1.0.5", "80"), ("[fd00:1::5]", "80")]
            .map(|(to, port)| host_port(Protocol::Tcp, "8080", &format!("{to}:{port}")))
            .to_vec();
        let map = Action::PortMap(port_map(ports, "key"));
        let plan = Plan::new(vec![Step::owned(map.clone())]);
        let _servers = [false, true].map(|v6| serve(Some(&way.inside), v6, "tcp", 80));
        let netns = way.inside.netns();
        let asked =
            |address: &str, port| ask(Some(&way.outside), "tcp", address, port) != "nothing";
        for drops in [
            "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP",
            "iptables-legacy -P FORWARD DROP; ip6tables-legacy -P FORWARD DROP",
            "nft add table inet mine; nft add chain inet mine guard '{ type filter hook forward priority 10; policy drop; }'",
        ] {
            run(drops);
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), [], "{drops}");
            // The first packet to a new neighbour may be lost on a busy machine.
            let answers = |address| (0..3).any(|_| asked(address, 8080));
            assert!(answers("10.2.0.1") && answers("fd00:2::1"), "{drops}");
            assert!(!asked("10.1.0.5", 80) && !way.inside.reaches("10.2.0.5"), "{drops}");
            assert!(KERNEL.undo(&plan, None).is_empty());
            let left = run("nft list ruleset; iptables-legacy-save; ip6tables-legacy-save");
            assert!(!left.contains("10.1.0.5"), "{left}");
            KERNEL.reload(std::slice::from_ref(&map)).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), [], "{drops}");
            assert!(KERNEL.undo(&plan, None).is_empty());
            run(
                "nft flush ruleset; iptables-legacy -P FORWARD ACCEPT; ip6tables-legacy -P FORWARD ACCEPT",
            );
        }
    });
}
