//! The components, found by name: what the executable carries, what is installed, and, by the
//! path of a .wasm, what lies elsewhere on the node.

use std::cell::{OnceCell, RefCell};
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use wharfinger_attach::Engine;
use wharfinger_wasm::cache::{self, Cache, Digest, Source};
use wharfinger_wasm::guest::Guest;
use wharfinger_wasm::{Code, Error, Grants, Ipam, Limits, Plugin, Policy, Runtimes, World};

use crate::calls::Calls;
use crate::events;
use crate::plugins::{guest, store};
use crate::settings::{Paths, Plugins};

/// Opened when the first name is asked for: a verb that needs no component pays for none, and one
/// that needs a built-in one does not look at the store.
pub(crate) struct Components {
    paths: Paths,
    settings: Plugins,
    runtimes: Runtimes,
    built_in: OnceCell<wharfinger_wasm::Plugins>,
    installed: OnceCell<RefCell<Cache>>,
    calls: Calls,
}

/// Whose code is wanted: name and digest, and what the node's file says of it.
struct Wanted {
    identity: String,
    limits: Limits,
    grants: Grants,
}

impl Wanted {
    /// In a process of its own.
    fn start(&self, world: World, code: &Code) -> Result<Guest, Error> {
        let Self { identity, limits, grants } = self;
        Guest::start(guest::command(), world, identity, code, (limits, grants))
    }
}

/// A component, found.
enum Found {
    /// The executable carries it.
    Ours(Plugin),
    /// Somebody else's, and its code.
    Theirs(Wanted, Code),
}

impl Components {
    pub(crate) fn new(paths: Paths, settings: Plugins, calls: Calls) -> Self {
        Self {
            paths,
            settings,
            runtimes: Runtimes::default(),
            built_in: OnceCell::new(),
            installed: OnceCell::new(),
            calls,
        }
    }

    /// What the executable carries.
    pub(crate) fn built_in(&self) -> Result<&wharfinger_wasm::Plugins, Error> {
        if let Some(plugins) = self.built_in.get() {
            return Ok(plugins);
        }
        let plugins = wharfinger_wasm::Plugins::embedded(&self.runtimes)?;
        Ok(self.built_in.get_or_init(|| plugins))
    }

    /// The store; none where nothing was ever installed.
    fn installed(&self) -> Result<Option<&RefCell<Cache>>, cache::Error> {
        if let Some(cache) = self.installed.get() {
            return Ok(Some(cache));
        }
        let Some(cache) = store::open(&self.paths.lib)? else { return Ok(None) };
        Ok(Some(self.installed.get_or_init(|| RefCell::new(cache))))
    }

    /// The component of this name, ready to be called in this process: for whoever tries one out.
    pub(crate) fn load(&self, name: &str) -> Result<Plugin, Error> {
        match self.find(name)? {
            Found::Ours(plugin) => Ok(plugin),
            Found::Theirs(Wanted { identity, limits, grants }, code) => {
                Plugin::load(&self.runtimes, &identity, &code, &limits, &grants)
            }
        }
    }

    fn find(&self, name: &str) -> Result<Found, Error> {
        let built_in = self.built_in()?;
        if let Some(identity) = built_in.identity(name) {
            let wanted = self.wanted(Some(name), identity)?;
            let nowhere = || unloadable(name, "no component of this name is built in".to_owned());
            let plugin = built_in.load(name, &wanted.limits, &wanted.grants);
            return plugin.ok_or_else(nowhere)?.map(Found::Ours);
        }
        match path(name) {
            Some(path) => self.outside(path),
            None => self.of_store(name),
        }
    }

    fn of_store(&self, name: &str) -> Result<Found, Error> {
        let nowhere = || {
            let what = "no component of this name is built in or installed".to_owned();
            unloadable(name, what)
        };
        let failed = |error: cache::Error| unloadable(name, error.to_string());
        let cache = self.installed().map_err(failed)?.ok_or_else(nowhere)?;
        let digest = cache.borrow().pin(name).map_err(failed)?.digest.clone();
        let wanted = self.wanted(Some(name), format!("{name}@{digest}"))?;
        self.ready(&mut cache.borrow_mut(), wanted, &digest, Source::Installed)
    }

    /// A component at a path: which one it is, is known when it was read.
    fn outside(&self, path: &Path) -> Result<Found, Error> {
        let name = path.display().to_string();
        let limits = self.limits(None, "", &name)?;
        let failed = |error| store::of_plugin(&name, &limits, error);
        let wasm = cache::outside(path, limits.component).map_err(failed)?;
        let digest = Digest::of(&wasm);
        let wanted = self.wanted(None, format!("{name}@{digest}"))?;
        let mut cache = store::create(&self.paths.lib, &wanted.limits).map_err(failed)?;
        self.ready(&mut cache, wanted, &digest, Source::Outside(&wasm))
    }

    fn ready(
        &self,
        cache: &mut Cache,
        wanted: Wanted,
        digest: &Digest,
        source: Source<'_>,
    ) -> Result<Found, Error> {
        let Wanted { identity, limits, .. } = &wanted;
        let began = Instant::now();
        let loaded = store::load(cache, identity, digest, source, limits)?;
        if let Some(why) = loaded.compiled {
            let milliseconds = began.elapsed().as_millis();
            let what = json!({ "plugin": identity, "why": why, "milliseconds": milliseconds });
            events::happened(&self.paths.run, "component compiled", &what);
        }
        Ok(Found::Theirs(wanted, loaded.code))
    }

    /// With what the node's file says of it. `name` is none of a component at a path.
    fn wanted(&self, name: Option<&str>, identity: String) -> Result<Wanted, Error> {
        let digest = identity.rsplit_once('@').map_or("", |(_, digest)| digest);
        let limits = self.limits(name, digest, &identity)?;
        let grants = self.settings.grants(name, digest);
        let grants = grants.map_err(|e| unloadable(&identity, self.of_config(&e)))?;
        Ok(Wanted { identity, limits, grants })
    }

    fn limits(&self, name: Option<&str>, digest: &str, plugin: &str) -> Result<Limits, Error> {
        let limits = self.settings.limits(name, digest);
        limits.map_err(|error| unloadable(plugin, self.of_config(&error)))
    }

    fn of_config(&self, error: &anyhow::Error) -> String {
        format!("node settings {}: {error:#}", self.paths.config.display())
    }
}

impl Engine for Components {
    fn knows(&self, name: &str) -> bool {
        // Where they cannot be read, `ipam` says why.
        let built_in = || self.built_in().map_or(true, |plugins| plugins.identity(name).is_some());
        let installed = || match self.installed() {
            Ok(Some(cache)) => cache.borrow().pins().contains_key(name),
            Ok(None) => false,
            Err(_) => true,
        };
        built_in() || path(name).is_some() || installed()
    }

    fn ipam(&self, name: &str) -> Result<Box<dyn Ipam>, Error> {
        #[cfg(feature = "native-host-local")]
        if name == "host-local" {
            return Ok(self.calls.ipam(Box::new(crate::native::Native)));
        }
        let ipam: Box<dyn Ipam> = match self.find(name)? {
            Found::Ours(plugin) => Box::new(plugin.ipam()?),
            Found::Theirs(wanted, code) => Box::new(wanted.start(World::Ipam, &code)?),
        };
        Ok(self.calls.ipam(ipam))
    }

    fn policy(&self, name: &str) -> Result<Box<dyn Policy>, Error> {
        let policy: Box<dyn Policy> = match self.find(name)? {
            Found::Ours(plugin) => Box::new(plugin.policy()?),
            Found::Theirs(wanted, code) => Box::new(wanted.start(World::Policy, &code)?),
        };
        Ok(self.calls.policy(policy))
    }
}

/// The path that a name is, where it is one.
fn path(name: &str) -> Option<&Path> {
    let path = Path::new(name);
    let wasm = path.extension().is_some_and(|extension| extension == "wasm");
    (path.is_absolute() && wasm).then_some(path)
}

fn unloadable(plugin: &str, what: String) -> Error {
    Error::Unloadable { plugin: plugin.to_owned(), what }
}
