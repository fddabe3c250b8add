//! A small client of HTTP, for plugins that the operator grants it (feature `http`): where a
//! request may go, by which methods, how long it may take and how large an answer may be stands
//! in the node's settings. There are no redirects.
//!
//! A call may run again after a conflict with another node, and an ADD may be tried again after a
//! crash: ask first, and make requests that can be repeated.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Reason, host};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// "GET".
    pub method: String,
    /// "https://ipam.example/api/...", as it is sent: nothing is escaped here.
    pub url: String,
    /// In their order.
    pub headers: Vec<(String, String)>,
    /// Empty: none.
    pub body: Vec<u8>,
    /// For the connection, for the first byte, and between bytes, each; the operator's own limit
    /// holds all the same.
    pub timeout: Option<Duration>,
}

impl Request {
    /// By this method, without a body.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: None,
        }
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body of JSON.
    pub fn json(self, body: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_vec(body)?;
        Ok(Self { body, ..self }.header("content-type", "application/json"))
    }

    /// With a limit of its own.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Sends it, and waits for all of the answer. An answer of any status is one.
    pub fn send(&self) -> Result<Response, Error> {
        host::send(self)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 200.
    pub status: u16,
    /// In their order; text that is no UTF-8 is replaced.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// One with a body of JSON: for tests.
    pub fn of(status: u16, body: &serde_json::Value) -> Self {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        Self { status, headers: Vec::new(), body }
    }

    /// Whether the status is one of success.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The start of the body as text, for a message.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(200).collect()
    }
}

/// No answer came; with `?` the failure is to [try again](Reason::TryAgain).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// "GET https://ipam.example/api/".
    pub what: String,
    /// "connection refused".
    pub why: String,
}

impl Error {
    pub(crate) fn of(request: &Request, why: impl Into<String>) -> Self {
        // What follows the path may be a secret, and says little.
        let url = request.url.split('?').next().unwrap_or_default();
        Self { what: format!("{} {url}", request.method), why: why.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Reason::TryAgain, error)
    }
}

/// Scheme, authority, path with query.
#[cfg_attr(not(target_family = "wasm"), expect(dead_code, reason = "a double reads no URLs"))]
pub(crate) fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    (!authority.is_empty()).then_some((scheme, authority, if path.is_empty() { "/" } else { path }))
}
