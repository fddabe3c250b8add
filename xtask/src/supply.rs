//! `cargo xtask lint`, as to what others wrote: licences, where it comes from, crates that are there in
//! two versions, known vulnerabilities. What is allowed stands in `deny.toml`, which cargo-deny reads too.
//!
//! Advisories come from a list in the repository, since a build fetches nothing but crates:
//! `cargo xtask advisories FOLDER` makes it anew out of a checkout of RustSec's database.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use semver::{Version, VersionReq};
use serde_json::Value;

use crate::build::guests;
use crate::command::{capture, cargo, must, program, say, text, workspace};

/// The list, below the checkout.
const ADVISORIES: &str = "xtask/advisories.tsv";

/// Of cargo-deny, which builds for minutes and so is run by `--long` alone.
const CARGO_DENY: &str = "0.20.2";

/// A crate in one version.
pub(crate) type Crate = (String, String);

/// Checks the workspace and every crate with a lock file of its own; names all that is wrong.
pub(crate) fn check() -> Result<()> {
    let rules = toml(&workspace().join("deny.toml"))?;
    let advisories = known()?;
    let mut wrong = BTreeSet::new();
    let mut locked = BTreeSet::new();
    let mut licences = BTreeMap::new();
    for folder in guests().into_iter().chain([workspace()]) {
        let lock = toml(&folder.join("Cargo.lock"))?;
        wrong.extend(foreign(&lock, &rules));
        locked.extend(crates(&lock));
        licences.extend(licensed(&metadata(&folder)?));
    }
    wrong.extend(unlicensed(&licences, &rules));
    wrong.extend(vulnerable(&locked, &advisories, &rules));
    wrong.extend(doubled(&compiled(&words(&rules, "/graph/targets"))?, &rules));
    if wrong.is_empty() {
        say(&format!("{} crates, {} advisories", locked.len(), advisories.len()));
        return Ok(());
    }
    bail!("deny.toml:\n{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

/// The same by cargo-deny itself, installed where it is lacking.
pub(crate) fn cargo_deny() -> Result<()> {
    let root = workspace().join("target/tools/cargo-deny");
    let deny = root.join("bin/cargo-deny");
    let version = capture(program("env").arg(&deny).arg("--version"))?.stdout;
    if !String::from_utf8_lossy(&version).contains(CARGO_DENY) {
        let install = "install --quiet --locked --debug --no-default-features cargo-deny --version";
        must(cargo(install).arg(CARGO_DENY).arg("--root").arg(&root))?;
    }
    must(program("env").arg(&deny).args(["check", "licenses", "bans", "sources"]))
}

/// `cargo xtask advisories FOLDER`.
pub(crate) fn take_advisories(words: &[String]) -> Result<()> {
    let [folder] = words else { bail!("usage: cargo xtask advisories FOLDER") };
    let folder = Path::new(folder);
    let last = text(program("git log -1 --format=%h,%cs").current_dir(folder))?;
    let mut lines = Vec::new();
    for of_crate in entries(&folder.join("crates"))? {
        for file in entries(&of_crate)? {
            let text = fs::read_to_string(&file)?;
            lines.extend(line(&text).with_context(|| file.display().to_string())?);
        }
    }
    lines.sort();
    let head = format!(
        "# Of RustSec's database, commit and day {}; by `cargo xtask advisories FOLDER`.\n\
         # Advisory, crate, kind, versions that it does not concern.\n",
        last.trim()
    );
    fs::write(workspace().join(ADVISORIES), head + &lines.concat())?;
    say(&format!("{ADVISORIES}: {} advisories", lines.len()));
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// A file of RustSec's database as a line of ours, unless it was withdrawn.
fn line(text: &str) -> Result<Option<String>> {
    let front = text.split("```").nth(1).and_then(|part| part.strip_prefix("toml"));
    let front: Value = toml::from_str(front.context("no part in TOML")?)?;
    let about = |key: &str| front.pointer("/advisory").and_then(|about| about.get(key));
    let word = |key: &str| about(key).and_then(Value::as_str);
    if about("withdrawn").is_some() {
        return Ok(None);
    }
    let (id, name) = (word("id").context("no id")?, word("package").context("no package")?);
    let kind = word("informational").unwrap_or("vulnerability");
    let mut fine = words(&front, "/versions/patched");
    fine.extend(words(&front, "/versions/unaffected"));
    Ok(Some(format!("{id}\t{name}\t{kind}\t{}\n", fine.join(" | "))))
}

/// An advisory of the list.
struct Advisory {
    id: String,
    name: String,
    kind: String,
    /// Versions that it does not concern.
    fine: Vec<VersionReq>,
}

fn known() -> Result<Vec<Advisory>> {
    let text = fs::read_to_string(workspace().join(ADVISORIES)).context(ADVISORIES)?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| advisory(line).with_context(|| format!("{ADVISORIES}: {line}"))).collect()
}

fn advisory(line: &str) -> Result<Advisory> {
    let mut parts = line.split('\t').map(str::to_owned);
    let mut column = || parts.next().context("four columns");
    let (id, name, kind, fine) = (column()?, column()?, column()?, column()?);
    let ranges = fine.split(" | ").filter(|range| !range.is_empty());
    let fine = ranges.map(VersionReq::parse).collect::<Result<_, _>>()?;
    Ok(Advisory { id, name, kind, fine })
}

/// What an advisory concerns.
fn vulnerable(locked: &BTreeSet<Crate>, advisories: &[Advisory], rules: &Value) -> Vec<String> {
    let ignored = named(rules, "/advisories/ignore", "id");
    let mut wrong = Vec::new();
    for advisory in advisories.iter().filter(|advisory| !ignored.contains(&advisory.id.as_str())) {
        for (name, version) in locked.iter().filter(|(name, _)| *name == advisory.name) {
            // What is no version is told too: nothing says that it is not concerned.
            let version = Version::parse(version);
            let fine = |version| advisory.fine.iter().any(|range| range.matches(version));
            if !version.as_ref().is_ok_and(fine) {
                let version =
                    version.map_or_else(|_| "?".to_owned(), |version| version.to_string());
                let Advisory { id, kind, .. } = advisory;
                wrong.push(format!("{name} {version}: {id} ({kind})"));
            }
        }
    }
    wrong
}

/// What comes from elsewhere than the registries that are allowed.
fn foreign(lock: &Value, rules: &Value) -> Vec<String> {
    let allowed = words(rules, "/sources/allow-registry");
    let is_allowed = |source: &str| {
        source.strip_prefix("registry+").is_some_and(|registry| allowed.contains(&registry))
    };
    let sources = packages(lock, "/package").filter_map(|package| {
        let source = package.get("source")?.as_str()?;
        (!is_allowed(source)).then(|| format!("{}: from {source}", word(package, "name")))
    });
    sources.collect()
}

/// Licences that cannot be met by what is allowed.
fn unlicensed(licences: &BTreeMap<Crate, String>, rules: &Value) -> Vec<String> {
    let allowed = words(rules, "/licenses/allow");
    let wrong = licences.iter().filter(|(_, licence)| !satisfied(licence, &allowed));
    wrong.map(|((name, version), licence)| format!("{name} {version}: {licence:?}")).collect()
}

/// Crates in two versions that are not listed, and what is listed in vain.
fn doubled(shipped: &BTreeSet<Crate>, rules: &Value) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in shipped {
        versions.entry(name).or_default().push(version);
    }
    let excused = named(rules, "/bans/skip", "crate");
    let mut wrong = Vec::new();
    for (name, versions) in versions {
        let of_list = |version: &&&str| excused.contains(&format!("{name}@{version}").as_str());
        let listed = versions.iter().filter(of_list).count();
        match versions.len() - listed {
            0 | 1 if listed == versions.len() - 1 => {}
            _ if versions.len() == 1 => wrong.push(format!("{name}: skipped, and there once")),
            _ => wrong.push(format!("{name}: {} (all but one to be skipped)", versions.join(", "))),
        }
    }
    let there =
        |skip: &str| shipped.iter().any(|(name, version)| skip == format!("{name}@{version}"));
    let gone = excused.into_iter().filter(|skip| !there(skip));
    wrong.extend(gone.map(|skip| format!("{skip}: skipped, and not there")));
    wrong
}

/// Whether an expression of SPDX can be met by allowed licences. `/` is the old way to write OR.
fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest, allowed) == Some(true) && rest.is_empty()
}

/// `all OR all ...`. Nothing where it cannot be read.
fn either(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut met = both(rest, allowed)?;
    while let Some(after) = rest.strip_prefix(&["OR"]) {
        *rest = after;
        met |= both(rest, allowed)?;
    }
    Some(met)
}

/// `one AND one ...`.
fn both(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut met = one(rest, allowed)?;
    while let Some(after) = rest.strip_prefix(&["AND"]) {
        *rest = after;
        met &= one(rest, allowed)?;
    }
    Some(met)
}

/// A licence, one with an exception, or an expression in parentheses.
fn one(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    if let Some(after) = rest.strip_prefix(&["("]) {
        *rest = after;
        let met = either(rest, allowed)?;
        *rest = rest.strip_prefix(&[")"])?;
        return Some(met);
    }
    if let [licence, "WITH", exception, after @ ..] = rest {
        let whole = format!("{licence} WITH {exception}");
        *rest = after;
        return Some(allowed.contains(&whole.as_str()));
    }
    let (licence, after) = rest.split_first()?;
    *rest = after;
    Some(allowed.contains(licence))
}

/// What cargo says of a folder's crates.
pub(crate) fn metadata(folder: &Path) -> Result<Value> {
    let mut command = cargo("metadata --format-version 1 --locked --quiet --manifest-path");
    command.arg(folder.join("Cargo.toml"));
    Ok(serde_json::from_str(&text(&mut command)?)?)
}

/// The crates that are compiled for these targets. Of a lock file's, some never are.
fn compiled(targets: &[&str]) -> Result<BTreeSet<Crate>> {
    let mut found = BTreeSet::new();
    for target in targets {
        let mut tree = cargo("tree --workspace --locked --quiet --prefix none --target");
        found.extend(text(tree.arg(target))?.lines().filter_map(of_tree));
    }
    Ok(found)
}

/// `NAME vVERSION (...)`.
pub(crate) fn of_tree(line: &str) -> Option<Crate> {
    let mut words = line.split(' ');
    let name = words.next()?.to_owned();
    Some((name, words.next()?.strip_prefix('v')?.to_owned()))
}

/// The licence of each crate of others, as cargo tells it: what has none has an empty one.
pub(crate) fn licensed(metadata: &Value) -> BTreeMap<Crate, String> {
    let foreign = |package: &&Value| package.get("source").is_some_and(Value::is_string);
    let packages = packages(metadata, "/packages").filter(foreign);
    let of_one = |package: &Value| (named_crate(package), word(package, "license").to_owned());
    packages.map(of_one).collect()
}

fn crates(lock: &Value) -> BTreeSet<Crate> {
    packages(lock, "/package").map(named_crate).collect()
}

fn named_crate(package: &Value) -> Crate {
    (word(package, "name").to_owned(), word(package, "version").to_owned())
}

pub(crate) fn packages<'a>(from: &'a Value, place: &str) -> impl Iterator<Item = &'a Value> {
    from.pointer(place).and_then(Value::as_array).into_iter().flatten()
}

pub(crate) fn word<'a>(from: &'a Value, key: &str) -> &'a str {
    from.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A list of words.
fn words<'a>(from: &'a Value, place: &str) -> Vec<&'a str> {
    packages(from, place).filter_map(Value::as_str).collect()
}

/// What each entry of a list has under a key.
fn named<'a>(from: &'a Value, place: &str, key: &str) -> Vec<&'a str> {
    packages(from, place).map(|entry| word(entry, key)).collect()
}

pub(crate) fn toml(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn licences_are_met_by_what_is_allowed() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
        let met = |expression| satisfied(expression, &allowed);
        for fine in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "MIT / GPL-2.0",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "GPL-2.0 OR MIT AND Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(met(fine), "{fine}");
        }
        for wrong in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND GPL-3.0",
            "MIT WITH LLVM-exception",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT MIT",
        ] {
            assert!(!met(wrong), "{wrong}");
        }
    }

    #[test]
    fn two_versions_are_told_and_so_is_what_is_listed_in_vain() {
        let shipped = |pairs: &[(&str, &str)]| -> BTreeSet<Crate> {
            pairs.iter().map(|(name, version)| ((*name).into(), (*version).into())).collect()
        };
        let rules = |skip: &[&str]| {
            let skip: Vec<_> = skip.iter().map(|skip| json!({"crate": skip})).collect();
            json!({"bans": {"skip": skip}})
        };
        let twice = shipped(&[("a", "1.0.0"), ("a", "2.0.0"), ("b", "1.0.0")]);
        assert_eq!(doubled(&twice, &rules(&[])).len(), 1);
        assert!(doubled(&twice, &rules(&["a@1.0.0"])).is_empty());
        assert_eq!(doubled(&twice, &rules(&["a@1.0.0", "a@2.0.0"])).len(), 1);
        assert_eq!(doubled(&twice, &rules(&["a@1.0.0", "b@1.0.0"])).len(), 1);
        assert_eq!(doubled(&twice, &rules(&["a@1.0.0", "c@1.0.0"])).len(), 1);
    }

    #[test]
    fn what_comes_from_elsewhere_is_told() {
        let rules = json!({"sources": {"allow-registry": ["https://index"]}});
        let lock =
            |source: &str| json!({"package": [{"name": "a", "source": source}, {"name": "b"}]});
        assert!(foreign(&lock("registry+https://index"), &rules).is_empty());
        for source in ["git+https://index", "registry+https://other", "https://index"] {
            assert_eq!(foreign(&lock(source), &rules), [format!("a: from {source}")]);
        }
    }

    #[test]
    fn advisories_concern_versions() -> Result<()> {
        let file = "```toml\n[advisory]\nid = \"RUSTSEC-1\"\npackage = \"a\"\n[versions]\n\
                    patched = [\">= 1.2.3, < 2.0.0\", \">= 2.1.0-alpha.2\"]\nunaffected = [\"< 1.0.0\"]\n```\n# A";
        let told = advisory(line(file)?.context("one line")?.trim_end())?;
        let withdrawn = file.replace("package", "withdrawn = \"2020-01-01\"\npackage");
        assert_eq!(line(&withdrawn)?, None);
        let concerned = |version: &str, rules: &Value| {
            let locked = BTreeSet::from([("a".to_owned(), version.to_owned())]);
            !vulnerable(&locked, std::slice::from_ref(&told), rules).is_empty()
        };
        let rules = json!({});
        for version in ["1.0.0", "1.2.2", "2.0.0", "2.1.0-alpha.1", "nonsense"] {
            assert!(concerned(version, &rules), "{version}");
        }
        for version in ["0.9.0", "1.2.3", "2.1.0-alpha.2", "3.0.0"] {
            assert!(!concerned(version, &rules), "{version}");
        }
        assert!(!concerned("1.0.0", &json!({"advisories": {"ignore": [{"id": "RUSTSEC-1"}]}})));
        Ok(())
    }
}
