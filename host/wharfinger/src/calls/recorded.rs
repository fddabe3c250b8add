//! A plugin in front of which each call is written down.

use std::time::Instant;

use wharfinger_plan::Plan;
use wharfinger_wasm::record::{Answer, Call, FORMAT, Failure, Import, Record, Recorder};
use wharfinger_wasm::{
    Attachment, Book, Error, Ipam, Lease, Node, Policy, PolicyRequest, Pool, Problem, Request,
    Verdict,
};

use super::Calls;

/// A plugin whose calls are recorded. Of `validate` and `pools`, which an answer to `allocate`
/// implies, only failures are kept.
pub(super) struct Recorded<P: ?Sized> {
    pub(super) calls: Calls,
    pub(super) inner: Box<P>,
}

/// As much of both worlds as a record needs.
pub(super) trait Named {
    fn name(&self) -> &str;
}

impl Named for dyn Ipam {
    fn name(&self) -> &str {
        self.identity()
    }
}

impl Named for dyn Policy {
    fn name(&self) -> &str {
        self.identity()
    }
}

impl<P: Named + ?Sized> Recorded<P> {
    fn keep(
        &self,
        node: &Node,
        began: Instant,
        imports: Vec<Import>,
        answer: Answer,
        call: impl FnOnce() -> Call,
    ) {
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        if !self.calls.is_on() {
            return;
        }
        self.calls.keep(&Record {
            format: FORMAT,
            time: node.now,
            took,
            plugin: self.inner.name().to_owned(),
            node: node.clone(),
            call: call(),
            imports,
            answer,
        });
    }

    fn keep_failure(
        &self,
        node: &Node,
        began: Instant,
        error: Option<&Error>,
        call: impl FnOnce() -> Call,
    ) {
        let Some(error) = error else { return };
        self.keep(node, began, Vec::new(), Answer::Error(Failure::of(error)), call);
    }
}

impl Ipam for Recorded<dyn Ipam> {
    fn identity(&self) -> &str {
        self.inner.identity()
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        let began = Instant::now();
        let result = self.inner.validate(node, config);
        let call = || Call::Validate { config: config.to_owned() };
        self.keep_failure(node, began, result.as_ref().err(), call);
        result
    }

    fn pools(&self, node: &Node, config: &str) -> Result<Vec<Pool>, Error> {
        let began = Instant::now();
        let result = self.inner.pools(node, config);
        let call = || Call::Pools { config: config.to_owned() };
        self.keep_failure(node, began, result.as_ref().err(), call);
        result
    }

    fn allocate(
        &self,
        node: &Node,
        request: &Request,
        book: &mut dyn Book,
    ) -> Result<Lease, Error> {
        let began = Instant::now();
        let mut recorder = Recorder::new(book);
        let result = self.inner.allocate(node, request, &mut recorder);
        let answer = Answer::of(&result, |lease| Answer::Lease(lease.clone()));
        let call = || Call::Allocate { request: request.clone() };
        self.keep(node, began, recorder.imports(), answer, call);
        result
    }

    fn remote(&self) -> bool {
        self.inner.remote()
    }

    fn released(
        &self,
        node: &Node,
        config: &str,
        attachment: &Attachment,
        lease: Option<&Lease>,
        book: &mut dyn Book,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let mut recorder = Recorder::new(book);
        let result = self.inner.released(node, config, attachment, lease, &mut recorder);
        let answer = Answer::of(&result, |()| Answer::Released(()));
        let call = || Call::Released {
            config: config.to_owned(),
            attachment: attachment.clone(),
            lease: lease.cloned(),
        };
        self.keep(node, began, recorder.imports(), answer, call);
        result
    }
}

impl Policy for Recorded<dyn Policy> {
    fn identity(&self) -> &str {
        self.inner.identity()
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        let began = Instant::now();
        let result = self.inner.validate(node, config);
        let call = || Call::Validate { config: config.to_owned() };
        self.keep_failure(node, began, result.as_ref().err(), call);
        result
    }

    fn admit(
        &self,
        node: &Node,
        request: &PolicyRequest,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        let began = Instant::now();
        let mut recorder = Recorder::new(book);
        let result = self.inner.admit(node, request, &mut recorder);
        let answer = Answer::of(&result, |verdict| Answer::Verdict(verdict.clone()));
        let call = || Call::Admit { request: request.clone() };
        self.keep(node, began, recorder.imports(), answer, call);
        result
    }

    fn review(
        &self,
        node: &Node,
        request: &PolicyRequest,
        plan: &Plan,
        cni_result: &str,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        let began = Instant::now();
        let mut recorder = Recorder::new(book);
        let result = self.inner.review(node, request, plan, cni_result, &mut recorder);
        let answer = Answer::of(&result, |verdict| Answer::Verdict(verdict.clone()));
        let call = || Call::Review {
            request: request.clone(),
            plan: plan.clone(),
            result: cni_result.to_owned(),
        };
        self.keep(node, began, recorder.imports(), answer, call);
        result
    }
}
