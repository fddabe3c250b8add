//! The components that ship inside an executable, found by name.

use std::fs::File;
use std::path::Path;

use crate::engine::{Runtimes, engine_key};
use crate::grants::Grants;
use crate::limits::Limits;
use crate::pack::{Entry, Pack};
use crate::plugin::{IpamPlugin, Plugin, PolicyPlugin};
use crate::{Error, raw};

/// This process's own program, also where its file was replaced or removed since.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The components inside an executable.
pub struct Plugins {
    runtimes: Runtimes,
    file: File,
    pack: Pack,
}

impl Plugins {
    /// Those inside this very program, read through /proc (proc(5)).
    pub fn embedded(runtimes: &Runtimes) -> Result<Self, Error> {
        Self::open(Path::new(OWN_PROGRAM), runtimes)
    }

    /// Those inside the program at `path`. What is in there runs as native code: trust it as
    /// you trust a program that you start.
    pub fn open(path: &Path, runtimes: &Runtimes) -> Result<Self, Error> {
        let shown = path.display();
        let unloadable = |what| Error::Unloadable { plugin: "(built in)".to_owned(), what };
        let file = File::open(path).map_err(|e| unloadable(format!("open {shown}: {e}")))?;
        let pack = Pack::read(&file)
            .map_err(|e| unloadable(format!("read {shown}: {e}")))?
            .ok_or_else(|| unloadable(format!("{shown} {NOTHING_INSIDE}")))?;
        if pack.engine != engine_key() {
            let (found, wanted) = (&pack.engine, engine_key());
            return Err(unloadable(format!("compiled for {found}, this program runs {wanted}")));
        }
        Ok(Self { runtimes: runtimes.clone(), file, pack })
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pack.components.iter().map(|entry| entry.name.as_str())
    }

    /// Name and digest of one: "host-local@sha256:0123…".
    pub fn identity(&self, name: &str) -> Option<String> {
        self.entry(name).map(identity)
    }

    /// One of them, whatever it is; none where no component has that name.
    pub fn load(
        &self,
        name: &str,
        limits: &Limits,
        grants: &Grants,
    ) -> Option<Result<Plugin, Error>> {
        let entry = self.entry(name)?;
        let identity = identity(entry);
        let len = usize::try_from(entry.len).unwrap_or(usize::MAX);
        let code = raw::map(&self.file, entry.offset, len).map_err(|e| Error::Unloadable {
            plugin: identity.clone(),
            what: format!("map its code: {e}"),
        });
        Some(code.and_then(|code| Plugin::load(&self.runtimes, &identity, &code, limits, grants)))
    }

    /// One of them, as an IPAM plugin.
    pub fn ipam(
        &self,
        name: &str,
        limits: &Limits,
        grants: &Grants,
    ) -> Option<Result<IpamPlugin, Error>> {
        Some(self.load(name, limits, grants)?.and_then(Plugin::ipam))
    }

    /// One of them, as a policy.
    pub fn policy(
        &self,
        name: &str,
        limits: &Limits,
        grants: &Grants,
    ) -> Option<Result<PolicyPlugin, Error>> {
        Some(self.load(name, limits, grants)?.and_then(Plugin::policy))
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.pack.components.iter().find(|entry| entry.name == name)
    }
}

fn identity(entry: &Entry) -> String {
    format!("{}@{}", entry.name, entry.digest)
}

/// Said of a program that carries no components.
const NOTHING_INSIDE: &str = "carries no built-in components: build it with `cargo xtask build`, \
                              and do not strip it afterwards";
