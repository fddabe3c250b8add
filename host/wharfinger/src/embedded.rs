//! What the executable carries for authors of plugins: the SDKs, their templates, the contract. The
//! build script finds the files.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The versions of the contract, oldest first; one may come several times.
pub(crate) fn contracts() -> impl DoubleEndedIterator<Item = &'static str> {
    CONTRACT.iter().map(|(version, ..)| *version)
}
