//! One call: asked, its questions answered from the book, and its answer checked.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::gate;
use super::host::Guest;
use super::wire::{Asking, FromGuest, ToGuest};
use crate::limits::Limit;
use crate::quota::Quota;
use crate::record::asked::Asked;
use crate::record::{Answer, Call, Failure, Import};
use crate::{Book, BookError, Error, HttpAnswer, HttpRequest, Node};

/// A call ends itself at its deadline. A process that does not is ended so much later: it may have
/// had to wait for the processor.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// The host's own questions to the book for each of a plugin's: how full its store is.
const OWN: u32 = 3;

/// Of a call that has no book.
pub(super) struct Nobody;

impl Asked for Nobody {
    fn asked(&mut self, question: Import) -> Result<Import, BookError> {
        Err(format!("there is no book for {question}").into())
    }

    fn size(&mut self) -> Result<u64, BookError> {
        Err("there is no book".into())
    }

    fn known(&mut self, _: &HttpRequest) -> Option<HttpAnswer> {
        None
    }

    fn told(&mut self, _: Import) {}
}

/// See the module.
pub(super) struct Talk<'a> {
    guest: &'a Guest,
    book: &'a mut dyn Book,
    export: &'static str,
    until: Instant,
    taken: Vec<IpAddr>,
    /// Questions, and bytes of log, that are left.
    questions: u32,
    log: usize,
    quota: Quota,
    /// The book's failure, as it was.
    broken: Option<BookError>,
}

/// Why a call cannot go on.
enum Off {
    /// The process is gone, or out of its mind.
    Lost(io::Error),
    Gone,
    /// It did what no component can.
    Breach(String),
}

impl From<io::Error> for Off {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl<'a> Talk<'a> {
    pub(super) fn new(guest: &'a Guest, call: &Call, book: &'a mut dyn Book) -> Self {
        let limits = &guest.limits;
        Self {
            guest,
            book,
            export: call.export(),
            until: Instant::now() + limits.longest() + GRACE,
            taken: Vec::new(),
            questions: limits.ledger_calls.saturating_mul(1 + OWN),
            log: limits.log,
            quota: Quota::new(limits.store),
            broken: None,
        }
    }

    /// To its end.
    pub(super) fn run(mut self, node: &Node, call: &Call) -> Result<Answer, Error> {
        let Guest { shown, limits, .. } = self.guest;
        let (answer, place) = self.done(node, call).map_err(|off| self.off(off))?;
        match answer {
            Answer::Error(failure) => Err(match (failure, self.broken.take()) {
                (Failure::Book { .. }, Some(error)) => Error::Book(error),
                (failure, _) => gate::error(failure, shown, self.export, limits, &place),
            }),
            answer => gate::checked(call, answer, &self.taken).map_err(|what| self.breach(&what)),
        }
    }

    fn done(&mut self, node: &Node, call: &Call) -> Result<(Answer, String), Off> {
        let asked = Asking { node: node.clone(), call: call.clone() };
        self.guest.wire.send(&ToGuest::Call(Box::new(asked)))?;
        loop {
            match self.guest.wire.receive(Some(self.until))? {
                Some(FromGuest::Asked(question)) => {
                    let answer = self.answered(call, question)?;
                    self.guest.wire.send(&ToGuest::Answer(answer))?;
                }
                Some(FromGuest::Sends(request)) => {
                    let known = self.book.http_known(&request);
                    self.guest.wire.send(&ToGuest::Known(known))?;
                }
                Some(FromGuest::Told(Import::Log { level, message })) => {
                    let left = self.log.checked_sub(message.len().max(1));
                    self.log = left.ok_or_else(|| Off::Breach("its process logs on".into()))?;
                    self.book.log(level, &crate::answer::line(&message));
                }
                Some(FromGuest::Told(Import::Http { request, answer })) => {
                    self.book.http_done(&request, &answer);
                }
                Some(FromGuest::Done { answer, place }) => return Ok((answer, place)),
                Some(_) => return Err(Off::Breach("its process said something else".into())),
                None => return Err(Off::Gone),
            }
        }
    }

    fn has_room(&mut self, question: &Import) -> Result<bool, BookError> {
        let Import::Put { key, value, .. } = question else { return Ok(true) };
        let Self { quota, book, .. } = self;
        quota.takes(key, value, |measure| measure(&mut **book))
    }

    /// What the book says. How long it takes is not the guest's time.
    fn answered(&mut self, call: &Call, question: Import) -> Result<Import, Off> {
        let Guest { world, pod, .. } = self.guest;
        gate::may_ask(*world, call, *pod, &question).map_err(Off::Breach)?;
        let left = self.questions.checked_sub(1);
        self.questions = left.ok_or_else(|| Off::Breach("its process asks on".into()))?;
        let began = Instant::now();
        let fits = self.has_room(&question);
        let answer = match fits {
            Ok(true) => answer(self.book, question),
            Ok(false) => return Err(Off::Breach("its process fills its store".into())),
            Err(error) => Err(error),
        };
        self.until += began.elapsed();
        let answer = answer.unwrap_or_else(|error| {
            let why = error.to_string();
            self.broken = Some(error);
            Import::Broken { why }
        });
        match &answer {
            Import::Take { address, refused: None } => self.taken.push(*address),
            Import::TakeFree { answer, .. } => self.taken.extend(answer),
            _ => {}
        }
        Ok(answer)
    }

    /// What is wrong may quote what came over the wire.
    fn breach(&self, what: &str) -> Error {
        self.guest.end();
        let (plugin, what) = (self.guest.shown.clone(), crate::answer::line(what));
        Error::BadAnswer { plugin, call: self.export, what }
    }

    fn off(&self, off: Off) -> Error {
        let Guest { shown, limits, .. } = self.guest;
        let late = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        };
        match off {
            Off::Breach(what) => self.breach(&what),
            Off::Lost(error) if late(&error) => {
                self.guest.end();
                Limit::Deadline.error(shown, self.export, limits)
            }
            Off::Lost(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.breach(&format!("its process said something else: {error}"))
            }
            Off::Lost(_) | Off::Gone => Error::Trapped {
                plugin: shown.clone(),
                call: self.export,
                message: format!("its process {}", self.guest.end()),
            },
        }
    }
}

/// A question with the book's answer in its blank.
fn answer(book: &mut dyn Book, question: Import) -> Result<Import, BookError> {
    Ok(match question {
        Import::Take { address, .. } => {
            Import::Take { address, refused: book.take(address)?.err() }
        }
        Import::TakeFree { ranges, excluded, start, .. } => {
            let answer = book.take_free(&ranges, &excluded, start)?;
            Import::TakeFree { ranges: vec![], excluded: vec![], start: None, answer }
        }
        Import::Remembered { identity, .. } => {
            Import::Remembered { answer: book.remembered(&identity)?, identity }
        }
        Import::Remember { identity } => {
            book.remember(&identity)?;
            Import::Remember { identity }
        }
        Import::Usage { ranges, .. } => {
            Import::Usage { answer: book.usage(&ranges)?, ranges: vec![] }
        }
        Import::Get { key, .. } => Import::Get { answer: book.store_get(&key)?, key },
        Import::Put { key, value, attachment } => {
            book.store_put(&key, &value, attachment)?;
            Import::Put { key, value: String::new(), attachment }
        }
        Import::Remove { key, .. } => Import::Remove { answer: book.store_remove(&key)?, key },
        Import::Scan { prefix, after, limit, .. } => {
            let answer = book.store_scan(&prefix, after.as_deref(), limit)?;
            Import::Scan { prefix, after, limit, answer }
        }
        Import::Count { prefix, .. } => {
            Import::Count { answer: book.store_count(&prefix)?, prefix }
        }
        Import::Pod { .. } => Import::Pod { answer: book.pod()? },
        Import::Size { .. } => Import::Size { answer: book.store_size()? },
        told @ (Import::Http { .. } | Import::Log { .. } | Import::Broken { .. }) => told,
    })
}
