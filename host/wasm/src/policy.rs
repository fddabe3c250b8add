//! What a policy is asked, in any version, and how its verdict is read: a stranger's input.

use serde_json::{Map, Value};

use crate::adapt::{Exports, GivenVerdict, V0_1, V0_2, V0_3};
use crate::bindings::v0_3::wharfinger::plugin::{plan as wit, types};
use crate::contract::Version;
use crate::plugin::PolicyPlugin;
use crate::state::{Access, State};
use crate::{Book, Error, Node, Plan, Policy, PolicyRequest, Problem, Verdict};
use crate::{answer, raw, steps};

impl Policy for PolicyPlugin {
    fn identity(&self) -> &str {
        self.0.identity()
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        self.0.validate(node, config)
    }

    fn admit(
        &self,
        node: &Node,
        request: &PolicyRequest,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        let answer = raw::lend(book, |lent| {
            let state = self.0.state(node, Access::All, Some(lent));
            match self.0.built_for() {
                Version::V0_1 => self.admit_as::<V0_1>(state, request),
                Version::V0_2 => self.admit_as::<V0_2>(state, request),
                Version::V0_3 => self.admit_as::<V0_3>(state, request),
            }
        })?;
        self.verdict("admit", answer)
    }

    fn review(
        &self,
        node: &Node,
        request: &PolicyRequest,
        plan: &Plan,
        result: &str,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        let happens = (steps::steps(plan), result.to_owned());
        let answer = raw::lend(book, |lent| {
            let state = self.0.state(node, Access::All, Some(lent));
            match self.0.built_for() {
                Version::V0_1 => self.review_as::<V0_1>(state, request, happens),
                Version::V0_2 => self.review_as::<V0_2>(state, request, happens),
                Version::V0_3 => self.review_as::<V0_3>(state, request, happens),
            }
        })?;
        self.verdict("review", answer)
    }
}

type Answer = Result<GivenVerdict, types::Failure>;

impl PolicyPlugin {
    fn admit_as<V: Exports>(&self, state: State, asked: &PolicyRequest) -> Result<Answer, Error> {
        let params = (V::policy_request(asked),);
        let (answer, _): (Result<V::Verdict, types::Failure>, State) =
            self.0.call(self.0.export("admit"), state, params)?;
        Ok(answer.map(V::verdict))
    }

    fn review_as<V: Exports>(
        &self,
        state: State,
        asked: &PolicyRequest,
        (steps, result): (Vec<wit::Step>, String),
    ) -> Result<Answer, Error> {
        let params = (V::policy_request(asked), steps, result);
        let (answer, _): (Result<V::Verdict, types::Failure>, State) =
            self.0.call(self.0.export("review"), state, params)?;
        Ok(answer.map(V::verdict))
    }

    fn verdict(&self, call: &'static str, answer: Answer) -> Result<Verdict, Error> {
        let endings = self.0.endings(call);
        match self.0.weighed(call, answer)?.map_err(|failure| endings.failed(&failure))? {
            GivenVerdict::Allow => Ok(Verdict::Allow),
            GivenVerdict::Deny(reason) => Ok(Verdict::Deny(said(&reason))),
            GivenVerdict::Amend(patch) => {
                object(&patch).map(Verdict::Amend).map_err(|what| endings.bad(what))
            }
        }
    }
}

/// A reason for people, who must have one.
pub(crate) fn said(reason: &str) -> String {
    match answer::line(reason) {
        line if line.is_empty() => "no reason given".to_owned(),
        line => line,
    }
}

fn object(patch: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(patch) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(format!("it amended with {}, which is no JSON object", answer::shown(patch))),
        Err(e) => Err(format!("it amended with {}, which is no JSON: {e}", answer::shown(patch))),
    }
}
