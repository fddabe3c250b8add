//! `wharfinger plugin new`: a project with the SDK and the contract inside.
//!
//! All of it is in the executable, so that it works away from any checkout, and what is written
//! fits the executable that wrote it. A language's templates are the folders below its `template/`;
//! what lies beside them there is for all of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::candidate::check_name;
use super::toolchain::Toolchain;
use crate::cli::Answer;
use crate::embedded::SDKS;

/// Stands for the plugin's name in templates, as a word.
const PLACEHOLDER: &str = "NAME";
/// Every folder of a `template/` that is a template.
const TEMPLATES: [&str; 4] = ["ipam", "policy", "ts-ipam", "ts-policy"];
/// What a project's Cargo.toml says beyond the template's where it is for the larger profile.
const STD: &str = "
# All of Rust's std, as `wharfinger plugin build` reads it; without it, a system interface is left out.
[package.metadata.wharfinger]
target = \"wasm32-wasip2\"
";

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The plugin's name: small letters, digits and '-'
    name: String,
    /// What it decides
    #[arg(long, value_enum, default_value_t = Kind::Ipam)]
    kind: Kind,
    /// What it is written in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// Rust: for wasm32-wasip2, where all of std works
    #[arg(long)]
    std: bool,
    /// The project's folder, which is made; otherwise one of the plugin's name, here
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Which addresses an attachment gets
    Ipam,
    /// Whether, and how, a container may be attached
    Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Go,
    Python,
    /// JavaScript
    Js,
    /// TypeScript
    Ts,
    C,
}

/// A project's files by their paths.
type Project = BTreeMap<String, Vec<u8>>;

impl New {
    pub(crate) fn run(&self) -> Result<Answer> {
        let folder = self.dir.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        if self.std && self.lang != Language::Rust {
            bail!("--std is a choice of Rust's: leave it out");
        }
        check(&self.name, self.lang)?;
        let mut project = project(&self.name, self.kind, self.lang)?;
        if self.std {
            with_std(&mut project);
        }
        write(&folder, &project)?;
        let prepare = Toolchain::of(&folder)?.prepare;
        let prepare = prepare.map(|command| format!(" && {command}")).unwrap_or_default();
        let folder = folder.display();
        let next = format!("cd {folder}{prepare} && wharfinger plugin test");
        let text = format!(
            "{folder}: a plugin that builds; README.md there says where it decides\nnext: {next}\n"
        );
        Ok(Answer::new(text, json!({ "folder": folder.to_string(), "next": next })))
    }
}

impl Language {
    /// Its folder in `sdk/`.
    fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::Python => "python",
            Self::Js | Self::Ts => "js",
            Self::C => "c",
        }
    }

    /// The folder below `template/`.
    fn template(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Ts, Kind::Ipam) => "ts-ipam",
            (Self::Ts, Kind::Policy) => "ts-policy",
            (_, Kind::Ipam) => "ipam",
            (_, Kind::Policy) => "policy",
        }
    }

    /// Names that something else has, where a plugin would be in its way.
    fn taken(self) -> &'static str {
        match self {
            Self::Rust => "alloc core proc-macro std test",
            // The packages that Go comes with: a module of such a name is not found.
            Self::Go => {
                "archive bufio builtin bytes cmd cmp compress container context crypto database \
                 debug embed encoding errors expvar flag fmt go hash html image index internal io \
                 iter log main maps math mime net os path plugin reflect regexp runtime slices \
                 sort std strconv strings structs sync syscall testing text time unicode unique \
                 unsafe vendor weak"
            }
            Self::Python => "componentize-py pip setuptools wheel",
            Self::Js | Self::Ts => "node-modules",
            // What `make` is told to do, and folders of the project.
            Self::C => "all check clean dist install sdk test",
        }
    }
}

/// Whether a plugin, and a project in this language, may have this name.
fn check(name: &str, lang: Language) -> Result<()> {
    if check_name(name).is_err() || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        bail!("name {name:?}: at most 63 small letters, digits and '-', with a letter first");
    }
    if lang.taken().split(' ').any(|taken| taken == name) || name == "wharfinger-sdk" {
        bail!("name {name:?}: something that comes with the language has it; choose another");
    }
    Ok(())
}

/// The files of a project: the template's, what all templates share, and the SDK.
fn project(name: &str, kind: Kind, lang: Language) -> Result<Project> {
    let (folder, template) = (lang.folder(), lang.template(kind));
    let mut project = Project::new();
    let mut own = Project::new();
    for (_, path, bytes) in SDKS.iter().filter(|(sdk, ..)| *sdk == folder) {
        let Some(path) = path.strip_prefix("template/") else {
            project.insert(format!("sdk/{path}"), bytes.to_vec());
            continue;
        };
        let (files, path) = match path.split_once('/') {
            Some((first, path)) if first == template => (&mut own, path),
            Some((first, _)) if TEMPLATES.contains(&first) => continue,
            _ => (&mut project, path),
        };
        files.insert(named(path, name), filled(bytes, name));
    }
    if own.is_empty() {
        bail!("this executable has no template for {lang:?}: it was built without sdk/{folder}");
    }
    project.extend(own);
    Ok(project)
}

/// A template's file with the plugin's name in place of the word that stands for it.
fn filled(bytes: &[u8], name: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => named(text, name).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

fn named(text: &str, name: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(PLACEHOLDER) {
        // Not within a longer word, "NAMESPACE".
        let word = !before.ends_with(part) && !after.starts_with(part);
        out.push_str(before);
        out.push_str(if word { name } else { PLACEHOLDER });
        rest = after;
    }
    out + rest
}

/// Makes a project in Rust one with all of std.
fn with_std(project: &mut Project) {
    if let Some(manifest) = project.get_mut("Cargo.toml") {
        manifest.extend_from_slice(STD.as_bytes());
    }
    if let Some(readme) = project.get_mut("README.md") {
        *readme = String::from_utf8_lossy(readme)
            .replace("wasm32-unknown-unknown", "wasm32-wasip2")
            .into_bytes();
    }
}

/// Writes a project into a folder that is new or empty.
fn write(folder: &Path, project: &Project) -> Result<()> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("make the folder {shown}"))?;
    let mut entries = fs::read_dir(folder).with_context(|| format!("read {shown}"))?;
    if entries.next().is_some() {
        bail!("{shown} is not empty: name another folder with --dir");
    }
    for (path, bytes) in project {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(kind: Kind, lang: Language) -> Project {
        project("my-plugin", kind, lang).unwrap()
    }

    fn text<'a>(project: &'a Project, path: &str) -> &'a str {
        std::str::from_utf8(project.get(path).unwrap_or_else(|| panic!("{path}"))).unwrap()
    }

    #[test]
    fn a_project_has_its_name_and_all_it_needs() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("made/here");
        write(&folder, &project("my-ipam", Kind::Ipam, Language::Rust).unwrap()).unwrap();
        let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
        assert!(read("Cargo.toml").contains("name = \"my-ipam\""));
        assert!(read("Cargo.lock").contains("name = \"my-ipam\""));
        assert!(read("README.md").starts_with("# my-ipam\n"));
        assert!(read(".gitignore").contains("/dist"));
        assert!(read("sdk/wit/plugin/ipam.wit").contains("world ipam-plugin"));
        assert!(read("sdk/src/lib.rs").contains("macro_rules! export_ipam"));
    }

    #[test]
    fn every_language_that_is_here_has_both_templates() {
        for lang in Language::value_variants() {
            if !SDKS.iter().any(|(sdk, ..)| *sdk == lang.folder()) {
                continue;
            }
            for kind in [Kind::Ipam, Kind::Policy] {
                let project = made(kind, *lang);
                assert!(text(&project, "README.md").contains("my-plugin"), "{lang:?}");
                assert!(project.contains_key("config.json"), "{lang:?}");
                assert!(project.keys().any(|path| path.starts_with("sdk/")), "{lang:?}");
                let strays = ["target/", "node_modules/", "/template/", "sdk/examples/", ".pyc"];
                let stray = |path: &&String| strays.iter().any(|stray| path.contains(stray));
                assert_eq!(project.keys().find(stray), None, "{lang:?}");
            }
        }
    }

    #[test]
    fn a_kind_has_its_own_files_and_those_that_are_shared() {
        let (ipam, policy) = (made(Kind::Ipam, Language::Rust), made(Kind::Policy, Language::Rust));
        assert!(text(&ipam, "src/lib.rs").contains("export_ipam!"));
        assert!(text(&policy, "src/lib.rs").contains("export_policy!"));
        assert_eq!(ipam.get("sdk/src/lib.rs"), policy.get("sdk/src/lib.rs"));
        assert!(!ipam.keys().any(|path| path.starts_with("ipam") || path.starts_with("policy")));
    }

    #[test]
    fn a_project_with_std_says_so_to_its_build() {
        let mut project = made(Kind::Ipam, Language::Rust);
        with_std(&mut project);
        assert!(text(&project, "Cargo.toml").ends_with("target = \"wasm32-wasip2\"\n"));
        assert!(!text(&project, "README.md").contains("wasm32-unknown-unknown"));
    }

    #[test]
    fn the_name_stands_for_a_word() {
        assert_eq!(named("NAME, dist/NAME.wasm", "x"), "x, dist/x.wasm");
        assert_eq!(named("NAMESPACE POD_NAME NAME2", "x"), "NAMESPACE POD_NAME NAME2");
        assert_eq!(filled(b"NAME\xff", "x"), b"NAME\xff");
    }

    #[test]
    fn nothing_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine"), "").unwrap();
        let error = write(dir.path(), &made(Kind::Policy, Language::Rust)).unwrap_err();
        assert!(error.to_string().contains("is not empty"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_are_those_that_the_language_allows() {
        for good in ["a", "my-ipam", "ipam2", "net"] {
            check(good, Language::Rust).unwrap();
        }
        for bad in ["", "-a", "a-", "A", "a_b", "2a", "a/b", "core", &"a".repeat(64)] {
            assert!(check(bad, Language::Rust).is_err(), "{bad}");
        }
        check("core", Language::Go).unwrap();
        assert!(check("net", Language::Go).is_err());
        for lang in Language::value_variants() {
            assert!(check("wharfinger-sdk", *lang).is_err());
        }
    }
}
