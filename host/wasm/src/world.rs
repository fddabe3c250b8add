//! Whether a component fits the worlds offered here, told by the names of what it imports and
//! exports, in plain words. Names come first, types second: the engine's own errors name neither
//! versions nor what would fit.

/// Package and version of the contract offered.
const PACKAGE: &str = "wharfinger:plugin";
const VERSION: &str = "0.1.0";
/// What a plugin may import.
const IMPORTS: [&str; 5] = ["types", "ledger", "store", "logger", "node"];

/// What a component names.
pub(crate) struct Names {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// What does not fit; none where all names do.
pub(crate) fn difference(names: &Names) -> Option<String> {
    export(&names.exports).or_else(|| names.imports.iter().find_map(|name| import(name)))
}

fn export(exports: &[String]) -> Option<String> {
    let wanted = format!("{PACKAGE}/ipam@{VERSION}");
    let other = exports.iter().find(|name| name.starts_with(&format!("{PACKAGE}/ipam@")));
    match other {
        Some(name) if same_track(name, &wanted) => None,
        Some(name) => Some(format!("it exports {name}; this executable offers {wanted}")),
        None if exports.is_empty() => {
            Some(format!("it exports nothing; an IPAM plugin exports {wanted}"))
        }
        None => Some(format!("it exports {}; an IPAM plugin exports {wanted}", exports.join(", "))),
    }
}

fn import(name: &str) -> Option<String> {
    let known = |interface: &&str| same_track(name, &format!("{PACKAGE}/{interface}@{VERSION}"));
    if IMPORTS.iter().any(known) {
        return None;
    }
    Some(if name.starts_with("wasi:") {
        format!("it imports {name}; this executable offers no WASI to IPAM plugins")
    } else {
        let offered = IMPORTS[1..].join(", ");
        format!("it imports {name}; this executable offers {offered} of {PACKAGE}@{VERSION}")
    })
}

/// Compatible versions: the same up to the last number, as long as the first is 0.
fn same_track(a: &str, b: &str) -> bool {
    let track = |name: &str| name.rsplit_once('.').map(|(track, _)| track.to_owned());
    track(a).is_some() && track(a) == track(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(imports: &[&str], exports: &[&str]) -> Option<String> {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        difference(&Names { imports: own(imports), exports: own(exports) })
    }

    #[test]
    fn what_fits_has_no_difference() {
        let imports = ["wharfinger:plugin/ledger@0.1.0", "wharfinger:plugin/types@0.1.3"];
        assert_eq!(said(&imports, &["wharfinger:plugin/ipam@0.1.0"]), None);
    }

    #[test]
    fn another_version_names_both() {
        assert_eq!(
            said(&[], &["wharfinger:plugin/ipam@0.2.0"]).unwrap(),
            "it exports wharfinger:plugin/ipam@0.2.0; this executable offers \
             wharfinger:plugin/ipam@0.1.0"
        );
    }

    #[test]
    fn another_world_and_a_strange_import_are_named() {
        let policy = said(&[], &["wharfinger:plugin/policy@0.1.0"]).unwrap();
        assert!(policy.contains("it exports wharfinger:plugin/policy@0.1.0;"), "{policy}");
        let wasi = said(&["wasi:cli/stdout@0.2.6"], &["wharfinger:plugin/ipam@0.1.0"]).unwrap();
        assert!(wasi.starts_with("it imports wasi:cli/stdout@0.2.6;"), "{wasi}");
    }
}
