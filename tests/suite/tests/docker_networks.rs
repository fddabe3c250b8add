//! A real dockerd with our networks and our addresses: what users of Docker do, step by step, and that
//! nothing is left of it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod docker_side;

use docker_side::Lab;
use wharfinger_suite::{Netns, World};

/// A network of ours with addresses of ours.
const OURS: &str = "-d wharfinger --ipam-driver wharfinger";

/// What goes by UDP to an address and a port of the host comes back from port 53 of a container.
const ECHO: &str = r#"
pid=$(docker inspect -f '{{.State.Pid}}' "$1")
nsenter -t "$pid" -n timeout 20 python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 53))
while True: s.sendto(*s.recvfrom(100))' &
timeout 20 python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)
while True:
    s.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
    try: sys.exit(s.recv(100) != b"hello")
    except OSError: pass' "$2" "$3"
kill %1"#;

fn create(lab: &Lab<'_>, name: &str, options: &str) -> String {
    lab.docker(&format!("network create {OURS} {options} {name}"))
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn containers_reach_each_other_by_address_and_by_name() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    let id = create(
        &lab,
        "one",
        "--ipv6 --subnet 10.90.0.0/24 --gateway 10.90.0.1 --ip-range 10.90.0.128/25 \
         --aux-address router=10.90.0.130 --subnet fd00:90::/64",
    );
    assert!(lab.links().contains(&format!("wh-{}", &id[..12])));
    lab.sleeper("aa", "--network one --network-alias first");
    lab.sleeper("bb", "--network one");
    let (a, b) = (lab.address("aa", "one", "IPAddress"), lab.address("bb", "one", "IPAddress"));
    assert!(a.starts_with("10.90.0.1") && a != "10.90.0.130" && a != b, "{a} {b}");
    let b6 = lab.address("bb", "one", "GlobalIPv6Address");
    for to in [b.as_str(), b6.as_str(), "bb", "10.90.0.1", "fd00:90::1"] {
        assert!(lab.pings("aa", to), "aa to {to}");
    }
    assert!(lab.pings("bb", "first"));
    // By the address, as Docker's own bridge has it, and inside as it is said.
    let mac = lab.address("aa", "one", "MacAddress");
    assert!(mac.starts_with("02:42:0a:5a:00"), "{mac}");
    assert!(lab.docker("exec aa ip link show eth0").contains(&mac));
    assert!(lab.docker("exec aa ip route").contains("default via 10.90.0.1"));
    lab.docker("stop -t 0 aa");
    lab.docker("start aa");
    assert!(lab.pings("bb", "aa"));
    lab.docker("rm -f aa bb");
    lab.docker("network rm one");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn options_are_those_that_users_of_docker_know() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(
        &lab,
        "tuned",
        "--subnet 10.91.0.0/24 -o com.docker.network.bridge.name=br-tuned -o \
         com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.enable_icc=false -o \
         com.docker.network.container_iface_prefix=net",
    );
    lab.sleeper("aa", "--network tuned --mac-address 02:aa:bb:cc:dd:01 --ip 10.91.0.77");
    lab.sleeper("bb", "--network tuned");
    let shown = lab.docker("exec aa ip addr show net0");
    for text in ["mtu 1400", "02:aa:bb:cc:dd:01", "10.91.0.77/24"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let b = lab.address("bb", "tuned", "IPAddress");
    assert!(
        !lab.docker(&format!("exec aa sh -c 'ping -c 1 -W 1 {b} || true'")).contains(" 0% packet")
    );
    assert!(lab.pings("aa", "10.91.0.1"));
    // The bridge is another network's.
    let said = lab.refused(&format!(
        "network create {OURS} --subnet 10.92.0.0/24 -o com.docker.network.bridge.name=br-tuned x"
    ));
    assert!(said.contains("bridge br-tuned is that of network"), "{said}");
    let said = lab.refused("run --rm --network tuned --ip 10.91.0.77 box true");
    assert!(said.contains("10.91.0.77 is in use"), "{said}");
    for (option, text) in [
        ("driver=host", "docker run --network host"),
        ("com.docker.network.bridge.enable_icc=perhaps", "allowed: true or false"),
        ("brdige=x", "bridge"),
    ] {
        let said =
            lab.refused(&format!("network create {OURS} --subnet 10.93.0.0/24 -o {option} x"));
        assert!(said.contains(text), "{option}: {said}");
    }
    lab.docker("rm -f aa bb");
    lab.docker("network rm tuned");
    assert!(!lab.links().contains(&"br-tuned".to_owned()));
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn an_internal_network_has_no_way_out_and_a_full_pool_says_so() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(&lab, "small", "--internal --subnet 10.94.0.0/29");
    for name in ["aa", "bb", "cc", "dd", "ee"] {
        lab.sleeper(name, "--network small");
    }
    assert!(!lab.docker("exec aa ip route").contains("default"));
    assert!(lab.pings("aa", "bb"));
    let said = lab.refused("run --rm --network small box true");
    assert!(said.contains("no address is free"), "{said}");
    lab.docker("rm -f aa");
    lab.sleeper("ff", "--network small");
    assert!(lab.pings("ff", "bb"));
    lab.docker("rm -f bb cc dd ee ff");
    lab.docker("network rm small");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn ports_are_published_refused_when_taken_and_free_again() {
    for options in ["--iptables=false", "--iptables=true"] {
        let world = World::new();
        let lab = Lab::new(&world, options);
        create(&lab, "web", "--subnet 10.95.0.0/24");
        lab.docker(
            "run -d --name aa --network web -p 18080:80 -p 127.0.0.1:18053:53/udp -p 90 box httpd \
             -f -h /www",
        );
        for at in ["127.0.0.1:18080", "10.95.0.1:18080"] {
            assert!(world.host.fetch(at, "/hello").contains("wharf"), "{at}");
        }
        lab.sh(ECHO, &["aa", "127.0.0.1", "18053"]);
        let published = lab.ledger().iter().filter(|row| !row["ports"][0].is_null()).count();
        assert_eq!(published, 1);
        let said = lab.refused("run --name bb --network web -p 18080:81 box true");
        assert!(said.contains("18080"), "{said}");
        lab.docker("rm -f aa bb");
        lab.sh("busybox nc -l -p 18080 >/dev/null 2>&1 & sleep 0.3", &[]);
        let said = lab.refused("run --name bb --network web -p 18080:81 box true");
        assert!(said.contains("18080/tcp is taken by a program"), "{said}");
        lab.sh("pkill -f 'busybox nc -l -p 1808[0]'", &[]);
        lab.docker("rm -f bb");
        lab.docker("run -d --name bb --network web -p 18080:80 box httpd -f -h /www");
        lab.docker("rm -f bb");
        lab.docker("network rm web");
        lab.assert_nothing_left();
    }
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn a_container_is_connected_and_disconnected() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(&lab, "n1", "--subnet 10.96.1.0/24");
    create(&lab, "n2", "--subnet 10.96.2.0/24");
    lab.sleeper("aa", "--network n1 -p 18080:80");
    lab.sleeper("bb", "--network n2");
    assert!(!lab.pings("aa", &lab.address("bb", "n2", "IPAddress")), "Docker's bridges are apart");
    lab.docker("network connect n2 aa");
    assert!(lab.pings("aa", "bb"));
    let published = || lab.ledger().iter().filter(|row| !row["ports"][0].is_null()).count();
    assert_eq!(published(), 1);
    lab.docker("network disconnect n1 aa");
    assert!(lab.docker("exec aa ip route").contains("default via 10.96.2.1"));
    assert_eq!(published(), 1, "by the other network");
    lab.docker("network connect n1 aa");
    assert_eq!(published(), 1);
    lab.docker("rm -f aa bb");
    lab.docker("network rm n1 n2");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn a_policy_refuses_with_its_reason() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    let rules = r#"{"rules":[{"match":{"hostPortBelow":1024},"deny":"below 1024"}]}"#;
    let policies = format!(r#"'policies=[{{"plugin":"rules","config":{rules}}}]'"#);
    create(&lab, "ruled", &format!("--subnet 10.97.0.0/24 -o {policies}"));
    let said = lab.refused("run --name aa --network ruled -p 80:80 box true");
    assert!(said.contains("rules") && said.contains("below 1024"), "{said}");
    lab.docker("rm -f aa");
    lab.docker("run --rm --network ruled -p 18080:80 box true");
    // The node's own are asked for Docker's, too, and see that they are.
    let policy = "[[policies]]\nplugin = \"rules\"\n[policies.config]\nrules = [{ match = { \
                  network = \"docker-*\", args = { team = \"red\" } }, deny = \"red\" }]\n";
    lab.sh("printf '%s' \"$1\" > /run/wf/config.toml", &[policy]);
    let said = lab.refused("run --rm --network name=ruled,driver-opt=team=red box true");
    assert!(said.contains("rules") && said.contains("red"), "{said}");
    lab.docker("run --rm --network name=ruled,driver-opt=team=blue box true");
    lab.docker("network rm ruled");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn drivers_are_reached_by_their_names() {
    let more = [
        ("macvlan", "-o driver=macvlan -o parent=par"),
        ("private", "-o driver=macvlan -o parent=par -o macvlan_mode=private"),
    ];
    let plain = [("ptp", "-o driver=ptp"), ("none", "-o driver=none")];
    drivers(&[&plain[..], &more[..]].concat());
}

/// Not every kernel has these.
#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn lab_other_drivers_are_reached_by_their_names() {
    drivers(&[
        ("ipvlan", "-o driver=ipvlan -o parent=par"),
        ("ipvlan3", "-o driver=ipvlan -o parent=par -o ipvlan_mode=l3"),
        ("vlan", "-o driver=vlan -o parent=par -o vlanId=7"),
        ("dummy", "-o driver=dummy"),
    ]);
}

fn drivers(all: &[(&str, &str)]) {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    lab.sh(
        "ip link add par type veth peer name par2; ip link set par up; ip link set par2 up",
        &[],
    );
    for (driver, options) in all {
        let name = format!("net-{driver}");
        create(&lab, &name, &format!("--subnet 10.98.0.0/24 {options}"));
        lab.sleeper("aa", &format!("--network {name}"));
        let links = lab.docker("exec aa ip -o link");
        assert_eq!(links.contains("eth0"), *driver != "none", "{name}: {links}");
        if ["macvlan", "ipvlan", "ipvlan3"].contains(driver) {
            lab.sleeper("bb", &format!("--network {name}"));
            assert!(lab.pings("aa", &lab.address("bb", &name, "IPAddress")), "{name}");
            lab.docker("rm -f bb");
        }
        if *driver == "ptp" {
            assert!(lab.pings("aa", "10.98.0.1"), "{name}");
        }
        if *driver == "ipvlan3" {
            assert!(lab.docker("exec aa ip route").contains("default dev eth0"));
        }
        lab.docker("rm -f aa");
        lab.docker(&format!("network rm {name}"));
        lab.assert_nothing_left();
    }
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn each_role_stands_alone() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    // Docker's addresses, our network.
    lab.docker("network create -d wharfinger --subnet 10.99.1.0/24 theirs");
    // Our addresses, Docker's network.
    lab.docker("network create -d bridge --ipam-driver wharfinger --subnet 10.99.2.0/24 ours");
    // Nobody's addresses, and then those of a component.
    lab.docker("network create -d wharfinger --ipam-driver null bare");
    let ipam = r#"'ipam={"type":"host-local","ranges":[[{"subnet":"10.99.3.0/24"}]]}'"#;
    lab.docker(&format!("network create -d wharfinger --ipam-driver null -o {ipam} component"));
    lab.docker("network create -d wharfinger --ipam-driver wharfinger any");
    for (network, start) in [("theirs", "10.99.1."), ("ours", "10.99.2."), ("any", "10.176.")] {
        lab.sleeper("aa", &format!("--network {network}"));
        lab.sleeper("bb", &format!("--network {network}"));
        assert!(lab.address("aa", network, "IPAddress").starts_with(start), "{network}");
        assert!(lab.pings("aa", "bb"), "{network}");
        lab.docker("rm -f aa bb");
    }
    lab.sleeper("aa", "--network bare");
    assert!(!lab.docker("exec aa ip -4 addr show eth0").contains("inet"));
    lab.sleeper("bb", "--network component");
    assert!(lab.docker("exec bb ip -4 addr show eth0").contains("inet 10.99.3."));
    lab.docker("rm -f aa bb");
    lab.docker("network rm theirs ours bare component any");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn without_a_gateway_docker_publishes_itself() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    create(&lab, "shown", "--subnet 10.100.0.0/24 -o gateway=docker");
    lab.docker("run -d --name aa --network shown -p 18080:80 box httpd -f -h /www");
    assert!(lab.docker("port aa").contains("18080"), "Docker shows what it publishes");
    assert!(world.host.fetch("127.0.0.1:18080", "/hello").contains("wharf"));
    lab.docker("rm -f aa");
    lab.docker("network rm shown");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn docker_s_own_rules_let_our_packets_through() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=true");
    let outside = Netns::new("out");
    world.host.ip(&format!("link add up0 type veth peer name eth0 netns {}", outside.name()));
    for (netns, link, address) in
        [(&world.host, "up0", "192.0.2.1/24"), (&outside, "eth0", "192.0.2.2/24")]
    {
        netns.ip(&format!("addr add {address} dev {link}"));
        netns.ip(&format!("link set {link} up"));
    }
    create(&lab, "out", "--subnet 10.111.0.0/24");
    lab.docker("run -d --name aa --network out -p 18080:80 box httpd -f -h /www");
    // Docker drops what is forwarded unless it is accepted; and nobody outside has a route back.
    assert!(lab.run(&["iptables", "-S", "FORWARD"]).contains("-P FORWARD DROP"));
    assert!(lab.pings("aa", "192.0.2.2"));
    assert!(outside.fetch("192.0.2.1:18080", "/hello").contains("wharf"));
    create(
        &lab,
        "plain",
        "--subnet 10.112.0.0/24 -o com.docker.network.bridge.enable_ip_masquerade=0",
    );
    lab.sleeper("bb", "--network plain");
    assert!(!lab.pings("bb", "192.0.2.2"), "its own address, to which there is no way back");
    outside.ip("route add 10.112.0.0/24 via 192.0.2.1");
    assert!(lab.pings("bb", "192.0.2.2"));
    lab.docker("rm -f aa bb");
    lab.docker("network rm out plain");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn features_of_ours_are_options_too() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    let bandwidth = r#"{"ingressRate":8000000,"ingressBurst":8000000}"#;
    let features = format!(r#"'features={{"firewall":{{}},"bandwidth":{bandwidth}}}'"#);
    create(&lab, "fast", &format!("--subnet 10.113.0.0/24 -o {features} -o hairpinMode=true"));
    lab.sleeper("aa", "--network fast");
    let qdiscs = lab.run(&["tc", "qdisc", "show"]);
    assert!(qdiscs.contains("tbf"), "{qdiscs}");
    assert!(lab.pings("aa", "10.113.0.1"));
    let ports = lab.run(&["bridge", "-d", "link"]);
    assert!(ports.contains("hairpin on"), "{ports}");
    lab.docker("rm -f aa");
    let refused = r#"'features={"tuning":{"sysctl":{"net.core.somaxconn":"500"}}}'"#;
    let said =
        lab.refused(&format!("network create {OURS} --subnet 10.114.0.0/24 -o {refused} tuned"));
    assert!(said.contains("tuning") && said.contains("not ours to enter"), "{said}");
    lab.docker("network rm fast");
    lab.assert_nothing_left();
}
