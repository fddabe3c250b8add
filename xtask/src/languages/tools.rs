//! Each language's tools: from Debian's packages, from its own registry at a pinned version, or as
//! the machine has them. An error says what is lacking, and is no failure of ours.

use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

use super::Tools;
use crate::command::{capture, find, must, program, say, text, within, workspace};
use crate::tools::{CLANG_RT, WASI_LIBC, install, packages};

/// From Python's registry: what makes components of Python, and the compiler of the plugin that is
/// written by the contract alone.
const PYTHON: [&str; 2] = ["componentize-py==0.25.1", "ziglang==0.17.1"];

/// What `pip install ./sdk` fetches, for the guide: its commands run in a namespace without a way
/// out.
const SDK: [&str; 2] = ["componentize-py==0.25.1", "setuptools==84.2.1"];

/// Rust's targets are there since the build.
pub(super) fn rust() -> Result<Tools> {
    here(&["cargo"])
}

/// clang, its linker and a libc for Wasm.
pub(super) fn c() -> Result<Tools> {
    let wanted = ["clang-19", "wasm-ld-19", "make", WASI_LIBC, CLANG_RT];
    if !install(&wanted)? {
        bail!("Debian's packages clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 make");
    }
    Ok(Tools::default())
}

/// As the machine has it; modules are pinned by `go.sum`.
pub(super) fn go() -> Result<Tools> {
    here(&["go"])
}

/// As the machine has it; packages are pinned by `package-lock.json`.
pub(super) fn js() -> Result<Tools> {
    here(&["node", "npm"])
}

/// A virtual environment with the pinned packages, and the SDK from the checkout.
pub(super) fn python() -> Result<Tools> {
    here(&["python3"])?;
    let venv = within(&VENV, |()| venv())?;
    let sdk = workspace().join("sdk/python");
    Ok(Tools { path: vec![venv.join("bin")], variables: vec![("PYTHONPATH", sdk)] })
}

/// The same environment: its compiler is a package of Python's.
pub(super) fn zig() -> Result<Tools> {
    here(&["python3"])?;
    let venv = within(&VENV, |()| venv())?;
    let mut ask = program("env");
    ask.arg(venv.join("bin/python3")).args(["-c", "import ziglang; print(ziglang.__path__[0])"]);
    let zig = PathBuf::from(text(&mut ask)?.trim()).join("zig");
    let cache = workspace().join("target/tools/zig");
    Ok(Tools { path: vec![], variables: vec![("ZIG", zig), ("ZIG_GLOBAL_CACHE_DIR", cache)] })
}

fn here(programs: &[&str]) -> Result<Tools> {
    match programs.iter().find(|name| find(name).is_none()) {
        Some(name) => bail!("no `{name}` here"),
        None => Ok(Tools::default()),
    }
}

/// Two languages use it: one makes it.
static VENV: Mutex<()> = Mutex::new(());

/// The environment, made once for these versions.
fn venv() -> Result<PathBuf> {
    let dir = workspace().join("target/tools/python");
    let stamp = dir.join(".made");
    let wanted = [PYTHON, SDK].concat().join(" ");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(dir);
    }
    let _ = std::fs::remove_dir_all(&dir);
    say(&format!("making an environment of Python with {wanted}"));
    // Debian has it apart from Python.
    if !capture(program("python3 -c").arg("import ensurepip, venv"))?.status.success() {
        packages(&["python3-venv"])?;
    }
    must(program("python3 -m venv").arg(&dir))?;
    let mut pip = program("env");
    pip.arg(dir.join("bin/pip")).args(["install", "--quiet"]).args(PYTHON);
    must(&mut pip).context("install from Python's registry")?;
    let mut pip = program("env");
    pip.arg(dir.join("bin/pip")).args(["download", "--quiet", "--dest"]).arg(dir.join("wheels"));
    must(pip.args(SDK)).context("download from Python's registry")?;
    std::fs::write(&stamp, wanted).with_context(|| stamp.display().to_string())?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(path: &str) -> String {
        std::fs::read_to_string(workspace().join(path)).expect(path)
    }

    fn templates(language: &str) -> Vec<String> {
        let folder = format!("sdk/{language}/template");
        let entries = std::fs::read_dir(workspace().join(&folder)).expect(&folder).flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        folders.map(|it| format!("{folder}/{}", it.file_name().to_string_lossy())).collect()
    }

    /// What makes a component of an author's project is the same next year: versions are exact, and what they draw in
    /// is locked. That each template becomes a plugin is shown by the authors' guide, which is run.
    #[test]
    fn pain_h17_what_builds_an_authors_project_is_pinned() {
        for template in templates("js") {
            let parse = |file: &str| -> Value {
                serde_json::from_str(&read(&format!("{template}/{file}"))).expect("JSON")
            };
            let (package, lock) = (parse("package.json"), parse("package-lock.json"));
            let tools = package["devDependencies"].as_object().expect("its tools");
            assert!(tools.len() > 1 && package["dependencies"].is_null(), "{package}");
            for (name, version) in tools.iter().filter(|(_, version)| **version != "file:sdk") {
                let text = version.as_str().expect("a version");
                let exact = text.chars().all(|c| c.is_ascii_digit() || c == '.');
                assert!(exact, "{template}: {name} is {text}");
                let locked = &lock["packages"][format!("node_modules/{name}")];
                assert_eq!(locked["version"], *version, "{template}: {name}");
                assert!(locked["integrity"].is_string(), "{template}: {name}");
            }
        }
        let python = read("sdk/python/pyproject.toml");
        assert!(python.contains(&format!("[{:?}]", PYTHON[0])) && SDK[0] == PYTHON[0], "{python}");
        // The SDK is all that they need: it is in each project's folder.
        for template in templates("go") {
            let module = read(&format!("{template}/go.mod"));
            let required = module.lines().filter(|line| line.starts_with("require"));
            assert_eq!(required.count(), 1, "{module}");
            assert!(module.contains("=> ./sdk"), "{module}");
        }
        assert!(!read("sdk/go/go.mod").contains("require"), "a module of others");
        assert!(read("sdk/rust/template/Cargo.lock").contains("checksum"));
        for template in templates("c") {
            let rules = read(&format!("{template}/Makefile"));
            assert!(!rules.contains("http"), "{rules}");
        }
    }
}
