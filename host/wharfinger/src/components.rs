//! The components that the executable carries, found by name.

use std::cell::OnceCell;

use wharfinger_attach::Engine;
use wharfinger_wasm::{Error, Ipam, Limits, Plugins, Policy};

use crate::calls::Calls;

/// Opened when the first name is asked for: a verb that needs no component pays for none.
pub(crate) struct Components {
    limits: Limits,
    plugins: OnceCell<Plugins>,
    calls: Calls,
}

impl Components {
    pub(crate) fn new(limits: Limits, calls: Calls) -> Self {
        Self { limits, plugins: OnceCell::new(), calls }
    }

    fn plugins(&self) -> Result<&Plugins, Error> {
        if let Some(plugins) = self.plugins.get() {
            return Ok(plugins);
        }
        let plugins = Plugins::embedded(self.limits.clone())?;
        Ok(self.plugins.get_or_init(|| plugins))
    }
}

impl Engine for Components {
    fn knows(&self, name: &str) -> bool {
        // Where they cannot be read, `ipam` says why.
        self.plugins().map_or(true, |plugins| plugins.names().any(|known| known == name))
    }

    fn ipam(&self, name: &str) -> Result<Box<dyn Ipam>, Error> {
        let nowhere = || Error::Unloadable {
            plugin: name.to_owned(),
            what: "no component of this name is built in".to_owned(),
        };
        let plugin = self.plugins()?.ipam(name).ok_or_else(nowhere)??;
        Ok(self.calls.ipam(Box::new(plugin)))
    }

    fn policy(&self, name: &str) -> Result<Box<dyn Policy>, Error> {
        let what = "no policy of this name is built in".to_owned();
        Err(Error::Unloadable { plugin: name.to_owned(), what })
    }
}
