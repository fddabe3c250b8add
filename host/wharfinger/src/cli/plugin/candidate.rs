//! A component that an operator has in hand, before it is installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use wharfinger_wasm::{Description, Error, Limits, cache, describe};

/// Letters, digits and dashes: at home in a TOML key, a configuration and a log.
const NAME: usize = 63;

/// Its bytes, and what they are.
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) wasm: Vec<u8>,
    pub(super) about: Description,
}

impl Candidate {
    /// Reads a .wasm, or the one that a project's folder has.
    pub(super) fn read(path: &Path, limits: &Limits) -> Result<Self> {
        let path = if path.is_dir() { only(path)? } else { path.to_owned() };
        let shown = path.display();
        let size = std::fs::metadata(&path).with_context(|| format!("read {shown}"))?.len();
        if size > limits.component {
            return Err(anyhow!("{}", Error::too_large(&shown.to_string(), limits)));
        }
        let wasm = std::fs::read(&path).with_context(|| format!("read {shown}"))?;
        let about = describe(&wasm).map_err(|error| anyhow!("{shown}: {error}"))?;
        Ok(Self { path, wasm, about })
    }

    /// As [`Candidate::read`]; one that this executable cannot run is refused.
    pub(super) fn fitting(path: &Path, limits: &Limits) -> Result<Self> {
        let candidate = Self::read(path, limits)?;
        match &candidate.about.misfit {
            Some(what) => bail!("{} does not fit: {what}", candidate.path.display()),
            None => Ok(candidate),
        }
    }

    /// The name that its file suggests.
    pub(super) fn suggested(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        stem.to_lowercase().replace(['_', '.', ' '], "-")
    }
}

/// The one component of a project: in `dist/`, or right there.
fn only(folder: &Path) -> Result<PathBuf> {
    let dist = folder.join("dist");
    let place = if dist.is_dir() { dist } else { folder.to_owned() };
    let entries = std::fs::read_dir(&place).with_context(|| format!("read {}", place.display()))?;
    let is_wasm = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
    let mut found: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_wasm).collect();
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("no .wasm in {}: `wharfinger plugin build` makes it", place.display()),
        many => {
            let names: Vec<String> = many.iter().map(|path| path.display().to_string()).collect();
            bail!("which of {}? Name one", names.join(", "))
        }
    }
}

/// Refuses a name that is none.
pub(super) fn check_name(name: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (1..=NAME).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    bail!(
        "{name:?} is no name: lower-case letters, digits and '-', at most {NAME}; give one by --name"
    )
}

/// An error of the store, for people.
pub(super) fn told(error: &cache::Error) -> anyhow::Error {
    anyhow!("{error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "by-namespace", "x2"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "a.b", "sha256:1", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_has_one_component() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let error = only(dir.path()).unwrap_err().to_string();
        assert!(error.contains("plugin build"), "{error}");
        std::fs::write(dir.path().join("a.wasm"), "")?;
        assert_eq!(only(dir.path())?, dir.path().join("a.wasm"));
        std::fs::create_dir(dir.path().join("dist"))?;
        std::fs::write(dir.path().join("dist/b.wasm"), "")?;
        assert_eq!(only(dir.path())?, dir.path().join("dist/b.wasm"));
        std::fs::write(dir.path().join("dist/c.wasm"), "")?;
        assert!(only(dir.path()).unwrap_err().to_string().contains("c.wasm"));
        Ok(())
    }
}
