//! `vrf`.

use wharfinger_cni::conf::Fields;
use wharfinger_plan::Step;

use crate::{Error, Facts, PlanError, features::Subject};

/// The configuration of `vrf`.
#[derive(Debug, Clone, PartialEq)]
pub struct Vrf {}

impl Vrf {
    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Option<Self>, Error> {
        let pointer = fields.pointer().to_owned();
        Err(Error::Unsupported { pointer, value: "vrf".to_owned() })
    }

    pub(crate) fn plan(
        &self,
        _subject: &Subject<'_>,
        _facts: &Facts,
    ) -> Result<Vec<Step>, PlanError> {
        Ok(Vec::new())
    }
}
