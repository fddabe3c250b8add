//! `wharfinger plugin new`: a project with the SDK and the contract inside.
//!
//! All of it is in the executable, so that it works away from any checkout, and what is written
//! fits the executable that wrote it.

mod files;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::cli::print;

/// Stands for the plugin's name in templates.
const PLACEHOLDER: &str = "NAME";
/// Names that Rust's own libraries have.
const RUSTS: [&str; 5] = ["alloc", "core", "proc-macro", "std", "test"];

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
}

impl New {
    pub(crate) fn run(&self) -> Result<u8> {
        let folder = self.dir.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        check(&self.name)?;
        write(&folder, &project(&self.name, self.kind, self.lang))?;
        let folder = folder.display();
        print(&format!(
            "{folder}: a plugin that builds; what it decides is in src/lib.rs\n\
             next: cd {folder} && cargo test && wharfinger plugin build\n"
        ))
    }
}

/// Whether a plugin and a crate may have this name.
fn check(name: &str) -> Result<()> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(letters)
        && !name.ends_with('-')
        && name.len() <= 64;
    if !good {
        bail!("name {name:?}: 1 to 64 small letters, digits and '-', with a letter first");
    }
    if RUSTS.contains(&name) {
        bail!("name {name:?}: a library of Rust has it; choose another");
    }
    Ok(())
}

/// Paths below the project's folder, and what each file holds.
fn project(name: &str, kind: Kind, lang: Language) -> Vec<(String, String)> {
    match lang {
        Language::Rust => rust(name, kind),
    }
}

fn rust(name: &str, kind: Kind) -> Vec<(String, String)> {
    let template = match kind {
        Kind::Ipam => files::IPAM,
        Kind::Policy => files::POLICY,
    };
    let named = |(path, text): &(&str, &str)| ((*path).to_owned(), text.replace(PLACEHOLDER, name));
    let sdk = |(path, text): &(&str, &str)| (format!("sdk/{path}"), (*text).to_owned());
    template.iter().chain(files::SHARED).map(named).chain(files::SDK.iter().map(sdk)).collect()
}

/// Writes a project into a folder that is new or empty.
fn write(folder: &Path, project: &[(String, String)]) -> Result<()> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("make the folder {shown}"))?;
    let mut entries = fs::read_dir(folder).with_context(|| format!("read {shown}"))?;
    if entries.next().is_some() {
        bail!("{shown} is not empty: name another folder with --dir");
    }
    for (path, text) in project {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdk() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/rust")
    }

    /// The files below a folder by their paths; links are followed.
    fn below(folder: &Path, path: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder.join(path)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            if folder.join(&path).is_dir() {
                below(folder, &path, found);
            } else {
                found.push(path);
            }
        }
    }

    fn paths(list: &[(&str, &str)]) -> Vec<String> {
        let mut paths: Vec<String> = list.iter().map(|(path, _)| (*path).to_owned()).collect();
        paths.sort();
        paths
    }

    #[test]
    fn no_file_of_the_sdk_or_of_a_template_is_forgotten() {
        let mut found = vec!["Cargo.toml".to_owned()];
        below(&sdk(), "src", &mut found);
        below(&sdk(), "wit", &mut found);
        found.sort();
        assert_eq!(paths(files::SDK), found);
        for (kind, list) in [("ipam", files::IPAM), ("policy", files::POLICY)] {
            let mut found = Vec::new();
            below(&sdk().join("template").join(kind), "", &mut found);
            found.retain(|path| !path.starts_with("target/") && path != "Cargo.lock");
            found.sort();
            assert_eq!(paths(list), found);
        }
    }

    #[test]
    fn a_project_has_its_name_and_all_it_needs() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("made/here");
        write(&folder, &project("my-ipam", Kind::Ipam, Language::Rust)).unwrap();
        let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
        assert!(read("Cargo.toml").contains("name = \"my-ipam\""));
        assert!(read("Cargo.lock").contains("name = \"my-ipam\""));
        assert!(read("README.md").starts_with("# my-ipam\n"));
        assert!(read("sdk/wit/plugin/ipam.wit").contains("world ipam-plugin"));
        assert!(read("sdk/src/lib.rs").contains("macro_rules! export_ipam"));
    }

    #[test]
    fn nothing_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine"), "").unwrap();
        let project = project("x", Kind::Policy, Language::Rust);
        let error = write(dir.path(), &project).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_are_those_of_crates() {
        for good in ["a", "my-ipam", "ipam2"] {
            check(good).unwrap();
        }
        for bad in ["", "-a", "a-", "A", "a_b", "2a", "a/b", "core", &"a".repeat(65)] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
