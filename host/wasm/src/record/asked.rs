//! A book whose questions are imports: each goes out with a blank for its answer, and comes back
//! with the answer in it.

use std::net::IpAddr;

use super::Import;
use crate::{
    AddressRange, Book, BookError, HttpAnswer, HttpRequest, Level, NoPod, PodFacts, Refusal, Usage,
};

/// Who answers.
pub trait Asked {
    /// A question that the plugin waits for.
    fn asked(&mut self, question: Import) -> Result<Import, BookError>;
    /// The host's own question: how full the store is.
    fn size(&mut self) -> Result<u64, BookError>;
    /// Whether the answer to a request is known already.
    fn known(&mut self, request: &HttpRequest) -> Option<HttpAnswer>;
    /// What nobody waits for: what a request came to, a line of the log.
    fn told(&mut self, what: Import);
}

/// Whoever answers has put another import's answer in.
fn mixed() -> BookError {
    "the answer is one to another question".into()
}

impl<T: Asked> Book for T {
    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, BookError> {
        match self.asked(Import::Take { address, refused: None })? {
            Import::Take { refused, .. } => Ok(refused.map_or(Ok(()), Err)),
            _ => Err(mixed()),
        }
    }

    fn take_free(
        &mut self,
        ranges: &[AddressRange],
        excluded: &[AddressRange],
        start: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, BookError> {
        let (ranges, excluded) = (ranges.to_vec(), excluded.to_vec());
        match self.asked(Import::TakeFree { ranges, excluded, start, answer: None })? {
            Import::TakeFree { answer, .. } => Ok(answer),
            _ => Err(mixed()),
        }
    }

    fn remembered(&mut self, identity: &str) -> Result<Vec<IpAddr>, BookError> {
        let identity = identity.to_owned();
        match self.asked(Import::Remembered { identity, answer: Vec::new() })? {
            Import::Remembered { answer, .. } => Ok(answer),
            _ => Err(mixed()),
        }
    }

    fn remember(&mut self, identity: &str) -> Result<(), BookError> {
        self.asked(Import::Remember { identity: identity.to_owned() }).map(drop)
    }

    fn store_get(&mut self, key: &str) -> Result<Option<String>, BookError> {
        match self.asked(Import::Get { key: key.to_owned(), answer: None })? {
            Import::Get { answer, .. } => Ok(answer),
            _ => Err(mixed()),
        }
    }

    fn store_put(&mut self, key: &str, value: &str, attachment: bool) -> Result<(), BookError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.asked(Import::Put { key, value, attachment }).map(drop)
    }

    fn store_remove(&mut self, key: &str) -> Result<bool, BookError> {
        match self.asked(Import::Remove { key: key.to_owned(), answer: false })? {
            Import::Remove { answer, .. } => Ok(answer),
            _ => Err(mixed()),
        }
    }

    fn store_scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, BookError> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        match self.asked(Import::Scan { prefix, after, limit, answer: Vec::new() })? {
            Import::Scan { answer, .. } => Ok(answer),
            _ => Err(mixed()),
        }
    }

    fn store_count(&mut self, prefix: &str) -> Result<u64, BookError> {
        match self.asked(Import::Count { prefix: prefix.to_owned(), answer: 0 })? {
            Import::Count { answer, .. } => Ok(answer),
            _ => Err(mixed()),
        }
    }

    fn store_size(&mut self) -> Result<u64, BookError> {
        self.size()
    }

    fn usage(&mut self, ranges: &[AddressRange]) -> Result<Usage, BookError> {
        match self.asked(Import::Usage { ranges: ranges.to_vec(), answer: Usage::default() })? {
            Import::Usage { answer, .. } => Ok(answer),
            _ => Err(mixed()),
        }
    }

    fn pod(&mut self) -> Result<Result<PodFacts, NoPod>, BookError> {
        match self.asked(Import::Pod { answer: Ok(PodFacts::default()) })? {
            Import::Pod { answer } => Ok(answer),
            _ => Err(mixed()),
        }
    }

    fn http_known(&mut self, request: &HttpRequest) -> Option<HttpAnswer> {
        self.known(request)
    }

    fn http_done(&mut self, request: &HttpRequest, answer: &HttpAnswer) {
        self.told(Import::Http { request: request.clone(), answer: answer.clone() });
    }

    fn log(&mut self, level: Level, message: &str) {
        self.told(Import::Log { level, message: message.to_owned() });
    }
}
