//! What an answer of the API server, or an error on the way to it, means for what was asked: above
//! all, whether it can have been carried out.

use std::time::Duration;

use serde_json::Value;

/// What came of one attempt, where there is no answer that helps.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It says no, and would again; or the two do not trust each other.
    Refused(String),
    /// It does not know who we are: fresh credentials help, or nothing does.
    Stranger(String),
    /// It was not sent, or not taken up: later it may be. So long it asks us to wait.
    Unsent(String, Option<Duration>),
    /// It may have been carried out.
    Lost(String),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// What is not an error for everybody.
#[derive(Debug)]
pub(crate) enum Said {
    /// An object.
    Done(Value),
    /// 404 of the object, not of its kind.
    Absent,
    /// 409.
    Conflict,
    /// 410: what was asked for is forgotten.
    Gone(String),
}

impl Answer {
    /// What it says.
    pub(crate) fn read(self) -> Result<Said, Verdict> {
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        let said = body.as_ref().and_then(|body| body.get("message")).and_then(Value::as_str);
        // A text for people; another's page may be long.
        let raw = || String::from_utf8_lossy(&self.body).chars().take(200).collect::<String>();
        let text = said.map_or_else(raw, ToOwned::to_owned).trim().to_owned();
        match (self.status, body) {
            (200..=202, Some(body)) => Ok(Said::Done(body)),
            (200..=202, None) => Err(Verdict::Lost("its answer is no JSON".to_owned())),
            (404, Some(body)) if is_of_object(&body) => Ok(Said::Absent),
            (409, _) => Ok(Said::Conflict),
            (410, _) => Ok(Said::Gone(text)),
            (504, Some(body)) if says(&body, "ResourceVersionTooLarge") => Ok(Said::Gone(text)),
            (status, _) => Err(of_status(status, text, self.retry_after)),
        }
    }
}

fn of_status(status: u16, text: String, retry_after: Option<Duration>) -> Verdict {
    match status {
        401 => Verdict::Stranger(text),
        403 => Verdict::Refused(format!(
            "it refuses: {text}: see the roles in deploy/kubernetes/rbac.yaml, and whose token it is"
        )),
        404 => Verdict::Refused(format!(
            "it does not know this kind ({text}): apply deploy/kubernetes/crds.yaml"
        )),
        // Its filters say so, before anything is done.
        429 | 503 => Verdict::Unsent(format!("{status}: {text}"), retry_after),
        500..=599 => Verdict::Lost(format!("{status}: {text}")),
        _ => Verdict::Refused(format!("it refuses ({status}): {text}")),
    }
}

/// A kind that is not there is answered with a text, or with no name.
fn is_of_object(status: &Value) -> bool {
    let name = status.pointer("/details/name").and_then(Value::as_str);
    name.is_some_and(|name| !name.is_empty())
}

/// One of its causes.
pub(crate) fn says(status: &Value, reason: &str) -> bool {
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    let mut causes = causes.into_iter().flatten();
    causes.any(|cause| cause.get("reason").and_then(Value::as_str) == Some(reason))
}

/// An error before there was a connection.
pub(crate) fn of_connecting(text: String) -> Verdict {
    // By rustls: we do not trust it, or it does not trust us.
    let distrust = text.contains("invalid peer certificate")
        || text.contains("InvalidContentType")
        || text.contains("received corrupt message")
        || text.contains("received fatal alert");
    if distrust {
        Verdict::Refused(format!(
            "it and this node do not trust each other: {text}: see certificate-authority and the \
             names in the server's certificate"
        ))
    } else {
        Verdict::Unsent(text, None)
    }
}

/// An error and what caused it, each said once.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        if !text.contains(&said) {
            let between = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{between}{said}");
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(status: u16, body: &Value) -> Result<Said, Verdict> {
        Answer { status, retry_after: None, body: body.to_string().into_bytes() }.read()
    }

    #[test]
    fn what_may_have_been_carried_out_is_lost() {
        for status in [500, 502, 504] {
            let said = read(status, &json!({ "message": "etcdserver: request timed out" }));
            assert!(matches!(said, Err(Verdict::Lost(_))), "{status}");
        }
        let said = Answer { status: 200, retry_after: None, body: b"half {".to_vec() }.read();
        assert!(matches!(said, Err(Verdict::Lost(_))));
    }

    #[test]
    fn what_was_not_taken_up_may_be_asked_again() {
        for status in [429, 503] {
            assert!(matches!(read(status, &json!({})), Err(Verdict::Unsent(..))), "{status}");
        }
    }

    #[test]
    fn an_object_that_is_absent_is_told_from_a_kind_that_is() {
        let object = json!({ "reason": "NotFound", "details": { "name": "a", "kind": "blocks" } });
        assert!(matches!(read(404, &object), Ok(Said::Absent)));
        let kind =
            json!({ "reason": "NotFound", "details": {}, "message": "the server could not find" });
        assert!(matches!(read(404, &kind), Err(Verdict::Refused(text)) if text.contains("crds")));
        let said = Answer { status: 404, retry_after: None, body: b"404 page not found".to_vec() };
        assert!(matches!(said.read(), Err(Verdict::Refused(text)) if text.contains("crds")));
    }

    #[test]
    fn what_is_for_good_is_refused_with_what_to_do() {
        let denied = json!({ "message": "blocks is forbidden" });
        assert!(matches!(read(403, &denied), Err(Verdict::Refused(text)) if text.contains("rbac")));
        assert!(matches!(read(422, &denied), Err(Verdict::Refused(_))));
        assert!(matches!(read(301, &denied), Err(Verdict::Refused(_))));
        assert!(matches!(read(401, &denied), Err(Verdict::Stranger(_))));
        assert!(matches!(read(410, &denied), Ok(Said::Gone(_))));
    }
}
