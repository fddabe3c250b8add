//! What the tests of drivers have in common: a call, a lease, a draft.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use wharfinger_cni::{Attach, AttachmentId, NetConf, Success, Version};
use wharfinger_drivers::{Conf, Draft, Error, Facts, PlanError, host_link_name};
use wharfinger_plan::{LinkFacts, LinkRef};

pub(crate) fn id() -> AttachmentId {
    AttachmentId { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() }
}

/// A call with this configuration.
pub(crate) fn call(conf: &str) -> Attach {
    let raw = serde_json::from_str(conf).unwrap();
    let (version, name) = (Version::V1_1_0, "pods".to_owned());
    Attach {
        id: id(),
        netns: Some("/run/netns/c1".into()),
        args: Vec::new(),
        path: Vec::new(),
        netns_override: false,
        conf: NetConf {
            version,
            name,
            plugin_type: "wharfinger".into(),
            called: String::new(),
            raw,
        },
        prev_result: None,
    }
}

/// The configuration of its `driver`.
pub(crate) fn parse(conf: &str) -> Result<Conf, Error> {
    let call = call(conf);
    let driver = call.conf.raw["driver"].as_str().unwrap();
    Conf::parse(driver, &call)
}

pub(crate) fn success(text: &str) -> Success {
    serde_json::from_str(text).unwrap()
}

/// The plan where nothing is there yet.
pub(crate) fn draft(conf: &str, lease: &str) -> Result<Draft, PlanError> {
    let conf = parse(conf).unwrap();
    conf.plan(&id(), &conf.domain(), &success(lease), &Facts::default())
}

/// What a link may be like after a plan was applied.
pub(crate) fn link(link: LinkRef, kind: &str, mac: &str) -> LinkFacts {
    LinkFacts { mac: Some(mac.parse().unwrap()), mtu: 1450, up: true, ..LinkFacts::new(link, kind) }
}

/// The links of a bridged attachment.
pub(crate) fn applied() -> Facts {
    Facts {
        links: vec![
            link(LinkRef::host("cni0"), "bridge", "02:00:00:00:00:0b"),
            link(LinkRef::host(host_link_name(&id())), "veth", "02:00:00:00:00:0a"),
            link(LinkRef::container("eth0"), "veth", "02:00:00:00:00:0c"),
        ],
        ..Facts::default()
    }
}
