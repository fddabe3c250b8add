//! What the executable carries for authors of plugins: the SDKs, their templates, the contract. The
//! build script finds the files.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The version of the contract.
pub(crate) fn contract() -> &'static str {
    CONTRACT.first().map_or("", |(version, ..)| version)
}
