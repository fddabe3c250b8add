//! `wharfinger metrics`: measures of this node for Prometheus. Verbs pay nothing for them: what their
//! events add up to is added up here, and kept for the next time.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::{Deserialize, Serialize};
use wharfinger_attach::Host;
use wharfinger_attach::pools::Given;
use wharfinger_ledger::State;
use wharfinger_view::metrics::{Format, Now, Tally, render};

use super::{Answer, pools, print, told};
use crate::events::FILE;
use crate::plugins::store;
use crate::program::Program;

/// What was added up so far.
const KEPT: &str = "metrics.json";

#[derive(Debug, Args)]
pub(super) struct Metrics {
    /// Where conflists are
    #[arg(long, default_value = "/etc/cni/net.d", env = "NETCONFPATH")]
    conf_dir: PathBuf,
    /// Into this file, for node_exporter's textfile collector, which never sees half of it
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
}

/// The tally, and up to where the events are in it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// Device and inode of the file.
    file: (u64, u64),
    offset: u64,
    tally: Tally,
}

impl Metrics {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let tally = tally(&program.paths.run)?;
        let now = self.now(program);
        match &self.textfile {
            None => print(&render(&tally, &now, Format::OpenMetrics))?,
            Some(path) => {
                let text = render(&tally, &now, Format::Prometheus);
                replace(path, text.as_bytes(), 0o644)
                    .with_context(|| format!("write {}", path.display()))?;
            }
        }
        Ok(Answer::printed())
    }

    fn now(&self, program: &Program) -> Now {
        let mut now = Now { version: env!("CARGO_PKG_VERSION").to_owned(), ..Now::default() };
        let looked = program.look(|host| {
            let mut more = now.clone();
            self.look(host, &mut more)?;
            Ok(more)
        });
        let answered = looked.is_ok();
        now = looked.unwrap_or_else(|error| {
            // Nobody listens: no reason to fail, as the rest is measured.
            let _ =
                writeln!(io::stderr(), "wharfinger: attachments are not counted: {}", told(&error));
            now
        });
        now.store = program.configured().cluster.as_ref().map(|_| answered);
        now.ledger_bytes = fs::metadata(program.book()).map(|meta| meta.len()).unwrap_or_default();
        now.components = match store::open(&program.paths.lib) {
            Ok(None) => (0, 0),
            Ok(Some(cache)) => (cache.pins().len() as u64, 0),
            Err(_) => (0, 1),
        };
        now
    }

    fn look(&self, host: &Host, now: &mut Now) -> Result<(), wharfinger_attach::Error> {
        for entry in host.ledger.list(None)? {
            let state = match entry.record.state {
                State::Pending => "pending",
                State::Attached => "attached",
            };
            *now.attachments.entry((entry.record.id.network, state.to_owned())).or_default() += 1;
        }
        now.ledger = host.ledger.writable().is_ok();
        for found in pools::all(host, &self.conf_dir)? {
            let Given::Pools(_, pools) = &found.given else { continue };
            now.pools.extend(pools.iter().map(|pool| {
                let usage = &pool.usage;
                let counts = [usage.total, usage.held, usage.cooling, usage.remembered];
                (found.network.clone(), pool.name.clone(), counts.map(pools::exact))
            }));
        }
        // A network that two files have is told once.
        let mut seen = BTreeSet::new();
        now.pools.retain(|(network, pool, _)| seen.insert((network.clone(), pool.clone())));
        Ok(())
    }
}

/// What all events add up to. Where nothing can be kept, those that are there.
fn tally(run: &Path) -> Result<Tally> {
    let path = run.join(KEPT);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(run.join("metrics.lock"));
    let locked = lock.as_ref().is_ok_and(|file| file.lock().is_ok());
    let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let kept: Kept = kept.unwrap_or_default();
    let kept = add(kept, run).with_context(|| format!("read the events in {}", run.display()))?;
    if locked && let Ok(text) = serde_json::to_vec(&kept) {
        // The next one adds up what is there.
        let _ = replace(&path, &text, 0o600);
    }
    Ok(kept.tally)
}

/// Adds what is new in the file of events, and in the one before it.
fn add(mut kept: Kept, run: &Path) -> io::Result<Kept> {
    let (before, now) = (run.join(format!("{FILE}.1")), run.join(FILE));
    let files: Vec<(File, (u64, u64))> = [before, now]
        .iter()
        .filter_map(|path| match File::open(path) {
            // What cannot be read does not count as nothing: counters would begin anew.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened),
        })
        .map(|file| {
            let file = file?;
            file.metadata().map(|meta| (file, (meta.dev(), meta.ino())))
        })
        .collect::<io::Result<_>>()?;
    // Those before the one that was read last are in the tally.
    let known = files.iter().position(|(_, id)| *id == kept.file);
    for (mut file, id) in files.into_iter().skip(known.unwrap_or_default()) {
        let from = if id == kept.file { kept.offset } else { 0 };
        let from = if file.metadata()?.len() < from { 0 } else { from };
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        lines.filter(|line| !line.is_empty()).for_each(|line| kept.tally.add(line));
        (kept.file, kept.offset) = (id, from + whole as u64);
    }
    Ok(kept)
}

/// Whoever reads the file meanwhile has the one or the other.
fn replace(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = File::options();
    let file = options.create(true).truncate(true).write(true).mode(mode).open(&draft);
    let written =
        file.and_then(|mut file| file.write_all(text)).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adds(run: &Path) -> Option<String> {
        let text = render(&tally(run).ok()?, &Now::default(), Format::OpenMetrics);
        let line =
            text.lines().find(|line| line.starts_with("wharfinger_verbs_total{verb=\"ADD\""))?;
        line.rsplit(' ').next().map(str::to_owned)
    }

    #[test]
    fn counters_rise_while_the_file_of_events_is_cut() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let (now, before) = (dir.path().join(FILE), dir.path().join(format!("{FILE}.1")));
        let event = |text: &str| -> io::Result<()> {
            let mut file = File::options().append(true).create(true).open(&now)?;
            file.write_all(text.as_bytes())
        };
        let line = "{\"verb\":\"ADD\",\"network\":\"n\",\"milliseconds\":1.0}\n";
        assert_eq!(adds(dir.path()), None);
        event(line)?;
        event("{\"verb\":\"ADD\"")?;
        assert_eq!(adds(dir.path()).as_deref(), Some("1"), "half a line is for the next time");
        event(",\"network\":\"n\"}\n")?;
        assert_eq!(adds(dir.path()).as_deref(), Some("2"));
        assert_eq!(adds(dir.path()).as_deref(), Some("2"), "and once");
        event(line)?;
        fs::rename(&now, &before)?;
        event(line)?;
        assert_eq!(adds(dir.path()).as_deref(), Some("4"));
        fs::remove_file(&before)?;
        assert_eq!(adds(dir.path()).as_deref(), Some("4"), "what is gone counts still");
        fs::write(dir.path().join(KEPT), "nonsense")?;
        assert_eq!(adds(dir.path()).as_deref(), Some("1"), "what is there");
        Ok(())
    }

    /// Counters that begin anew would be taken for what happened.
    #[test]
    fn events_that_cannot_be_read_are_not_nothing() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let run = dir.path().join("run");
        fs::write(&run, "a file")?;
        let error = tally(&run).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(
            error.contains("read the events in") && error.contains("Not a directory"),
            "{error}"
        );
        Ok(())
    }

    #[test]
    fn a_node_without_a_run_directory_has_measures() {
        assert!(tally(Path::new("/proc/nonexistent")).is_ok());
    }
}
