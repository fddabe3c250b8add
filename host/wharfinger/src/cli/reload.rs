//! `wharfinger reload`: our rules of the packet filter, anew.

use anyhow::Result;
use wharfinger_attach::reload;

use super::{print, told};
use crate::program::Program;

pub(super) fn reload(program: &Program) -> Result<u8> {
    let count = program.verb(reload::reload).map_err(|error| told(&error))?;
    print(&format!("the packet filter has the rules of {count} attachments\n"))
}
