//! `wharfinger install` and `uninstall`: this executable where runtimes look for it, and links to it
//! under the names of the reference plugins.
//!
//! Each change is one rename: whoever starts a plugin meanwhile gets the one or the other, never
//! half of one. What stood there before is kept aside, in a folder that no runtime looks into.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use wharfinger_attach::{names, recover};
use wharfinger_delegate::FileId;
use wharfinger_ledger::Record;

use super::{Answer, Did, plugin};
use crate::program::Program;

/// Under which name runtimes look for it.
const NAME: &str = "wharfinger";

/// Where what stood under a name before is kept.
const ASIDE: &str = "replaced-by-wharfinger";

/// Attachments that are named where not all can be.
const NAMED: usize = 5;

#[derive(Debug, Args)]
pub(super) struct Install {
    #[command(flatten)]
    place: Place,
    /// Links under the reference plugins' names: `all`, or names separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
    /// Executables of others that have such a name are kept aside; `uninstall` puts them back
    #[arg(long)]
    take_over: bool,
    /// Instead of that: write a folder for `docker plugin create`, with this executable in it
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["directory", "names", "take_over"])]
    docker_plugin: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Uninstall {
    #[command(flatten)]
    place: Place,
    /// Also where attachments need it for their DEL
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct Place {
    /// The directory of CNI plugins
    #[arg(value_name = "DIR", conflicts_with = "bin_dir")]
    directory: Option<PathBuf>,
    /// The directory of CNI plugins
    #[arg(long, value_name = "DIR", default_value = "/opt/cni/bin")]
    bin_dir: PathBuf,
}

impl Place {
    fn bin(&self) -> Bin {
        Bin(self.directory.clone().unwrap_or_else(|| self.bin_dir.clone()))
    }
}

impl Install {
    /// What is installed is compiled for this executable first, so that no ADD has to.
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        if let Some(folder) = &self.docker_plugin {
            crate::docker::folder(folder)
                .with_context(|| format!("Docker plugin in {}", folder.display()))?;
            let next = format!("docker plugin create wharfinger {}", folder.display());
            return Ok(Did::answer(&[Did::so("wrote", folder.display(), next)]));
        }
        let bin = self.place.bin();
        let names = wanted(&self.names)?;
        let foreign: Vec<&str> =
            names.iter().copied().filter(|name| bin.has_foreign(name)).collect();
        if !foreign.is_empty() && !self.take_over {
            bail!(
                "nothing was installed: {} has {} of another origin; with --take-over they are \
                 kept aside, and put back by `wharfinger uninstall`",
                bin.0.display(),
                foreign.join(", ")
            );
        }
        let mut done = plugin::recompile(program)
            .context("nothing was installed: components cannot be compiled for this executable")?;
        done.extend(bin.fill(&names)?);
        Ok(Did::answer(&done))
    }
}

/// The names that were asked for, each once, or all.
pub(super) fn wanted(given: &[String]) -> Result<Vec<&'static str>> {
    if given == ["all"] {
        return Ok(names::all().collect());
    }
    if let Some(unknown) = given.iter().find(|name| names::kind(name).is_none()) {
        let known: Vec<&str> = names::all().collect();
        bail!("no reference plugin is called {unknown:?}: all, or some of {}", known.join(","));
    }
    Ok(names::all().filter(|name| given.iter().any(|given| given == name)).collect())
}

impl Uninstall {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let bin = self.place.bin();
        if !self.force {
            needed(program, &bin)?;
        }
        Ok(Did::answer(&bin.empty()?))
    }
}

/// What lives that nobody else could detach.
pub(super) fn living(program: &Program, bin: &Bin) -> Result<Vec<Record>> {
    let living = program.look(|host| {
        let entries = host.ledger.list(None)?.into_iter().map(|entry| entry.record);
        let lives =
            |record: &Record| recover::lives(host.kernel, host.node, record).unwrap_or(true);
        Ok(entries.filter(|record| !bin.serves(record)).filter(lives).collect::<Vec<_>>())
    });
    living.map_err(|error| super::told(&error))
}

/// Refuses while something lives that nobody else could detach: what was attached under our own
/// type, or under a name that nobody takes over.
fn needed(program: &Program, bin: &Bin) -> Result<()> {
    let living = living(program, bin)?;
    if living.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = living.iter().take(NAMED).map(|r| r.id.to_string()).collect();
    let more = living.len().saturating_sub(named.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    bail!(
        "nothing was removed: {}{more} live and need wharfinger for their DEL; detach them first, \
         or say --force",
        named.join(", ")
    )
}

/// A directory of CNI plugins.
pub(super) struct Bin(pub(super) PathBuf);

impl Bin {
    /// Puts this executable there, and links to it under these names, where nobody else has them. Says
    /// what was done.
    pub(super) fn fill(&self, names: &[&str]) -> Result<Vec<Did>> {
        let place = self.path(NAME);
        put(Path::new("/proc/self/exe"), &place)
            .with_context(|| format!("install {}", place.display()))?;
        let mut done = vec![Did::new("installed", place.display())];
        for name in names {
            done.extend(self.take(name).with_context(|| format!("install the name {name}"))?);
        }
        self.sync();
        Ok(done)
    }

    /// Undoes that. Says what was done.
    pub(super) fn empty(&self) -> Result<Vec<Did>> {
        let mut done = Vec::new();
        for name in names::all() {
            done.extend(self.give_back(name).with_context(|| format!("give back {name}"))?);
        }
        let place = self.path(NAME);
        match fs::remove_file(&place) {
            Ok(()) => done.push(Did::new("removed", place.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(format!("remove {}", place.display())),
        }
        // Not empty where somebody put something of his own there.
        let _ = fs::remove_dir(self.0.join(ASIDE));
        self.sync();
        Ok(done)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.0.join(ASIDE).join(name)
    }

    /// Whether the name is a way to our executable.
    fn is_ours(&self, name: &str) -> bool {
        let path = self.path(name);
        // A link is ours also while what it leads to is being put there.
        let link = fs::read_link(&path).is_ok_and(|to| to == Path::new(NAME));
        let same =
            || FileId::of(&path).is_ok_and(|id| FileId::of(&self.path(NAME)).ok() == Some(id));
        link || same()
    }

    pub(super) fn has_foreign(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok() && !self.is_ours(name)
    }

    /// Whether somebody takes over from us what this attachment needs.
    fn serves(&self, record: &Record) -> bool {
        let called = record.conf.get("called").and_then(serde_json::Value::as_str);
        called.is_some_and(|name| fs::symlink_metadata(self.aside(name)).is_ok())
    }

    /// Makes the name ours; what stood there is kept. Says what was done.
    fn take(&self, name: &str) -> Result<Vec<Did>> {
        let place = self.path(name);
        if self.is_ours(name) {
            let line = format!("{} leads to {NAME} already", place.display());
            return Ok(vec![Did::so("linked already", place.display(), line)]);
        }
        let mut done = Vec::new();
        if self.has_foreign(name) {
            let aside = self.aside(name);
            self.keep(&place, &aside).with_context(|| format!("keep {}", place.display()))?;
            done.push(Did::new("kept", aside.display()));
        }
        let unfinished = unfinished(&place);
        symlink(NAME, &unfinished)
            .and_then(|()| rename(&unfinished, &place))
            .with_context(|| format!("link {}", place.display()))?;
        done.push(Did::new("linked", place.display()));
        Ok(done)
    }

    /// A second name for what stands there, so that it never lacks its first.
    fn keep(&self, place: &Path, aside: &Path) -> io::Result<()> {
        fs::create_dir_all(self.0.join(ASIDE))?;
        let unfinished = unfinished(aside);
        fs::hard_link(place, &unfinished)?;
        rename(&unfinished, aside)
    }

    /// Puts back what stood under the name, or leaves nothing there; what is not ours stays.
    fn give_back(&self, name: &str) -> Result<Option<Did>> {
        if !self.is_ours(name) {
            return Ok(None);
        }
        let (place, aside) = (self.path(name), self.aside(name));
        match fs::rename(&aside, &place) {
            Ok(()) => return Ok(Some(Did::new("put back", place.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        fs::remove_file(&place)?;
        Ok(Some(Did::new("removed", place.display())))
    }

    /// A power failure loses none of it; that it may is no reason to fail.
    fn sync(&self) {
        let _ = File::open(&self.0).and_then(|directory| directory.sync_all());
    }
}

/// What is left of one is no plugin's name.
fn unfinished(place: &Path) -> PathBuf {
    let mut unfinished = place.as_os_str().to_owned();
    unfinished.push(format!(".new-{}", std::process::id()));
    PathBuf::from(unfinished)
}

/// rename(2), cleaned up after where it fails. Two names of one file it leaves as they are, both.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let renamed = fs::rename(from, to);
    let _ = fs::remove_file(from);
    renamed
}

/// A copy beside its place, renamed into it: whoever starts it gets the one or the other.
fn put(from: &Path, place: &Path) -> io::Result<()> {
    let unfinished = unfinished(place);
    let written = copy(from, &unfinished).and_then(|()| fs::rename(&unfinished, place));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written?;
    place.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn names_are_taken_kept_and_given_back() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let bin = Bin(dir.path().to_owned());
        fs::write(bin.path(NAME), "ours")?;
        fs::write(bin.path("bridge"), "theirs")?;
        symlink("/nowhere/ptp", bin.path("ptp"))?;
        assert!(bin.has_foreign("bridge") && bin.has_foreign("ptp") && !bin.has_foreign("vlan"));
        for name in ["bridge", "ptp", "vlan"] {
            bin.take(name)?;
            assert!(bin.is_ours(name) && !bin.has_foreign(name));
            let again = Did::lines(&bin.take(name)?);
            assert!(again.contains("already"), "{again}");
        }
        assert_eq!(
            (read(&bin.path("bridge")), read(&bin.aside("bridge"))),
            ("ours".into(), "theirs".into())
        );
        // A package put its own there again: the newer one is kept.
        fs::remove_file(bin.path("bridge"))?;
        fs::write(bin.path("bridge"), "theirs, newer")?;
        bin.take("bridge")?;
        assert_eq!(read(&bin.aside("bridge")), "theirs, newer");
        fs::write(bin.path("tap"), "another's")?;
        for name in names::all() {
            bin.give_back(name)?;
        }
        assert_eq!(read(&bin.path("bridge")), "theirs, newer");
        assert_eq!(fs::read_link(bin.path("ptp"))?, Path::new("/nowhere/ptp"));
        assert!(!bin.path("vlan").exists());
        assert_eq!(read(&bin.path("tap")), "another's");
        assert_eq!(fs::read_dir(dir.path().join(ASIDE))?.count(), 0);
        let left = fs::read_dir(dir.path())?.flatten();
        assert!(left.map(|e| e.file_name()).all(|n| !n.to_string_lossy().contains(".new-")));
        Ok(())
    }

    #[test]
    fn only_names_of_the_set_are_taken() {
        assert_eq!(wanted(&["all".to_owned()]).map(|names| names.len()).ok(), Some(18));
        assert_eq!(
            wanted(&["vrf".to_owned(), "bridge".to_owned()]).ok(),
            Some(vec!["bridge", "vrf"])
        );
        assert!(wanted(&["flannel".to_owned()]).is_err());
        assert_eq!(wanted(&[]).ok(), Some(vec![]));
    }
}
