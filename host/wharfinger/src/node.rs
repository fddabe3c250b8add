//! The machine as the verbs need it: clock, deadline, locks, namespaces, small files.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use wharfinger_attach::{Hold, Node};
use wharfinger_cni::AttachmentId;
use wharfinger_delegate::{DelegateCall, Locked};
use wharfinger_kube::Kube;
use wharfinger_wasm::{NoPod, Pod, PodFacts};

use crate::pods;

/// A `resolv.conf` is small; something larger is a mistake or an attack.
const FILE_LIMIT: u64 = 64 << 10;

/// See the module.
pub(crate) struct Machine {
    locks: PathBuf,
    now: u64,
    until: Instant,
    kubernetes: Option<Kube>,
    /// What was asked for, and answered.
    pod: OnceCell<(Pod, Result<PodFacts, NoPod>)>,
}

impl Machine {
    /// A verb begins, and has `deadline` to end. Its locks are files in `locks`.
    pub(crate) fn new(locks: PathBuf, deadline: Duration) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            locks,
            now: since.map(|d| d.as_secs()).unwrap_or_default(),
            until: Instant::now() + deadline,
            kubernetes: None,
            pod: OnceCell::new(),
        }
    }

    /// One that may ask this API server about the pod.
    pub(crate) fn asking(self, kubernetes: Option<Kube>) -> Self {
        Self { kubernetes, ..self }
    }

    /// The same for a work that may take so long.
    pub(crate) fn brief(&self, deadline: Duration) -> Self {
        Self { now: self.now, ..Self::new(self.locks.clone(), deadline) }
    }

    /// This boot's folder.
    pub(crate) fn boot(&self) -> &Path {
        self.locks.parent().unwrap_or(&self.locks)
    }

    /// When the verb must have ended.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    fn lock_path(&self, id: &AttachmentId) -> PathBuf {
        self.locks.join(format!("{:x}", Sha256::digest(id.to_string().as_bytes())))
    }

    /// Where it is noted that an executable runs for an attachment; none where it is about none.
    pub(crate) fn note(&self, call: &DelegateCall<'_>) -> Option<PathBuf> {
        let of = |name: &str| call.env.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        let container = of("CNI_CONTAINERID").filter(|id| !id.is_empty())?;
        let network = call.config.get("name").and_then(|name| name.as_str()).unwrap_or_default();
        let (container, ifname) = (container.display(), of("CNI_IFNAME")?.display());
        let of = format!("{network}/{container}/{ifname} {}", call.name);
        Some(self.locks.join(format!("{:x}", Sha256::digest(of.as_bytes()))))
    }
}

impl Node for Machine {
    fn now(&self) -> u64 {
        self.now
    }

    fn remaining(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn lock(&self, id: &AttachmentId) -> io::Result<Option<Hold>> {
        let path = self.lock_path(id);
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(locked) = Locked::try_take(&path)? {
                return Ok(Some(Hold::new(locked)));
            }
            if self.remaining().is_zero() {
                return Ok(None);
            }
            thread::sleep(pause.min(self.remaining()));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn try_lock(&self, id: &AttachmentId) -> io::Result<Option<Hold>> {
        Ok(Locked::try_take(&self.lock_path(id))?.map(Hold::new))
    }

    fn namespaces(&self) -> io::Result<Vec<PathBuf>> {
        let mut seen = BTreeSet::new();
        let mut paths = Vec::new();
        for path in processes()?.into_iter().chain(mounts()?) {
            match std::fs::metadata(&path) {
                Ok(meta) if !seen.insert((meta.dev(), meta.ino())) => {}
                // Its process has ended.
                Err(error) if ended(&error) => {}
                // Also one that we may not look at: what is in it is not known.
                _ => paths.push(path),
            }
        }
        Ok(paths)
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        use io::Read;
        let mut text = String::new();
        File::open(path)?.take(FILE_LIMIT).read_to_string(&mut text)?;
        Ok(text)
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        let mut rest = Vec::new();
        for there in path.ancestors() {
            match std::fs::canonicalize(there) {
                Ok(real) => return Ok(rest.iter().rev().fold(real, |path, part| path.join(part))),
                // A link that leads nowhere is there: where it leads may come later.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && std::fs::symlink_metadata(there).is_err() =>
                {
                    rest.extend(there.file_name());
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn foreign(&self, name: &str, folders: &[PathBuf]) -> bool {
        wharfinger_delegate::find(folders, name).is_ok_and(|path| !is_us(&path))
    }

    fn namespace_of(&self, id: &AttachmentId) -> Option<PathBuf> {
        crate::cache::netns(Path::new(crate::cache::DIRECTORY), id)
    }

    fn pod(&self, pod: &Pod) -> Result<PodFacts, NoPod> {
        let Some(kube) = &self.kubernetes else {
            let what = "the node's file has no [kubernetes], which says how to ask the API server";
            return Err(NoPod::NotThere(what.to_owned()));
        };
        let ask = || pods::ask(kube, pod, self.remaining());
        match self.pod.get_or_init(|| (pod.clone(), ask())) {
            (of, answer) if of == pod => answer.clone(),
            _ => ask(),
        }
    }

    fn indexes(&self) -> Option<PathBuf> {
        Some(self.locks.with_file_name("host-local"))
    }
}

/// Whether the file is this executable, by whatever name.
pub(crate) fn is_us(path: &Path) -> bool {
    let own = wharfinger_delegate::FileId::of(Path::new("/proc/self/exe")).ok();
    own.is_some() && wharfinger_delegate::FileId::of(path).ok() == own
}

/// Whether the file has, byte by byte, what this executable has: a copy of it. One that cannot be read is none.
pub(crate) fn is_copy(path: &Path) -> bool {
    same(Path::new("/proc/self/exe"), path).unwrap_or(false)
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (here, there) = (one.fill_buf()?, other.fill_buf()?);
        let both = here.len().min(there.len());
        if here.get(..both) != there.get(..both) {
            return Ok(false);
        }
        if both == 0 {
            return Ok(here.len() == there.len());
        }
        one.consume(both);
        other.consume(both);
    }
}

/// proc(5): ESRCH where a process ended between looking up its directory and what is in it.
fn ended(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// The network namespace of each process.
fn processes() -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir("/proc")?.flatten().map(|entry| entry.path());
    let is_process = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
    };
    Ok(entries.filter(is_process).map(|path| path.join("ns/net")).collect())
}

/// Where namespaces are mounted.
fn mounts() -> io::Result<Vec<PathBuf>> {
    Ok(mounted(&std::fs::read("/proc/self/mountinfo")?))
}

/// As proc(5) has them, mountinfo: the fifth field is the mount point.
fn mounted(mountinfo: &[u8]) -> Vec<PathBuf> {
    const OF_NAMESPACES: &[u8] = b" - nsfs ";
    let lines = mountinfo.split(|byte| *byte == b'\n');
    let nsfs = lines
        .filter(|line| line.windows(OF_NAMESPACES.len()).any(|window| window == OF_NAMESPACES));
    let points = nsfs.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    points.map(|point| PathBuf::from(OsString::from_vec(unescaped(point)))).collect()
}

/// The kernel writes what would end a field, and the backslash, as three octal digits.
fn unescaped(mut field: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(field.len());
    while let Some((first, rest)) = field.split_first() {
        let (octet, rest) = match rest {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] if *first == b'\\' => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), rest)
            }
            _ => (*first, rest),
        };
        octets.push(octet);
        field = rest;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> AttachmentId {
        AttachmentId { network: "n".into(), container: "c".into(), ifname: "eth0".into() }
    }

    #[test]
    fn a_copy_is_known_by_what_is_in_it() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let mut text = vec![7_u8; 100_000];
        std::fs::write(&one, &text)?;
        std::fs::write(&other, &text)?;
        assert!(same(&one, &other)?);
        text[99_999] = 8;
        std::fs::write(&other, &text)?;
        assert!(!same(&one, &other)?, "of one length");
        std::fs::write(&other, &text[..99_999])?;
        assert!(!same(&one, &other)?);
        assert!(!is_copy(&other) && !is_copy(&dir.path().join("nowhere")));
        Ok(())
    }

    #[test]
    fn a_lock_excludes_and_is_given_back() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let machine = Machine::new(dir.path().to_owned(), Duration::from_millis(20));
        let held = machine.try_lock(&id())?;
        assert!(held.is_some());
        assert!(machine.try_lock(&id())?.is_none());
        assert!(machine.lock(&id())?.is_none(), "the deadline bounds the wait");
        drop(held);
        assert!(machine.try_lock(&id())?.is_some());
        assert_eq!(std::fs::read_dir(dir.path())?.count(), 0, "no file stays behind");
        Ok(())
    }

    #[test]
    fn a_path_is_followed_as_far_as_it_is_there() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let real = std::fs::canonicalize(dir.path())?;
        std::fs::create_dir(real.join("state"))?;
        std::os::unix::fs::symlink("/etc", real.join("link"))?;
        std::os::unix::fs::symlink("nowhere", real.join("dangling"))?;
        let machine = Machine::new(real.clone(), Duration::ZERO);
        let path = |name: &str| machine.real_path(&real.join(name));
        assert_eq!(path("state/new/file")?, real.join("state/new/file"));
        assert_eq!(path("link/new/file")?, Path::new("/etc/new/file"));
        assert_eq!(path("link/hostname")?, std::fs::canonicalize("/etc/hostname")?);
        assert!(path("dangling/file").is_err(), "where it leads may come later");
        Ok(())
    }

    #[test]
    fn a_lock_whose_directory_was_lost_takes_nobody_elses_away() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let locks = dir.path().join("locks");
        let machine = Machine::new(locks.clone(), Duration::from_millis(20));
        let lost = machine.try_lock(&id())?;
        std::fs::remove_dir_all(&locks)?;
        let held = machine.try_lock(&id())?;
        assert!(lost.is_some() && held.is_some());
        drop(lost);
        assert!(machine.try_lock(&id())?.is_none(), "the second one's file is still there");
        Ok(())
    }

    #[test]
    fn many_threads_have_it_one_at_a_time() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let inside = std::sync::atomic::AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let machine = Machine::new(dir.path().to_owned(), Duration::from_secs(30));
                    for _ in 0..20 {
                        let held = machine.lock(&id()).unwrap();
                        assert!(held.is_some());
                        let before = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        assert_eq!(before, 0, "somebody else is inside");
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
        Ok(())
    }

    #[test]
    fn a_mount_is_found_by_the_name_that_it_has() {
        let mountinfo = b"24 1 0:22 / /proc rw - proc proc rw\n\
            31 1 0:4 net:[4026532001] /run/netns/a rw shared:9 - nsfs nsfs rw\n\
            32 1 0:4 net:[4026532002] /mnt/two\\040words\\011\\012\\134end\\9 rw - nsfs nsfs rw\n";
        let names = ["/run/netns/a", "/mnt/two words\t\n\\end\\9"];
        assert_eq!(mounted(mountinfo), names.map(PathBuf::from));
    }

    #[test]
    fn our_own_namespace_is_among_them() -> io::Result<()> {
        let machine = Machine::new(PathBuf::from("/nonexistent"), Duration::ZERO);
        let own = std::fs::metadata("/proc/self/ns/net")?.ino();
        let found = machine.namespaces()?;
        assert!(found.iter().any(|path| std::fs::metadata(path).is_ok_and(|m| m.ino() == own)));
        Ok(())
    }
}
