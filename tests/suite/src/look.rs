//! What is there: links, addresses, rules, rows. And that nothing is left.

use serde_json::Value;

use crate::{Netns, Subject, World};

/// A link, as `ip -json -d address` shows it.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// `veth`, `bridge`, empty.
    pub kind: String,
    /// Its alias.
    pub alias: String,
    /// Bytes.
    pub mtu: u64,
    /// Link-layer address.
    pub mac: String,
    /// Whether its flags have UP.
    pub up: bool,
    /// With prefix lengths; link-local ones of IPv6 left out.
    pub addresses: Vec<String>,
    /// All of it.
    pub raw: Value,
}

impl Netns {
    /// Its links.
    #[track_caller]
    pub fn links(&self) -> Vec<Link> {
        let Value::Array(links) = self.ip_json("address show") else { panic!("no array of links") };
        // `ip -json` writes an empty object for what it filtered.
        links.iter().filter(|link| link.get("ifname").is_some()).map(link).collect()
    }

    /// One link, which must be there.
    #[track_caller]
    pub fn link(&self, name: &str) -> Link {
        match self.links().into_iter().find(|link| link.name == name) {
            Some(link) => link,
            None => panic!("no link {name} in {}", self.name()),
        }
    }

    /// The destinations of its routes of both families, IPv6 link-local and multicast left out.
    #[track_caller]
    pub fn routes(&self) -> Vec<String> {
        let mut all = Vec::new();
        for family in ["-4", "-6"] {
            let shown = self.ip_json(&format!("{family} route show"));
            all.extend(strings(&shown, &[], "dst"));
        }
        all.retain(|dst| {
            !dst.starts_with("fe80") && !dst.starts_with("ff00") && dst != "multicast"
        });
        all
    }
}

fn link(raw: &Value) -> Link {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let info = raw.get("linkinfo").and_then(|info| info.get("info_kind"));
    let flags = raw.get("flags").and_then(Value::as_array);
    Link {
        name: text("ifname"),
        kind: info.and_then(Value::as_str).unwrap_or_default().to_owned(),
        alias: text("ifalias"),
        mtu: raw.get("mtu").and_then(Value::as_u64).unwrap_or_default(),
        mac: text("address"),
        up: flags.is_some_and(|flags| flags.iter().any(|flag| flag == "UP")),
        addresses: link_addresses(raw),
        raw: raw.clone(),
    }
}

fn link_addresses(raw: &Value) -> Vec<String> {
    let infos = raw.get("addr_info").and_then(Value::as_array);
    infos
        .into_iter()
        .flatten()
        .filter_map(|info| {
            let local = info.get("local")?.as_str()?;
            let length = info.get("prefixlen")?.as_u64()?;
            (!local.starts_with("fe80:")).then(|| format!("{local}/{length}"))
        })
        .collect()
}

/// The strings under `key` of the objects in the list at `path` in `value`.
pub fn strings(value: &Value, path: &[&str], key: &str) -> Vec<String> {
    let list = path.iter().try_fold(value, |value, step| value.get(step));
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| Some(item.get(key)?.as_str()?.to_owned())).collect()
}

impl World {
    /// The host's links.
    #[track_caller]
    pub fn links(&self) -> Vec<Link> {
        self.host.links()
    }

    /// The host's packet filter, all families.
    #[track_caller]
    pub fn rules(&self) -> String {
        self.host.run(&["nft", "list", "ruleset"])
    }

    /// Waits until the kernel, which removes namespaces in its own time, has removed the links of
    /// those that were deleted; at most ten seconds.
    #[track_caller]
    pub fn settle(&self) {
        let busy = |link: &Link| link.kind == "veth" && link.name.starts_with("veth");
        for _ in 0..500 {
            if !self.links().iter().any(busy) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("links of deleted namespaces are left");
    }

    /// Fails where a link, an address, a rule or a row of any container is left.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        if let Some(left) = self.leftovers() {
            panic!("left: {left}");
        }
    }

    /// What is left of any container: the bridge, the skeleton of the table and kernel
    /// parameters are shared, and not counted.
    #[track_caller]
    pub fn leftovers(&self) -> Option<String> {
        let rows = self.ledger();
        if !rows.is_empty() {
            return Some(format!("rows of the ledger: {rows:?}"));
        }
        let reservations = self.reservations("pods");
        if self.subject != Subject::Ours && !reservations.is_empty() {
            return Some(format!("reservations: {reservations:?}"));
        }
        let links = self.links();
        if let Some(link) = links.iter().find(|l| l.kind == "veth" && l.name.starts_with("veth")) {
            return Some(format!("link {} ({})", link.name, link.alias));
        }
        let rules = self.rules();
        let routes = self.host.routes();
        self.seen().into_iter().find_map(|text| {
            if mentions(&rules, &text) {
                return Some(format!("a rule for {text}: {rules}"));
            }
            routes.contains(&text).then(|| format!("a route to {text}"))
        })
    }
}

/// Whether `text` names `what`, not as a part of a longer number or word.
pub(crate) fn mentions(text: &str, what: &str) -> bool {
    text.match_indices(what).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + what.len()..].chars().next();
        // Of IPv4 a colon is the port's.
        let colon = |c: char| c == ':' && what.contains(':');
        let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || colon(c));
        !part(before) && !part(after)
    })
}
