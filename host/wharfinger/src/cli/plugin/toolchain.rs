//! A project of a plugin: in which language it is, told by the file that marks it, and the commands
//! of that language that build and test it. They work alone too; nothing else is known here.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

/// Names this executable to the commands: `plugin component` is the last step of some.
const WHARFINGER: &str = "WHARFINGER";

/// How projects of one language are built.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Toolchain {
    pub(super) language: &'static str,
    /// The file that a project of it has.
    marker: &'static str,
    /// Leaves dist/NAME.wasm; empty where `plugin build` knows more.
    build: &'static [&'static str],
    test: &'static [&'static str],
    /// Where its first command comes from.
    program: &'static str,
    /// What brings the project its SDK and tools, where building does not.
    pub(super) prepare: Option<&'static str>,
}

pub(super) const RUST: Toolchain = Toolchain {
    language: "Rust",
    marker: "Cargo.toml",
    build: &[],
    test: &["cargo", "test"],
    program: "https://rustup.rs",
    prepare: None,
};

/// Every one, by whose marker others are not met.
const ALL: [Toolchain; 5] = [
    RUST,
    Toolchain {
        language: "Go",
        marker: "go.mod",
        build: &["go", "tool", "wharfinger-build"],
        test: &["go", "test", "./..."],
        program: "https://go.dev/dl, version 1.25 or newer",
        prepare: None,
    },
    Toolchain {
        language: "JavaScript",
        marker: "package.json",
        build: &["npm", "run", "build"],
        test: &["npm", "test"],
        program: "https://nodejs.org, version 20 or newer",
        prepare: Some("npm ci"),
    },
    Toolchain {
        language: "Python",
        marker: "pyproject.toml",
        build: &["python3", "-m", "wharfinger_sdk", "build"],
        test: &["python3", "-m", "unittest"],
        program: "https://www.python.org, version 3.11 or newer",
        prepare: Some("python3 -m venv .venv && .venv/bin/pip install ./sdk"),
    },
    Toolchain {
        language: "C",
        marker: "Makefile",
        build: &["make"],
        test: &["make", "test"],
        program: "apt-get install make",
        prepare: None,
    },
];

impl Toolchain {
    /// Of the project in this folder.
    pub(super) fn of(folder: &Path) -> Result<&'static Self> {
        const KNOWN: &[Toolchain] = &ALL;
        let is_there = |toolchain: &&Self| folder.join(toolchain.marker).is_file();
        KNOWN.iter().find(is_there).with_context(|| {
            let markers: Vec<&str> = KNOWN.iter().map(|known| known.marker).collect();
            format!(
                "no project of a plugin in {}: it would have one of {}; stand in one, or make one \
                 with wharfinger plugin new",
                folder.display(),
                markers.join(", ")
            )
        })
    }

    pub(super) fn is_rust(&self) -> bool {
        self.build.is_empty()
    }

    pub(super) fn build(&self, folder: &Path) -> Result<()> {
        self.run(folder, self.build)
    }

    pub(super) fn test(&self, folder: &Path) -> Result<()> {
        self.run(folder, self.test)
    }

    /// Runs a command in the project. What it says is for people, and our standard output for what
    /// comes of it.
    fn run(&self, folder: &Path, words: &[&str]) -> Result<()> {
        let mut command = self.command(folder, words)?;
        command.stdin(Stdio::null()).stdout(stderr()?);
        let shown = words.join(" ");
        let status = command.status().map_err(|error| self.not_there(words, &error))?;
        if !status.success() {
            let prepare = self.prepare.map(|command| {
                format!("; what it needs beside {} is brought by: {command}", self.language)
            });
            let prepare = prepare.unwrap_or_default();
            bail!("{shown} in {} failed: it says why above{prepare}", folder.display());
        }
        Ok(())
    }

    fn command(&self, folder: &Path, words: &[&str]) -> Result<Command> {
        let [program, arguments @ ..] = words else { bail!("{} has no command", self.language) };
        let mut command = Command::new(own(folder, program)?);
        command.args(arguments).current_dir(folder);
        if let Ok(executable) = std::env::current_exe() {
            command.env(WHARFINGER, executable);
        }
        Ok(command)
    }

    fn not_there(&self, words: &[&str], error: &io::Error) -> anyhow::Error {
        let program = words.first().unwrap_or(&"");
        anyhow!(
            "run {program}: {error}: is {} installed, and in PATH? ({})",
            self.language,
            self.program
        )
    }
}

/// A project's own Python, in its virtual environment, where it has one: with the SDK in it.
fn own(folder: &Path, program: &str) -> Result<PathBuf> {
    let places = [".venv/bin", "venv/bin"].map(|place| folder.join(place).join(program));
    match places.into_iter().find(|place| place.is_file()) {
        // The command runs in the folder.
        Some(own) => std::path::absolute(&own).with_context(|| format!("find {}", own.display())),
        None => Ok(PathBuf::from(program)),
    }
}

fn stderr() -> Result<Stdio> {
    Ok(io::stderr().as_fd().try_clone_to_owned().context("copy standard error")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_project_is_of_the_language_whose_file_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let error = Toolchain::of(dir.path()).unwrap_err().to_string();
        assert!(error.contains("go.mod") && error.contains("plugin new"), "{error}");
        // Many projects have one, for what else they do.
        fs::write(dir.path().join("Makefile"), "").unwrap();
        assert_eq!(Toolchain::of(dir.path()).unwrap().language, "C");
        for toolchain in ALL.iter().rev() {
            fs::write(dir.path().join(toolchain.marker), "").unwrap();
            assert_eq!(Toolchain::of(dir.path()).unwrap(), toolchain);
        }
    }

    #[test]
    fn what_is_missing_is_named_with_where_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let fails = Toolchain { build: &["false"], ..ALL[2] };
        let error = fails.build(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("is brought by: npm ci"), "{error}");
        let none = Toolchain { build: &["wharfinger-no-such-tool"], ..ALL[1] };
        let error = none.build(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is Go installed") && error.contains("https://go.dev"), "{error}");
    }

    #[test]
    fn a_virtual_environment_of_the_projects_own_is_used() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(own(dir.path(), "python3").unwrap(), Path::new("python3"));
        fs::create_dir_all(dir.path().join("venv/bin")).unwrap();
        fs::write(dir.path().join("venv/bin/python3"), "").unwrap();
        assert_eq!(own(dir.path(), "python3").unwrap(), dir.path().join("venv/bin/python3"));
    }
}
