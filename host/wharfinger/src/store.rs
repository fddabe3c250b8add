//! Opens the ledger; one that is lost or of an earlier boot is made anew from what lives.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharfinger_attach::{Error, Node, collect, recover};
use wharfinger_kernel::Kernel;
use wharfinger_ledger::cluster::{ClusterLedger, Life, OwnBook, Part, Remaining, unseen};
use wharfinger_ledger::{Ledger, MemLedger, Opened, Options, Record, SqliteLedger};

use crate::node::Machine;
use crate::remote::Store;
use crate::settings::{Cluster, Configured, Paths};
use crate::{agent, cache, events};

/// How long a book that is begun anew is compared with the cluster's.
const BRIEF: Duration = Duration::from_secs(3);

/// The node's own book, or its cluster's.
pub(crate) enum Book {
    Node(SqliteLedger),
    Cluster(ClusterLedger<SqliteLedger>),
}

impl Book {
    fn new(
        own: SqliteLedger,
        paths: &Paths,
        configured: &Configured,
        machine: &Machine,
    ) -> Result<Self, Error> {
        Ok(match &configured.cluster {
            None => Self::Node(own),
            Some(cluster) => Self::Cluster(join(own, paths, cluster, configured, machine)?),
        })
    }

    /// Of a node whose own book was just begun anew: what the cluster's has of it without a record
    /// is freed. That fails no verb, and holds none up for long: the agent tries again, and GC.
    fn begun(self, paths: &Paths, configured: &Configured, machine: &Machine) -> Self {
        let (ledger, cluster) = match (self, &configured.cluster) {
            (Self::Cluster(ledger), Some(cluster)) => (ledger, cluster),
            (book, _) => return book,
        };
        let brief = machine.brief(BRIEF.min(machine.remaining() / 2));
        let ledger = ledger.lasting(remaining(cluster, &brief));
        let what = match collect::mend(&ledger, &brief, false, &unseen) {
            Ok(mended) => crate::cli::of_mended(&mended),
            Err(error) => json!({ "error": error.to_string() }),
        };
        events::append(&paths.run, &noted(machine, "cluster collected", &what));
        // What it listed for that is not listed again for the call.
        Self::Cluster(ledger.lasting(remaining(cluster, machine)))
    }

    pub(crate) fn ledger(&self) -> &dyn Ledger {
        match self {
            Self::Node(ledger) => ledger,
            Self::Cluster(ledger) => ledger,
        }
    }

    /// Moves the node's own book out of the way, after it was found damaged.
    pub(crate) fn set_aside(self) -> Result<(), Error> {
        let own = match self {
            Self::Node(own) => own,
            Self::Cluster(ledger) => ledger.into_own(),
        };
        own.set_aside()?;
        Ok(())
    }
}

/// The cluster's book, as a node with this book of its own has it.
fn join<S: OwnBook>(
    own: S,
    paths: &Paths,
    cluster: &Cluster,
    configured: &Configured,
    machine: &Machine,
) -> Result<ClusterLedger<S>, Error> {
    let store = Store::new(&cluster.place).map_err(|what| {
        let path = "of the cluster".to_owned();
        wharfinger_ledger::Error::Unavailable { path, what }
    })?;
    let node = configured.settings.node.name.clone();
    let part = Part { node, machine: machine_id(paths)?, cut: cluster.cut };
    let life = match cluster.dead_after {
        Some(_) => agent::bound(machine.boot(), wharfinger_kernel::uptime()),
        None => Life::Free,
    };
    Ok(ClusterLedger::new(own, store.into_remote(), part, remaining(cluster, machine)).living(life))
}

fn remaining(cluster: &Cluster, machine: &Machine) -> Remaining {
    let until = if cluster.offline { Instant::now() } else { machine.until() };
    Box::new(move || until.saturating_duration_since(Instant::now()))
}

/// Which machine it is: machine-id(5), or a number of our own where there is none, as in many
/// containers.
pub(crate) fn machine_id(paths: &Paths) -> Result<String, Error> {
    if let Ok(id) = std::fs::read_to_string("/etc/machine-id")
        && !id.trim().is_empty()
    {
        return Ok(id.trim().to_owned());
    }
    let path = paths.lib.join("machine-id");
    let unavailable = |error: std::io::Error| {
        Error::from(wharfinger_ledger::Error::of_file(&path, "machine id", &error))
    };
    if let Ok(id) = std::fs::read_to_string(&path) {
        return Ok(id.trim().to_owned());
    }
    let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(unavailable)?;
    std::fs::create_dir_all(&paths.lib).map_err(unavailable)?;
    // Of two processes that come at once, one is first for both.
    let draft = path.with_extension(std::process::id().to_string());
    std::fs::write(&draft, &id).map_err(unavailable)?;
    let linked = std::fs::hard_link(&draft, &path);
    let _ = std::fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(unavailable(error)),
        _ => std::fs::read_to_string(&path).map(|id| id.trim().to_owned()).map_err(unavailable),
    }
}

/// The folder of this boot in the run directory: what is in it ends with the boot.
pub(crate) fn boot_dir(paths: &Paths) -> PathBuf {
    // random(4). A kernel without it has one boot as far as we can tell.
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    paths.run.join(id.as_deref().map_or("boot", str::trim))
}

fn options(paths: &Paths, directory: &Path, machine: &Machine) -> Options {
    Options {
        path: directory.join("ledger.db"),
        lasting: paths.lib.join("lasting.db"),
        wait: machine.remaining(),
    }
}

/// The ledger of this boot.
pub(crate) fn open(
    paths: &Paths,
    boot: &Path,
    machine: &Machine,
    kernel: &dyn Kernel,
    configured: &Configured,
) -> Result<Book, Error> {
    let (own, begun) = open_own(paths, boot, machine, kernel)?;
    let opened = Book::new(own, paths, configured, machine)?;
    Ok(if begun { opened.begun(paths, configured, machine) } else { opened })
}

/// The node's own book, and whether it was begun just now.
fn open_own(
    paths: &Paths,
    boot: &Path,
    machine: &Machine,
    kernel: &dyn Kernel,
) -> Result<(SqliteLedger, bool), Error> {
    let mut opened = SqliteLedger::open(options(paths, boot, machine))?;
    loop {
        match opened {
            Opened::Book(ledger) => return Ok((ledger, false)),
            Opened::Damaged(damaged) => {
                let what = json!({ "error": damaged.error().to_string() });
                events::append(&paths.run, &noted(machine, "ledger set aside", &what));
                opened = damaged.set_aside()?;
            }
            Opened::Fresh(fresh) => {
                let records = survivors(paths, boot, machine, kernel)?;
                let rebuilt = fresh.rebuild(&records, machine.now())?;
                forget_earlier_boots(paths, boot);
                let what = json!({
                    "attachments": records.len(),
                    "doubled": rebuilt.doubled,
                    "lost": rebuilt.lost.map(|error| error.to_string()),
                });
                events::append(&paths.run, &noted(machine, "ledger begun", &what));
                return Ok((rebuilt.ledger, true));
            }
        }
    }
}

/// An event that is no verb: somebody may want to know why an address has two claims.
fn noted(machine: &Machine, event: &str, what: &Value) -> Value {
    json!({ "time": machine.now(), "event": event, "what": what })
}

/// What is wrong with the node's own book; nothing where it is well, or not there.
pub(crate) fn damage(paths: &Paths, boot: &Path, machine: &Machine) -> Option<String> {
    match SqliteLedger::open(options(paths, boot, machine)) {
        Ok(Opened::Book(_) | Opened::Fresh(_)) => None,
        Ok(Opened::Damaged(damaged)) => Some(damaged.error().to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// The ledger of this boot, to be read. One that is not there or damaged is left so, and what
/// would be in a new one is put together in memory.
pub(crate) fn look(
    paths: &Paths,
    boot: &Path,
    machine: &Machine,
    kernel: &dyn Kernel,
    configured: &Configured,
) -> Result<Box<dyn Ledger>, Error> {
    match SqliteLedger::open(options(paths, boot, machine))? {
        Opened::Book(own) => Ok(match Book::new(own, paths, configured, machine)? {
            Book::Node(ledger) => Box::new(ledger),
            Book::Cluster(ledger) => Box::new(ledger),
        }),
        Opened::Damaged(_) | Opened::Fresh(_) => {
            // Who may not look at the kernel's rules can still be shown a plan.
            let records = survivors(paths, boot, machine, kernel).unwrap_or_default();
            let own = MemLedger::rebuilt(&records, machine.now())?.0;
            Ok(match &configured.cluster {
                None => Box::new(own),
                Some(cluster) => Box::new(join(own, paths, cluster, configured, machine)?),
            })
        }
    }
}

/// What lives: by links and rules of the kernel, by results that the runtime keeps, and, of an
/// earlier boot, records whose attachment is not proven dead. A node that is itself a container
/// has a new boot id, and its namespaces may have gone on.
fn survivors(
    paths: &Paths,
    boot: &Path,
    machine: &Machine,
    kernel: &dyn Kernel,
) -> Result<Vec<Record>, Error> {
    let survey = kernel.survey()?;
    let cached = cache::attachments(Path::new(cache::DIRECTORY), kernel);
    let mut records = Vec::new();
    for directory in earlier_boots(paths, boot) {
        records.extend(living(paths, &directory, machine, kernel));
    }
    // A record tells more than link and cache; it comes first, and the first claim counts.
    let known: Vec<_> = records.iter().map(|record| record.id.clone()).collect();
    let rest = recover::records(&survey, &cached, machine.now());
    records.extend(rest.into_iter().filter(|record| !known.contains(&record.id)));
    Ok(records)
}

/// The records of an earlier boot that are not proven dead; none where that book is unreadable.
fn living(paths: &Paths, directory: &Path, machine: &Machine, kernel: &dyn Kernel) -> Vec<Record> {
    let Ok(Opened::Book(ledger)) = SqliteLedger::open(options(paths, directory, machine)) else {
        return Vec::new();
    };
    let entries = ledger.list(None).unwrap_or_default();
    // Only what is proven dead is left behind.
    let lives = |record: &Record| recover::lives(kernel, machine, record).unwrap_or(true);
    entries.into_iter().map(|entry| entry.record).filter(lives).collect()
}

fn earlier_boots(paths: &Paths, boot: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(&paths.run) else { return Vec::new() };
    let is_earlier = |path: &PathBuf| path != boot && path.join("ledger.db").is_file();
    entries.flatten().map(|entry| entry.path()).filter(is_earlier).collect()
}

fn forget_earlier_boots(paths: &Paths, boot: &Path) {
    for directory in earlier_boots(paths, boot) {
        // What cannot be removed is looked at again at the next boot, and found dead again.
        let _ = std::fs::remove_dir_all(directory);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn looking_where_there_is_no_ledger_writes_nothing() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let paths = Paths {
            run: dir.path().join("run"),
            lib: dir.path().join("lib"),
            config: dir.path().join("config.toml"),
        };
        let boot = paths.run.join("boot");
        let machine = Machine::new(boot.join("locks"), Duration::from_secs(1));
        let kernel = wharfinger_kernel::mem::MemKernel::new();
        assert!(
            look(&paths, &boot, &machine, &kernel, &crate::settings::defaults())?
                .list(None)?
                .is_empty()
        );
        assert_eq!(std::fs::read_dir(dir.path())?.count(), 0);
        // Nor where it is damaged: it is the verbs' to set it aside.
        open(&paths, &boot, &machine, &kernel, &crate::settings::defaults())?;
        std::fs::write(boot.join("ledger.db"), "nonsense that is no database at all")?;
        let before = std::fs::read_dir(&boot)?.count();
        assert!(
            look(&paths, &boot, &machine, &kernel, &crate::settings::defaults())?
                .list(None)?
                .is_empty()
        );
        assert_eq!(std::fs::read_dir(&boot)?.count(), before);
        // And they say so.
        open(&paths, &boot, &machine, &kernel, &crate::settings::defaults())?;
        let said = std::fs::read_to_string(paths.run.join(events::FILE))?;
        assert_eq!(said.matches("ledger begun").count(), 2, "{said}");
        assert_eq!(said.matches("ledger set aside").count(), 1, "{said}");
        Ok(())
    }
}
