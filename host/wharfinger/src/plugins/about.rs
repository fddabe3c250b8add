//! A component in an operator's words: what it is, what it may do, what it would need.

use std::fmt::Write;

use serde_json::{Value, json};
use wharfinger_wasm::cache::Pin;
use wharfinger_wasm::{Description, Import, World};

use crate::settings::Plugins;

/// Above this, its size is worth a word: compiling takes seconds, and each ADD reads more.
const LARGE: u64 = 4 << 20;

/// A world as `wit/` names it.
pub(crate) fn world(world: Option<World>) -> &'static str {
    match world {
        Some(World::Ipam) => "ipam-plugin",
        Some(World::Policy) => "policy-plugin",
        None => "none of ours",
    }
}

/// What the lock file says of a component.
pub(crate) fn pin(about: &Description) -> Result<Pin, String> {
    let digest = about.digest.clone().try_into()?;
    Ok(Pin {
        digest,
        size: about.size,
        world: world(about.world).to_owned(),
        version: about.version.clone().unwrap_or_default(),
        imports: about.imports.iter().map(|import| import.name.clone()).collect(),
        replaced: None,
    })
}

/// All that an operator may want to know.
pub(crate) fn text(about: &Description) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "{key:<12} {value}");
    };
    line("world", world(about.world));
    line("contract", &contract(about));
    line("digest", &about.digest);
    line("size", &size(about.size));
    let metadata = &about.metadata;
    for (key, value) in [
        ("name", &metadata.name),
        ("version", &metadata.version),
        ("description", &metadata.description),
        ("authors", &metadata.authors),
        ("licenses", &metadata.licenses),
        ("source", &metadata.source),
    ] {
        if let Some(value) = value {
            line(key, &format!("{value} (says the component)"));
        }
    }
    if !metadata.producers.is_empty() {
        // A language has no version.
        let made = |(_, name, version): &(String, String, String)| {
            format!("{name} {version}").trim_end().to_owned()
        };
        let made: Vec<String> = metadata.producers.iter().map(made).collect();
        line("made with", &made.join(", "));
    }
    text + &imports(&about.imports)
}

/// Which executables can run it.
fn contract(about: &Description) -> String {
    match (&about.version, &about.misfit) {
        (Some(version), None) => {
            let own = env!("CARGO_PKG_VERSION");
            format!(
                "{version}: every wharfinger since this contract runs it; this one, {own}, does"
            )
        }
        (Some(version), Some(what)) => format!("{version}: does not run here: {what}"),
        (None, what) => format!("none: {}", what.as_deref().unwrap_or("it exports no plugin")),
    }
}

fn imports(imports: &[Import]) -> String {
    if imports.is_empty() {
        return "imports      nothing\n".to_owned();
    }
    let mut text = String::from("imports\n");
    for import in imports {
        let _ = writeln!(text, "  {}: {}", import.name, import.meaning);
    }
    text
}

/// What it would need granted: the lines of the node's TOML file. By name, once it has one.
pub(crate) fn needs(about: &Description, name: Option<&str>, settings: &Plugins) -> String {
    let granted = |key: &str| !settings.told(key).is_empty();
    if granted(&about.digest) || name.is_some_and(granted) {
        return String::new();
    }
    let by_digest = format!("\"{}\"", about.digest);
    let lines: Vec<String> = about
        .imports
        .iter()
        .filter_map(|import| import.grant.as_ref())
        .map(|grant| match name {
            Some(name) => grant.replace(&by_digest, name),
            None => grant.clone(),
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "It can ask for what is not granted, and is refused until the node's file grants it (words \
         in capitals are yours to fill in):\n\n{}\n",
        lines.join("\n\n")
    )
}

/// What the node's file grants it; nothing where that is nothing.
pub(crate) fn grants(about: &Description, name: Option<&str>, settings: &Plugins) -> Vec<String> {
    let keys = name.into_iter().chain([about.digest.as_str()]);
    keys.flat_map(|key| settings.told(key)).collect()
}

/// All of that for programs.
pub(crate) fn object(about: &Description, name: Option<&str>, settings: &Plugins) -> Value {
    let needs = needs(about, name, settings);
    // Of plain data.
    let mut value = serde_json::to_value(about).unwrap_or_default();
    value["installed"] = json!(name);
    value["granted"] = json!(grants(about, name, settings));
    value["needs"] = if needs.is_empty() { Value::Null } else { json!(needs) };
    value
}

/// A word on a large one; nothing of others.
pub(crate) fn warning(about: &Description) -> String {
    if about.size <= LARGE {
        return String::new();
    }
    format!(
        "It is large ({}): compiling it takes seconds, once for each release of wharfinger; each \
         call maps several times that.\n",
        size(about.size)
    )
}

/// What is imported now and was not before, whatever the version.
pub(crate) fn new_imports<'a>(before: &Pin, about: &'a Description) -> Vec<&'a Import> {
    let plain = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    let known: Vec<String> = before.imports.iter().map(|name| plain(name)).collect();
    about.imports.iter().filter(|import| !known.contains(&plain(&import.name))).collect()
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        b if b >= 10 << 20 => format!("{} MiB", b >> 20),
        b if b >= 10 << 10 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(imports: &[(&str, Option<&str>)]) -> Description {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let import = |(name, grant): &(&str, Option<&str>)| Import {
            name: (*name).to_owned(),
            functions: vec![],
            meaning: "it may".to_owned(),
            grant: grant.map(|key| format!("[[plugins.\"{digest}\".{key}]]")),
        };
        Description {
            imports: imports.iter().map(import).collect(),
            size: 20 << 20,
            world: Some(World::Ipam),
            version: Some("0.2.0".to_owned()),
            remote: false,
            exports: vec![],
            misfit: None,
            metadata: wharfinger_wasm::Metadata::default(),
            digest,
        }
    }

    #[test]
    fn a_new_import_is_one_of_another_interface() {
        let before = pin(&about(&[("wasi:cli/stdout@0.2.3", None)])).unwrap();
        let now = about(&[("wasi:cli/stdout@0.2.6", None), ("wasi:http/types@0.2.6", None)]);
        let new: Vec<_> = new_imports(&before, &now).iter().map(|i| i.name.as_str()).collect();
        assert_eq!(new, ["wasi:http/types@0.2.6"]);
    }

    #[test]
    fn what_it_needs_is_what_an_operator_writes() {
        let settings = Plugins::default();
        let about = about(&[("wasi:http/outgoing-handler@0.2.6", Some("http")), ("x", None)]);
        assert!(needs(&about, Some("netbox"), &settings).contains("[[plugins.netbox.http]]"));
        assert!(needs(&about, None, &settings).contains("[[plugins.\"sha256:0a"));
        assert!(warning(&about).contains("20 MiB"));
    }
}
