//! Installed components: the store as this executable uses it.

pub(crate) mod about;
pub(crate) mod compile;
pub(crate) mod store;
