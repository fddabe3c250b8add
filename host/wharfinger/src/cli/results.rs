//! What is kept of an attachment to a list with other plugins, where libcni keeps it and as it does:
//! so a runtime's GC and DEL know of what was attached by hand.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wharfinger_cni::AttachmentId;

use crate::cache::{self, Kept};

/// The directory, below libcni's.
#[derive(Debug, Clone)]
pub(super) struct Results(PathBuf);

impl Results {
    /// Below this directory of libcni's.
    pub(super) fn new(cache: &Path) -> Self {
        Self(cache.join("results"))
    }

    /// What is kept of an attachment; what cannot be read is as good as nothing.
    pub(super) fn get(&self, id: &AttachmentId) -> Option<Kept> {
        Kept::of(&self.0, id)
    }

    /// All of a network.
    pub(super) fn of_network(&self, network: &str) -> Vec<Kept> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let all = entries.flatten().filter_map(|entry| Kept::read(&entry.path()));
        all.filter(|kept| kept.network_name == network).collect()
    }

    /// Keeps it: whoever reads gets the one or the other whole.
    pub(super) fn put(&self, kept: &Kept) -> Result<()> {
        let path = cache::path(&self.0, &kept.id());
        let written = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let beside = self.0.join(format!(".new-{}", std::process::id()));
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&beside)?.write_all(serde_json::to_string(kept)?.as_bytes())?;
            fs::rename(&beside, &path)
        };
        written().with_context(|| format!("keep the result in {}", path.display()))
    }

    /// Forgets it.
    pub(super) fn remove(&self, id: &AttachmentId) -> Result<()> {
        let path = cache::path(&self.0, id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn id(ifname: &str) -> AttachmentId {
        AttachmentId { network: "pods".into(), container: "c1".into(), ifname: ifname.into() }
    }

    #[test]
    fn what_is_kept_is_what_libcni_keeps() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let results = Results::new(dir.path());
        let list = json!({ "name": "pods", "plugins": [{ "type": "bridge" }] });
        let list = list.as_object().cloned().unwrap_or_default();
        let mut kept = Kept::new(&id("eth0"), &list);
        kept.result = json!({ "cniVersion": "1.1.0" });
        kept.cni_args = vec![("A".into(), "b".into())];
        results.put(&kept)?;
        let path = dir.path().join("results/pods-c1-eth0");
        let file: Value = serde_json::from_slice(&fs::read(&path)?)?;
        assert_eq!(file["kind"], "cniCacheV1");
        assert_eq!(file["containerId"], "c1");
        assert_eq!(file["ifName"], "eth0");
        assert_eq!(file["networkName"], "pods");
        assert_eq!(file["cniArgs"], json!([["A", "b"]]));
        assert!(file.get("capabilityArgs").is_none() && file.get("netns").is_none());
        assert_eq!(results.get(&id("eth0")).and_then(|kept| kept.list()), Some(list));
        assert!(results.get(&id("eth1")).is_none());
        fs::write(dir.path().join("results/torn"), "{")?;
        fs::write(dir.path().join("results/old"), "{\"cniVersion\": \"0.4.0\"}")?;
        assert_eq!(results.of_network("pods").len(), 1);
        results.remove(&id("eth0"))?;
        results.remove(&id("eth0"))?;
        assert!(results.of_network("pods").is_empty());
        Ok(())
    }
}
