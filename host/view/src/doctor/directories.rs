//! Where runtimes look: which file each takes, who provides each type, what lies there besides.

use std::collections::BTreeMap;

use super::facts::{Bin, ConfFile, Says};
use super::{Facts, Finding, Kind, Level, some};

/// Files of well-known installers, and what else they leave: a part of the name, whose it is.
const INSTALLERS: [(&str, &str); 10] = [
    ("multus", "Multus"),
    ("calico", "Calico"),
    ("canal", "Canal"),
    ("flannel", "Flannel"),
    ("cilium", "Cilium"),
    ("weave", "Weave Net"),
    ("antrea", "Antrea"),
    ("kindnet", "kindnet"),
    ("kube-router", "kube-router"),
    ("istio", "Istio"),
];

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = conf(facts);
    all.extend(names(&facts.conf.files));
    all.extend(types(facts));
    all.extend(leftovers(facts));
    all
}

/// The files that can be read, with what they say.
fn readable(files: &[ConfFile]) -> impl Iterator<Item = (&str, &Says)> {
    files.iter().filter_map(|file| Some((file.name.as_str(), file.says.as_ref().ok()?)))
}

fn conf(facts: &Facts) -> Vec<Finding> {
    let conf = &facts.conf;
    if let Some(why) = &conf.error {
        let cure = "see to it that it is a directory that can be read, with a network in it";
        let kind = (Kind::ConfDirectory, Level::Error);
        return vec![Finding::new(kind, &conf.path, format!("cannot be read: {why}"), cure)];
    }
    // Where Docker alone is served, nobody misses one.
    let level = if facts.docker { Level::Notice } else { Level::Warning };
    if conf.absent {
        let cure = "make it, and write a network into it: `wharfinger conf init`";
        let what = "is not there: the node has no network for a runtime of CNI";
        return vec![Finding::new((Kind::ConfDirectory, level), &conf.path, what, cure)];
    }
    let Some(first) = conf.files.first() else {
        let cure = "write a network into it: `wharfinger conf init`";
        let what = "has no network (.conflist, .conf or .json)";
        return vec![Finding::new((Kind::NoNetwork, level), &conf.path, what, cure)];
    };
    let mut all: Vec<Finding> = conf.files.iter().filter_map(|file| broken(facts, file)).collect();
    let taken = readable(&conf.files).next();
    all.push(picked(facts, first, taken));
    // A network of ours behind another's: containers get the other one.
    let ours = readable(&conf.files).find(|(_, says)| says.ours);
    if let (Some((name, says)), Some((before, other))) = (ours, taken)
        && name != before
        && !other.ours
    {
        let what = format!(
            "network {} is behind {before}: runtimes that take one file give containers network {}",
            says.network, other.network
        );
        let cure = "rename it so that it comes first, or move the other file away; nothing is to be done \
                    where networks are asked for by name (Multus, nerdctl, Podman)";
        let kind = (Kind::ShadowedFile, Level::Warning);
        all.push(Finding::new(kind, path(facts, name), what, cure));
    }
    all
}

fn path(facts: &Facts, name: &str) -> String {
    format!("{}/{name}", facts.conf.path.trim_end_matches('/'))
}

fn broken(facts: &Facts, file: &ConfFile) -> Option<Finding> {
    let object = path(facts, &file.name);
    match &file.says {
        Err(why) => {
            let first = facts.conf.files.first().is_some_and(|first| first.name == file.name);
            let then =
                if first { "; containerd takes no other, and the node is not ready" } else { "" };
            let what = format!("is no network: {why}{then}");
            let cure = "mend it (`wharfinger conf lint FILE` names the place) or move it away";
            let level = if first { Level::Error } else { Level::Warning };
            Some(Finding::new((Kind::BrokenFile, level), object, what, cure))
        }
        Ok(says) if !says.spoken => {
            let version = says.version.as_deref().unwrap_or("none");
            let what = format!("has cniVersion {version:?}, which is not spoken here");
            let cure = "\"cniVersion\": \"1.0.0\" is what every runtime of today speaks";
            Some(Finding::new((Kind::Version, Level::Error), object, what, cure))
        }
        Ok(_) => None,
    }
}

/// containerd takes the first file and fails where that is broken; CRI-O and cri-dockerd pass over what
/// is broken; the others ask by name.
fn picked(facts: &Facts, first: &ConfFile, taken: Option<(&str, &Says)>) -> Finding {
    let containerd = match &first.says {
        Ok(says) => format!("{} (network {})", first.name, says.network),
        Err(_) => format!("none, as {} is broken", first.name),
    };
    let others = taken
        .map_or("none".to_owned(), |(name, says)| format!("{name} (network {})", says.network));
    let what = format!(
        "containerd takes {containerd}; CRI-O and cri-dockerd {others}; Multus, nerdctl and Podman ask by name"
    );
    Finding::new((Kind::Picked, Level::Notice), &facts.conf.path, what, "")
}

fn names(files: &[ConfFile]) -> Vec<Finding> {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, says) in readable(files) {
        by_name.entry(&says.network).or_default().push(file);
    }
    let doubled = by_name.into_iter().filter(|(_, files)| files.len() > 1);
    let finding = |(name, files): (&str, Vec<&str>)| {
        let what = format!("is in {}: who asks by name gets the first", files.join(" and "));
        let cure = "rename one of them, or move one of the files away";
        Finding::new((Kind::DoubledName, Level::Warning), format!("network {name}"), what, cure)
    };
    doubled.map(finding).collect()
}

/// Who provides each type that some file asks for: the first directory that has it.
fn types(facts: &Facts) -> Vec<Finding> {
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, says) in readable(&facts.conf.files) {
        for kind in &says.types {
            users.entry(kind).or_default().push(&says.network);
        }
    }
    let provided = |(kind, users): (&&str, &Vec<&str>)| provided(facts, kind, users);
    let mut all: Vec<Finding> = users.iter().map(provided).collect();
    all.extend(other_version(facts));
    all
}

fn found<'a>(facts: &'a Facts, name: &str) -> Option<(&'a str, &'a Bin)> {
    facts.bin.iter().find_map(|dir| {
        let file = dir.files.iter().find(|file| file.name == name)?;
        Some((dir.path.as_str(), file))
    })
}

fn provided(facts: &Facts, kind: &str, users: &[&str]) -> Finding {
    let object = format!("type {kind}");
    let users = some(users.iter().copied());
    match found(facts, kind) {
        None => {
            let dirs: Vec<&str> = facts.bin.iter().map(|dir| dir.path.as_str()).collect();
            let what =
                format!("no executable of this name in {}; asked for by {users}", dirs.join(":"));
            let cure =
                "`wharfinger install` provides our own and, with --names, the reference plugins'";
            Finding::new((Kind::NoExecutable, Level::Error), object, what, cure)
        }
        Some((dir, file)) if !file.executable => {
            let what = format!("{dir}/{kind} cannot be run; asked for by {users}");
            let cure = format!("chmod 755 {dir}/{kind}");
            Finding::new((Kind::NotExecutable, Level::Error), object, what, cure)
        }
        Some((dir, file)) => {
            let whose = if file.us { "this executable" } else { "another's" };
            let what = format!("{dir}/{kind}, {whose}, for {users}");
            Finding::new((Kind::Provider, Level::Notice), object, what, "")
        }
    }
}

/// The executable that runtimes start is not the one that says this.
fn other_version(facts: &Facts) -> Option<Finding> {
    let (dir, file) = found(facts, "wharfinger")?;
    (!file.us && file.executable).then(|| {
        let what = format!("is another file than this executable (version {})", facts.version);
        let cure = "`wharfinger install` with the newer of the two replaces the other";
        let object = format!("{dir}/wharfinger");
        Finding::new((Kind::OtherVersion, Level::Warning), object, what, cure)
    })
}

fn leftovers(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    let kind = (Kind::Leftover, Level::Warning);
    for (file, says) in readable(&facts.conf.files) {
        let absent = says.types.iter().any(|name| found(facts, name).is_none());
        let whose = INSTALLERS.iter().find(|(part, _)| file.contains(part));
        if let (true, Some((_, whose))) = (absent, whose) {
            let what = format!("is a network of {whose}, whose executables are gone");
            let cure = format!("move it away if {whose} was removed from this node");
            all.push(Finding::new(kind, path(facts, file), what, cure));
        }
    }
    for name in &facts.conf.others {
        let backup = [".bak", "_bak", ".old", ".orig", ".rpmsave", ".dpkg-old"];
        if backup.iter().any(|end| name.ends_with(end)) {
            let what = "is a copy that an installer put aside; no runtime reads it";
            let cure = "remove it once nobody wants it back";
            all.push(Finding::new((kind.0, Level::Notice), path(facts, name), what, cure));
        }
    }
    for dir in &facts.bin {
        for file in dir.files.iter().filter(|file| file.name.contains(".new-")) {
            let what = "is half of an installation that was interrupted";
            let object = format!("{}/{}", dir.path, file.name);
            all.push(Finding::new(kind, object, what, "remove it"));
        }
    }
    all
}
