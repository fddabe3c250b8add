//! The components that the executable carries, found by name.

use std::cell::OnceCell;

use wharfinger_attach::Engine;
use wharfinger_wasm::{Error, Grants, Ipam, Limits, Plugins, Policy, Runtimes};

use crate::calls::Calls;

/// Opened when the first name is asked for: a verb that needs no component pays for none.
pub(crate) struct Components {
    limits: Limits,
    runtimes: Runtimes,
    plugins: OnceCell<Plugins>,
    calls: Calls,
}

impl Components {
    pub(crate) fn new(limits: Limits, calls: Calls) -> Self {
        Self { limits, runtimes: Runtimes::default(), plugins: OnceCell::new(), calls }
    }

    fn plugins(&self) -> Result<&Plugins, Error> {
        if let Some(plugins) = self.plugins.get() {
            return Ok(plugins);
        }
        let plugins = Plugins::embedded(&self.runtimes)?;
        Ok(self.plugins.get_or_init(|| plugins))
    }
}

impl Engine for Components {
    fn knows(&self, name: &str) -> bool {
        // Where they cannot be read, `ipam` says why.
        self.plugins().map_or(true, |plugins| plugins.names().any(|known| known == name))
    }

    fn ipam(&self, name: &str) -> Result<Box<dyn Ipam>, Error> {
        let plugin = self.plugins()?.ipam(name, &self.limits, &Grants::default());
        let plugin = plugin.ok_or_else(|| nowhere(name))??;
        Ok(self.calls.ipam(Box::new(plugin)))
    }

    fn policy(&self, name: &str) -> Result<Box<dyn Policy>, Error> {
        let plugin = self.plugins()?.policy(name, &self.limits, &Grants::default());
        let plugin = plugin.ok_or_else(|| nowhere(name))??;
        Ok(self.calls.policy(Box::new(plugin)))
    }
}

fn nowhere(name: &str) -> Error {
    let what = "no component of this name is built in".to_owned();
    Error::Unloadable { plugin: name.to_owned(), what }
}
