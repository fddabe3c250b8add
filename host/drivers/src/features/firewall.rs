//! `firewall`.

use wharfinger_cni::conf::Fields;
use wharfinger_plan::Step;

use crate::{Error, PlanError, features::Subject};

/// The configuration of `firewall`.
#[derive(Debug, Clone, PartialEq)]
pub struct Firewall {}

impl Firewall {
    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Option<Self>, Error> {
        let pointer = fields.pointer().to_owned();
        Err(Error::Unsupported { pointer, value: "firewall".to_owned() })
    }

    pub(crate) fn plan(&self, _subject: &Subject<'_>) -> Result<Vec<Step>, PlanError> {
        Ok(Vec::new())
    }
}
