//! `wharfinger reload`: our rules of the packet filter, anew.

use anyhow::Result;
use serde_json::json;
use wharfinger_attach::reload;

use super::{Answer, told};
use crate::program::Program;

pub(super) fn reload(program: &Program) -> Result<Answer> {
    let count = program.verb(reload::reload).map_err(|error| told(&error))?;
    let attachments = if count == 1 { "attachment" } else { "attachments" };
    let text = format!("the packet filter has the rules of {count} {attachments}\n");
    Ok(Answer::new(text, json!({ "attachments": count })))
}
