//! `cargo xtask freeze VERSION`: a released version of the contract never changes again. Its hash
//! stands in `wit/frozen.txt`; a test compares.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::command::{say, workspace};

/// Where hashes are kept, below the checkout.
const FILE: &str = "wit/frozen.txt";

/// Freezes a version.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let [version] = args else { bail!("usage: cargo xtask freeze VERSION") };
    let hash = hash(&workspace().join("wit").join(version))?;
    let mut frozen = frozen()?;
    match frozen.get(version) {
        Some(known) if *known == hash => say(&format!("{version} is frozen already")),
        Some(_) => bail!("{version} is released and was changed: see wit/README.md for a new one"),
        None => {
            frozen.insert(version.clone(), hash);
            let lines: Vec<String> =
                frozen.iter().map(|(v, hash)| format!("{v} {hash}\n")).collect();
            fs::write(workspace().join(FILE), lines.concat()).context("write wit/frozen.txt")?;
            say(&format!("{version} is frozen"));
        }
    }
    Ok(())
}

/// Version and hash of each that is frozen.
fn frozen() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(workspace().join(FILE)).unwrap_or_default();
    let line = |line: &str| {
        let (version, hash) = line.split_once(' ').context("VERSION HASH")?;
        Ok((version.to_owned(), hash.to_owned()))
    };
    text.lines().map(line).collect()
}

/// Of names and contents of the folder's files.
fn hash(folder: &Path) -> Result<String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, fs::read(&path)?);
    }
    let mut hasher = Sha256::new();
    for (name, content) in files {
        hasher.update(format!("{name} {}\n", content.len()));
        hasher.update(content);
    }
    Ok(format!("sha256:{:x}", hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pain_h1_released_contracts_never_change() -> Result<()> {
        let frozen = frozen()?;
        assert!(frozen.len() >= 2, "two versions are released");
        for (version, expected) in &frozen {
            let found = hash(&workspace().join("wit").join(version))?;
            assert_eq!(found, *expected, "wit/{version} is released: see wit/README.md");
        }
        Ok(())
    }

    #[test]
    fn every_version_has_its_corpus() -> Result<()> {
        for version in frozen()?.keys() {
            let corpus = workspace().join("tests/corpus").join(version);
            let built = fs::read_dir(&corpus).with_context(|| format!("{}", corpus.display()))?;
            assert!(built.count() > 0, "a built component of {version} in {}", corpus.display());
        }
        Ok(())
    }
}
