//! Beside those who rule the packet filter of many machines: a real firewalld, a real dockerd.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{KERNEL, Way, forwarded, on_host, run, try_run};
use wharfinger_kernel::{Kernel, Netns, Reference};
use wharfinger_plan::{Action, Forward, Plan, Step};

fn plan(forward: Forward) -> Plan {
    Plan::new(vec![Step::owned(Action::Forward(forward))])
}

/// What is not as planned with others; what is in our own tables is another test's.
fn found(plan: &Plan, netns: &Netns) -> Vec<String> {
    let found = KERNEL.verify(plan, netns).unwrap().into_iter().map(|drift| drift.found);
    found.filter(|found| found.contains("firewalld")).collect()
}

/// A host with mounts of its own, in which nothing of the machine's daemons is to be seen.
fn on_own_host(test: impl FnOnce() + Send + 'static) {
    on_host(|| {
        // SAFETY: unshare(2) takes no pointers; it changes this thread alone.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0);
        run(
            "mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/dbus /run/netns",
        );
        test();
    });
}

/// A daemon, which ends with this, and with all that it started.
struct Daemon(Child);

impl Daemon {
    fn start(command: &str, log: &str) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let mut daemon = Command::new("unshare");
        daemon.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c"]);
        // The first of its processes stays root: one that becomes another user outlives its parent.
        daemon.arg(format!("{command} & wait")).stdin(Stdio::null());
        daemon.stderr(log.try_clone().unwrap()).stdout(log);
        Self(daemon.spawn().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a command succeeds.
fn until(command: &str, log: &str) {
    let end = Instant::now() + Duration::from_mins(1);
    while !try_run(command).0 {
        assert!(Instant::now() < end, "{command}: {}", run(&format!("cat {log}")));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn firewalld() -> [Daemon; 2] {
    run("mount -t tmpfs tmpfs /etc/firewalld");
    let bus = Daemon::start("dbus-daemon --system --nofork --nopidfile", "/run/dbus.log");
    until("test -S /run/dbus/system_bus_socket", "/run/dbus.log");
    let log = "/run/firewalld.log";
    let daemon = Daemon::start("firewalld --nofork --nopid --log-target console", log);
    until("firewall-cmd --state && nft list table inet firewalld", log);
    [daemon, bus]
}

#[test]
#[ignore = "needs root: ring clients"]
fn firewalld_has_our_addresses_in_a_zone_and_forgets_them_when_reloaded() {
    on_own_host(|| {
        let way = Way::new();
        let _daemons = firewalld();
        assert_eq!(way.passes(), [false; 4]);
        let netns = way.inside.netns();
        let plan = plan(forwarded(&["10.1.0.5", "fd00:1::5"]));
        let lost = [
            "zone trusted of firewalld lacks 10.1.0.5",
            "zone trusted of firewalld lacks fd00:1::5",
        ];
        KERNEL.apply(&plan, &netns).unwrap();
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(found(&plan, &netns), [""; 0]);
        assert_eq!(way.passes(), [true, true, false, false]);
        assert_eq!(run("firewall-cmd --get-zone-of-source=10.1.0.5/32").trim(), "trusted");
        let shown = KERNEL.forward_drops().unwrap();
        assert_eq!(
            shown[0].to_string(),
            "chain inet firewalld filter_FORWARD (forward, priority 10): firewalld rejects what \
             no zone accepts"
        );
        // It forgets them when it is reloaded; the same steps put them there again.
        run("firewall-cmd --reload");
        assert_eq!(found(&plan, &netns), lost);
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(found(&plan, &netns), [""; 0]);
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert_eq!(found(&plan, &netns), lost);
    });
}

#[test]
#[ignore = "needs root: ring clients"]
fn somebody_elses_choice_of_zone_is_named_and_left() {
    on_own_host(|| {
        let way = Way::new();
        let _daemons = firewalld();
        let (netns, plan_of) = (way.inside.netns(), plan);
        let plan = plan(forwarded(&["10.1.0.5", "fd00:1::5"]));
        run("firewall-cmd --zone=drop --add-source=10.1.0.5");
        let error = KERNEL.apply(&plan, &netns).unwrap_err().to_string();
        assert!(
            error.contains("source 10.1.0.5 of firewalld: zone is drop, not trusted"),
            "{error}"
        );
        assert_eq!(found(&plan, &netns)[0], "firewalld has 10.1.0.5 in zone drop, not trusted");
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert_eq!(run("firewall-cmd --get-zone-of-source=10.1.0.5").trim(), "drop");
        let own = Forward { zone: Some("drop".to_owned()), ..forwarded(&["10.1.0.5"]) };
        assert_eq!(found(&plan_of(own), &netns), [""; 0]);
        let none = Forward { zone: Some("nowhere".to_owned()), ..forwarded(&["10.1.0.6"]) };
        let error = KERNEL.apply(&plan_of(none), &netns).unwrap_err().to_string();
        assert!(
            error.contains("zone nowhere of firewalld") && error.contains("INVALID_ZONE"),
            "{error}"
        );
    });
}

/// Either removes what the other put into a zone.
#[test]
#[ignore = "needs root: ring clients"]
fn firewalld_and_the_reference_firewall_plugin() {
    on_own_host(|| {
        let way = Way::new();
        let _daemons = firewalld();
        let plugin = std::env::var_os("WHARFINGER_TEST_REF").map(PathBuf::from).unwrap();
        let call = |verb: &str| {
            let netns = way.inside.path.display();
            run(&format!(
                r#"echo '{{"cniVersion":"1.0.0","name":"pods","type":"firewall","backend":"firewalld","prevResult":{{
                "cniVersion":"1.0.0","ips":[{{"address":"10.1.0.5/24"}}]}}}}' |
                CNI_COMMAND={verb} CNI_CONTAINERID=c CNI_NETNS={netns} CNI_IFNAME=eth0 CNI_PATH=/ {}/firewall"#,
                plugin.display()
            ));
        };
        let is_there = || try_run("firewall-cmd --zone=trusted --query-source=10.1.0.5/32").0;
        call("ADD");
        assert!(is_there());
        let reference = Reference {
            network: "pods".to_owned(),
            container_id: "c".to_owned(),
            ifname: "eth0".to_owned(),
            addresses: vec!["10.1.0.5".parse().unwrap()],
            given_on: Vec::new(),
            zone: "trusted".to_owned(),
        };
        assert!(KERNEL.clear_reference(&reference).errors.is_empty());
        assert!(!is_there());
        KERNEL.apply(&plan(forwarded(&["10.1.0.5"])), &way.inside.netns()).unwrap();
        assert!(is_there());
        call("DEL");
        assert!(!is_there());
    });
}

#[test]
#[ignore = "needs root: ring clients"]
fn firewalld_that_does_not_answer_is_an_error_that_says_so() {
    on_own_host(|| {
        let way = Way::new();
        run(
            "nft add table inet firewalld; nft add chain inet firewalld filter_FORWARD '{ type filter hook forward priority 10; }'",
        );
        let plan = plan(forwarded(&["10.1.0.5"]));
        let error = KERNEL.apply(&plan, &way.inside.netns()).unwrap_err().to_string();
        assert!(error.contains("add to zone trusted of firewalld, 10.1.0.5: "), "{error}");
        assert_eq!(KERNEL.undo(&plan, None).len(), 1);
    });
}

fn dockerd() -> Daemon {
    let log = "/run/dockerd.log";
    // Of one that was killed: each has its own processes' numbers.
    run("rm -rf /run/dockerd.pid /run/dockerd.log /run/docker /run/docker-exec");
    // A namespace begins as the machine is, where somebody may have turned it on.
    run("echo 0 > /proc/sys/net/ipv4/ip_forward");
    let daemon = Daemon::start(
        "dockerd --data-root /run/docker-data --exec-root /run/docker-exec --storage-driver vfs \
         --pidfile /run/dockerd.pid -H unix:///run/dockerd.sock --ip6tables --experimental \
         --fixed-cidr-v6 fd00:d::/64 --ipv6",
        log,
    );
    until("grep -q 'API listen' /run/dockerd.log", log);
    daemon
}

#[test]
#[ignore = "needs root: ring clients"]
fn dockers_policy_of_drop_lets_our_packets_through_and_its_chains_are_as_they_were() {
    on_own_host(|| {
        // It sets the policy where it is the one to turn forwarding on.
        let first = dockerd();
        let way = Way::new();
        let docker = || {
            let all = run("iptables-save; ip6tables-save");
            let is_docker = |line: &&str| line.contains("DOCKER") || line.contains("docker0");
            all.lines().filter(is_docker).map(str::to_owned).collect::<Vec<_>>()
        };
        let before = docker();
        assert!(before.iter().any(|line| line == "-A FORWARD -j DOCKER-USER"), "{before:?}");
        assert!(!way.passes()[0]);
        let plan = plan(forwarded(&["10.1.0.5", "fd00:1::5"]));
        KERNEL.apply(&plan, &way.inside.netns()).unwrap();
        assert_eq!(way.passes()[0..3], [true, true, false]);
        assert_eq!(docker(), before);
        assert_eq!(KERNEL.verify(&plan, &way.inside.netns()).unwrap(), []);
        // It is started anew, and puts its own first again.
        drop(first);
        let _second = dockerd();
        assert_eq!(KERNEL.verify(&plan, &way.inside.netns()).unwrap(), []);
        assert_eq!(way.passes()[0..3], [true, true, false]);
        assert_eq!(docker(), before);
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert!(!way.passes()[0]);
        assert_eq!(docker(), before);
    });
}
