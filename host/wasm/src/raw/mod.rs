//! All that cannot be checked by the compiler: mapping compiled code, a timer's signal, lending
//! a call's book to its store, the system's list of addresses, and what a process inherits. Each is one small file, safe
//! from the outside.

mod alarm;
mod code;
mod inherited;
mod lent;
mod links;

pub(crate) use alarm::{Alarm, alarm};
pub use code::Code;
pub(crate) use code::{Protect, component, copy, map};
pub(crate) use inherited::inherit_none;
pub(crate) use lent::{Lent, lend};
pub(crate) use links::own_addresses;
