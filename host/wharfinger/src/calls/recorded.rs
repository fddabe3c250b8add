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

    /// Asks, and keeps what was asked where it fails.
    fn failing<T>(
        &self,
        node: &Node,
        call: impl FnOnce() -> Call,
        ask: impl FnOnce(&P) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let result = ask(&self.inner);
        if let Err(error) = &result {
            self.keep(node, began, Vec::new(), Answer::Error(Failure::of(error)), call);
        }
        result
    }

    /// Asks with a book that takes notes, and keeps all of it.
    fn noting<T>(
        &self,
        node: &Node,
        book: &mut dyn Book,
        call: impl FnOnce() -> Call,
        answer: impl FnOnce(&T) -> Answer,
        ask: impl FnOnce(&P, &mut dyn Book) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let mut recorder = Recorder::new(book);
        let result = ask(&self.inner, &mut recorder);
        let answer = Answer::of(&result, answer);
        self.keep(node, began, recorder.imports(), answer, call);
        result
    }
}

/// As a record has it.
fn verdict(verdict: &Verdict) -> Answer {
    Answer::Verdict(verdict.clone())
}

impl Ipam for Recorded<dyn Ipam> {
    fn identity(&self) -> &str {
        self.inner.identity()
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        let call = || Call::Validate { config: config.to_owned() };
        self.failing(node, call, |inner| inner.validate(node, config))
    }

    fn pools(&self, node: &Node, config: &str) -> Result<Vec<Pool>, Error> {
        let call = || Call::Pools { config: config.to_owned() };
        self.failing(node, call, |inner| inner.pools(node, config))
    }

    fn allocate(
        &self,
        node: &Node,
        request: &Request,
        book: &mut dyn Book,
    ) -> Result<Lease, Error> {
        let call = || Call::Allocate { request: request.clone() };
        let answer = |lease: &Lease| Answer::Lease(lease.clone());
        self.noting(node, book, call, answer, |inner, book| inner.allocate(node, request, book))
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
        let call = || Call::Released {
            config: config.to_owned(),
            attachment: attachment.clone(),
            lease: lease.cloned(),
        };
        let answer = |(): &()| Answer::Released(());
        self.noting(node, book, call, answer, |inner, book| {
            inner.released(node, config, attachment, lease, book)
        })
    }
}

impl Policy for Recorded<dyn Policy> {
    fn identity(&self) -> &str {
        self.inner.identity()
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        let call = || Call::Validate { config: config.to_owned() };
        self.failing(node, call, |inner| inner.validate(node, config))
    }

    fn admit(
        &self,
        node: &Node,
        request: &PolicyRequest,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        let call = || Call::Admit { request: request.clone() };
        self.noting(node, book, call, verdict, |inner, book| inner.admit(node, request, book))
    }

    fn review(
        &self,
        node: &Node,
        request: &PolicyRequest,
        plan: &Plan,
        cni_result: &str,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        let call = || Call::Review {
            request: request.clone(),
            plan: plan.clone(),
            result: cni_result.to_owned(),
        };
        self.noting(node, book, call, verdict, |inner, book| {
            inner.review(node, request, plan, cni_result, book)
        })
    }
}
