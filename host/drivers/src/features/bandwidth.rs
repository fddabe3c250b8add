//! `bandwidth`.

use wharfinger_cni::Attach;
use wharfinger_cni::conf::Fields;
use wharfinger_plan::Step;

use crate::{Error, Facts, PlanError, features::Subject};

/// The configuration of `bandwidth`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bandwidth {}

impl Bandwidth {
    pub(crate) fn parse(fields: &Fields<'_>, _call: &Attach) -> Result<Option<Self>, Error> {
        let pointer = fields.pointer().to_owned();
        Err(Error::Unsupported { pointer, value: "bandwidth".to_owned() })
    }

    pub(crate) fn plan(
        &self,
        _subject: &Subject<'_>,
        _facts: &Facts,
    ) -> Result<Vec<Step>, PlanError> {
        Ok(Vec::new())
    }

    pub(crate) fn amend(&self, _subject: &Subject<'_>, _result: &mut wharfinger_cni::Success) {}
}
