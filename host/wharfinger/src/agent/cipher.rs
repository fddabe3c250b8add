//! The keys of encrypted overlays: made and changed in the store, and given to this node's kernel.
//!
//! No association that sends is ever made a second time with its key, whatever becomes of the agent,
//! the kernel's tables or the store: what was made is in a file of this boot before it is made, and
//! where it would be made anew, or another boot begins, the node's incarnation is a new one. What the
//! kernel has stays when the agent ends. Keys are written nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wharfinger_kernel::Kernel;
use wharfinger_ledger::cluster::{Committed, Ends, Guard, Object, Put, Tunnels, Wanted};
use wharfinger_plan::{Association, Encryption, Way};

use super::{Agent, Once};

const FILE: &str = "associations";
/// For one request.
const REQUEST: Duration = Duration::from_secs(5);

/// What outlives the agent, and not the boot.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    incarnation: String,
    /// The newest epoch that was seen.
    newest: u64,
    /// Associations that sent, and of which epoch they were.
    used: Vec<(Way, u64)>,
}

/// See the module.
pub(super) struct Cipher {
    tunnels: Tunnels,
    path: PathBuf,
    kept: Kept,
    /// What of this node's segments is encrypted; none: it is not known yet.
    here: Option<BTreeSet<Encryption>>,
    /// Something changed, or may have.
    due: bool,
    trouble: Once,
}

impl Cipher {
    pub(super) fn new(agent: &Agent, objects: &[Object]) -> Self {
        let path = agent.boot.join(FILE);
        let kept = std::fs::read(&path).ok().and_then(|it| serde_json::from_slice(&it).ok());
        let mut cipher = Self {
            tunnels: Tunnels::new(&agent.node),
            path,
            kept: kept.unwrap_or_default(),
            here: None,
            due: true,
            trouble: Once::default(),
        };
        for object in objects {
            cipher.hear(&object.key, object.version, Some(&object.value));
        }
        cipher
    }

    /// The store says this now.
    pub(super) fn hear(&mut self, key: &str, version: u64, value: Option<&str>) {
        match self.tunnels.put(key, version, value) {
            Ok(ours) => self.due |= ours,
            Err(text) => {
                self.due = true;
                self.trouble.say(&text);
            }
        }
    }

    /// Somebody else may have changed what the kernel has.
    pub(super) fn doubt(&mut self) {
        self.due = true;
    }

    /// What is encrypted the kernel tells: what must not pass in clear stays as long as the links.
    pub(super) fn look(&mut self, kernel: &dyn Kernel) {
        let encrypted = match kernel.encryptions() {
            Ok(found) => found.into_iter().collect(),
            Err(error) => return self.trouble.say(&format!("encrypted overlays: {error}")),
        };
        if self.here.as_ref() != Some(&encrypted) {
            self.here = Some(encrypted);
            self.due = true;
        }
    }

    /// Brings store and kernel to what is known.
    pub(super) fn turn(&mut self, agent: &Agent, kernel: &dyn Kernel) {
        let Some(here) = self.here.clone() else { return };
        if here.is_empty() && !self.due {
            return;
        }
        match self.bring(agent, kernel, &here) {
            Ok(()) => self.trouble.over(),
            Err(error) => self.trouble.say(&format!("encrypted overlays: {error:#}")),
        }
    }

    fn bring(
        &mut self,
        agent: &Agent,
        kernel: &dyn Kernel,
        here: &BTreeSet<Encryption>,
    ) -> Result<()> {
        if !here.is_empty() {
            self.change_secrets(agent)?;
        }
        if !self.due {
            return Ok(());
        }
        // Twice, where it turns out that this node is to begin anew.
        for _ in 0..2 {
            let ends = self.ends(here)?;
            if let Some(said) = self.tunnels.announcement(&ends)
                && !self.write(agent, said)?
            {
                // Who wrote meanwhile is heard of.
                return Ok(());
            }
            // Who speaks, goes on speaking, where the secrets are gone.
            if self.tunnels.newest().is_none() {
                return Ok(());
            }
            let wanted = self.tunnels.wanted(&ends);
            let there: BTreeSet<Way> = kernel.ways()?.into_iter().collect();
            if self.begins_anew(&wanted, &there) {
                self.kept = Kept::default();
                continue;
            }
            self.give(kernel, &wanted, &there)?;
            self.due = false;
            return Ok(());
        }
        Err(anyhow!("keys cannot be made that were not used before"))
    }

    fn change_secrets(&mut self, agent: &Agent) -> Result<()> {
        // Objects of the API are read by whoever may read the book there.
        if !agent.store.keeps_secrets() {
            return Err(anyhow!(
                "their keys are kept in etcd alone, and this book is in Kubernetes' API: take \
                 \"encrypt\" out of the network, or use ledger = \"etcd\"; until then nothing passes"
            ));
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map(|since| since.as_secs()).unwrap_or_default();
        let mut failed = None;
        let mut random = || chance(&mut failed);
        let changed = self.tunnels.rotation(now, agent.cluster.rekey, &mut random);
        failed.map_or(Ok(()), Err)?;
        if let Some(changed) = changed
            && self.write(agent, changed)?
        {
            agent.tell("overlay keys", &json!({ "epoch": self.tunnels.newest() }));
        }
        Ok(())
    }

    /// What this node says of itself.
    fn ends(&mut self, here: &BTreeSet<Encryption>) -> Result<Ends> {
        if self.kept.incarnation.is_empty() {
            let mut failed = None;
            self.kept.incarnation = Ends::incarnation(&mut || chance(&mut failed));
            failed.map_or(Ok(()), Err)?;
            self.save()?;
        }
        Ok(Ends { incarnation: self.kept.incarnation.clone(), at: here.clone() })
    }

    /// Whether something would be made anew with a key that was sent with before.
    fn begins_anew(&self, wanted: &Wanted, there: &BTreeSet<Way>) -> bool {
        let used: BTreeSet<&Way> = self.kept.used.iter().map(|(way, _)| way).collect();
        let again = |it: &Association| used.contains(&it.way) && !there.contains(&it.way);
        self.tunnels.newest().is_some_and(|newest| newest < self.kept.newest)
            || wanted.sent.iter().any(again)
    }

    /// What is taken comes before what is sent, and what is new before the old goes.
    fn give(&mut self, kernel: &dyn Kernel, wanted: &Wanted, there: &BTreeSet<Way>) -> Result<()> {
        let new = |it: &&Association| !there.contains(&it.way);
        let sent: Vec<&Association> = wanted.sent.iter().filter(new).collect();
        if !sent.is_empty() {
            let known: BTreeMap<Way, u64> = self.kept.used.iter().copied().collect();
            let more = sent.iter().map(|it| (it.way, wanted.epoch));
            // An epoch before the one before is never sent with again: see `newest`.
            let all = known.into_iter().chain(more);
            let oldest = wanted.epoch.saturating_sub(1);
            self.kept.used = all.filter(|(_, epoch)| *epoch >= oldest).collect();
            self.kept.newest = self.tunnels.newest().unwrap_or_default();
            self.save()?;
        }
        let taken = wanted.taken.iter().filter(new);
        let mut failed = None;
        for association in taken.chain(sent) {
            if let Err(error) = kernel.add_association(association) {
                failed = Some(error);
            }
        }
        let ours: BTreeSet<Way> =
            wanted.taken.iter().chain(&wanted.sent).map(|association| association.way).collect();
        for way in there.difference(&ours) {
            if let Err(error) = kernel.remove_way(way) {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// False: somebody else wrote.
    fn write(&mut self, agent: &Agent, (guard, put): (Guard, Put)) -> Result<bool> {
        let Put { key, value } = put.clone();
        match agent.store.remote().commit(&[guard], &[put], REQUEST)? {
            Committed::Conflict => Ok(false),
            Committed::Done(versions) => {
                let version = versions.first().copied().unwrap_or_default();
                self.hear(&key, version, value.as_deref());
                Ok(true)
            }
        }
    }

    /// A reader sees either of both.
    fn save(&self) -> Result<()> {
        let name = || self.path.display().to_string();
        let draft = self.path.with_extension("new");
        std::fs::write(&draft, serde_json::to_string(&self.kept)?).with_context(name)?;
        std::fs::rename(draft, &self.path).with_context(name)
    }
}

/// What nobody can guess.
fn chance(failed: &mut Option<anyhow::Error>) -> [u8; 32] {
    let mut bytes = [0; 32];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    if let Err(error) = read {
        *failed = Some(anyhow!("/dev/urandom: {error}"));
    }
    bytes
}
