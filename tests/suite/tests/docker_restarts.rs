//! Restarts of dockerd and of our server, at any moment and by any signal: nothing is lost, nothing
//! is left, and `gc --docker` takes what Docker forgot without us.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod docker_side;

use docker_side::{Lab, until};
use wharfinger_suite::World;

const OURS: &str = "-d wharfinger --ipam-driver wharfinger";

fn create(lab: &Lab<'_>, name: &str, options: &str) {
    lab.docker(&format!("network create {OURS} {options} {name}"));
}

/// Rows of the ledger that have ports.
fn published(lab: &Lab<'_>) -> usize {
    lab.ledger().iter().filter(|row| !row["ports"][0].is_null()).count()
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn our_server_ends_and_comes_back_by_any_signal() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(&lab, "n", "--subnet 10.101.0.0/29");
    lab.sleeper("aa", "--network n");
    for (round, signal) in ["TERM", "KILL", "KILL"].into_iter().enumerate() {
        lab.kill_server(signal);
        lab.serve();
        lab.sleeper("bb", "--network n");
        assert!(lab.pings("aa", "bb"), "{round}");
        lab.kill_server(signal);
        lab.serve();
        lab.docker("rm -f bb");
    }
    lab.docker("rm -f aa");
    lab.docker("network rm n");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn our_server_is_killed_during_calls() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(&lab, "n", "--subnet 10.102.0.0/28");
    for round in 0..6 {
        let mut runs: Vec<_> = (0..3)
            .map(|number| {
                let name = format!("cc{round}-{number}");
                let words = ["docker", "run", "-d", "--name", &name, "--network", "n", "box"];
                lab.command(&[&words[..], &["sleep", "1000"]].concat()).spawn().expect("docker")
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(60 * round));
        lab.kill_server("KILL");
        lab.serve();
        // Docker asks again what was cut off, though 20.10 without its body: that fails, and leaves
        // nothing that keeps it from being done again.
        for (number, run) in runs.iter_mut().enumerate() {
            if !run.wait().expect("docker run").success() {
                lab.docker(&format!("start cc{round}-{number}"));
            }
        }
        lab.sh("docker rm -f $(docker ps -aq)", &[]);
    }
    lab.docker("network rm n");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn dockerd_ends_and_comes_back() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(&lab, "n", "--subnet 10.103.0.0/29");
    lab.sleeper("aa", "--network n -p 18080:80 --restart always");
    lab.sleeper("bb", "--network n");
    for signal in ["TERM", "KILL", "KILL"] {
        lab.kill_dockerd(signal);
        lab.dockerd("--iptables=false");
        until("aa runs again", || {
            lab.docker("ps --format {{.Names}}").contains("aa") && published(&lab) == 1
        });
        lab.docker("start bb");
        assert!(lab.pings("bb", "aa"), "{signal}");
    }
    lab.docker("rm -f aa bb");
    lab.docker("network rm n");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn containers_live_on_without_dockerd_and_without_us() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false --live-restore");
    create(&lab, "n", "--subnet 10.104.0.0/29");
    lab.sleeper("aa", "--network n -p 18080:80");
    lab.sleeper("bb", "--network n");
    let b = lab.address("bb", "n", "IPAddress");
    for signal in ["TERM", "KILL"] {
        lab.kill_dockerd(signal);
        lab.kill_server(signal);
        lab.serve();
        lab.dockerd("--iptables=false --live-restore");
        assert!(lab.pings("aa", &b), "{signal}");
        assert_eq!(published(&lab), 1);
    }
    // No Revoke comes after that: Leave takes the ports back.
    lab.docker("stop -t 0 aa");
    assert_eq!(published(&lab), 0);
    lab.docker("rm -f aa bb");
    lab.docker("network rm n");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn a_reboot_takes_no_network_and_no_pool() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(&lab, "n", "--subnet 10.105.0.0/29 --aux-address printer=10.105.0.6");
    lab.sleeper("aa", "--network n");
    lab.kill_dockerd("KILL");
    lab.kill_server("KILL");
    // What is in memory goes: the ledger of the boot, links, rules, processes of containers.
    lab.sh(
        "pkill -9 -f 'sleep 100[0]' || true; umount -q /run/docker-exec/netns/* || true; \
         rm -rf /run/wf/run /run/docker-exec; \
         for l in $(ip -o link | sed -n 's/^[0-9]*: \\(wh-[0-9a-f]*\\|veth[0-9a-f]*\\)[@:].*/\\1/p'); \
         do ip link del $l 2>/dev/null || true; done; nft flush ruleset",
        &[],
    );
    lab.serve();
    assert!(lab.links().iter().any(|link| link.starts_with("wh-")), "{:?}", lab.links());
    lab.dockerd("--iptables=false");
    lab.docker("start aa");
    assert!(lab.pings("aa", "10.105.0.1"));
    for name in ["bb", "cc", "dd"] {
        lab.sleeper(name, "--network n");
    }
    let taken: Vec<String> =
        ["aa", "bb", "cc", "dd"].map(|it| lab.address(it, "n", "IPAddress")).to_vec();
    assert!(!taken.iter().any(|it| it == "10.105.0.1" || it == "10.105.0.6"), "{taken:?}");
    lab.refused("run --rm --network n box true");
    lab.docker("rm -f aa bb cc dd");
    lab.docker("network rm n");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn of_a_docker_that_lost_all_it_had_all_is_collected() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(&lab, "n", "--subnet 10.106.0.0/29");
    lab.sleeper("aa", "--network n -p 18080:80");
    let rows = lab.ledger();
    lab.kill_dockerd("KILL");
    // Who does not answer has not said that it has nothing.
    let gc = ["wharfinger", "gc", "--docker=/run/dockerd.sock", "--older", "0"];
    let output = lab.try_run(&gc);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is it running"), "{said}");
    assert_eq!(lab.ledger(), rows);
    lab.sh(
        "for d in data exec; do umount -l /run/docker-$d || true; mv /run/docker-$d /run/lost-$d; \
         done",
        &[],
    );
    lab.dockerd("--iptables=false");
    let gone = lab.run(&gc);
    for what in ["network docker-", "pool wharfinger/10.106.0.0/29"] {
        assert!(gone.contains(what), "{what}: {gone}");
    }
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn a_stale_socket_is_replaced_and_is_root_s() {
    let world = World::new();
    let lab = Lab::bare(&world);
    let socket = docker_side::SOCKET;
    assert_eq!(lab.run(&["stat", "-c", "%a %U", socket]), "600 root");
    lab.kill_server("KILL");
    lab.run(&["test", "-S", socket]);
    lab.serve();
    lab.kill_server("TERM");
    assert!(!lab.try_run(&["test", "-e", socket]).status.success(), "taken away at the end");
    lab.sh("wharfinger serve --docker --group daemon >>/run/wf/log 2>&1 &", &[]);
    until("it listens", || lab.answers("Plugin.Activate", "").0 == 200);
    assert_eq!(lab.run(&["stat", "-c", "%a %G", socket]), "660 daemon");
}
