//! `cargo xtask languages`: each language's tools at pinned versions, and its examples as
//! components, at `target/wasm/LANGUAGE-EXAMPLE.wasm`; their unit tests, and those of its SDK.
//!
//! Each example is built by the command that an author of that language uses; what is pinned is
//! pinned where that ecosystem pins (`go.sum`, `package-lock.json`, `Cargo.lock`), or in
//! [`tools`]. A language whose tools cannot be had is said, with the reason, and left out; one
//! whose examples do not build is a failure.

mod tools;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::command::{
    capture, executable, must, program, say, text, two_at_a_time, within, workspace,
};

/// How a language's examples become components.
#[derive(Debug, Clone, Copy)]
enum By {
    /// Cargo, for the target that its Cargo.toml names.
    Cargo,
    /// These words, in the example's folder, which leave `dist/FOLDER.wasm`.
    Words(&'static str),
}

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Language {
    /// As tests and tables name it.
    pub name: &'static str,
    /// Where its examples are.
    folder: &'static str,
    /// Their names.
    pub examples: &'static [&'static str],
    /// What the name of an example's folder ends in.
    suffix: &'static str,
    by: By,
    /// By which words its unit tests run: its examples', and those of the SDK in this folder. Rust's
    /// are with the crates'.
    tests: Option<Tests>,
    tools: fn() -> Result<Tools>,
}

/// How a language tests.
#[derive(Debug, Clone, Copy)]
struct Tests {
    words: &'static str,
    /// Where the SDK's own are.
    sdk: Option<&'static str>,
}

/// What a language's commands have in their environment.
#[derive(Debug, Default)]
struct Tools {
    /// Goes before PATH.
    path: Vec<PathBuf>,
    /// More variables.
    variables: Vec<(&'static str, PathBuf)>,
}

/// The plugins that every language has: address management, a policy, and one that goes wrong.
const EXAMPLES: &[&str] = &["pool", "guard", "planted"];

/// Those of which a language has no more.
const TWO: &[&str] = &["pool", "guard"];

/// All of them, the quickest first.
pub(crate) const ALL: [Language; 8] = [
    Language {
        name: "rust",
        folder: "sdk/rust/examples",
        examples: EXAMPLES,
        suffix: "",
        by: By::Cargo,
        tests: None,
        tools: tools::rust,
    },
    Language {
        name: "rust-std",
        folder: "sdk/rust/examples",
        examples: EXAMPLES,
        suffix: "-std",
        by: By::Cargo,
        tests: None,
        tools: tools::rust,
    },
    Language {
        name: "c",
        folder: "sdk/c/examples",
        examples: EXAMPLES,
        suffix: "",
        by: By::Words("make"),
        tests: Some(Tests { words: "make test", sdk: Some("sdk/c/tests") }),
        tools: tools::c,
    },
    Language {
        name: "zig",
        folder: "tests",
        examples: &["zig"],
        suffix: "",
        by: By::Words("./build dist/zig.wasm"),
        tests: None,
        tools: tools::zig,
    },
    Language {
        name: "js",
        folder: "sdk/js/examples",
        examples: EXAMPLES,
        suffix: "",
        by: By::Words("npm run --silent build"),
        tests: Some(Tests { words: "npm test --silent", sdk: Some("sdk/js") }),
        tools: tools::js,
    },
    Language {
        name: "ts",
        folder: "sdk/js/examples",
        examples: TWO,
        suffix: "-ts",
        by: By::Words("npm run --silent build"),
        tests: Some(Tests { words: "npm test --silent", sdk: None }),
        tools: tools::js,
    },
    Language {
        name: "go",
        folder: "sdk/go/examples",
        examples: EXAMPLES,
        suffix: "",
        by: By::Words("go tool wharfinger-build"),
        tests: Some(Tests { words: "go test ./...", sdk: Some("sdk/go") }),
        tools: tools::go,
    },
    Language {
        name: "python",
        folder: "sdk/python/examples",
        examples: EXAMPLES,
        suffix: "",
        by: By::Words("python3 -m wharfinger_sdk build"),
        tests: Some(Tests { words: "python3 -m unittest", sdk: Some("sdk/python") }),
        tools: tools::python,
    },
];

/// The variables by which a zig is found: of tests, and of what is built for another processor.
pub(crate) fn zig() -> Result<Vec<(&'static str, PathBuf)>> {
    Ok(tools::zig()?.variables)
}

/// What became of a language.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Its examples are there.
    Built,
    /// Its tools cannot be had here.
    Lacking(String),
    /// Its examples do not build.
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Built => f.write_str("built"),
            Self::Lacking(why) => write!(f, "left out: {why}"),
            Self::Failed(why) => write!(f, "FAILED: {why}"),
        }
    }
}

/// Builds these languages, or all.
pub(crate) fn run(names: &[String]) -> Result<()> {
    let known = ALL.map(|language| language.name);
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no language {name:?}; there are: {}", known.join(", "));
    }
    let wanted = |language: &Language| names.is_empty() || names.iter().any(|n| n == language.name);
    let outcomes = build(wanted);
    let failed = outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Built)).count();
    if failed > 0 {
        bail!("{failed} of {} languages were not built", outcomes.len());
    }
    Ok(())
}

/// Builds those that are wanted, the longest first, and says what became of each.
pub(crate) fn build(wanted: impl Fn(&Language) -> bool) -> Vec<(Language, Outcome)> {
    let one = |language: Language| {
        let start = Instant::now();
        let outcome = language.build();
        let took = start.elapsed().as_secs_f64();
        say(&format!("language {:<10} {outcome}, {took:.1} s", language.name));
        (language, outcome)
    };
    let all: Vec<Language> = ALL.into_iter().rev().filter(wanted).collect();
    two_at_a_time(&all, |language| one(*language))
}

impl Language {
    fn build(&self) -> Outcome {
        let tools = match (self.tools)() {
            Ok(tools) => tools,
            Err(why) => return Outcome::Lacking(format!("{why:#}")),
        };
        if let Some(Tests { words, sdk: Some(sdk) }) = self.tests
            && let Err(why) = must(tools.around(words).current_dir(workspace().join(sdk)))
        {
            return Outcome::Failed(format!("{why:#}"));
        }
        let all = self.examples.iter().try_for_each(|example| {
            let built = self.example(example, &tools)?;
            let name = self.component(example);
            let component = built_component(&name);
            std::fs::copy(&built, &component)
                .with_context(|| format!("copy {}", built.display()))?;
            within(&SHELF, |()| shelve(&name, &component))
        });
        all.map_or_else(|why| Outcome::Failed(format!("{why:#}")), |()| Outcome::Built)
    }

    /// What an example's component is called among those of all languages.
    pub(crate) fn component(&self, example: &str) -> String {
        if example == self.name { example.to_owned() } else { format!("{}-{example}", self.name) }
    }

    /// Builds one: where its component is.
    fn example(&self, example: &str, tools: &Tools) -> Result<PathBuf> {
        let name = format!("{example}{}", self.suffix);
        let folder = format!("{}/{name}", self.folder);
        let words = match self.by {
            By::Cargo => return crate::build::component(&folder),
            By::Words(words) => words,
        };
        let folder = workspace().join(folder);
        if !folder.is_dir() {
            bail!("no folder {}", folder.display());
        }
        if folder.join("package-lock.json").is_file() {
            must(tools.around("npm ci --silent --no-audit --no-fund").current_dir(&folder))?;
        }
        let dist = folder.join("dist");
        std::fs::create_dir_all(&dist).with_context(|| dist.display().to_string())?;
        let built = dist.join(name).with_extension("wasm");
        // What an earlier build left is no proof of this one.
        let _ = std::fs::remove_file(&built);
        must(tools.around(words).current_dir(&folder))?;
        if !built.is_file() {
            bail!("{words} in {} left no {}", folder.display(), built.display());
        }
        if let Some(tests) = self.tests {
            must(tools.around(tests.words).current_dir(&folder))?;
        }
        Ok(built)
    }
}

impl Tools {
    /// A command among them. What it writes goes where complaints go: ours is the table.
    fn around(&self, words: &str) -> Command {
        let mut command = program("env");
        command.args(words.split_whitespace());
        let before = std::env::var_os("PATH").unwrap_or_default();
        let path = self.path.iter().cloned().chain(std::env::split_paths(&before));
        command.env("PATH", std::env::join_paths(path).unwrap_or_default());
        command.env("WHARFINGER", executable()).env_remove("CARGO_TARGET_DIR");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(std::process::Stdio::null());
        command
    }
}

/// Where a language's component is.
pub(crate) fn built_component(name: &str) -> PathBuf {
    workspace().join("target/wasm").join(name).with_extension("wasm")
}

/// Who installs there has it for as long as it compiles, and others do not wait so long.
static SHELF: Mutex<()> = Mutex::new(());

/// A store in which all of them are installed, so that each is compiled once for all tests.
pub(crate) fn shelf() -> PathBuf {
    workspace().join("target/languages/lib")
}

/// Installs a component there; what is there already, and the same, costs nothing.
fn shelve(name: &str, component: &Path) -> Result<()> {
    let beside = |name: &str| shelf().with_file_name(name);
    let ours = |words: &[&str]| {
        let mut command = Command::new(executable());
        command.arg("plugin").args(words).arg(component).env("WHARFINGER_LIB_DIR", shelf());
        command.env("WHARFINGER_RUN_DIR", beside("run"));
        command.env("WHARFINGER_CONFIG", beside("config.toml"));
        command
    };
    std::fs::create_dir_all(shelf()).with_context(|| shelf().display().to_string())?;
    // That the defaults admit it is tried by a test, and not while others build beside it.
    std::fs::write(beside("config.toml"), "[limits]\ncompile = 900.0\n").context("its settings")?;
    let installed = capture(&mut ours(&["install", "--name", name]))?;
    let said = String::from_utf8_lossy(&installed.stderr);
    if said.contains("is installed already") {
        return text(&mut ours(&["upgrade", "--accept", name])).map(drop);
    }
    if !installed.status.success() {
        bail!("install {}: {}", component.display(), said.trim());
    }
    Ok(())
}
