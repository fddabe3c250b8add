//! A plugin in a process of its own: whoever finds a way out of the engine is in a process that may
//! open no file, start no program, make no socket and no namespace, and that has no capability.
//!
//! The process gets its component's compiled code as an open file, its limits and its grants, and
//! nothing else of this node; it asks for all that it may read and take over one socket, and is
//! answered as any stranger is: what is asked and what is answered is checked here once more
//! ([`gate`]), counted, and has its time. It ends with the value. Start reading at
//! [`Guest::start`] on this side, and at [`serve`] on the other.

mod child;
mod confine;
mod gate;
mod host;
#[cfg(test)]
mod hostile;
mod talk;
mod wire;

pub use child::serve;
pub use host::Guest;
