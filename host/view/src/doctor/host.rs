//! Kernel, forwarding, filters, and who else has a hand in links.

use super::{Facts, Finding, Kind, Level, some, udev};

/// The oldest kernel that is supported: namespaces have cookies there.
pub(super) const OLDEST: (u32, u32) = (5, 14);

/// What to do where a chain of somebody else's drops what is forwarded.
const ACCEPT: &str = "attachments with the feature firewall are accepted there; give the networks that \
    are to be reached from elsewhere that feature, or accept their ranges in that chain yourself";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all: Vec<Finding> = old(&facts.kernel).into_iter().collect();
    all.extend(facts.networks.iter().flat_map(lacking));
    all.extend(forwarding(facts));
    all.extend(reverse_path(facts));
    all.extend(facts.drops.iter().map(|(chain, how)| {
        let what = format!("drops forwarded packets: {how}");
        Finding::new((Kind::ForwardDrop, Level::Error), format!("chain {chain}"), what, ACCEPT)
    }));
    all.extend(facts.managed.iter().map(managed));
    all.extend(facts.link_files.iter().map(|file| link_file(file)));
    all.extend(facts.udev.iter().filter_map(|file| udev_rule(file, &facts.links)));
    all.extend(firewalld(facts));
    all
}

fn old(release: &str) -> Option<Finding> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let version = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    };
    (version < OLDEST).then(|| {
        let what = format!("is {release:?}; {}.{} is the oldest supported", OLDEST.0, OLDEST.1);
        Finding::new((Kind::OldKernel, Level::Error), "kernel", what, "boot a newer one")
    })
}

fn lacking(network: &super::facts::Network) -> Vec<Finding> {
    let mut all = Vec::new();
    let object = format!("network {}", network.name);
    for what in &network.missing {
        let by = match (network.driver.as_str(), network.features.as_slice()) {
            ("", []) => String::new(),
            (driver, []) => format!(" (driver {driver})"),
            (driver, features) => format!(" (driver {driver}, features {})", features.join(", ")),
        };
        let what = format!("needs what this kernel has not{by}: {what}");
        let cure =
            "load the module or boot a kernel with it, or take the feature out of the network";
        all.push(Finding::new((Kind::MissingFeature, Level::Error), object.clone(), what, cure));
    }
    if let Some(why) = network.unwell.as_ref().filter(|_| network.missing.is_empty()) {
        let cure = format!("mend that; `wharfinger status {}` says whether it is", network.name);
        let what = format!("an ADD would fail now: {why}");
        all.push(Finding::new((Kind::Network, Level::Error), object.clone(), what, cure));
    }
    if let Some(why) = &network.impaired {
        let cure = format!(
            "find out who changed it; `wharfinger status {}` says whether it is mended",
            network.name
        );
        let what = format!("its attachments may be impaired: {why}");
        all.push(Finding::new((Kind::Network, Level::Error), object, what, cure));
    }
    all
}

/// An ADD turns forwarding on; what turns it off again later is somebody's hand. Before the first ADD that
/// it is off is no trouble.
fn forwarding(facts: &Facts) -> Vec<Finding> {
    let of = |v6: bool, key: &str| {
        let routed = |network: &&super::facts::Network| {
            network.routed && network.ranges.iter().any(|(first, _)| first.is_ipv6() == v6)
        };
        let names: Vec<&str> =
            facts.networks.iter().filter(routed).map(|network| network.name.as_str()).collect();
        let off = facts.sysctls.get(key).is_some_and(|value| value == "0");
        (off && !names.is_empty()).then(|| {
            let what = format!("is 0: packets of {} do not leave the node", some(names));
            let cure = format!(
                "an ADD sets it; set {key} = 1 in /etc/sysctl.d too, and look for what sets it back"
            );
            let level = if facts.attached { Level::Warning } else { Level::Notice };
            Finding::new((Kind::Forwarding, level), key, what, cure)
        })
    };
    [of(false, "net.ipv4.ip_forward"), of(true, "net.ipv6.conf.all.forwarding")]
        .into_iter()
        .flatten()
        .collect()
}

fn reverse_path(facts: &Facts) -> Option<Finding> {
    let key = "net.ipv4.conf.all.rp_filter";
    let strict = facts.sysctls.get(key).is_some_and(|value| value == "1");
    let sbr = |network: &&super::facts::Network| {
        network.features.iter().any(|feature| feature == "sbr") || network.driver == "overlay"
    };
    let names: Vec<&str> =
        facts.networks.iter().filter(sbr).map(|network| network.name.as_str()).collect();
    (strict && !names.is_empty()).then(|| {
        let what = format!("is 1 (strict): answers of {} may be dropped", some(names));
        Finding::new((Kind::ReversePath, Level::Warning), key, what, format!("set {key} = 2"))
    })
}

fn managed((link, manager, by): &(String, String, String)) -> Finding {
    let cure = match manager.as_str() {
        "NetworkManager" => {
            "[keyfile] unmanaged-devices=interface-name:NAME in a file of \
             /etc/NetworkManager/conf.d, then `nmcli general reload`"
        }
        _ => {
            "a file of /etc/systemd/network that comes before it, with [Match] Name=NAME and [Link] \
             Unmanaged=yes, then `networkctl reload`"
        }
    };
    let what = format!("{manager} configures it, and may take its addresses away: {by}");
    Finding::new((Kind::Manager, Level::Error), format!("link {link}"), what, cure)
}

fn link_file(file: &str) -> Finding {
    let what = "gives every new link a MAC address of its own (MACAddressPolicy); ours are made with \
                theirs and keep it, others' bridges do not";
    let cure = "a file before it: [Match] Driver=bridge veth, [Link] MACAddressPolicy=none";
    Finding::new((Kind::LinkFile, Level::Notice), file, what, cure)
}

fn udev_rule((file, text): &(String, String), links: &[String]) -> Option<Finding> {
    let udev::Does { what, runs, rule } = udev::touching(text, links)?;
    let what = format!("a rule of udev {what}, and a link of ours may be one of those: {rule}");
    // What a package runs for all links is in use on many nodes; what is written for this one is meant.
    let own = ["/etc/", "/run/"].iter().any(|place| file.starts_with(place));
    let level = if runs && !own { Level::Notice } else { Level::Warning };
    let cure = "a copy of the file in /etc/udev/rules.d whose rule leaves ours out (KERNEL!=\"veth*\", and \
                the bridge's name), then `udevadm control --reload`";
    Some(Finding::new((Kind::UdevRule, level), file, what, cure))
}

fn firewalld(facts: &Facts) -> Option<Finding> {
    let without = |network: &&super::facts::Network| {
        network.routed && !network.features.iter().any(|feature| feature == "firewall")
    };
    let names: Vec<&str> =
        facts.networks.iter().filter(without).map(|network| network.name.as_str()).collect();
    (facts.firewalld && !names.is_empty()).then(|| {
        let what = format!("runs, and decides on packets of {}", some(names));
        let cure = "give those networks the feature firewall: their addresses get into a zone that lets \
                    them pass; after a reload of firewalld: `wharfinger reload`";
        Finding::new((Kind::Firewalld, Level::Warning), "firewalld", what, cure)
    })
}
