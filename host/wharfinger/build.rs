//! Puts into the executable what `wharfinger plugin new` and `plugin component` write: the SDKs and
//! templates of `sdk/`, and every contract of `wit/`.
//!
//! What belongs to an SDK is found by walking its folder: nobody keeps a list.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Folders that are never part of what an author gets: what tools leave, and what is ours alone.
const NOT: [&str; 6] = ["__pycache__", "dist", "examples", "node_modules", "target", "venv"];
/// Hidden files that are.
const HIDDEN: [&str; 2] = [".gitignore", ".npmrc"];

fn main() -> Result<()> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let root = here.join("../..").canonicalize()?;

    let mut code = String::new();
    list(&mut code, "SDKS", &folders(&root.join("sdk"))?)?;
    list(&mut code, "CONTRACT", &folders(&root.join("wit"))?)?;
    fs::write(out.join("embedded.rs"), code)?;
    Ok(())
}

/// The folders in a folder, sorted by name.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

/// Writes a constant: each file of these folders by the folder's name, its path in there, and its bytes.
fn list(code: &mut String, name: &str, folders: &[PathBuf]) -> Result<()> {
    writeln!(code, "pub(crate) const {name}: &[(&str, &str, &[u8])] = &[")?;
    for folder in folders {
        let title = folder.file_name().unwrap_or_default().to_string_lossy();
        let mut found = Vec::new();
        walk(folder, "", &[], &mut found)?;
        found.sort();
        for path in found {
            let file = folder.join(&path).display().to_string();
            println!("cargo::rerun-if-changed={file}");
            writeln!(code, "    ({title:?}, {path:?}, include_bytes!({file:?})),")?;
        }
    }
    writeln!(code, "];")?;
    Ok(())
}

/// The files below a folder, links followed, less what is ignored there or further up.
fn walk(folder: &Path, path: &str, ignored: &[Ignored], found: &mut Vec<String>) -> Result<()> {
    let here = folder.join(path);
    // Cargo looks at all that is below: where examples are built, that changes with each build.
    if !path.is_empty() {
        println!("cargo::rerun-if-changed={}", here.display());
    }
    let mut ignored = ignored.to_vec();
    // A template's own is for the project that is made of it.
    if !path.starts_with("template") {
        ignored.extend(Ignored::read(&here, path)?);
    }
    for entry in fs::read_dir(&here)? {
        let name =
            entry?.file_name().into_string().map_err(|name| format!("name {}", name.display()))?;
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let is_folder = folder.join(&path).is_dir();
        let not = if is_folder {
            NOT.contains(&name.as_str()) || name.starts_with('.') || name.ends_with(".egg-info")
        } else {
            name.starts_with('.') && !HIDDEN.contains(&name.as_str())
        };
        if not || ignored.iter().any(|rule| rule.means(&path, &name)) {
            continue;
        }
        if is_folder {
            walk(folder, &path, &ignored, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// A line of a .gitignore, of the kinds that are in use here: "name", "name/", "/a/place", "*.end".
#[derive(Clone)]
struct Ignored {
    /// Of a path where it names a place, otherwise of a name.
    pattern: String,
    is_path: bool,
}

impl Ignored {
    fn read(folder: &Path, path: &str) -> Result<Vec<Self>> {
        let file = folder.join(".gitignore");
        if !file.is_file() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(file)?;
        let lines = text.lines().map(|line| line.trim().trim_end_matches('/'));
        let rule = |line: &str| {
            let is_path = line.contains('/');
            let line = line.trim_start_matches('/');
            let pattern = if is_path && !path.is_empty() {
                format!("{path}/{line}")
            } else {
                line.to_owned()
            };
            Self { pattern, is_path }
        };
        Ok(lines
            .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']))
            .map(rule)
            .collect())
    }

    fn means(&self, path: &str, name: &str) -> bool {
        fits(self.pattern.as_bytes(), if self.is_path { path } else { name }.as_bytes())
    }
}

/// Whether a pattern, in which '*' stands for anything but '/', means this text.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            fits(rest, text)
                || matches!(text, [first, more @ ..] if *first != b'/' && fits(pattern, more))
        }
        ([a, pattern @ ..], [b, text @ ..]) => a == b && fits(pattern, text),
        _ => false,
    }
}
