//! Everything in the store against the lock file.

use super::compiled::{self, FOOTER};
use super::dir::{Dir, Secrecy};
use super::{COMPILED, COMPONENTS, Cache, Digest, KEY, LOCK, size, wasm_name};

/// Something in the store that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which file, or which name of the lock file.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
}

impl Cache {
    /// All that is not as it should be; none where all is well. Reads every file as a whole.
    pub fn verify(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.strangers(&mut findings);
        for (name, pin) in &self.lock.plugins {
            if let Err(error) = self.wasm(&pin.digest, u64::MAX) {
                findings.push(Finding { object: name.clone(), what: error.to_string() });
            }
            let file = compiled::name(&pin.digest, &self.engine);
            if !self.compiled.path.join(&file).exists() {
                let what = "is not compiled for this executable: `wharfinger plugin recompile`";
                findings.push(Finding { object: name.clone(), what: what.to_owned() });
            }
        }
        self.components_of_nobody(&mut findings);
        self.compiled_forms(&mut findings);
        findings
    }

    /// What does not belong into the store's own directory.
    fn strangers(&self, findings: &mut Vec<Finding>) {
        let known = [COMPILED, COMPONENTS, KEY, LOCK];
        each(&self.root, findings, |name| {
            if known.contains(&name) { Ok(()) } else { Err("does not belong here".to_owned()) }
        });
    }

    fn components_of_nobody(&self, findings: &mut Vec<Finding>) {
        let pinned = |name: &str| {
            let digest = name.strip_suffix(".wasm").and_then(Digest::from_hex);
            digest.is_some_and(|digest| wasm_name(&digest) == name && self.of_a_pin(&digest))
        };
        each(&self.components, findings, |name| {
            if pinned(name) { Ok(()) } else { Err("is pinned by no name".to_owned()) }
        });
    }

    fn compiled_forms(&self, findings: &mut Vec<Finding>) {
        each(&self.compiled, findings, |name| match compiled::component(name) {
            Some(_) => self.genuine(name),
            None => Err("does not belong here".to_owned()),
        });
    }

    /// Whether a compiled form, for whatever engine, was written here.
    fn genuine(&self, name: &str) -> Result<(), String> {
        let found = self.compiled.file(name, Secrecy::Readable).map_err(|e| e.to_string())?;
        let Some((file, stat)) = found else { return Ok(()) };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut &file, &mut bytes).map_err(|e| format!("read it: {e}"))?;
        let (code, footer) = bytes.split_last_chunk::<FOOTER>().ok_or("it is cut off")?;
        let tag = compiled::parse_footer(footer, size(&stat))?;
        if compiled::fits(&self.key, name, code, &tag) {
            return Ok(());
        }
        Err("was changed, or put there by somebody else".to_owned())
    }
}

/// Checks each file of a directory by its name.
fn each(dir: &Dir, findings: &mut Vec<Finding>, check: impl Fn(&str) -> Result<(), String>) {
    match dir.names() {
        Ok(names) => findings.extend(names.iter().filter_map(|name| {
            let what = check(name).err()?;
            Some(Finding { object: dir.path.join(name).display().to_string(), what })
        })),
        Err(error) => findings
            .push(Finding { object: dir.path.display().to_string(), what: error.to_string() }),
    }
}
