//! Objects by their paths: `/api/v1/namespaces/default/pods/web`.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use wharfinger_ledger::cluster::Fault;

use crate::exchange::{Ask, JSON};
use crate::kube::{Api, Clock, Kube};
use crate::verdict::Said;

/// How many objects one answer has at most. Where the server forgets, between two answers, what a
/// listing is of, it begins again with the next; zero: all of them.
const PAGES: [u32; 3] = [500, 5000, 0];

/// All objects of a kind, as they were at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Of which version it is: a watch goes on from there.
    pub version: u64,
    /// In the order of their names.
    pub items: Vec<Value>,
}

/// What a write came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// It stands; as the server has it now.
    Done(Value),
    /// There is one already, or it is another than the one that was to be changed, or it is gone:
    /// nothing was written.
    Conflict,
}

/// An object's version, or a listing's: a number that grows, by the API's conventions (1.35).
pub fn version_of(object: &Value) -> Result<u64, Fault> {
    let text = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).filter(|version| *version > 0).ok_or_else(|| {
        Fault::Refused(format!(
            "the API server answers with resourceVersion {text:?}, which is no number: versions \
             cannot be compared"
        ))
    })
}

impl Kube {
    /// The object at this path; none: it is not there. Within `wait`.
    pub fn get(&self, path: &str, wait: Duration) -> Result<Option<Value>, Fault> {
        match self.ask(Ask::get(path.to_owned()), wait)? {
            Said::Done(object) => Ok(Some(object)),
            Said::Absent => Ok(None),
            other => Err(strange(&format!("read {path}"), &other)),
        }
    }

    /// Makes an object in the collection at this path.
    pub fn create(&self, path: &str, object: &Value, wait: Duration) -> Result<Written, Fault> {
        self.write(Method::POST, path, Some(object), JSON, wait)
    }

    /// Writes the object at this path: where its `resourceVersion` is still the one in it.
    pub fn update(&self, path: &str, object: &Value, wait: Duration) -> Result<Written, Fault> {
        self.write(Method::PUT, path, Some(object), JSON, wait)
    }

    /// Merges (RFC 7396) into the object at this path.
    pub fn patch(&self, path: &str, merge: &Value, wait: Duration) -> Result<Written, Fault> {
        self.write(Method::PATCH, path, Some(merge), "application/merge-patch+json", wait)
    }

    /// Removes the object at this path, where it has this version.
    pub fn delete(&self, path: &str, version: u64, wait: Duration) -> Result<Written, Fault> {
        let options = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": { "resourceVersion": version.to_string() },
        });
        self.write(Method::DELETE, path, Some(&options), JSON, wait)
    }

    /// All objects of the collection at this path; `query`, without a question mark, is sent
    /// as it is.
    pub fn list(&self, path: &str, query: &str, wait: Duration) -> Result<Listing, Fault> {
        let (version, items) = self.list_as(path, query, wait, |item| item)?;
        Ok(Listing { version, items })
    }

    /// The same, of each object only this: not all of them are kept at once.
    pub(crate) fn list_of<T: Send + 'static>(
        &self,
        path: &str,
        query: &str,
        wait: Duration,
        of: fn(&Value) -> T,
    ) -> Result<Vec<T>, Fault> {
        Ok(self.list_as(path, query, wait, move |item| of(&item))?.1)
    }

    fn list_as<T: Send + 'static>(
        &self,
        path: &str,
        query: &str,
        wait: Duration,
        of: impl Fn(Value) -> T + Send + Sync + 'static,
    ) -> Result<(u64, Vec<T>), Fault> {
        let (api, path, query) = (self.api(), path.to_owned(), query.to_owned());
        let clock = api.clock(wait);
        self.run(async move {
            for limit in PAGES {
                let all = Paged { path: &path, query: &query, limit };
                if let Some(listing) = list(&api, &all, clock, &of).await? {
                    return Ok(listing);
                }
            }
            let text = format!("list {path}: the API server has forgotten what it is at");
            Err(Fault::Unavailable(text))
        })
    }

    fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        content: &'static str,
        wait: Duration,
    ) -> Result<Written, Fault> {
        let body = body.map(|body| body.to_string().into());
        let what = format!("{method} {path}");
        match self.ask(Ask { method, path: path.to_owned(), body, content }, wait)? {
            Said::Done(object) => Ok(Written::Done(object)),
            Said::Conflict | Said::Absent => Ok(Written::Conflict),
            other @ Said::Gone(_) => Err(strange(&what, &other)),
        }
    }

    fn ask(&self, ask: Ask, wait: Duration) -> Result<Said, Fault> {
        let api = self.api();
        let clock = api.clock(wait);
        self.run(async move { api.ask(&named(&ask), &ask, clock).await })
    }
}

/// For texts.
fn named(ask: &Ask) -> String {
    let path = ask.path.split('?').next().unwrap_or_default();
    match ask.method {
        Method::GET => format!("read {path}"),
        Method::POST => format!("create an object in {path}"),
        Method::DELETE => format!("remove {path}"),
        _ => format!("write {path}"),
    }
}

fn strange(what: &str, said: &Said) -> Fault {
    Fault::Refused(format!("{what}: the API server answers what nobody asked: {said:?}"))
}

/// What is listed, and how many objects an answer has.
struct Paged<'a> {
    path: &'a str,
    query: &'a str,
    limit: u32,
}

/// One listing, all of one version; None: the server forgot it meanwhile.
async fn list<T>(
    api: &Api,
    all: &Paged<'_>,
    clock: Clock,
    of: &(impl Fn(Value) -> T + Sync),
) -> Result<Option<(u64, Vec<T>)>, Fault> {
    let Paged { path, query, limit } = all;
    let what = format!("list {path}");
    let (mut items, mut version, mut next) = (Vec::new(), 0, String::new());
    loop {
        let query = format!("{path}?limit={limit}&continue={}&{query}", escaped(&next));
        let ask = Ask::get(query.trim_end_matches('&').to_owned());
        let mut page = match api.ask(&what, &ask, clock).await? {
            Said::Done(page) => page,
            Said::Gone(_) => return Ok(None),
            other => return Err(strange(&what, &other)),
        };
        if version == 0 {
            version = version_of(&page)?;
        }
        match page.get_mut("items").map(Value::take) {
            Some(Value::Array(some)) => items.extend(some.into_iter().map(of)),
            Some(Value::Null) => {}
            _ => return Err(Fault::Refused(format!("{what}: the API server answers no list"))),
        }
        match page.pointer("/metadata/continue").and_then(Value::as_str) {
            Some(more) if !more.is_empty() => more.clone_into(&mut next),
            _ => return Ok(Some((version, items))),
        }
    }
}

/// As it may stand in a query.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // To a string nothing can fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
