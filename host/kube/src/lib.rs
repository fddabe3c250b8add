//! Kubernetes' API server: objects read, written, listed and watched, synchronous for the caller,
//! with the time that each may take. Nothing is done, no thread and no connection, before something
//! is asked. Never speaks to a server that it has not verified, never reads what may be stale
//! (`resourceVersion=0`), and never sends a write again whose outcome is not known. Start reading
//! at [`Kube`]; `verdict` has what an answer means for what was asked, `target` who we are and
//! whom we trust.
#![forbid(unsafe_code)]

mod beside;
mod book;
mod exchange;
mod expiry;
mod kinds;
mod kube;
mod objects;
mod settings;
mod target;
mod verdict;
mod watch;
mod yaml;

pub use book::{Book, BookWatch, Heard};
pub use expiry::Expiry;
pub use kube::Kube;
pub use objects::{Listing, Written, version_of};
pub use settings::{Access, Invalid, Settings};
pub use watch::{Event, Seen, Watch};
