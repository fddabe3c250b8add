//! What happens inside a verb and does not show in its answer: who was asked, what it said.

use wharfinger_cni::AttachmentId;
use wharfinger_wasm::Level;

/// Hears it, for the operator's events. Nothing that it does changes a verb.
pub trait Notes {
    /// A component is about to be called.
    fn asked(&self, plugin: &str, call: &'static str);
    /// What that call came to.
    fn answered(&self, answer: &Answer<'_>);
    /// A line of a plugin's log.
    fn said(&self, plugin: &str, level: Level, text: &str);
    /// All that was asked so far is asked again: others changed what it had read.
    fn again(&self);
    /// So many of the attachments that a verb is about are done.
    fn went(&self, _done: usize, _all: usize) {}
    /// An attachment that the verb is not about itself was undone, and why: GC's, the dead, one whose
    /// reply nobody heard.
    fn detached(&self, _id: &AttachmentId, _why: &'static str) {}
}

/// What a call of a component came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A policy has nothing against it; an IPAM component gave; a release was heard.
    Fine,
    /// A policy refused: its reason.
    Denied(&'a str),
    /// A policy changed these places: pointers.
    Amended(&'a [String]),
    /// It failed.
    Failed {
        /// Why.
        error: &'a str,
        /// The operator has it so that this does not matter (`onError: allow`), or it is tried
        /// again later.
        passed: bool,
    },
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Notes for Silent {
    fn asked(&self, _: &str, _: &'static str) {}
    fn answered(&self, _: &Answer<'_>) {}
    fn said(&self, _: &str, _: Level, _: &str) {}
    fn again(&self) {}
}
