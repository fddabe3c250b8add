//! The store of installed components and of their compiled forms, in `plugins/` of the lib
//! directory.
//!
//! Compiled code is native code: what is mapped must be what was compiled here. So directories
//! and files are root's, checked on what was opened and never through a symbolic link; a tag made
//! with the store's own key binds each compiled form to its component and engine; and what does
//! not fit is a miss: made anew from the component, whose digest the lock file pins. Nothing is
//! ever changed in place. This module never compiles in this process and never decides who may
//! have what. Start reading at [`Cache::load`].

mod compiled;
mod dir;
mod error;
mod lock;
mod mac;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Stat, flock};

use self::compiled::FOOTER;
use self::dir::{Dir, Secrecy};
pub use self::error::Error;
pub use self::lock::{Digest, Pin};
use self::lock::{Lock, Seen};
use self::mac::{Key, SIZE};
pub use self::verify::Finding;
use crate::raw::{self, Code};

/// The store's directory in the lib directory.
const STORE: &str = "plugins";
const COMPONENTS: &str = "components";
const COMPILED: &str = "compiled";
const KEY: &str = "key";
const LOCK: &str = "lock.json";
/// A lock file has a few hundred bytes for each component.
const LOCK_LIMIT: u64 = 4 << 20;
/// Compiled files up to this size are checked as a whole each time; larger ones when they do not
/// look as the lock file says.
const WHOLE: u64 = 1 << 20;

/// Compiles a component, in another process.
pub type Compile<'a> = &'a dyn Fn(&[u8]) -> Result<Vec<u8>, crate::Error>;

/// The store, open: every directory of it was found trustworthy, and the lock file genuine.
pub struct Cache {
    root: Dir,
    components: Dir,
    compiled: Dir,
    key: Key,
    lock: Lock,
    engine: String,
}

/// A component's code, ready to be loaded.
pub struct Loaded {
    /// Mapped.
    pub code: Code,
    /// Where it had to be compiled: why what was there did not do.
    pub compiled: Option<String>,
}

/// Where a component comes from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// From the store.
    Installed,
    /// From a file outside it: these bytes.
    Outside(&'a [u8]),
}

/// What a change of the store may use up.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// Bytes of a component.
    pub component: u64,
    /// How long to wait for another process that works on the store.
    pub wait: Duration,
}

impl Cache {
    /// The store in the lib directory, for code of this engine; none where nothing was ever
    /// installed.
    pub fn open(lib: &Path, engine: &str) -> Result<Option<Self>, Error> {
        let Some(root) = Dir::at(lib)?.map(|lib| lib.dir(STORE)).transpose()?.flatten() else {
            return Ok(None);
        };
        let locked = root.file(LOCK, Secrecy::Readable)?.is_some();
        match key(&root)? {
            Some(_) if !locked && empty(&root)? => Ok(None),
            Some(key) => Self::opened(root, key, engine).map(Some),
            None if !locked => Ok(None),
            None => Err(lock_error(&root, "has no key beside it")),
        }
    }

    /// As [`Cache::open`]; made where it is not there.
    pub fn create(lib: &Path, engine: &str, wait: Duration) -> Result<Self, Error> {
        std::fs::create_dir_all(lib).map_err(|source| file_error("make", lib, source))?;
        let lib = Dir::at(lib)?
            .ok_or_else(|| file_error("open", lib, std::io::ErrorKind::NotFound.into()))?;
        let root = lib.make(STORE)?;
        let held = hold(&root, wait)?;
        let components = root.make(COMPONENTS)?;
        root.make(COMPILED)?;
        begin(&root, &components)?;
        drop(held);
        let key = key(&root)?.ok_or_else(|| lock_error(&root, "has no key beside it"))?;
        Self::opened(root, key, engine)
    }

    fn opened(root: Dir, key: Key, engine: &str) -> Result<Self, Error> {
        let lock = read_lock(&root, &key)?;
        let components = root.dir(COMPONENTS)?.ok_or_else(|| {
            file_error("open", &root.path.join(COMPONENTS), std::io::ErrorKind::NotFound.into())
        })?;
        // Whoever makes room may take it away: all that was in it can be made again.
        let compiled = root.dir(COMPILED)?.map_or_else(|| root.make(COMPILED), Ok)?;
        Ok(Self { root, components, compiled, key, lock, engine: engine.to_owned() })
    }

    /// What is installed, by name.
    pub fn pins(&self) -> &BTreeMap<String, Pin> {
        &self.lock.plugins
    }

    /// What a name stands for.
    pub fn pin(&self, name: &str) -> Result<&Pin, Error> {
        self.lock.plugins.get(name).ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            known: self.lock.plugins.keys().cloned().collect(),
        })
    }

    /// The code of a component, mapped: what is mapped is what was checked. Where there is none
    /// that fits, it is compiled and kept, once for all who ask at the same time.
    pub fn load(
        &mut self,
        component: &Digest,
        source: Source<'_>,
        bounds: Bounds,
        compile: Compile<'_>,
    ) -> Result<Loaded, Error> {
        let name = compiled::name(component, &self.engine);
        let miss = match self.mapped(&name) {
            Ok((code, unseen)) => {
                if let Some(seen) = unseen {
                    // Where that fails it is only checked as a whole again.
                    let _ = self.edit(Duration::ZERO, |cache| cache.saw(&name, seen));
                }
                return Ok(Loaded { code, compiled: None });
            }
            Err(miss) => miss,
        };
        let compiled = self.edit(bounds.wait, |cache| {
            // Another process may have been faster.
            if cache.mapped(&name).is_ok() {
                return Ok(None);
            }
            cache.rebuild(component, &name, source, bounds, compile).map(|()| Some(miss))
        })?;
        let path = self.compiled.path.join(&name);
        let (code, _) = self.mapped(&name).map_err(|what| Error::Unusable { path, what })?;
        Ok(Loaded { code, compiled })
    }

    /// Maps the compiled file of this name, if it is what it should be; otherwise why it is not.
    /// With how it looks, where that is to be written down.
    fn mapped(&self, name: &str) -> Result<(Code, Option<Seen>), String> {
        let found = self.compiled.file(name, Secrecy::Readable).map_err(|e| e.to_string())?;
        let (file, stat) = found.ok_or("there was none for this engine")?;
        let size = size(&stat);
        let length = size.checked_sub(FOOTER as u64).filter(|length| *length > 0);
        let length = length.ok_or("it is cut off")?;
        let mut footer = [0; FOOTER];
        file.read_exact_at(&mut footer, length).map_err(|e| format!("read it: {e}"))?;
        let tag = compiled::parse_footer(&footer, size)?;
        let mapped = usize::try_from(length).map_err(std::io::Error::other);
        let code = mapped.and_then(|length| raw::map(&file, 0, length));
        let code = code.map_err(|e| format!("map it: {e}"))?;
        let seen = Seen::of(&stat);
        if size > WHOLE && self.lock.compiled.get(name) == Some(&seen) {
            return Ok((code, None));
        }
        if !compiled::fits(&self.key, name, code.bytes(), &tag) {
            return Err("it was changed, or put there by somebody else".to_owned());
        }
        Ok((code, (size > WHOLE).then_some(seen)))
    }

    fn rebuild(
        &mut self,
        component: &Digest,
        name: &str,
        source: Source<'_>,
        bounds: Bounds,
        compile: Compile<'_>,
    ) -> Result<(), Error> {
        let code = match source {
            Source::Outside(wasm) => compile(wasm),
            Source::Installed => compile(&self.wasm(component, bounds.component)?),
        };
        self.keep(name, &code.map_err(|error| Error::Compile(Box::new(error)))?)
    }

    /// Writes compiled code to its place.
    fn keep(&mut self, name: &str, code: &[u8]) -> Result<(), Error> {
        self.compiled.put(name, &[code, &compiled::footer(&self.key, name, code)])?;
        if let Some((_, stat)) = self.compiled.file(name, Secrecy::Readable)?
            && size(&stat) > WHOLE
        {
            self.saw(name, Seen::of(&stat))?;
        }
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "a change of the lock file, as the others")]
    fn saw(&mut self, name: &str, seen: Seen) -> Result<(), Error> {
        self.lock.compiled.insert(name.to_owned(), seen);
        Ok(())
    }

    /// An installed component's .wasm, if it is the one that was installed.
    pub fn wasm(&self, component: &Digest, limit: u64) -> Result<Vec<u8>, Error> {
        let name = wasm_name(component);
        let path = self.components.path.join(&name);
        let error = |what: &str| Error::Component { path: path.clone(), what: what.to_owned() };
        let found = self.components.file(&name, Secrecy::Readable)?;
        let (file, stat) = found.ok_or_else(|| error("is gone"))?;
        let wasm = read(file, &stat, &path, limit)?;
        if Digest::of(&wasm) != *component {
            return Err(error("is not what was installed"));
        }
        Ok(wasm)
    }

    /// Installs a component under a name, or lets the name stand for another: compiled first,
    /// then written down. What the name stood for stays, for calls that have begun, until the
    /// next change.
    pub fn install(
        &mut self,
        name: &str,
        pin: Pin,
        wasm: &[u8],
        bounds: Bounds,
        compile: Compile<'_>,
    ) -> Result<(), Error> {
        self.edit(bounds.wait, |cache| {
            let file = compiled::name(&pin.digest, &cache.engine);
            if cache.mapped(&file).is_err() {
                cache.rebuild(&pin.digest, &file, Source::Outside(wasm), bounds, compile)?;
            }
            if cache.wasm(&pin.digest, u64::MAX).is_err() {
                cache.components.put(&wasm_name(&pin.digest), &[wasm])?;
            }
            let before = cache.lock.plugins.remove(name);
            let replaced = before.as_ref().map(|before| before.digest.clone());
            let replaced = replaced.filter(|digest| *digest != pin.digest);
            cache.lock.plugins.insert(name.to_owned(), Pin { replaced, ..pin });
            before.and_then(|before| before.replaced).map_or(Ok(()), |old| cache.forget(&old))
        })
    }

    /// Takes a name away, and what only it stood for.
    pub fn remove(&mut self, name: &str, wait: Duration) -> Result<(), Error> {
        self.edit(wait, |cache| {
            let pin = cache.pin(name)?.clone();
            cache.lock.plugins.remove(name);
            cache.forget(&pin.digest)?;
            pin.replaced.map_or(Ok(()), |old| cache.forget(&old))
        })
    }

    /// Removes a component's files, for every engine, unless a name stands for it.
    fn forget(&mut self, component: &Digest) -> Result<(), Error> {
        if self.of_a_pin(component) {
            return Ok(());
        }
        for name in self.compiled.names()? {
            if compiled::component(&name).as_ref() == Some(component) {
                self.compiled.remove(&name)?;
                self.lock.compiled.remove(&name);
            }
        }
        self.components.remove(&wasm_name(component))
    }

    fn of_a_pin(&self, component: &Digest) -> bool {
        let pins = self.lock.plugins.values();
        pins.into_iter()
            .any(|pin| pin.digest == *component || pin.replaced.as_ref() == Some(component))
    }

    /// Runs a change with the store to ourselves, on the lock file as it is now; afterwards the
    /// lock file says what was changed.
    fn edit<T>(
        &mut self,
        wait: Duration,
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let root = self.root.again()?;
        let held = hold(&root, wait)?;
        for dir in [&self.root, &self.components, &self.compiled] {
            dir.sweep()?;
        }
        self.lock = read_lock(&self.root, &self.key)?;
        let before = self.lock.clone();
        let answer = change(self)?;
        if self.lock != before {
            write_lock(&self.root, &self.key, &self.lock)?;
        }
        drop(held);
        Ok(answer)
    }
}

/// A component at a path outside the store, which a configuration names: a regular file that only
/// root can have written.
pub fn outside(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let (file, stat) = dir::file_at(path)?;
    read(file, &stat, path, limit)
}

fn read(file: File, stat: &Stat, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let too_large = |size| Error::TooLarge { size, allowed: limit };
    if size(stat) > limit {
        return Err(too_large(size(stat)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size(stat)).unwrap_or_default());
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    let read = read.map_err(|source| file_error("read", path, source))?;
    if read as u64 > limit { Err(too_large(read as u64)) } else { Ok(bytes) }
}

/// The name of a component's .wasm in the store.
fn wasm_name(component: &Digest) -> String {
    format!("{}.wasm", component.hex())
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// A store's first files: the key, and a lock file that pins nothing.
fn begin(root: &Dir, components: &Dir) -> Result<(), Error> {
    let there = root.file(LOCK, Secrecy::Readable)?.is_some();
    let key = match key(root)? {
        Some(key) => key,
        None if there => return Err(lock_error(root, "has no key beside it")),
        None => {
            let bytes = random().map_err(|e| file_error("read", Path::new(RANDOM), e))?;
            root.put(KEY, &[&bytes])?;
            Key::new(bytes)
        }
    };
    // Without a lock file there were never components, or it was taken away.
    if !there && components.names()?.is_empty() {
        write_lock(root, &key, &Lock::default())?;
    }
    Ok(())
}

/// Whether there never was a component: the making of the store was interrupted.
fn empty(root: &Dir) -> Result<bool, Error> {
    match root.dir(COMPONENTS)? {
        Some(components) => Ok(components.names()?.is_empty()),
        None => Ok(true),
    }
}

const RANDOM: &str = "/dev/urandom";

fn random() -> std::io::Result<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    File::open(RANDOM)?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The store's key; none where there is none.
fn key(root: &Dir) -> Result<Option<Key>, Error> {
    let Some((file, stat)) = root.file(KEY, Secrecy::Secret)? else { return Ok(None) };
    let path = root.path.join(KEY);
    let mut bytes = [0; SIZE];
    if size(&stat) != SIZE as u64 {
        return Err(Error::Lock {
            path,
            what: "cannot be checked: its key was changed".to_owned(),
        });
    }
    file.read_exact_at(&mut bytes, 0).map_err(|source| file_error("read", &path, source))?;
    Ok(Some(Key::new(bytes)))
}

fn read_lock(root: &Dir, key: &Key) -> Result<Lock, Error> {
    let path = root.path.join(LOCK);
    let found = root.file(LOCK, Secrecy::Readable)?;
    let (file, stat) = found.ok_or_else(|| lock_error(root, "is gone"))?;
    if size(&stat) > LOCK_LIMIT {
        return Err(lock_error(root, "is too large to be one of ours"));
    }
    let mut bytes = Vec::new();
    let read = file.take(LOCK_LIMIT).read_to_end(&mut bytes);
    read.map_err(|source| file_error("read", &path, source))?;
    Lock::parse(&bytes, key).map_err(|what| Error::Lock { path, what })
}

fn write_lock(root: &Dir, key: &Key, lock: &Lock) -> Result<(), Error> {
    let text =
        lock.render(key).map_err(|e| lock_error(root, &format!("cannot be written: {e}")))?;
    root.put(LOCK, &[text.as_bytes()])
}

/// Has the store to itself until it is dropped (flock(2): each open directory counts for itself).
struct Held<'a>(&'a Dir);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let _ = flock(&self.0.fd, FlockOperation::Unlock);
    }
}

fn hold(root: &Dir, wait: Duration) -> Result<Held<'_>, Error> {
    const PAUSE: Duration = Duration::from_millis(5);
    let began = Instant::now();
    loop {
        match flock(&root.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Held(root)),
            Err(rustix::io::Errno::WOULDBLOCK) if began.elapsed() < wait => {
                std::thread::sleep(PAUSE);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::Busy { path: root.path.clone(), waited: wait });
            }
            Err(error) => return Err(dir::failed("lock", &root.path)(error)),
        }
    }
}

fn lock_error(root: &Dir, what: &str) -> Error {
    Error::Lock { path: root.path.join(LOCK), what: what.to_owned() }
}

fn file_error(operation: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { operation, path: PathBuf::from(path), source }
}
