//! What is inside the release: each crate of others by name, version, licence and checksum, as CycloneDX
//! (JSON, 1.5).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::build::{BUILT_IN, WASM};
use crate::command::{cargo, text, workspace};
use crate::supply::{Crate, licensed, metadata, of_tree, packages, toml, word};

/// The document.
pub(super) fn of(version: &str, target: &str, epoch: u64) -> Result<String> {
    let mut components = BTreeMap::new();
    let host = workspace();
    components.extend(inside(&host, target, &["--package", "wharfinger"])?);
    for plugin in BUILT_IN {
        components.extend(inside(&host.join("plugins-wasm").join(plugin), WASM, &[])?);
    }
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "properties": [{ "name": "SOURCE_DATE_EPOCH", "value": epoch.to_string() }],
            "component": {
                "type": "application", "name": "wharfinger", "version": version,
                "licenses": [{ "expression": "Apache-2.0 OR MIT" }]
            }
        },
        "components": components.into_values().collect::<Vec<_>>()
    });
    Ok(format!("{document:#}\n"))
}

/// The crates of others that are compiled for a package.
fn inside(
    folder: &std::path::Path,
    target: &str,
    which: &[&str],
) -> Result<BTreeMap<Crate, Value>> {
    let mut tree = cargo("tree --locked --quiet --prefix none --edges normal,build --target");
    tree.arg(target).args(which).arg("--manifest-path").arg(folder.join("Cargo.toml"));
    let licences = licensed(&metadata(folder)?);
    let lock = toml(&folder.join("Cargo.lock"))?;
    let of_lock = |package: &Value| {
        let name = (word(package, "name").to_owned(), word(package, "version").to_owned());
        (name, word(package, "checksum").to_owned())
    };
    let sums: BTreeMap<Crate, String> = packages(&lock, "/package").map(of_lock).collect();
    let mut found = BTreeMap::new();
    for of_one in text(&mut tree)?.lines().filter_map(of_tree) {
        // Ours have none.
        let Some(licence) = licences.get(&of_one) else { continue };
        let sum =
            sums.get(&of_one).with_context(|| format!("{} is not in the lock file", of_one.0))?;
        let (name, version) = &of_one;
        let component = json!({
            "type": "library", "name": name, "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
            "licenses": [{ "expression": licence.replace(" / ", " OR ").replace('/', " OR ") }],
            "hashes": [{ "alg": "SHA-256", "content": sum }]
        });
        found.insert(of_one, component);
    }
    Ok(found)
}
