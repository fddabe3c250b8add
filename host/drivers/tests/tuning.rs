//! `tuning`: its keys and where they come from, what is allowed, what is put back.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use common::{call, id, link, success};
use wharfinger_cni::{Attach, Success};
use wharfinger_drivers::features::{Ends, Feature, backup_of_reference, restored_from};
use wharfinger_drivers::{Error, Facts, amend};
use wharfinger_plan::{LinkFacts, LinkRef, Plan};

fn read(call: &Attach) -> Result<Option<Feature>, Error> {
    Ok(Feature::all(call)?.pop())
}

fn parse(conf: &str, rest: &str) -> Result<Option<Feature>, Error> {
    read(&call(&format!(r#"{{"features": {{"tuning": {conf}}}, {rest}}}"#)))
}

fn tuning(conf: &str) -> Feature {
    parse(conf, r#""args": {}"#).unwrap().unwrap()
}

const RESULT: &str = r#"{"interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:0b"},
    {"name": "eth0", "sandbox": "/run/netns/c1", "mac": "02:00:00:00:00:0c", "mtu": 1500},
    {"name": "lo", "sandbox": "/run/netns/c1"}]}"#;

/// The plan, and what becomes of the answer; where the link is there, with what it had.
fn planned(feature: &Feature, there: bool) -> (Plan, Success) {
    let (inside, result, id) = (LinkRef::container("eth0"), success(RESULT), id());
    let ends = Ends { inside: inside.clone(), host: None, bridge: None };
    let subject = ends.subject(&id, &result, &[]);
    let was = LinkFacts { txqlen: 1000, ..link(inside, "veth", "02:00:00:00:00:0c") };
    let facts = Facts { links: there.then_some(was).into_iter().collect(), ..Facts::default() };
    let steps = feature.plan(&subject, &facts).unwrap();
    let mut amended = result.clone();
    feature.amend(&subject, &mut amended);
    (Plan::new(steps), amended)
}

const ALL: &str = r#"{"sysctl": {"net.core.somaxconn": "500",
    "net/ipv4/conf/IFNAME/arp_filter": "1"}, "mac": "c2:b0:57:49:47:F1", "promisc": true,
    "mtu": 1454, "txQLen": 0, "allmulti": false}"#;

#[test]
fn every_key_is_a_step_and_what_was_is_kept() {
    let (plan, result) = planned(&tuning(ALL), true);
    assert_eq!(
        plan.to_string(),
        "  1. container  sysctl net/core/somaxconn = 500\n  \
           2. container  sysctl net/ipv4/conf/eth0/arp_filter = 1\n  \
           3. container  link eth0 address c2:b0:57:49:47:f1 (was 02:00:00:00:00:0c) \
           mtu 1454 (was 1450) promisc true (was false) allmulti false (was false) \
           txqueuelen 0 (was 1000)\n"
    );
    let own = &result.interfaces[1];
    assert_eq!((&*own.mac, own.mtu), ("c2:b0:57:49:47:f1", Some(1454)));
    assert_eq!(result.interfaces[0].mac, "02:00:00:00:00:0b", "the host's own eth0");
    // What our own driver makes goes with it: there is nothing to put back.
    let (plan, _) = planned(&tuning(ALL), false);
    assert!(plan.to_string().contains("mtu 1454 promisc true"), "{plan}");
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn nothing_to_do_is_nothing() {
    for conf in ["{}", r#"{"mac": "", "mtu": 0, "promisc": false, "sysctl": {}}"#] {
        assert_eq!(parse(conf, r#""args": null"#).unwrap(), None, "{conf}");
    }
}

/// The key, CNI_ARGS, the capability, args.cni: unlike a driver's `mac`, the last is the highest.
#[test]
fn the_highest_of_four_places_counts() {
    let mac = |conf: &str, rest: &str, args: &str| {
        let mut call = call(&format!(r#"{{"features": {{"tuning": {conf}}}, {rest}}}"#));
        call.args = wharfinger_cni::args::parse_args(args).unwrap();
        planned(&read(&call).unwrap().unwrap(), false).1.interfaces[1].mac.clone()
    };
    let key = r#"{"mac": "02:00:00:00:00:01"}"#;
    let runtime = r#""runtimeConfig": {"mac": "02:00:00:00:00:03"}"#;
    let both = format!(r#"{runtime}, "args": {{"cni": {{"mac": "02:00:00:00:00:04"}}}}"#);
    let env = "MAC=02:00:00:00:00:02";
    assert_eq!(mac(key, r#""x": 1"#, ""), "02:00:00:00:00:01");
    assert_eq!(mac(key, r#""x": 1"#, env), "02:00:00:00:00:02");
    assert_eq!(mac(key, runtime, env), "02:00:00:00:00:03");
    assert_eq!(mac(key, &both, env), "02:00:00:00:00:04");
    // The rest by args.cni as well.
    let args = r#""args": {"cni": {"promisc": true, "mtu": 1300, "allmulti": true, "txQLen": 7}}"#;
    let (plan, _) = planned(&parse(r#"{"mtu": 1400}"#, args).unwrap().unwrap(), false);
    let text = plan.to_string();
    assert!(text.contains("mtu 1300 promisc true allmulti true txqueuelen 7"), "{text}");
}

/// Defect 18 of the reference: it crashes on this.
#[test]
fn parameters_by_args_alone_are_set_and_joined() {
    let args = r#""args": {"cni": {"sysctl": {"net.core.somaxconn": "7", "net.x": "1"}}}"#;
    let (plan, _) = planned(&parse("{}", args).unwrap().unwrap(), false);
    assert!(plan.to_string().contains("sysctl net/core/somaxconn = 7"), "{plan}");
    let conf = r#"{"sysctl": {"net.core.somaxconn": "5", "net.y": "2"}}"#;
    let (plan, _) = planned(&parse(conf, args).unwrap().unwrap(), false);
    let text = plan.to_string();
    assert!(text.contains("net/core/somaxconn = 7") && !text.contains("somaxconn = 5"), "{text}");
    assert!(text.contains("net/x = 1") && text.contains("net/y = 2"), "{text}");
}

#[test]
fn what_does_not_fit_is_refused_by_its_place() {
    for (conf, what) in [
        (r#"{"sysctl": {"kernel.shmmax": "1"}}"#, "/features/tuning/sysctl/kernel.shmmax"),
        (r#"{"sysctl": {"../../kernel/shmmax": "1"}}"#, "begin with \"net.\""),
        (r#"{"sysctl": {"net": "1"}}"#, "begin with \"net.\""),
        (r#"{"sysctl": {"net.ipv4.ip_forward": 1}}"#, "a string"),
        (r#"{"sysctl": {"net.a.b": "1", "net/a/b": "2"}}"#, "one spelling"),
        (r#"{"mac": "02:00"}"#, "/features/tuning/mac"),
        (r#"{"mtu": 12}"#, "/features/tuning/mtu"),
        (r#"{"txQLen": -1}"#, "/features/tuning/txQLen"),
        (r#"{"promisk": true}"#, "promisc"),
    ] {
        let error = parse(conf, r#""args": {}"#).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let mut call = call(r#"{"features": {"tuning": {"mtu": 1400}}}"#);
    call.args = wharfinger_cni::args::parse_args("MAC=02:00:00:00:00:02;X=1").unwrap();
    assert!(read(&call).unwrap_err().to_string().contains("unknown keys X"));
}

/// Each parameter as written must fit a line, as a regular expression, anywhere in it.
#[test]
fn an_allow_list_is_about_parameters_as_written() {
    let feature = tuning(ALL);
    feature.check_sysctls("^net\\.core\\.\n  conf/IFNAME/arp_filter$  \n\n").unwrap();
    feature.check_sysctls("net").unwrap();
    let error = feature.check_sysctls("^net\\.core\\.").unwrap_err().to_string();
    assert!(error.contains("net/ipv4/conf/IFNAME/arp_filter"), "{error}");
    feature.check_sysctls("").unwrap_err();
    let error = feature.check_sysctls("net[").unwrap_err().to_string();
    assert!(error.contains("the line \"net[\""), "{error}");
    tuning(r#"{"mtu": 1400}"#).check_sysctls("").unwrap();
}

/// A later plugin of the list may have changed the same again.
#[test]
fn a_check_goes_by_prev_result() {
    let (plan, _) = planned(&tuning(r#"{"mac": "02:00:00:00:00:01", "mtu": 1400}"#), false);
    let later = r#"{"interfaces": [{"name": "eth0", "sandbox": "/n", "mac": "02:00:00:00:00:09",
        "mtu": 1300}]}"#;
    let text = amend(&plan, &success(later)).to_string();
    assert!(text.contains("address 02:00:00:00:00:09 mtu 1300"), "{text}");
}

/// The reference plugin's own record of what was.
#[test]
fn what_the_reference_kept_is_put_back() {
    let of_conf = |conf: &str| {
        let call = call(conf);
        backup_of_reference(&call.conf.fields(), &call.id)
    };
    assert_eq!(of_conf("{}"), "/run/cni/tuning/c1_eth0.json");
    assert_eq!(of_conf(r#"{"dataDir": "/x"}"#), "/x/c1_eth0.json");
    let text = "{\n \"mac\": \"02:00:00:00:00:0c\",\n \"promisc\": false,\n \"mtu\": 1500,\n \
        \"allmulti\": false,\n \"txQLen\": 1000\n}";
    let step = restored_from(text, &LinkRef::container("eth0")).unwrap();
    let text = step.to_string();
    assert!(text.contains("address 02:00:00:00:00:0c (was 02:00:00:00:00:0c)"), "{text}");
    assert!(text.contains("mtu 1500 (was 1500) promisc false (was false)"), "{text}");
    for text in ["", "[]", "{}", r#"{"mtu": "x", "mac": 1}"#] {
        assert_eq!(restored_from(text, &LinkRef::container("eth0")), None, "{text}");
    }
}
