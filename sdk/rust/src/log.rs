//! Lines for the operator's log, with the plugin, network and container named by the host.

use std::fmt::Display;

use crate::host;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For the plugin's author.
    Debug,
    /// For the operator.
    Info,
    /// Might become a failure.
    Warn,
    /// Is one.
    Error,
}

/// A line of this level.
pub fn line(level: Level, message: impl Display) {
    host::log(level, &message.to_string());
}

/// For the plugin's author.
pub fn debug(message: impl Display) {
    line(Level::Debug, message);
}

/// For the operator.
pub fn info(message: impl Display) {
    line(Level::Info, message);
}

/// What might become a failure.
pub fn warn(message: impl Display) {
    line(Level::Warn, message);
}
