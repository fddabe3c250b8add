//! Masquerade against the real kernel: what is in the table, and what packets look like.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Container, KERNEL, attachment, leftovers, masquerade, on_host, run};
use wharfinger_kernel::Kernel;
use wharfinger_plan::{Action, Masquerade, Plan, Step};

fn plan(masquerade: Masquerade) -> Plan {
    Plan::new(vec![Step::owned(Action::Masquerade(masquerade))])
}

#[test]
#[ignore = "needs root: ring netns"]
fn the_table_is_readable_by_nft_and_can_be_loaded_again() {
    on_host(|| {
        let container = Container::new();
        KERNEL.apply(&attachment(5), &container.netns()).unwrap();
        let shown = run("nft list table inet wharfinger");
        for part in [
            "set masq-10.1.0.0-16 {",
            "type ipv4_addr",
            "10.1.0.5 comment \"wharfinger:pods:veth5:eth0\"",
            "set masq-fd00.1.0.0.0.0.0.0-64 {",
            "type ipv6_addr",
            "fd00:1::5 comment \"wharfinger:pods:veth5:eth0\"",
            "type nat hook postrouting priority srcnat; policy accept;",
            "ip daddr 224.0.0.0/4 return",
            "ip6 daddr ff00::/8 return",
            "ip saddr @masq-10.1.0.0-16 ip daddr != 10.1.0.0/16 masquerade",
            "ip6 saddr @masq-fd00.1.0.0.0.0.0.0-64 ip6 daddr != fd00:1::/64 masquerade",
        ] {
            assert!(shown.contains(part), "{part} is not in:\n{shown}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules");
        std::fs::write(&file, &shown).unwrap();
        run(&format!("nft delete table inet wharfinger; nft -f {}", file.display()));
        assert_eq!(run("nft list table inet wharfinger"), shown);
        // What nft made is ours as well.
        let netns = container.netns();
        assert_eq!(KERNEL.verify(&attachment(5), &netns).unwrap(), []);
        assert!(KERNEL.undo(&attachment(5), Some(&netns)).is_empty());
        assert_eq!(leftovers(), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn packets_that_leave_carry_the_hosts_address_and_others_keep_theirs() {
    on_host(|| {
        let (inside, outside) = (Container::new(), Container::new());
        KERNEL.apply(&attachment(5), &inside.netns()).unwrap();
        // The world: a link to another namespace, which knows no way back to 10.1.0.0/16.
        run("sysctl -qw net.ipv4.ip_forward=1");
        let id = outside.path.components().nth(4).unwrap().as_os_str().to_owned();
        run(&format!("ip link add up0 type veth peer name w0 netns {}", id.to_string_lossy()));
        run("ip addr add 192.0.2.1/24 dev up0 && ip link set up0 up");
        outside.run("ip addr add 192.0.2.2/24 dev w0");
        outside.run("ip link set w0 up");
        assert!(inside.reaches("192.0.2.2"));
        run("nft flush set inet wharfinger masq-10.1.0.0-16");
        assert!(!inside.reaches("192.0.2.2"), "without the masquerade there is no way back");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn an_address_has_one_owner() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let first = plan(masquerade("10.1.0.5", "10.1.0.0/16", "first"));
        KERNEL.apply(&first, &netns).unwrap();
        KERNEL.apply(&first, &netns).unwrap();
        let second = plan(masquerade("10.1.0.5", "10.1.0.0/16", "second"));
        let error = KERNEL.apply(&second, &netns).unwrap_err();
        assert_eq!(error.to_string(), "step 1: masquerade 10.1.0.5: owner is first, not second");
        // Another's is not removed.
        assert!(KERNEL.undo(&second, None).is_empty());
        assert_eq!(KERNEL.verify(&first, &netns).unwrap(), []);
        let drifts = KERNEL.verify(&second, &netns).unwrap();
        assert_eq!(drifts[0].found, "owner of masquerade 10.1.0.5 is first, not second");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn long_keys_keep_their_identity() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        for length in [1, 126, 127, 128, 200, 249] {
            let key = |last: char| "k".repeat(length - 1) + &last.to_string();
            let [one, two] =
                ['1', '2'].map(|last| plan(masquerade("10.1.0.5", "10.1.0.0/16", &key(last))));
            KERNEL.apply(&one, &netns).unwrap();
            assert_eq!(KERNEL.survey().unwrap().masquerades[0].comment, key('1'));
            KERNEL.apply(&two, &netns).unwrap_err();
            assert!(KERNEL.undo(&two, None).is_empty());
            assert_eq!(KERNEL.verify(&one, &netns).unwrap(), []);
            let shown = run("nft list table inet wharfinger");
            assert!(shown.contains("comment \"k") || length == 1, "{shown}");
            assert!(KERNEL.undo(&one, None).is_empty());
        }
        let long = plan(masquerade("10.1.0.5", "10.1.0.0/16", &"k".repeat(250)));
        let error = KERNEL.apply(&long, &netns).unwrap_err();
        assert_eq!(error.errno(), Some(libc::ENAMETOOLONG));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn ten_thousand_elements_slow_nothing_down() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        KERNEL.apply(&attachment(5), &netns).unwrap();
        let one = plan(masquerade("10.1.0.6", "10.1.0.0/16", "one"));
        let each = || {
            let start = Instant::now();
            for _ in 0..20 {
                KERNEL.apply(&one, &netns).unwrap();
                assert!(KERNEL.undo(&one, None).is_empty());
            }
            start.elapsed() / 20
        };
        let before = each();
        let elements: Vec<String> = (0..10_000_u32)
            .map(|n| format!("10.1.{}.{} comment \"k{n}\"", 100 + n / 256, n % 256))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules");
        let text =
            format!("add element inet wharfinger masq-10.1.0.0-16 {{ {} }}\n", elements.join(", "));
        std::fs::write(&file, text).unwrap();
        run(&format!("nft -f {}", file.display()));
        let after = each();
        // Twice, for the noise of a busy machine; a list that is gone through would be 100 times.
        assert!(after < before * 2 + Duration::from_millis(2), "{before:?}, then {after:?}");
        assert_eq!(KERNEL.survey().unwrap().masquerades.len(), 10_002);
    });
}

/// What the first version of this executable wrote.
const OLD: &str = "table inet wharfinger {
    map masq4 {
        type ipv4_addr : verdict
        elements = { 10.1.0.5 comment \"old\" : jump masq-10.1.0.0-16,
                     10.1.0.6 comment \"other\" : jump masq-10.1.0.0-16 }
    }
    map masq6 { type ipv6_addr : verdict; }
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip daddr 224.0.0.0/4 return
        ip6 daddr ff00::/8 return
        ip saddr vmap @masq4
        ip6 saddr vmap @masq6
    }
    chain masq-10.1.0.0-16 {
        ip daddr 10.1.0.0/16 return
        masquerade
    }
}
";

#[test]
#[ignore = "needs root: ring netns"]
fn what_the_first_version_left_is_found_checked_rebuilt_and_undone() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules");
        std::fs::write(&file, OLD).unwrap();
        run(&format!("nft -f {}", file.display()));
        let old = masquerade("10.1.0.5", "10.1.0.0/16", "old");
        let other = masquerade("10.1.0.6", "10.1.0.0/16", "other");
        let mut found = KERNEL.survey().unwrap().masquerades;
        found.sort_by_key(|found| found.address);
        assert_eq!(found, [old.clone(), other.clone()]);
        assert_eq!(KERNEL.verify(&plan(old.clone()), &netns).unwrap(), []);
        run("nft flush chain inet wharfinger postrouting");
        assert_eq!(KERNEL.verify(&plan(old.clone()), &netns).unwrap()[0].found, "is missing");
        assert!(KERNEL.undo(&plan(old), None).is_empty());
        assert_eq!(KERNEL.survey().unwrap().masquerades, std::slice::from_ref(&other));
        KERNEL.reload(&[Action::Masquerade(other.clone())]).unwrap();
        assert_eq!(KERNEL.verify(&plan(other.clone()), &netns).unwrap(), []);
        let shown = run("nft list table inet wharfinger");
        assert!(!shown.contains("masq4") && !shown.contains("vmap"), "{shown}");
        assert!(KERNEL.undo(&plan(other), None).is_empty());
        assert_eq!(leftovers(), "");
    });
}
