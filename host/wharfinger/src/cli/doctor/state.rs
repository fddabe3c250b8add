//! What is kept on the node: whose it is, whether it can be read, and what of it is nobody's.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt as _};
use std::path::{Path, PathBuf};

use wharfinger_attach::{Error, Host, recover};
use wharfinger_ledger::{Entry, State};
use wharfinger_view::doctor::Facts;
use wharfinger_view::doctor::facts::Owned;

use crate::cli::show;
use crate::plugins::store;
use crate::program::Program;
use crate::settings::Paths;

/// Where the reference `host-local` keeps reservations, a folder a network.
const RESERVATIONS: &str = "/var/lib/cni/networks";
/// Where runtimes mount namespaces.
const NAMESPACES: &str = "/run/netns";
/// How the names of those begin that runtimes make; others are the administrator's.
const OF_RUNTIMES: [&str; 2] = ["cni-", "netns-"];

pub(super) fn gather(program: &Program, facts: &mut Facts) {
    let paths = &program.paths;
    for path in [&paths.run, &paths.lib, &paths.config] {
        facts.owned.extend(owned(path));
    }
    facts.ledger = program.damage();
    facts.set_aside = set_aside(paths);
    match store::open(&paths.lib) {
        Ok(None) => {}
        Ok(Some(cache)) => {
            let found = cache.verify().into_iter();
            facts.store.extend(found.map(|finding| (finding.object.clone(), finding.what.clone())));
        }
        Err(error) => facts.store.push(("store of components".to_owned(), error.to_string())),
    }
    facts.docker = Path::new(crate::docker::SOCKET).exists();
    facts.room = [&paths.run, &paths.lib].into_iter().filter_map(|path| room(path)).collect();
}

/// The path and its directory.
pub(super) fn owned(path: &Path) -> Vec<Owned> {
    let wanted = rustix::process::geteuid().as_raw();
    let of = |path: &Path| {
        let meta = fs::metadata(path).ok()?;
        let mode = meta.permissions().mode();
        // A directory in which everybody may make files, and remove but his own, is no danger here.
        let mode = if mode & 0o1000 == 0 { mode } else { mode & !0o022 };
        Some(Owned { path: path.display().to_string(), mode, uid: meta.uid(), wanted })
    };
    [Some(path), path.parent()].into_iter().flatten().filter_map(of).collect()
}

fn room(path: &Path) -> Option<(String, u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some((path.display().to_string(), bytes(stat.f_bavail), bytes(stat.f_blocks)))
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn set_aside(paths: &Paths) -> Vec<String> {
    let boots = entries(&paths.run).filter(|path| path.is_dir());
    let aside = |path: &PathBuf| path.display().to_string().contains(".db.damaged-");
    let all = boots.flat_map(|boot| entries(&boot)).chain(entries(&paths.lib));
    all.filter(aside).map(|path| path.display().to_string()).collect()
}

pub(super) fn leaks(host: &Host, facts: &mut Facts) {
    if facts.ledger.is_none() {
        facts.ledger = host.ledger.writable().err().map(|error| error.to_string());
    }
    facts.docker |= crate::docker::look(host)
        .is_ok_and(|(networks, pools)| !networks.is_empty() || !pools.is_empty());
    if let Err(error) = of_attachments(host, facts) {
        facts.unseen.push(("attachments".to_owned(), error.to_string()));
    }
}

fn of_attachments(host: &Host, facts: &mut Facts) -> Result<(), Error> {
    // Before the ledger is read: what is journalled since is no leak, and what is gone since is none.
    let before = recover::attachments(&host.kernel.seen()?);
    let known = host.ledger.list(None)?;
    let after: BTreeSet<_> =
        recover::attachments(&host.kernel.seen()?).into_iter().map(|found| found.id).collect();
    let ids: BTreeSet<_> = known.iter().map(|entry| &entry.record.id).collect();
    let orphans = before.iter().filter(|it| !ids.contains(&it.id) && after.contains(&it.id));
    facts.orphans = orphans.map(|it| (it.id.to_string(), by(&it.addresses))).collect();
    facts.attached = !known.is_empty();
    let mut living = Vec::new();
    for entry in &known {
        let id = entry.record.id.to_string();
        match recover::lives(host.kernel, host.node, &entry.record) {
            Ok(true) => living.push(entry),
            Ok(false) => facts.dead.push(id),
            Err(error) => facts.unseen.push((format!("whether {id} lives"), error.to_string())),
        }
    }
    facts.drifted = drifted(host, living);
    let containers: BTreeSet<&str> = ids.iter().map(|id| id.container.as_str()).collect();
    facts.reserved = reserved(Path::new(RESERVATIONS), &containers);
    let taken = known.iter().filter_map(|entry| entry.record.netns.as_deref()).collect();
    facts.namespaces = namespaces(Path::new(NAMESPACES), &taken);
    Ok(())
}

/// Those of the living that are attached and are not as they were made. What is being undone meanwhile is
/// looked at once more.
fn drifted(host: &Host, living: Vec<&Entry>) -> Vec<(String, String)> {
    // Of Docker's endpoints only Docker knows where they are.
    let whole =
        |entry: &&Entry| entry.record.state == State::Attached && entry.record.netns.is_some();
    let differs = |entry: &Entry| show::drift(host, &entry.record).into_iter().next();
    let first: Vec<&Entry> =
        living.into_iter().filter(whole).filter(|entry| differs(entry).is_some()).collect();
    let stays = |entry: &Entry| {
        let now = host.ledger.get(&entry.record.id).ok().flatten();
        now.is_some_and(|now| now.seq == entry.seq)
    };
    let again = first.into_iter().filter_map(|entry| Some((entry, differs(entry)?)));
    let found = again.filter(|(entry, _)| stays(entry));
    found.map(|(entry, what)| (entry.record.id.to_string(), what)).collect()
}

fn by(addresses: &[std::net::IpAddr]) -> String {
    match addresses {
        [] => "a link or a rule".to_owned(),
        [address, ..] => format!("a link or a rule of {address}"),
    }
}

/// Files of addresses whose container neither the ledger knows nor what runtimes keep.
fn reserved(folder: &Path, known: &BTreeSet<&str>) -> Vec<(String, String)> {
    let results: Vec<String> = entries(Path::new(crate::cache::DIRECTORY))
        .map(|path| path.display().to_string())
        .collect();
    let files = entries(folder).filter(|path| path.is_dir()).flat_map(|network| entries(&network));
    let address = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.replace('_', ":");
        name.parse::<std::net::IpAddr>().ok()?;
        let text = fs::read_to_string(path).ok()?;
        let container = text.lines().next()?.trim().to_owned();
        let is_known = known.contains(container.as_str())
            || results.iter().any(|result| result.contains(&container));
        (!is_known).then(|| (path.display().to_string(), container))
    };
    files.filter_map(|path| address(&path)).collect()
}

/// Of those that runtimes made, the ones in which no process is and that no attachment has.
fn namespaces(folder: &Path, taken: &BTreeSet<&str>) -> Vec<String> {
    let id = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let lived: BTreeSet<_> =
        entries(Path::new("/proc")).filter_map(|path| id(&path.join("ns/net"))).collect();
    let free = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let text = path.display().to_string();
        let taken = taken.contains(text.as_str()) || taken.contains(format!("/var{text}").as_str());
        OF_RUNTIMES.iter().any(|begin| name.starts_with(begin))
            && !taken
            && id(path).is_some_and(|id| !lived.contains(&id))
    };
    entries(folder).filter(free).map(|path| path.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_for_nobody_is_a_leak() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("pods"))?;
        let write = |name: &str, text: &str| fs::write(dir.path().join("pods").join(name), text);
        write("10.1.0.5", "lives\r\neth0")?;
        write("10.1.0.6", "gone\r\neth0")?;
        write("last_reserved_ip.0", "10.1.0.6")?;
        let found = reserved(dir.path(), &["lives"].into());
        assert_eq!(found.len(), 1);
        assert!(found[0].0.ends_with("10.1.0.6") && found[0].1 == "gone", "{found:?}");
        Ok(())
    }

    #[test]
    fn a_directory_that_all_may_write_is_told_unless_it_is_sticky() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let set = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode));
        let written = || owned(dir.path()).first().map(|owned| owned.mode & 0o022);
        set(0o777)?;
        assert_eq!(written(), Some(0o022));
        set(0o1777)?;
        assert_eq!(written(), Some(0));
        Ok(())
    }
}
