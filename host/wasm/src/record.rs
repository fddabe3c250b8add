//! A call, written down: what the plugin was asked, what it asked back and was answered, and what
//! it answered. [`Recorder`] takes notes during a call, [`Record`] is the whole as JSON, and
//! [`Replay`] answers a later call from it.
//!
//! It knows [`Book`], not the contract's versions, so that a record outlives them. What a
//! configuration marks as secret never gets into the text ([`Record::to_json`]).

pub(crate) mod asked;
mod redact;
mod replay;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wharfinger_plan::Plan;

pub use replay::Replay;

use crate::{
    AddressRange, Attachment, Book, BookError, Error, HttpAnswer, HttpRequest, Lease, Level, NoPod,
    Node, PodFacts, PolicyRequest, Pool, Problem, Reason, Refusal, Request, Usage, Verdict,
};

/// The format number that this version writes; any later version reads every earlier format.
pub const FORMAT: u32 = 1;

/// What stands where a secret stood.
pub const SECRET: &str = "(secret)";

/// A call and all that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// See [`FORMAT`].
    pub format: u32,
    /// When: seconds since the Unix epoch.
    pub time: u64,
    /// How long the call took, in microseconds.
    pub took: u64,
    /// Name and digest: "host-local@sha256:0123…".
    pub plugin: String,
    /// What the plugin could read of the node.
    pub node: Node,
    /// What it was asked.
    pub call: Call,
    /// What it asked back, in that order, and was answered.
    pub imports: Vec<Import>,
    /// What it answered.
    pub answer: Answer,
}

/// What a plugin was asked: an export with its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "export", rename_all = "kebab-case")]
pub enum Call {
    /// `validate` of either world.
    Validate {
        /// The plugin's configuration.
        config: String,
    },
    /// `ipam.pools`.
    Pools {
        /// The plugin's configuration.
        config: String,
    },
    /// `ipam.allocate`.
    Allocate {
        /// Its argument.
        request: Request,
    },
    /// `ipam-remote.released`.
    Released {
        /// The configuration of the ADD.
        config: String,
        /// Whose.
        attachment: Attachment,
        /// What it held.
        lease: Option<Lease>,
    },
    /// `policy.admit`.
    Admit {
        /// Its argument.
        request: PolicyRequest,
    },
    /// `policy.review`.
    Review {
        /// The same as for `admit`.
        request: PolicyRequest,
        /// What is about to happen.
        plan: Plan,
        /// The CNI result, as JSON.
        result: String,
    },
}

impl Call {
    /// The export's name.
    pub fn export(&self) -> &'static str {
        match self {
            Self::Validate { .. } => "validate",
            Self::Pools { .. } => "pools",
            Self::Allocate { .. } => "allocate",
            Self::Released { .. } => "released",
            Self::Admit { .. } => "admit",
            Self::Review { .. } => "review",
        }
    }

    /// The documents in which secrets may be marked.
    fn documents(&self) -> [&str; 2] {
        match self {
            Self::Validate { config } | Self::Pools { config } | Self::Released { config, .. } => {
                [config, ""]
            }
            Self::Allocate { request } => [&request.config, &request.network_config],
            Self::Admit { request } | Self::Review { request, .. } => {
                [&request.config, &request.network_config]
            }
        }
    }
}

/// What a plugin asked of its host, and what it was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "import")]
#[expect(missing_docs, reason = "the arguments and answers of the contract, by their names")]
pub enum Import {
    #[serde(rename = "ledger.take")]
    Take {
        address: IpAddr,
        /// None: it was granted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Refusal>,
    },
    #[serde(rename = "ledger.take-free")]
    TakeFree {
        ranges: Vec<AddressRange>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        excluded: Vec<AddressRange>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<IpAddr>,
        answer: Option<IpAddr>,
    },
    #[serde(rename = "ledger.remembered")]
    Remembered { identity: String, answer: Vec<IpAddr> },
    #[serde(rename = "ledger.remember")]
    Remember { identity: String },
    #[serde(rename = "ledger.usage")]
    Usage { ranges: Vec<AddressRange>, answer: Usage },
    #[serde(rename = "store.get")]
    Get { key: String, answer: Option<String> },
    #[serde(rename = "store.put")]
    Put { key: String, value: String, attachment: bool },
    #[serde(rename = "store.remove")]
    Remove { key: String, answer: bool },
    #[serde(rename = "store.scan")]
    Scan { prefix: String, after: Option<String>, limit: u32, answer: Vec<(String, String)> },
    #[serde(rename = "store.count")]
    Count { prefix: String, answer: u64 },
    #[serde(rename = "workload.pod")]
    Pod { answer: Result<PodFacts, NoPod> },
    /// The host itself asked how full the store is.
    #[serde(rename = "(size of the store)")]
    Size { answer: u64 },
    #[serde(rename = "http")]
    Http { request: HttpRequest, answer: HttpAnswer },
    #[serde(rename = "logger.log")]
    Log { level: Level, message: String },
    /// The book itself failed at this point.
    #[serde(rename = "(the book failed)")]
    Broken { why: String },
}

/// The question alone: what two imports of one question have in common.
impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Take { address, .. } => write!(f, "ledger.take {address}"),
            Self::TakeFree { ranges, excluded, start, .. } => {
                write!(f, "ledger.take-free of {}", spelled(ranges))?;
                if !excluded.is_empty() {
                    write!(f, " without {}", spelled(excluded))?;
                }
                start.map_or(Ok(()), |start| write!(f, " from {start}"))
            }
            Self::Remembered { identity, .. } => write!(f, "ledger.remembered {identity}"),
            Self::Remember { identity } => write!(f, "ledger.remember {identity}"),
            Self::Usage { ranges, .. } => write!(f, "ledger.usage of {}", spelled(ranges)),
            Self::Get { key, .. } => write!(f, "store.get {key}"),
            Self::Put { key, value, attachment } => {
                let lifetime = if *attachment { "attachment" } else { "permanent" };
                write!(f, "store.put {key} = {value} ({lifetime})")
            }
            Self::Remove { key, .. } => write!(f, "store.remove {key}"),
            Self::Scan { prefix, after, limit, .. } => {
                let after = after.as_deref().unwrap_or_default();
                write!(f, "store.scan {prefix} after {after:?}, at most {limit}")
            }
            Self::Count { prefix, .. } => write!(f, "store.count {prefix}"),
            Self::Pod { .. } => f.write_str("workload.pod"),
            Self::Size { .. } => f.write_str("the size of the store"),
            Self::Http { request, .. } => write!(f, "{} {}", request.method, request.url),
            Self::Log { level, message } => write!(f, "logger.log {level:?} {message}"),
            Self::Broken { why } => write!(f, "(the book failed: {why})"),
        }
    }
}

fn spelled(ranges: &[AddressRange]) -> String {
    let one = |(first, last): &AddressRange| format!("{first} - {last}");
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What a plugin answered, or why it did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Of `validate`.
    Problems(Vec<Problem>),
    /// Of `pools`.
    Pools(Vec<Pool>),
    /// Of `allocate`.
    Lease(Lease),
    /// Of `released`.
    Released(()),
    /// Of `admit` and `review`.
    Verdict(Verdict),
    /// Of any.
    Error(Failure),
}

impl Answer {
    /// Of a call that ended so.
    pub fn of<T>(result: &Result<T, Error>, answer: impl FnOnce(&T) -> Self) -> Self {
        match result {
            Ok(value) => answer(value),
            Err(error) => Self::Error(Failure::of(error)),
        }
    }

    /// Whether it ends an ADD: an error, or a policy's no.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Error(_) | Self::Verdict(Verdict::Deny(_)))
    }
}

/// An [`Error`], less the plugin and the call, which stand beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "as in Error")]
pub enum Failure {
    Failed { reason: Reason, message: String, detail: Option<String> },
    Trapped { message: String },
    Limit { limit: String, allowed: String, setting: String },
    BadAnswer { what: String },
    Refused { import: String, grant: String },
    Book { what: String },
    Unloadable { what: String },
}

impl Failure {
    /// Of this error.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Failed { reason, message, detail, .. } => {
                Self::Failed { reason: *reason, message: message.clone(), detail: detail.clone() }
            }
            Error::Trapped { message, .. } => Self::Trapped { message: message.clone() },
            Error::Limit { limit, allowed, setting, .. } => Self::Limit {
                limit: (*limit).to_owned(),
                allowed: allowed.to_string(),
                setting: (*setting).to_owned(),
            },
            Error::BadAnswer { what, .. } => Self::BadAnswer { what: what.clone() },
            Error::Refused { import, grant, .. } => {
                Self::Refused { import: import.clone(), grant: grant.clone() }
            }
            Error::Book(error) => Self::Book { what: error.to_string() },
            Error::Unloadable { what, .. } => Self::Unloadable { what: what.clone() },
        }
    }
}

/// Why a text is no record.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// Its shape.
    #[error("it is no record of a call")]
    Json(#[from] serde_json::Error),
    /// Its age.
    #[error("it is of format {found}; this executable reads formats up to {FORMAT}")]
    Format {
        /// Its format number.
        found: u32,
    },
}

impl Record {
    /// As JSON on one line, without what the configurations mark as secret: `"secrets":
    /// ["/token"]` in any object of a configuration, RFC 6901 pointers from that object on. The
    /// text there is left out wherever else it occurs.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        redact::to_json(self)
    }

    /// Reads a record of any format up to this one.
    pub fn read(text: &str) -> Result<Self, BadRecord> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_str(text)?;
        if format != FORMAT {
            return Err(BadRecord::Format { found: format });
        }
        Ok(serde_json::from_str(text)?)
    }
}

/// Passes every question on to another book, and takes notes.
pub struct Recorder<'a> {
    inner: &'a mut dyn Book,
    imports: Vec<Import>,
}

impl<'a> Recorder<'a> {
    /// In front of this book.
    pub fn new(inner: &'a mut dyn Book) -> Self {
        Self { inner, imports: Vec::new() }
    }

    /// What was asked and answered.
    pub fn imports(self) -> Vec<Import> {
        self.imports
    }

    fn note<T>(
        &mut self,
        answer: Result<T, BookError>,
        note: impl FnOnce(&T) -> Import,
    ) -> Result<T, BookError> {
        self.imports.push(match &answer {
            Ok(answer) => note(answer),
            Err(error) => Import::Broken { why: error.to_string() },
        });
        answer
    }
}

impl Book for Recorder<'_> {
    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, BookError> {
        let answer = self.inner.take(address);
        self.note(answer, |granted| Import::Take { address, refused: granted.clone().err() })
    }

    fn take_free(
        &mut self,
        ranges: &[AddressRange],
        excluded: &[AddressRange],
        start: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, BookError> {
        let answer = self.inner.take_free(ranges, excluded, start);
        self.note(answer, |answer| Import::TakeFree {
            ranges: ranges.to_vec(),
            excluded: excluded.to_vec(),
            start,
            answer: *answer,
        })
    }

    fn remembered(&mut self, identity: &str) -> Result<Vec<IpAddr>, BookError> {
        let answer = self.inner.remembered(identity);
        let identity = identity.to_owned();
        self.note(answer, |answer| Import::Remembered { identity, answer: answer.clone() })
    }

    fn remember(&mut self, identity: &str) -> Result<(), BookError> {
        let answer = self.inner.remember(identity);
        self.note(answer, |()| Import::Remember { identity: identity.to_owned() })
    }

    fn store_get(&mut self, key: &str) -> Result<Option<String>, BookError> {
        let answer = self.inner.store_get(key);
        self.note(answer, |answer| Import::Get { key: key.to_owned(), answer: answer.clone() })
    }

    fn store_put(&mut self, key: &str, value: &str, attachment: bool) -> Result<(), BookError> {
        let answer = self.inner.store_put(key, value, attachment);
        let (key, value) = (key.to_owned(), value.to_owned());
        self.note(answer, |()| Import::Put { key, value, attachment })
    }

    fn store_remove(&mut self, key: &str) -> Result<bool, BookError> {
        let answer = self.inner.store_remove(key);
        self.note(answer, |answer| Import::Remove { key: key.to_owned(), answer: *answer })
    }

    fn store_scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, BookError> {
        let answer = self.inner.store_scan(prefix, after, limit);
        self.note(answer, |answer| Import::Scan {
            prefix: prefix.to_owned(),
            after: after.map(str::to_owned),
            limit,
            answer: answer.clone(),
        })
    }

    fn store_count(&mut self, prefix: &str) -> Result<u64, BookError> {
        let answer = self.inner.store_count(prefix);
        self.note(answer, |answer| Import::Count { prefix: prefix.to_owned(), answer: *answer })
    }

    fn store_size(&mut self) -> Result<u64, BookError> {
        let answer = self.inner.store_size();
        self.note(answer, |answer| Import::Size { answer: *answer })
    }

    fn usage(&mut self, ranges: &[AddressRange]) -> Result<Usage, BookError> {
        let answer = self.inner.usage(ranges);
        self.note(answer, |answer| Import::Usage { ranges: ranges.to_vec(), answer: *answer })
    }

    fn pod(&mut self) -> Result<Result<PodFacts, NoPod>, BookError> {
        let answer = self.inner.pod();
        self.note(answer, |answer| Import::Pod { answer: answer.clone() })
    }

    fn http_known(&mut self, request: &HttpRequest) -> Option<HttpAnswer> {
        let answer = self.inner.http_known(request)?;
        self.imports.push(Import::Http { request: request.clone(), answer: answer.clone() });
        Some(answer)
    }

    fn http_done(&mut self, request: &HttpRequest, answer: &HttpAnswer) {
        self.imports.push(Import::Http { request: request.clone(), answer: answer.clone() });
        self.inner.http_done(request, answer);
    }

    fn log(&mut self, level: Level, message: &str) {
        self.imports.push(Import::Log { level, message: message.to_owned() });
        self.inner.log(level, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read can be written, and is read again as the same.
    #[test]
    fn fuzz_records_of_calls() {
        wharfinger_fuzz::fuzz("calls", 2000, |input| {
            let Ok(text) = std::str::from_utf8(input) else { return "no text".to_owned() };
            match Record::read(text) {
                Err(error) => error.to_string(),
                Ok(record) => {
                    let again = record.to_json().unwrap();
                    assert_eq!(Record::read(&again).unwrap().to_json().unwrap(), again);
                    record.call.export().to_owned()
                }
            }
        });
    }
}
