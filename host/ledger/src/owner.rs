//! Whose store it is.

/// A plugin's store: one for each network that it serves, or one for all of them; or a part of the
/// host itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

impl Owner {
    /// The plugin's store for one network. Names of networks have no slash.
    pub fn of_network(network: &str, plugin: &str) -> Self {
        Self(format!("{network}/{plugin}"))
    }

    /// The plugin's store for all networks of the node.
    pub fn of_node(plugin: &str) -> Self {
        Self(format!("/{plugin}"))
    }

    /// What a part of the host keeps, past reboots: no plugin has a name with a slash in front.
    pub fn of_host(part: &str) -> Self {
        Self(format!("//{part}"))
    }

    /// "NETWORK/PLUGIN", "/PLUGIN" or "//PART".
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it was written down.
    pub(crate) fn written(text: String) -> Self {
        Self(text)
    }
}
