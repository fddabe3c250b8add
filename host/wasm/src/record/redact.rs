//! Keeps secrets out of records: what a configuration marks, wherever that text occurs, and the
//! headers of HTTP that are secret by their meaning.

use serde_json::Value;

use super::{Import, Record, SECRET};
use crate::HttpRequest;

/// Headers whose values are never written.
const HEADERS: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"];
/// Shorter texts are left out only where a string is nothing else: they occur in other words.
const SHORT: usize = 4;
/// [`SECRET`] as it stands in a URL.
const ENCODED: &str = "%28secret%29";

/// The record as JSON, without its secrets. The usual record has none, and is written as it is.
pub(super) fn to_json(record: &Record) -> Result<String, serde_json::Error> {
    let marked = record.call.documents().iter().any(|text| text.contains(r#""secrets""#));
    let http = record.imports.iter().any(|import| matches!(import, Import::Http { .. }));
    if !marked && !http {
        return serde_json::to_string(record);
    }
    let mut record = record.clone();
    record.imports.iter_mut().for_each(hide_headers);
    let secrets = secrets(&record.call.documents());
    let mut value = serde_json::to_value(record)?;
    hide(&mut value, &secrets);
    serde_json::to_string(&value)
}

fn hide_headers(import: &mut Import) {
    let Import::Http { request, answer } = import else { return };
    request.headers.iter_mut().chain(&mut answer.headers).for_each(hide_header);
}

fn hide_header((name, value): &mut (String, String)) {
    if HEADERS.contains(&name.to_lowercase().as_str()) {
        SECRET.clone_into(value);
    }
}

/// What is marked in these documents, longest first, as it stands in text and as it stands
/// in JSON.
fn secrets(documents: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for document in documents {
        if let Ok(value) = serde_json::from_str(document) {
            marks(&value, &mut found);
        }
    }
    let escaped: Vec<String> = found.iter().map(|text| escaped(text)).collect();
    found.extend(escaped);
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found.dedup();
    found
}

/// As in a JSON string, without the quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned()
}

/// Every object may mark parts of itself.
fn marks(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let marked = object.get("secrets").and_then(Value::as_array).into_iter().flatten();
            for pointer in marked.filter_map(Value::as_str).filter(|text| text.starts_with('/')) {
                value.pointer(pointer).into_iter().for_each(|part| texts(part, found));
            }
            object.values().for_each(|part| marks(part, found));
        }
        Value::Array(list) => list.iter().for_each(|part| marks(part, found)),
        _ => {}
    }
}

/// Every text in a marked part.
fn texts(part: &Value, found: &mut Vec<String>) {
    match part {
        Value::String(text) if !text.is_empty() && text != SECRET => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|part| texts(part, found)),
        Value::Object(object) => object.values().for_each(|part| texts(part, found)),
        _ => {}
    }
}

fn hide(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => {
            for secret in secrets {
                hide_in(text, secret);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|part| hide(part, secrets)),
        Value::Object(object) => object.values_mut().for_each(|part| hide(part, secrets)),
        _ => {}
    }
}

fn hide_in(text: &mut String, secret: &str) {
    if secret.len() >= SHORT {
        if text.contains(secret) {
            *text = text.replace(secret, SECRET);
        }
    } else if text == secret {
        SECRET.clone_into(text);
    } else {
        *text = text.replace(&format!("\"{secret}\""), &format!("\"{SECRET}\""));
    }
}

/// Texts that differ in nothing but how a secret is spelled are equal in this form.
pub(super) fn comparable(text: &str) -> String {
    text.replace(ENCODED, SECRET)
}

/// The same for a request.
pub(super) fn comparable_request(request: &HttpRequest) -> HttpRequest {
    let mut request = request.clone();
    request.headers.iter_mut().for_each(hide_header);
    request.url = comparable(&request.url);
    request.body = comparable(&request.body);
    request
}
