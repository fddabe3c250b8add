//! All that cannot be checked by the compiler: mapping compiled code, a timer's signal, and
//! lending a call's book to its store. Each is one small file, safe from the outside.

mod alarm;
mod code;
mod lent;

pub(crate) use alarm::{Alarm, alarm};
pub(crate) use code::{Code, Protect, component, copy, map};
pub(crate) use lent::{Lent, lend};
