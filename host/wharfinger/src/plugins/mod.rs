//! Installed components: the store as this executable uses it.

use std::process::Command;

pub(crate) mod about;
pub(crate) mod compile;
pub(crate) mod guest;
pub(crate) mod store;

/// This executable once more, for a work of its own: without our environment, which makes a plugin of it,
/// and without the node's file.
fn own(work: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["internal", work]).env_clear().env("WHARFINGER_CONFIG", "/dev/null");
    command
}
