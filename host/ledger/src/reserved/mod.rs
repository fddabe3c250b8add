//! The directory of the reference `host-local`, read and written as that plugin does, so that both
//! may run at the same moment: one file an address, in it who has it; its lock around each change.
//!
//! It alone holds the addresses: nothing here rests, and nothing is remembered but the address
//! given last from each range set. No plugin runs while the lock is held. A reservation is
//! written whole beside its place and renamed, so none is empty after a crash; an empty one that
//! the reference left is nobody's, and is taken. Nothing is synced: what a power failure takes,
//! it takes with the container. Start reading at [`Reserved`].

mod files;
mod index;

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::point::{Point, Span, covering, merged, spans};
use crate::search::{above, pieces};
use crate::{Error, Range, Usage};
use files::{Names, failed};
use index::Index;

/// Where the reference plugin keeps its directories unless it is told otherwise.
pub const DATA_DIR: &str = "/var/lib/cni/networks";

/// So many addresses are tried by name before the directory is read.
const PROBES: usize = 32;

/// Whose a reservation is: what stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reserver {
    /// The container's id.
    pub container: String,
    /// The interface. Releases of the reference before 0.7 wrote none.
    pub ifname: Option<String>,
}

impl Reserver {
    /// Of this container, by this interface.
    pub fn new(container: &str, ifname: &str) -> Self {
        Self { container: container.to_owned(), ifname: Some(ifname.to_owned()) }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (container, ifname) = match text.split_once(files::BREAK) {
            Some((container, ifname)) => (container, Some(ifname.to_owned())),
            None => (text, None),
        };
        (!container.is_empty()).then(|| Self { container: container.to_owned(), ifname })
    }

    fn text(&self) -> String {
        let container = self.container.trim();
        match &self.ifname {
            Some(ifname) => format!("{container}{}{ifname}", files::BREAK),
            None => container.to_owned(),
        }
    }

    /// The same as an old release wrote it.
    fn old(&self) -> Self {
        Self { ifname: None, ..self.clone() }
    }
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The address.
    pub address: IpAddr,
    /// Whose it is.
    pub reserver: Reserver,
    /// When it was made, in seconds since the Unix epoch.
    pub since: u64,
}

/// A directory of reservations: one network's.
#[derive(Debug, Clone)]
pub struct Reserved {
    path: PathBuf,
    index: Index,
    wait: Duration,
}

/// The lock is held as long as this is there.
struct Locked {
    _file: File,
}

impl Reserved {
    /// The network's directory in `data_dir`. Who has which is noted in `index`, a directory of
    /// ours that may be lost at any time; without one each search reads every file. Waits at
    /// most `wait` for the lock.
    pub fn new(data_dir: &Path, network: &str, index: Option<PathBuf>, wait: Duration) -> Self {
        Self { path: data_dir.join(network), index: Index::new(index), wait }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reserves this address, as the one of range set `set`. Whose it is, where it is not free.
    pub fn take(
        &self,
        reserver: &Reserver,
        address: IpAddr,
        set: usize,
    ) -> Result<Result<(), Reserver>, Error> {
        let locked = self.lock()?;
        match self.owner(address)? {
            Some(owner) => Ok(Err(owner)),
            None => self.reserve(&locked, reserver, address, set).map(Ok),
        }
    }

    /// Reserves the first free address of the ranges, less the excluded ones: upwards from above
    /// the one that was given last from range set `set`, once round.
    pub fn take_free(
        &self,
        reserver: &Reserver,
        set: usize,
        ranges: &[Range],
        excluded: &[Range],
    ) -> Result<Option<IpAddr>, Error> {
        let locked = self.lock()?;
        let found = self.free(set, ranges, excluded)?;
        if let Some(address) = found {
            self.reserve(&locked, reserver, address, set)?;
        }
        Ok(found)
    }

    /// What [`Reserved::take_free`] would answer now.
    pub fn free(
        &self,
        set: usize,
        ranges: &[Range],
        excluded: &[Range],
    ) -> Result<Option<IpAddr>, Error> {
        let ranges = spans(ranges);
        let excluded = merged(spans(excluded));
        let begin = files::last(&self.path, set).map(Point::from).and_then(|last| {
            let index = ranges.iter().position(|range| range.contains(last))?;
            above(&ranges, index, last)
        });
        let mut probes = 0;
        let mut known: Option<Vec<Span>> = None;
        for piece in pieces(&ranges, begin) {
            let mut at = Some(piece.first);
            while let Some(point) = at.filter(|point| piece.contains(*point)) {
                let taken = |spans: &Vec<Span>| covering(spans, point);
                if let Some(span) = covering(&excluded, point).or(known.as_ref().and_then(taken)) {
                    at = span.last.next();
                    continue;
                }
                if known.is_some() || files::is_free(&self.path, point.ip()) {
                    return Ok(Some(point.ip()));
                }
                probes += 1;
                if probes == PROBES {
                    known = Some(self.names()?.spans());
                }
                at = point.next();
            }
        }
        // The last hope, and only where all seems taken: each has to be looked at.
        let given = |point: Point| {
            covering(&excluded, point).is_none() && ranges.iter().any(|range| range.contains(point))
        };
        let names = self.names()?;
        let mut empty = names.points().filter(|point| given(*point));
        Ok(empty.find(|point| files::is_free(&self.path, point.ip())).map(Point::ip))
    }

    /// Who has the address; none where it is free.
    pub fn owner(&self, address: IpAddr) -> Result<Option<Reserver>, Error> {
        let text = files::read(&self.path.join(address.to_string()))?;
        Ok(text.as_deref().and_then(Reserver::parse))
    }

    /// What the reserver has.
    pub fn held(&self, reserver: &Reserver) -> Result<Vec<IpAddr>, Error> {
        if !self.path.is_dir() {
            return Ok(Vec::new());
        }
        let locked = self.lock()?;
        let mut found = self.files_of(&locked, reserver)?;
        found.extend(self.files_of(&locked, &reserver.old())?);
        Ok(found.iter().filter_map(|path| files::address(path)).collect())
    }

    /// Gives back all that the reserver has, wherever it lies; that there is none is fine.
    /// What a file of an old release holds is the container's, where it has nothing else.
    pub fn release(&self, reserver: &Reserver) -> Result<Vec<IpAddr>, Error> {
        if !self.path.is_dir() {
            return Ok(Vec::new());
        }
        let locked = self.lock()?;
        let mut found = self.files_of(&locked, reserver)?;
        if found.is_empty() {
            found = self.files_of(&locked, &reserver.old())?;
        }
        self.remove(&locked, &found)?;
        Ok(found.iter().filter_map(|path| files::address(path)).collect())
    }

    /// Gives back some of what the reserver has.
    pub fn give_up(&self, reserver: &Reserver, addresses: &[IpAddr]) -> Result<(), Error> {
        let locked = self.lock()?;
        let mut found = Vec::new();
        for address in addresses {
            if self.owner(*address)?.as_ref() == Some(reserver) {
                found.push(self.path.join(address.to_string()));
            }
        }
        self.remove(&locked, &found)
    }

    /// Gives back whatever `stays` is not true of, and files that are nobody's.
    pub fn collect(&self, stays: impl Fn(&Reservation) -> bool) -> Result<Vec<IpAddr>, Error> {
        if !self.path.is_dir() {
            return Ok(Vec::new());
        }
        let locked = self.lock()?;
        let mut gone = Vec::new();
        for point in self.names()?.points() {
            let path = self.path.join(point.ip().to_string());
            if !self.reservation(&path, point.ip())?.is_some_and(|held| stays(&held)) {
                gone.push(path);
            }
        }
        self.remove(&locked, &gone)?;
        Ok(gone.iter().filter_map(|path| files::address(path)).collect())
    }

    /// All that is reserved, by address.
    pub fn all(&self) -> Result<Vec<Reservation>, Error> {
        if !self.path.is_dir() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for point in self.names()?.points() {
            let path = self.path.join(point.ip().to_string());
            all.extend(self.reservation(&path, point.ip())?);
        }
        Ok(all)
    }

    /// None where it is nobody's.
    fn reservation(&self, path: &Path, address: IpAddr) -> Result<Option<Reservation>, Error> {
        let Some(reserver) = self.owner(address)? else { return Ok(None) };
        let since = fs::metadata(path).map(|meta| meta.mtime()).unwrap_or_default();
        let since = u64::try_from(since).unwrap_or_default();
        Ok(Some(Reservation { address, reserver, since }))
    }

    /// Shows `take` all that is reserved, with the lock held, once for as long as the index is
    /// there: for a book that goes on with what this one has. Nothing is changed here.
    pub fn hand_over<E: From<Error>>(
        &self,
        take: impl FnOnce(&[Reservation]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.index.is_handed_over() || !self.path.is_dir() {
            return Ok(());
        }
        let _locked = self.lock()?;
        if self.index.is_handed_over() {
            return Ok(());
        }
        take(&self.all()?)?;
        self.index.handed_over();
        Ok(())
    }

    /// How full these ranges are.
    pub fn usage(&self, ranges: &[Range]) -> Result<Usage, Error> {
        let ranges = merged(spans(ranges));
        let total = ranges.iter().map(|span| span.size()).fold(0, u128::saturating_add);
        if !self.path.is_dir() {
            return Ok(Usage { total, ..Usage::default() });
        }
        let names = self.names()?;
        let held = names.points().filter(|point| covering(&ranges, *point).is_some()).count();
        Ok(Usage { total, held: held as u128, ..Usage::default() })
    }

    /// Locks the directory as the reference does; makes it where it is not there.
    fn lock(&self) -> Result<Locked, Error> {
        let file = files::open_lock(&self.path)?;
        let began = Instant::now();
        let mut pause = Duration::from_micros(100);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Locked { _file: file }),
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => {
                    return Err(failed(&self.path.join(files::LOCK), "lock", &error));
                }
            }
            if began.elapsed() >= self.wait {
                return Err(Error::Busy { path: self.path.display().to_string() });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    fn names(&self) -> Result<Names, Error> {
        Names::read(&self.path)
    }

    fn reserve(
        &self,
        _: &Locked,
        reserver: &Reserver,
        address: IpAddr,
        set: usize,
    ) -> Result<(), Error> {
        let known = self.index.stands(&self.path);
        let name = address.to_string();
        files::put(&self.path, &name, &reserver.text())?;
        files::put(&self.path, &files::last_name(set), &name)?;
        // Without a stamp the index does not stand: the directory has changed.
        if known && self.index.add(reserver, &name) {
            self.index.stamp(&self.path);
        }
        Ok(())
    }

    fn remove(&self, _: &Locked, found: &[PathBuf]) -> Result<(), Error> {
        let known = self.index.stands(&self.path);
        files::clear(&self.path);
        for path in found {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(path, "remove", &error));
                }
                _ => {}
            }
        }
        if known && !found.is_empty() {
            self.index.stamp(&self.path);
        }
        Ok(())
    }

    /// The files that say that they are the reserver's: by the index where nobody else has
    /// changed the directory since, else by reading all. What the index says is looked up.
    fn files_of(&self, _: &Locked, reserver: &Reserver) -> Result<Vec<PathBuf>, Error> {
        let text = reserver.text();
        if let Some(names) = self.index.find(&self.path, reserver) {
            let paths = names.into_iter().map(|name| self.path.join(name));
            let is = |path: &PathBuf| {
                files::read(path).is_ok_and(|found| found.is_some_and(|f| f.trim() == text))
            };
            return Ok(paths.filter(is).collect());
        }
        let all = files::contents(&self.path)?;
        if all.iter().all(|(path, _)| path.parent() == Some(self.path.as_path())) {
            self.index.rebuild(&self.path, &all);
        }
        let is = |(path, found): (PathBuf, String)| (found.trim() == text).then_some(path);
        Ok(all.into_iter().filter_map(is).collect())
    }
}
