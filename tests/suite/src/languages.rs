//! Plugins in other languages: the same examples in each, as `cargo xtask languages` built them,
//! and a way to run one test for every language.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::World;
use crate::subject::workspace;

/// A language whose examples `cargo xtask languages` builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    /// As its components are called: `NAME-pool`, `NAME-guard`, `NAME-planted`.
    pub name: &'static str,
    /// As `plugin new --lang` takes it.
    pub lang: &'static str,
    /// Where its examples are.
    pub folder: &'static str,
    /// How many attachments the conformance kit's long check makes: a call of an interpreter takes
    /// its milliseconds.
    pub attachments: usize,
}

impl Language {
    /// Rust without any system interface.
    pub const RUST: Self = Self::new("rust", "rust", "sdk/rust/examples", 1_000);
    /// Rust with its standard library's WASI.
    pub const RUST_STD: Self = Self::new("rust-std", "rust", "sdk/rust/examples", 1_000);
    /// C.
    pub const C: Self = Self::new("c", "c", "sdk/c/examples", 1_000);
    /// JavaScript.
    pub const JS: Self = Self::new("js", "js", "sdk/js/examples", 300);
    /// TypeScript: the same engine and SDK, so the same answers, and no more is tried.
    pub const TS: Self = Self::new("ts", "ts", "sdk/js/examples", 300);
    /// Go.
    pub const GO: Self = Self::new("go", "go", "sdk/go/examples", 300);
    /// Python.
    pub const PYTHON: Self = Self::new("python", "python", "sdk/python/examples", 100);

    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::RUST, Self::RUST_STD, Self::C, Self::JS, Self::GO, Self::PYTHON];

    const fn new(
        name: &'static str,
        lang: &'static str,
        folder: &'static str,
        attachments: usize,
    ) -> Self {
        Self { name, lang, folder, attachments }
    }

    /// One of its components.
    pub fn component(&self, example: &str) -> String {
        format!("{}-{example}", self.name)
    }

    /// Adds what its tools are found by, as an author has it.
    pub fn tools(&self, command: &mut std::process::Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let python = workspace().join("target/tools/python/bin");
        let ours = (self.lang == "python").then_some(python);
        let all = ours.into_iter().chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(all) {
            command.env("PATH", path);
        }
    }
}

/// CNI_ARGS of a pod.
pub fn pod(namespace: &str, name: &str) -> String {
    format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}")
}

/// Runs tests, each a `fn(Language)` of this file, for every language, each in a module of its
/// name: `cargo xtask test` leaves the modules of those out that cannot be had.
#[macro_export]
macro_rules! in_each_language {
    ($($test:ident)*) => {
        $crate::in_language!(in_rust, RUST, $($test)*);
        $crate::in_language!(in_rust_std, RUST_STD, $($test)*);
        $crate::in_language!(in_c, C, $($test)*);
        $crate::in_language!(in_js, JS, $($test)*);
        $crate::in_language!(in_go, GO, $($test)*);
        $crate::in_language!(in_python, PYTHON, $($test)*);
    };
}

/// The same for one of them.
#[macro_export]
macro_rules! in_language {
    ($module:ident, $language:ident, $($test:ident)*) => {
        mod $module {
            $(
                #[test]
                #[ignore = "needs root and the language's tools: ring languages"]
                fn $test() {
                    super::$test($crate::Language::$language);
                }
            )*
        }
    };
}

impl World {
    /// Installs a component of [`component`](Self::component), compiled before: compiling is what
    /// takes long, and is the same for all tests.
    #[track_caller]
    pub fn install_compiled(&self, component: &str, name: &str) {
        if let Err(error) = self.take_compiled(component) {
            panic!("{component}, compiled by `cargo xtask languages`: {error}");
        }
        self.install(component, name);
    }

    /// Copies what was compiled, and the key it is tagged with, from the store that has all.
    fn take_compiled(&self, component: &str) -> std::io::Result<()> {
        let store = workspace().join("target/languages/lib/plugins");
        let own = self.path("lib/plugins");
        let text = std::fs::read_to_string(store.join("lock.json"))?;
        let digest = digest(&text, component)
            .ok_or_else(|| std::io::Error::other("it is not installed there"))?;
        for dir in [&own, &own.join("components"), &own.join("compiled")] {
            private(dir)?;
        }
        std::fs::copy(store.join("key"), own.join("key"))?;
        for entry in std::fs::read_dir(store.join("compiled"))? {
            let path: PathBuf = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&digest) {
                std::fs::copy(&path, own.join("compiled").join(&*name))?;
            }
        }
        Ok(())
    }
}

/// The digest that a name is pinned to, as files are called by it.
fn digest(lock: &str, name: &str) -> Option<String> {
    let lock: Value = serde_json::from_str(lock).ok()?;
    let plugins = find(&lock, "plugins")?;
    let digest = plugins.get(name)?.get("digest")?.as_str()?;
    Some(digest.trim_start_matches("sha256:").to_owned())
}

/// A key of an object, or of an object in it.
fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    let object = value.as_object()?;
    object.get(key).or_else(|| object.values().find_map(|inner| find(inner, key)))
}

/// A directory that only its owner may enter, as the store wants it.
fn private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
