//! `bandwidth`: its keys, where what is held, and what the links are called.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use common::{call, id, link, success};
use wharfinger_cni::{AttachmentId, Success};
use wharfinger_drivers::features::{Feature, left_by_reference, redirection_name};
use wharfinger_drivers::{Error, Facts, host_link_name};
use wharfinger_plan::{LinkFacts, LinkRef, Plan};

fn parse(conf: &str, runtime: &str) -> Result<Option<Feature>, Error> {
    let text = format!(r#"{{"features": {{"bandwidth": {conf}}}, "runtimeConfig": {runtime}}}"#);
    Ok(Feature::all(&call(&text))?.pop())
}

const BRIDGED: &str = r#"{"interfaces": [{"name": "vethx"},
    {"name": "eth0", "sandbox": "/run/netns/c1", "mac": "02:00:00:00:00:0c"}]}"#;

fn planned(feature: &Feature, host: Option<&str>, mtu: u32) -> (String, Success) {
    let (host, inside, result) =
        (host.map(LinkRef::host), LinkRef::container("eth0"), success(BRIDGED));
    let ends = wharfinger_drivers::features::Ends { inside, host: host.clone(), bridge: None };
    let id = id();
    let subject = ends.subject(&id, &result, &[]);
    let end = link(host.unwrap_or_else(|| ends.inside.clone()), "veth", "02:00:00:00:00:01");
    let facts = Facts { links: vec![LinkFacts { mtu, ..end }], ..Facts::default() };
    let steps = feature.plan(&subject, &facts).unwrap();
    let mut result = result.clone();
    feature.amend(&subject, &mut result);
    (Plan::new(steps).to_string(), result)
}

const RATES: &str = r#"{"ingressRate": 32000000, "ingressBurst": 8000000,
    "egressRate": 16000000, "egressBurst": 4000000}"#;

/// F9: which link is held follows from the plan, and not from a guess at the result.
#[test]
fn pain_f9_both_ends_are_known_and_held_on_the_host() {
    let feature = parse(RATES, "null").unwrap().unwrap();
    let (plan, result) = planned(&feature, Some("vethx"), 1400);
    let name = redirection_name(&id());
    assert_eq!(
        plan,
        format!(
            "  1. host       qdisc dev vethx root tbf rate 4000000bps burst 1000000 limit 1100000\n  \
           2. host       link {name} type ifb address 4a:a9:32:47:cc:22 mtu 1400 up\n  \
           3. host       qdisc dev {name} root tbf rate 2000000bps burst 500000 limit 550000\n  \
           4. host       qdisc dev vethx ingress redirect dev {name}\n"
        )
    );
    let ifb = result.interfaces.last().unwrap();
    assert_eq!((&*ifb.name, &*ifb.mac, &*ifb.sandbox), (&*name, "4a:a9:32:47:cc:22", ""));
    assert_eq!(result.interfaces.len(), 3);
}

/// Defect 25 of the reference: behind a macvlan there is no end on the host.
#[test]
fn without_an_end_on_the_host_the_container_is_held_the_other_way_round() {
    let feature = parse(RATES, "null").unwrap().unwrap();
    let (plan, result) = planned(&feature, None, 1500);
    let name = redirection_name(&id());
    assert_eq!(
        plan,
        format!(
            "  1. container  qdisc dev eth0 root tbf rate 2000000bps burst 500000 limit 550000\n  \
           2. container  link {name} type ifb address 4a:a9:32:47:cc:22 mtu 1500 up\n  \
           3. container  qdisc dev {name} root tbf rate 4000000bps burst 1000000 limit 1100000\n  \
           4. container  qdisc dev eth0 ingress redirect dev {name}\n"
        )
    );
    assert_eq!(result.interfaces.last().unwrap().sandbox, "/run/netns/c1");
}

#[test]
fn what_the_runtime_says_counts_where_the_configuration_says_nothing() {
    let runtime = format!(r#"{{"bandwidth": {RATES}}}"#);
    assert_eq!(parse("{}", &runtime).unwrap(), parse(RATES, "null").unwrap());
    // One key of the configuration, and the runtime's are not looked at.
    assert_eq!(parse(r#"{"INGRESSRATE": 0}"#, &runtime).unwrap(), None);
    // Nothing to do: defect 18 of the reference is a crash here.
    assert_eq!(parse("{}", "null").unwrap(), None);
    assert_eq!(parse(r#"{"egressRate": 0, "egressBurst": 0}"#, "null").unwrap(), None);
    // Who is spared is the configuration's alone.
    let spared = parse(r#"{"unshapedSubnets": ["10.1.2.3/8"]}"#, &runtime).unwrap().unwrap();
    let (plan, _) = planned(&spared, Some("vethx"), 1500);
    assert!(plan.contains("dev vethx root htb rate 4000000bps"), "{plan}");
    assert!(plan.contains("limit 1100000 not src 10.0.0.0/8\n"), "{plan}");
    assert!(plan.contains("ingress redirect dev bwp48c5963fc74e not dst 10.0.0.0/8\n"), "{plan}");
    let ours = parse(r#"{"shapedSubnets": ["10.1.0.0/16", "fd00::/8"]}"#, &runtime).unwrap();
    let (plan, _) = planned(&ours.unwrap(), None, 1500);
    assert!(plan.contains("dev eth0 root htb"), "{plan}");
    assert!(plan.contains(" dst 10.1.0.0/16 dst fd00::/8\n"), "{plan}");
    assert!(plan.contains(" src 10.1.0.0/16 src fd00::/8\n"), "{plan}");
}

#[test]
fn what_does_not_fit_is_refused_by_its_place() {
    let told = |conf: &str, runtime: &str| parse(conf, runtime).unwrap_err().to_string();
    let no_burst = told(r#"{"ingressRate": 8}"#, "null");
    assert!(no_burst.contains("/features/bandwidth/ingressBurst"), "{no_burst}");
    let no_rate = told("{}", r#"{"bandwidth": {"egressBurst": 8}}"#);
    assert!(no_rate.contains("egressRate"), "{no_rate}");
    for (conf, what) in [
        (r#"{"egressRate": 7, "egressBurst": 8}"#, "at least 8 bits"),
        (r#"{"egressRate": 8, "egressBurst": 34359738360}"#, "4 GiB"),
        (r#"{"egressRate": -1, "egressBurst": 8}"#, "not below 0"),
        (r#"{"unshapedSubnets": ["10.0.0.1"]}"#, "with its prefix"),
        (r#"{"unshapedSubnets": ["10.0.0.0/8"], "shapedSubnets": ["fd00::/8"]}"#, "one of the two"),
        (r#"{"ingresRate": 8}"#, "ingressRate"),
    ] {
        let error = told(conf, "null");
        assert!(error.contains(what), "{error}");
    }
}

/// What the CRI sends where a pod asks for a rate alone, and bursts that one frame does not fit.
#[test]
fn bursts_have_room_for_a_frame_and_may_be_the_largest() {
    let runtime = r#"{"bandwidth": {"ingressRate": 1000000, "ingressBurst": 4294967295}}"#;
    let (plan, _) = planned(&parse("{}", runtime).unwrap().unwrap(), Some("vethx"), 1500);
    assert!(plan.contains("rate 125000bps burst 536870911 limit 536874036"), "{plan}");
    let small = r#"{"ingressRate": 1000000, "ingressBurst": 8}"#;
    let (plan, _) = planned(&parse(small, "null").unwrap().unwrap(), Some("vethx"), 9000);
    assert!(plan.contains("burst 9018 limit 12143"), "{plan}");
}

/// That of `eth0` is the reference plugin's: `bwp` and 12 digits of SHA-512 of network and
/// container.
#[test]
fn redirections_have_the_references_names_and_do_not_clash() {
    let name = |network: &str, container: &str, ifname: &str| {
        let [network, container, ifname] = [network, container, ifname].map(str::to_owned);
        redirection_name(&AttachmentId { network, container, ifname })
    };
    // printf podsc1 | sha512sum
    assert_eq!(name("pods", "c1", "eth0"), "bwp48c5963fc74e");
    assert_eq!(name("pods", "c1", "eth0:chained"), name("pods", "c1", "eth0"));
    assert_ne!(name("pods", "c1", "net1"), name("pods", "c1", "eth0"));
    assert_ne!(name("pods", "c1", "net1"), name("pods", "c1", "net2"));
    assert_eq!(name("pods", "c1", "net1").len(), 15);
}

#[test]
fn what_the_reference_made_is_undone_by_its_name() {
    let host = LinkRef::host(host_link_name(&id()));
    let steps = left_by_reference(&id(), Some(&host));
    let text = Plan::new(steps).to_string();
    let name = redirection_name(&id());
    assert!(text.contains(&format!("link {name} type ifb up")), "{text}");
    assert!(text.contains(&format!("qdisc dev {} root tbf", host.name)), "{text}");
    assert_eq!(left_by_reference(&id(), None).len(), 1);
}
