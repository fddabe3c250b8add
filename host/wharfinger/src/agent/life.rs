//! What verbs know of their agent's lease: a small file in this boot's folder, which the agent
//! writes. Only looked at where nodes are freed by time.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharfinger_ledger::cluster;

const FILE: &str = "alive";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Life {
    /// The version of what goes with the lease.
    pub(super) version: u64,
    /// Until when the lease is certain to be good, by the clock that never goes back.
    pub(super) until: Duration,
}

/// What taking an address is bound to, as the file says it.
pub(crate) fn bound(boot: &Path, now: Duration) -> cluster::Life {
    match read(boot) {
        Some(life) if now < life.until => cluster::Life::Of(life.version),
        Some(life) => cluster::Life::Over(format!(
            "this node's agent has had no lease of etcd for {} seconds",
            now.saturating_sub(life.until).as_secs()
        )),
        None => cluster::Life::Over("this node's agent has not had a lease of etcd".to_owned()),
    }
}

/// None: there is none that can be read.
pub(super) fn read(boot: &Path) -> Option<Life> {
    let text = std::fs::read_to_string(boot.join(FILE)).ok()?;
    serde_json::from_str(&text).ok()
}

/// A reader sees either of both.
pub(super) fn write(boot: &Path, life: Life) -> std::io::Result<()> {
    std::fs::create_dir_all(boot)?;
    let draft = boot.join(format!("{FILE}.new"));
    std::fs::write(&draft, serde_json::to_string(&life)?)?;
    std::fs::rename(draft, boot.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_ends_with_its_time_and_none_is_none() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let at = Duration::from_secs;
        assert!(matches!(bound(dir.path(), at(1)), cluster::Life::Over(_)));
        write(dir.path(), Life { version: 7, until: at(10) })?;
        assert_eq!(bound(dir.path(), at(9)), cluster::Life::Of(7));
        let over = bound(dir.path(), at(13));
        assert!(matches!(&over, cluster::Life::Over(why) if why.contains("3 seconds")), "{over:?}");
        std::fs::write(dir.path().join(FILE), "nonsense")?;
        assert!(matches!(bound(dir.path(), at(1)), cluster::Life::Over(_)));
        Ok(())
    }
}
