//! A book that knows nothing but a record: each question must be the record's next one.

use std::collections::VecDeque;

use super::asked::Asked;
use super::{Import, redact};
use crate::{BookError, HttpAnswer, HttpRequest, Level, answer};

/// Answers from a record. A plugin that asks something else than it did then is stopped, or,
/// over HTTP, gets no answer: nothing is ever sent.
pub struct Replay {
    left: VecDeque<Import>,
    departure: Option<String>,
    lines: Vec<(Level, String)>,
}

impl Replay {
    /// From what was noted then.
    pub fn new(imports: &[Import]) -> Self {
        Self { left: imports.to_vec().into(), departure: None, lines: Vec::new() }
    }

    /// The first question that the record does not have there.
    pub fn departure(&self) -> Option<&str> {
        self.departure.as_deref()
    }

    /// The record's next question that was not asked.
    pub fn unasked(&self) -> Option<String> {
        self.left.iter().find(|import| is_question(import)).map(ToString::to_string)
    }

    /// What the plugin logged this time.
    pub fn lines(&self) -> &[(Level, String)] {
        &self.lines
    }

    /// The record's entry for a question; the answer in `asked` is a blank.
    fn next(&mut self, asked: &Import) -> Result<Import, BookError> {
        while self.left.front().is_some_and(|import| !is_question(import)) {
            self.left.pop_front();
        }
        match self.left.pop_front() {
            Some(Import::Broken { why }) => Err(why.into()),
            Some(recorded) if same(&recorded, asked) => Ok(recorded),
            recorded => Err(self.depart(asked, recorded.as_ref()).into()),
        }
    }

    fn depart(&mut self, asked: &Import, recorded: Option<&Import>) -> String {
        let there = recorded.map_or("ends".to_owned(), |import| format!("has {}", shown(import)));
        let what = format!("asked {} where the record {there}", shown(asked));
        self.departure.get_or_insert_with(|| what.clone());
        what
    }
}

/// Neither what the plugin did not wait for an answer to, nor what the host asked on its own.
fn is_question(import: &Import) -> bool {
    !matches!(import, Import::Log { .. } | Import::Size { .. })
}

fn shown(import: &Import) -> String {
    answer::line(&import.to_string())
}

/// One question, whatever the answers, and whether a secret of it is spelled out.
fn same(recorded: &Import, asked: &Import) -> bool {
    std::mem::discriminant(recorded) == std::mem::discriminant(asked)
        && redact::comparable(&recorded.to_string()) == redact::comparable(&asked.to_string())
}

fn same_request(recorded: &HttpRequest, asked: &HttpRequest) -> bool {
    redact::comparable_request(recorded) == redact::comparable_request(asked)
}

impl Asked for Replay {
    fn asked(&mut self, question: Import) -> Result<Import, BookError> {
        self.next(&question)
    }

    /// What it was then, or that the store is empty.
    fn size(&mut self) -> Result<u64, BookError> {
        Ok(match self.left.front() {
            Some(Import::Size { answer }) => *answer,
            _ => 0,
        })
    }

    /// Requests may be under way together: any that the record has left will do.
    fn known(&mut self, request: &HttpRequest) -> Option<HttpAnswer> {
        let fits = |import: &Import| matches!(import, Import::Http { request: known, .. } if same_request(known, request));
        let found = self.left.iter().position(fits).and_then(|at| self.left.remove(at));
        if let Some(Import::Http { answer, .. }) = found {
            return Some(answer);
        }
        let answer = HttpAnswer { status: 0, headers: Vec::new(), body: String::new() };
        let asked = Import::Http { request: request.clone(), answer: answer.clone() };
        let next = self.left.iter().find(|import| is_question(import)).cloned();
        let body = self.depart(&asked, next.as_ref());
        Some(HttpAnswer { body, ..answer })
    }

    fn told(&mut self, what: Import) {
        if let Import::Log { level, message } = what {
            self.lines.push((level, message));
        }
    }
}
