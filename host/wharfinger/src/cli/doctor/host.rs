//! The host: its kernel's settings, routes, filters, and who else configures links.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use wharfinger_attach::Host;
use wharfinger_view::doctor::Facts;
use wharfinger_view::doctor::facts::Route;

const SYSCTLS: [&str; 3] =
    ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.rp_filter"];

/// What a link of ours is called on the host, where there is none yet.
const LIKE_OURS: &str = "veth00000000";

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

pub(super) fn release() -> String {
    read("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

pub(super) fn sysctls() -> BTreeMap<String, String> {
    let value = |key: &&str| {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        Some(((*key).to_owned(), read(path)?.trim().to_owned()))
    };
    SYSCTLS.iter().filter_map(value).collect()
}

/// Whether a process of this name runs: of a script, too, as firewalld is one.
pub(super) fn runs(name: &str) -> bool {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let of = |path: PathBuf| read(path.join("comm")).is_some_and(|comm| comm.trim() == name);
    entries.map(|entry| entry.path()).any(of)
}

pub(super) fn gather(host: &Host, facts: &mut Facts) {
    match host.kernel.forward_drops() {
        Ok(drops) => facts.drops.extend(drops.iter().map(|drop| {
            let chain = format!("{} {} {}", drop.family, drop.table, drop.chain);
            (chain, format!("{} (priority {})", drop.drops, drop.priority))
        })),
        Err(error) => facts.unseen.push(("chains of others".to_owned(), error.to_string())),
    }
    let links = match host.kernel.seen() {
        Ok(survey) => survey.links.into_iter().map(|link| link.link.name).collect(),
        // The leaks say so.
        Err(_) => BTreeSet::new(),
    };
    facts.routes = routes(&links);
    let bridges = facts.networks.iter().filter_map(|network| network.bridge.clone());
    let ours: BTreeSet<String> = bridges.chain(links).collect();
    facts.links = ours.iter().cloned().chain([LIKE_OURS.to_owned()]).collect();
    facts.managed = ours.iter().filter_map(|link| managed(Path::new("/"), link)).collect();
}

/// The host's routes, but those that the kernel makes for its own addresses.
fn routes(ours: &BTreeSet<String>) -> Vec<Route> {
    let v4 = read("/proc/net/route").unwrap_or_default();
    let v6 = read("/proc/net/ipv6_route").unwrap_or_default();
    let parsed = v4.lines().filter_map(route_v4).chain(v6.lines().filter_map(route_v6));
    parsed
        .map(|(to, link)| Route { to, ours: ours.contains(&link), link })
        .filter(|route| !route.to.addr().is_multicast() && !is_link_local(route.to.addr()))
        .collect()
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// proc(5): the link, then destination and mask as the machine's own words in hexadecimal.
fn route_v4(line: &str) -> Option<(ipnet::IpNet, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let word = |place: usize| u32::from_str_radix(words.get(place)?, 16).ok().map(u32::from_be);
    let (to, mask) = (Ipv4Addr::from(word(1)?), word(7)?);
    let prefix = u8::try_from(mask.leading_ones()).ok()?;
    let net = ipnet::IpNet::new(to.into(), prefix).ok()?;
    Some((net, (*words.first()?).to_owned()))
}

/// The destination, its length, ..., and the link last.
fn route_v6(line: &str) -> Option<(ipnet::IpNet, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let to = Ipv6Addr::from(u128::from_str_radix(words.first()?, 16).ok()?);
    let prefix = u8::from_str_radix(words.get(1)?, 16).ok()?;
    let net = ipnet::IpNet::new(to.into(), prefix).ok()?;
    Some((net, (*words.last()?).to_owned()))
}

/// Who configures a link, by the state that NetworkManager and networkd keep of each.
fn managed(root: &Path, link: &str) -> Option<(String, String, String)> {
    let index = read(root.join("sys/class/net").join(link).join("ifindex"))?;
    let file = |folder: &str| root.join(folder).join(index.trim());
    let by = |manager: &str, by: String| Some((link.to_owned(), manager.to_owned(), by));
    let manager = file("run/NetworkManager/devices");
    if read(&manager).is_some_and(|text| text.lines().any(|line| line.trim() == "managed=true")) {
        return by("NetworkManager", manager.display().to_string());
    }
    let networkd = read(file("run/systemd/netif/links"))?;
    let network = networkd.lines().find_map(|line| line.strip_prefix("NETWORK_FILE="))?;
    by("systemd-networkd", network.to_owned())
}

/// Files of udev that give every link another MAC address.
pub(super) fn link_files() -> Vec<String> {
    let folders =
        ["/etc", "/run", "/usr/lib"].map(|top| PathBuf::from(top).join("systemd/network"));
    let entries =
        folders.iter().flat_map(|it| std::fs::read_dir(it).into_iter().flatten().flatten());
    let files =
        entries.map(|entry| entry.path()).filter(|it| it.extension().is_some_and(|e| e == "link"));
    let changes = |path: &PathBuf| {
        let text = read(path).unwrap_or_default();
        let says = |line: &str| text.lines().any(|it| it.trim() == line);
        says("OriginalName=*") && says("MACAddressPolicy=persistent")
    };
    files.filter(changes).map(|path| path.display().to_string()).collect()
}

/// udev's rules, each file by its name once: one in /etc stands for that of a package.
pub(super) fn udev_rules(root: &Path) -> Vec<(String, String)> {
    let mut files = BTreeMap::new();
    for top in ["usr/lib", "usr/local/lib", "run", "etc"] {
        let entries = std::fs::read_dir(root.join(top).join("udev/rules.d"));
        for path in entries.into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "rules") {
                files.insert(path.file_name().map(ToOwned::to_owned), path);
            }
        }
    }
    let text = |path: &PathBuf| Some((path.display().to_string(), read(path)?));
    files.values().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_the_kernel_writes_them() {
        let line = "cni0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0";
        let (net, by) = route_v4(line).unwrap();
        assert_eq!((net.to_string().as_str(), by.as_str()), ("10.1.0.0/16", "cni0"));
        let line = "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 \
                    00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0";
        let (net, by) = route_v6(line).unwrap();
        assert_eq!((net.to_string().as_str(), by.as_str()), ("fd00::/64", "eth0"));
        assert!(route_v4("Iface Destination Gateway").is_none() && route_v6("").is_none());
    }

    /// A file, in a directory that need not be there.
    fn write(path: &Path, text: &str) -> std::io::Result<()> {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, text)
    }

    #[test]
    fn a_rule_of_the_operators_stands_for_a_packages() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let write = |path: &str, text: &str| write(&dir.path().join(path), text);
        write("usr/lib/udev/rules.d/70-x.rules", "a package's")?;
        write("usr/lib/udev/rules.d/80-y.rules", "another's")?;
        write("etc/udev/rules.d/70-x.rules", "the operator's")?;
        write("etc/udev/rules.d/README", "no rules")?;
        let texts: Vec<_> = udev_rules(dir.path()).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["the operator's", "another's"]);
        Ok(())
    }

    #[test]
    fn who_configures_a_link_is_in_its_managers_state() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let write = |path: &str, text: &str| write(&dir.path().join(path), text);
        write("sys/class/net/cni0/ifindex", "7\n")?;
        assert_eq!(managed(dir.path(), "cni0"), None);
        write("run/NetworkManager/devices/7", "[device]\nmanaged=false\n")?;
        assert_eq!(managed(dir.path(), "cni0"), None);
        write(
            "run/systemd/netif/links/7",
            "ADMIN_STATE=configured\nNETWORK_FILE=/etc/x.network\n",
        )?;
        assert_eq!(managed(dir.path(), "cni0").map(|it| it.2), Some("/etc/x.network".into()));
        write("run/NetworkManager/devices/7", "[device]\nmanaged=true\n")?;
        assert_eq!(managed(dir.path(), "cni0").map(|it| it.1), Some("NetworkManager".into()));
        Ok(())
    }
}
