//! The calls of NetBox's API that an allocation needs.

use serde::Deserialize;
use wharfinger_sdk::http::{Request, Response};
use wharfinger_sdk::serde_json::json;
use wharfinger_sdk::{Explain, Failure, IpNet, Reason};

/// Pages of one answer that are read: an attachment has one entry.
const PAGES: usize = 16;

/// Where NetBox is, and who asks.
pub(crate) struct Api<'a> {
    pub(crate) url: &'a str,
    pub(crate) token: &'a str,
}

/// An address in NetBox.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) address: IpNet,
    description: String,
}

impl Api<'_> {
    /// The entries with exactly this description.
    pub(crate) fn find(&self, description: &str) -> Result<Vec<Entry>, Failure> {
        #[derive(Deserialize)]
        struct Page {
            next: Option<String>,
            results: Vec<Entry>,
        }
        let mut found = Vec::new();
        let query = format!("?description={}", escaped(description));
        let mut next = Some(format!("{}/api/ipam/ip-addresses/{query}", self.url));
        for _ in 0..PAGES {
            let Some(url) = next else { break };
            let response = self.send(Request::new("GET", url))?;
            let page: Page = read(&expected(&response, 200)?)?;
            found.extend(page.results);
            next = page.next;
        }
        // A NetBox that does not know the filter answers with everything.
        found.retain(|entry| entry.description == description);
        Ok(found)
    }

    /// A free address of the prefix, with this description.
    pub(crate) fn allocate(&self, prefix: u64, description: &str) -> Result<Entry, Failure> {
        let url = format!("{}/api/ipam/prefixes/{prefix}/available-ips/", self.url);
        let request = Request::new("POST", url).json(&json!({ "description": description }))?;
        let response = self.send(request)?;
        match response.status {
            // NetBox has no address left in the prefix.
            409 => Err(Failure::exhausted(format!("prefix {prefix}: {}", response.text()))),
            404 => Err(Failure::invalid_config(format!("NetBox knows no prefix {prefix}"))),
            _ => read(&expected(&response, 201)?),
        }
    }

    /// Deletes an entry; one that is gone is no failure.
    pub(crate) fn delete(&self, id: u64) -> Result<(), Failure> {
        let request = Request::new("DELETE", format!("{}/api/ipam/ip-addresses/{id}/", self.url));
        let response = self.send(request)?;
        if response.status != 404 {
            expected(&response, 204)?;
        }
        Ok(())
    }

    fn send(&self, request: Request) -> Result<Response, Failure> {
        let token = format!("Token {}", self.token);
        let request = request.header("authorization", &token).header("accept", "application/json");
        request.send().explain(Reason::TryAgain, "NetBox gives no answer")
    }
}

/// The answer of this status; what another means.
fn expected(response: &Response, status: u16) -> Result<Response, Failure> {
    let said = || format!("NetBox answers {}: {}", response.status, response.text());
    match response.status {
        found if found == status => Ok(response.clone()),
        401 | 403 => Err(Failure::invalid_config(format!("{}: see token", said()))),
        429 | 500.. => Err(Failure::try_again(said())),
        _ => Err(Failure::other(said())),
    }
}

fn read<T: serde::de::DeserializeOwned>(response: &Response) -> Result<T, Failure> {
    response.json().explain(Reason::Other, "NetBox's answer")
}

/// For a query: all but letters, digits and "-._~" by its bytes (RFC 3986).
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}
