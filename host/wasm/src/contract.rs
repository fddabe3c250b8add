//! What is offered to components, told by the names of what they import and export: versions,
//! worlds, interfaces, functions; and what does not fit, in plain words. Pure.
//!
//! Names come first, types second: the engine's own errors name neither versions nor what would
//! fit. [`Version::ALL`] is the only list of versions; a test compares it with the folders of
//! `wit/`.

use crate::capability::Capability;

/// The contract's package.
pub(crate) const PACKAGE: &str = "wharfinger:plugin";

/// A released version of the contract. Once released, it is offered for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V0_1,
    V0_2,
    V0_3,
}

impl Version {
    /// Every one, oldest first.
    pub(crate) const ALL: [Self; 3] = [Self::V0_1, Self::V0_2, Self::V0_3];
    /// The newest.
    pub(crate) const NEWEST: Self = Self::V0_3;

    /// As its folder in `wit/` is named.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1.0",
            Self::V0_2 => "0.2.0",
            Self::V0_3 => "0.3.0",
        }
    }

    /// The one that a name of our package means.
    pub(crate) fn of_ours(name: &Name<'_>) -> Option<Self> {
        if name.package == PACKAGE { Self::of(name.version) } else { None }
    }

    /// The one that a component means: versions that differ in the last number fit each other.
    fn of(version: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| same_track(known.text(), version))
    }
}

/// Compatible versions: the same up to the last number, as long as the first is 0.
pub(crate) fn same_track(a: &str, b: &str) -> bool {
    let track = |version: &str| version.rsplit_once('.').map(|(track, _)| track.to_owned());
    track(a).is_some() && track(a) == track(b)
}

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// It gives out addresses: world `ipam-plugin`.
    Ipam,
    /// It admits or refuses attachments: world `policy-plugin`.
    Policy,
}

impl World {
    /// "an IPAM plugin".
    pub(crate) fn a_plugin(self) -> &'static str {
        match self {
            Self::Ipam => "an IPAM plugin",
            Self::Policy => "a policy",
        }
    }

    /// The interface that it exports.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Self::Ipam => "ipam",
            Self::Policy => "policy",
        }
    }
}

/// Exported beside `ipam`, or not.
pub(crate) const REMOTE: &str = "ipam-remote";

/// The functions offered of each interface that components import, and since when.
pub(crate) const FUNCTIONS: [(&str, &[(&str, Version)]); 5] = {
    use Version::{V0_1, V0_2, V0_3};
    [
        (
            "ledger",
            &[
                ("take", V0_1),
                ("take-free", V0_1),
                ("remembered", V0_1),
                ("remember", V0_1),
                ("usage", V0_2),
            ],
        ),
        (
            "store",
            &[("get", V0_1), ("put", V0_1), ("remove", V0_1), ("scan", V0_1), ("count", V0_2)],
        ),
        ("logger", &[("log", V0_1)]),
        ("node", &[("name", V0_1), ("label", V0_1), ("now", V0_1)]),
        ("workload", &[("pod", V0_3)]),
    ]
};

/// The version that an interface is there since.
pub(crate) fn since(interface: &str) -> Version {
    let known = FUNCTIONS.iter().find(|(known, _)| *known == interface);
    let versions = known.into_iter().flat_map(|(_, functions)| functions.iter());
    versions.map(|(_, since)| *since).min().unwrap_or(Version::V0_1)
}

/// What a component names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Each with its functions, where known.
    pub(crate) imports: Vec<(String, Vec<String>)>,
    pub(crate) exports: Vec<String>,
}

/// What a component is, by its exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) world: World,
    pub(crate) version: Version,
    /// The export's whole name.
    pub(crate) export: String,
    /// The whole name of its `ipam-remote`.
    pub(crate) remote: Option<String>,
}

/// A name in its parts: "wharfinger:plugin/ledger@0.1.0".
pub(crate) struct Name<'a> {
    pub(crate) package: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) version: &'a str,
}

impl<'a> Name<'a> {
    /// None where it is no interface's name.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let (package, rest) = name.split_once('/')?;
        let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
        Some(Self { package, interface, version })
    }
}

/// What the exports make of a component, or why it is nothing of ours.
pub(crate) fn shape(exports: &[String]) -> Result<Shape, String> {
    let ours = |interface: &str| {
        let newest_first = Version::ALL.into_iter().rev();
        newest_first.into_iter().find_map(|version| {
            let fits = |name: &&String| is(name, interface, version);
            exports.iter().find(fits).map(|name| (version, name.clone()))
        })
    };
    let found =
        |world: World| ours(world.interface()).map(|(version, name)| (world, version, name));
    match (found(World::Ipam), found(World::Policy)) {
        (Some(_), Some(_)) => {
            Err("it exports ipam and policy: a component is an IPAM plugin or a policy".to_owned())
        }
        (None, None) => Err(nothing_of_ours(exports)),
        (Some((world, version, export)), None) | (None, Some((world, version, export))) => {
            let remote = exports.iter().find(|name| is(name, REMOTE, version)).cloned();
            Ok(Shape { world, version, export, remote })
        }
    }
}

fn is(name: &str, interface: &str, version: Version) -> bool {
    Name::parse(name).is_some_and(|name| {
        name.package == PACKAGE
            && name.interface == interface
            && same_track(name.version, version.text())
    })
}

fn nothing_of_ours(exports: &[String]) -> String {
    let other = exports
        .iter()
        .filter(|name| Name::parse(name).is_some_and(|name| name.package == PACKAGE))
        .find_map(|name| {
            other_version(name, &[World::Ipam.interface(), World::Policy.interface()])
        });
    other.unwrap_or_else(|| {
        let exported = match exports {
            [] => "nothing".to_owned(),
            names => names.join(", "),
        };
        format!(
            "it exports {exported}; an IPAM plugin exports {}, a policy {}",
            offered("ipam"),
            offered("policy"),
        )
    })
}

/// A name of our package that is not offered: wanted, offered, nearest.
fn other_version(name: &str, interfaces: &[&str]) -> Option<String> {
    let parsed = Name::parse(name)?;
    let known = interfaces.contains(&parsed.interface);
    let near = if known { parsed.interface } else { nearest(parsed.interface, interfaces)? };
    let newest = format!("{PACKAGE}/{near}@{}", Version::NEWEST.text());
    let advice = if known && newer(parsed.version) {
        "; build the plugin for that, or use a newer wharfinger"
    } else {
        "; build the plugin for that"
    };
    Some(format!("wanted {name}; offered {}; nearest {newest}{advice}", offered(near)))
}

fn newer(version: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> { text.split('.').flat_map(str::parse).collect() };
    numbers(version) > numbers(Version::NEWEST.text())
}

/// "wharfinger:plugin/ipam@0.1.0, @0.2.0".
fn offered(interface: &str) -> String {
    let offered = Version::ALL.iter().filter(|version| **version >= since(interface));
    let versions: Vec<String> = offered.map(|version| format!("@{}", version.text())).collect();
    format!("{PACKAGE}/{interface}{}", versions.join(", "))
}

/// Why a component is not of the world that is wanted; none if it is.
pub(crate) fn wrong_world(shape: &Shape, wanted: World) -> Option<String> {
    if shape.world == wanted {
        return None;
    }
    Some(format!(
        "it is {} (it exports {}), and {} is wanted here, which exports {}",
        shape.world.a_plugin(),
        shape.export,
        wanted.a_plugin(),
        offered(wanted.interface()),
    ))
}

/// What of the imports does not fit a component of this shape; none where all names do.
pub(crate) fn misfit(shape: &Shape, names: &Names) -> Option<String> {
    names.imports.iter().find_map(|(name, functions)| import(shape, name, functions))
}

fn import(shape: &Shape, name: &str, functions: &[String]) -> Option<String> {
    let Some(capability) = Capability::of(name) else { return Some(unknown(name)) };
    if capability == Capability::Ledger && shape.world == World::Policy {
        return Some(format!(
            "it imports {name}, which is for IPAM plugins: a policy has store, logger, node and workload"
        ));
    }
    functions.iter().find_map(|function| missing(name, function))
}

/// A function of a known interface that its version does not have.
fn missing(name: &str, function: &str) -> Option<String> {
    let parsed = Name::parse(name)?;
    let (_, known) = FUNCTIONS.iter().find(|(interface, _)| *interface == parsed.interface)?;
    let version = Version::of_ours(&parsed)?;
    let since = known.iter().find(|(known, _)| *known == function).map(|(_, since)| *since);
    match since {
        Some(since) if since <= version => None,
        Some(since) => Some(format!(
            "it imports {function} of {name}, which is there since {}: build the plugin for that",
            since.text()
        )),
        None => {
            let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            Some(format!("it imports {function} of {name}; offered {}", known.join(", ")))
        }
    }
}

/// An import that nobody here offers.
fn unknown(name: &str) -> String {
    let interfaces = FUNCTIONS.map(|(interface, _)| interface);
    let ours = Name::parse(name).is_some_and(|name| name.package == PACKAGE);
    if ours && let Some(said) = other_version(name, &interfaces) {
        return said;
    }
    if let Some(near) = Capability::nearest_wasi(name) {
        return format!("wanted {name}; offered {near}; build the plugin for WASI 0.2");
    }
    format!("wanted {name}; offered {} of {PACKAGE}, and WASI 0.2", interfaces.join(", "))
}

/// The known word that this one was perhaps meant to be.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let closest = known.iter().map(|known| (distance(word, known), *known)).min()?;
    (closest.0 <= 2).then_some(closest.1)
}

/// Letters to add, drop or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((j, other), pair) in b.iter().enumerate().zip(row.windows(2)) {
            let [diagonal, above] = *pair else { continue };
            let left = next.get(j).copied().unwrap_or(usize::MAX - 1);
            next.push((diagonal + usize::from(letter != *other)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn wit() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
    }

    #[test]
    fn pain_h3_the_versions_on_offer_are_the_folders_of_the_contract() {
        let folders = std::fs::read_dir(wit()).unwrap().map(|entry| entry.unwrap());
        let folders = folders.filter(|entry| entry.path().is_dir());
        let mut folders: Vec<String> =
            folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        folders.sort();
        assert_eq!(folders, Version::ALL.map(Version::text));
        assert_eq!(Version::ALL.last(), Some(&Version::NEWEST));
    }

    /// The functions of an interface, by the text of a version's folder.
    fn written(version: Version, interface: &str) -> Vec<String> {
        let host = std::fs::read_to_string(wit().join(version.text()).join("host.wit")).unwrap();
        let Some((_, rest)) = host.split_once(&format!("\ninterface {interface} {{")) else {
            return Vec::new();
        };
        let (body, _) = rest.split_once("\n}").unwrap();
        let names = body.lines().filter_map(|line| line.trim().split_once(": func("));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn pain_h3_the_functions_on_offer_are_those_of_the_contract() {
        for (interface, functions) in FUNCTIONS {
            for version in Version::ALL {
                let offered = functions.iter().filter(|(_, since)| *since <= version);
                let offered: Vec<&str> = offered.map(|(name, _)| *name).collect();
                assert_eq!(written(version, interface), offered, "{interface} {version:?}");
            }
        }
    }

    fn said(imports: &[(&str, &[&str])], exports: &[&str]) -> String {
        let own = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<String>>();
        let imports = imports.iter().map(|(n, f)| ((*n).to_owned(), own(f))).collect();
        let names = Names { imports, exports: own(exports) };
        match shape(&names.exports) {
            Ok(shape) => misfit(&shape, &names).unwrap_or_else(|| format!("{shape:?}")),
            Err(what) => what,
        }
    }

    #[test]
    fn pain_h1_every_version_of_each_world_fits() {
        for version in ["0.1.0", "0.1.7", "0.2.0", "0.3.0"] {
            for (world, export) in [("Ipam", "ipam"), ("Policy", "policy")] {
                let store = format!("wharfinger:plugin/store@{version}");
                let types = format!("wharfinger:plugin/types@{version}");
                let imports: [(&str, &[&str]); 2] = [(&store, &["get", "put"]), (&types, &[])];
                let said = said(&imports, &[&format!("wharfinger:plugin/{export}@{version}")]);
                assert!(said.starts_with(&format!("Shape {{ world: {world}, ")), "{said}");
            }
        }
        let remote = ["wharfinger:plugin/ipam@0.2.0", "wharfinger:plugin/ipam-remote@0.2.0"];
        assert!(said(&[], &remote).contains("remote: Some"));
    }

    #[test]
    fn pain_h4_what_does_not_fit_is_said_by_wanted_offered_and_nearest() {
        const IPAM: &[&str] = &["wharfinger:plugin/ipam@0.2.0"];
        const POLICY: &[&str] = &["wharfinger:plugin/policy@0.2.0"];
        for (imports, exports, wanted) in [
            (
                "",
                &["wharfinger:plugin/ipam@0.4.0"][..],
                "wanted wharfinger:plugin/ipam@0.4.0; offered wharfinger:plugin/ipam@0.1.0, \
                 @0.2.0, @0.3.0; nearest wharfinger:plugin/ipam@0.3.0; build the plugin for that, or use \
                 a newer wharfinger",
            ),
            (
                "",
                &["wharfinger:plugin/polcy@0.2.0"],
                "wanted wharfinger:plugin/polcy@0.2.0; offered wharfinger:plugin/policy@0.1.0, \
                 @0.2.0, @0.3.0; nearest wharfinger:plugin/policy@0.3.0; build the plugin for that",
            ),
            (
                "",
                &["wasi:cli/run@0.2.3"],
                "it exports wasi:cli/run@0.2.3; an IPAM plugin exports \
                 wharfinger:plugin/ipam@0.1.0, @0.2.0, @0.3.0, a policy \
                 wharfinger:plugin/policy@0.1.0, @0.2.0, @0.3.0",
            ),
            (
                "wharfinger:plugin/ledger@0.0.9",
                IPAM,
                "wanted wharfinger:plugin/ledger@0.0.9; offered wharfinger:plugin/ledger@0.1.0, \
                 @0.2.0, @0.3.0; nearest wharfinger:plugin/ledger@0.3.0; build the plugin for that",
            ),
            (
                "wharfinger:plugin/ledger@0.2.0",
                POLICY,
                "it imports wharfinger:plugin/ledger@0.2.0, which is for IPAM plugins: a policy \
                 has store, logger, node and workload",
            ),
            (
                "wasi:cli/stdout@0.3.0",
                IPAM,
                "wanted wasi:cli/stdout@0.3.0; offered wasi:cli/stdout@0.2.12; build the plugin \
                 for WASI 0.2",
            ),
            (
                "acme:magic/wand@1.0.0",
                IPAM,
                "wanted acme:magic/wand@1.0.0; offered ledger, store, logger, node, workload of \
                 wharfinger:plugin, and WASI 0.2",
            ),
        ] {
            let imports: &[(&str, &[&str])] =
                if imports.is_empty() { &[] } else { &[(imports, &[])] };
            assert_eq!(said(imports, exports), wanted);
        }
    }

    #[test]
    fn pain_h4_a_function_that_a_version_lacks_is_named() {
        let ipam = ["wharfinger:plugin/ipam@0.1.0"];
        assert_eq!(
            said(&[("wharfinger:plugin/ledger@0.1.0", &["take", "usage"])], &ipam),
            "it imports usage of wharfinger:plugin/ledger@0.1.0, which is there since 0.2.0: \
             build the plugin for that"
        );
        assert_eq!(
            said(&[("wharfinger:plugin/logger@0.1.0", &["shout"])], &ipam),
            "it imports shout of wharfinger:plugin/logger@0.1.0; offered log"
        );
    }

    #[test]
    fn pain_h4_the_other_world_is_named() {
        let policy = shape(&["wharfinger:plugin/policy@0.1.0".to_owned()]).unwrap();
        assert_eq!(
            wrong_world(&policy, World::Ipam).unwrap(),
            "it is a policy (it exports wharfinger:plugin/policy@0.1.0), and an IPAM plugin is \
             wanted here, which exports wharfinger:plugin/ipam@0.1.0, @0.2.0, @0.3.0"
        );
        assert_eq!(wrong_world(&policy, World::Policy), None);
    }
}
