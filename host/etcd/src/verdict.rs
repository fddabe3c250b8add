//! What an error of etcd, or of the way to it, means for what was asked: above all, whether it
//! can have been carried out.

use std::error::Error as _;

use etcd_client::Error;
use tonic::{Code, Status};

/// An error of one attempt at one member. Only the first four are sure to have changed nothing.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// etcd as a whole says no, and would again.
    Refused(String),
    /// Our token is not known any more: to authenticate anew helps, once.
    Stale(String),
    /// This member and we do not trust each other.
    Barred(String),
    /// It was not sent, or not taken up: another member may.
    Unsent(String),
    /// It may have been carried out.
    Lost(String),
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        match error {
            Error::GRpcStatus(status) => of_status(&status),
            Error::TransportError(error) => of_connecting(causes(&error)),
            Error::InvalidArgs(text) => Self::Refused(text),
            other => Self::Lost(causes(&other)),
        }
    }
}

/// An error before there was a connection.
pub(crate) fn of_connecting(text: String) -> Verdict {
    if distrust(&text) { Verdict::Barred(text) } else { Verdict::Unsent(text) }
}

/// By rustls: we do not trust it; or it told us, in its own handshake, that it does not trust us.
fn distrust(text: &str) -> bool {
    const ALERTS: [&str; 7] = [
        "CertificateRequired",
        "BadCertificate",
        "UnknownCA",
        "CertificateUnknown",
        "CertificateExpired",
        "HandshakeFailure",
        "ProtocolVersion",
    ];
    let alert = text.split_once("received fatal alert: ").map(|(_, name)| name);
    text.contains("invalid peer certificate")
        || text.contains("InvalidContentType")
        || alert.is_some_and(|alert| ALERTS.iter().any(|name| alert.starts_with(name)))
}

fn of_status(status: &Status) -> Verdict {
    let Some(source) = status.source() else { return of_answer(status.code(), status.message()) };
    let text = causes(source);
    let mut cause = Some(source);
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return of_connecting(text);
        }
        cause = error.source();
    }
    if distrust(&text) { Verdict::Barred(text) } else { Verdict::Lost(text) }
}

/// What etcd says to a request that it did not carry out, and what to do where it is for good.
const REFUSALS: [(&str, &str); 11] = [
    (
        "database space exceeded",
        "its disk quota is used up: compact and defragment it, or raise --quota-backend-bytes, \
         then `etcdctl alarm disarm`",
    ),
    (
        "permission denied",
        "give the user's role readwrite below the prefix: `etcdctl role grant-permission \
         --prefix=true ROLE readwrite PREFIX/`",
    ),
    ("invalid user ID or password", "see `user` and `password_file`"),
    ("user name is empty", "it has users: set `user` and `password_file`"),
    ("authentication is not enabled", "it has no users: leave out `user` and `password_file`"),
    ("request is too large", "raise its --max-request-bytes"),
    ("received message larger than max", "raise its --max-request-bytes"),
    ("too many operations in txn", "raise its --max-txn-ops to 128 at least"),
    ("duplicate key given in txn", "this is a bug: report it"),
    ("requested lease not found", "it was not kept alive in time: get a new one"),
    ("corrupt cluster", "its members disagree: see etcd's documentation on data corruption"),
];

/// What it says to one that it did not take up, and may later.
const NOT_YET: [&str; 3] = ["no leader", "too many requests", "proposal dropped"];

fn of_answer(code: Code, message: &str) -> Verdict {
    if let Some((_, hint)) = REFUSALS.iter().find(|(text, _)| message.contains(text)) {
        return Verdict::Refused(format!("etcd refuses: {message}: {hint}"));
    }
    if NOT_YET.iter().any(|text| message.contains(text)) {
        return Verdict::Unsent(message.to_owned());
    }
    let old = message.contains("revision") && message.contains("is old");
    match code {
        Code::Unauthenticated => Verdict::Stale(message.to_owned()),
        _ if old => Verdict::Stale(message.to_owned()),
        Code::PermissionDenied | Code::InvalidArgument | Code::FailedPrecondition => {
            Verdict::Refused(format!("etcd refuses: {message}"))
        }
        Code::Unimplemented => {
            Verdict::Refused(format!("this is not etcd's API (version 3): {message}"))
        }
        _ => Verdict::Lost(message.to_owned()),
    }
}

/// Whether a read was of a revision that etcd has not: forgotten, or of another history.
pub(crate) fn no_such_revision(error: &Error) -> bool {
    let Error::GRpcStatus(status) = error else { return false };
    let message = status.message();
    message.contains("has been compacted") || message.contains("is a future revision")
}

/// An error and what caused it, each said once.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        next = error.source();
        // The outer ones say no more than that there is an inner one.
        let empty =
            next.is_some() && matches!(said.as_str(), "transport error" | "tcp connect error");
        if !empty && !text.contains(&said) {
            let between = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{between}{said}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_carried_out_is_lost() {
        let lost = |code, text| matches!(of_answer(code, text), Verdict::Lost(_));
        assert!(lost(Code::Unavailable, "etcdserver: request timed out"));
        let failed = "etcdserver: request timed out, possibly due to previous leader failure";
        assert!(lost(Code::Unavailable, failed));
        assert!(lost(Code::Unavailable, "etcdserver: leader changed"));
        assert!(lost(Code::Unavailable, "etcdserver: server stopped"));
        assert!(lost(Code::Cancelled, "context canceled"));
        assert!(lost(Code::Unknown, "what nobody knows"));
        assert!(lost(Code::Internal, "h2 protocol error"));
    }

    #[test]
    fn what_was_not_taken_up_may_be_asked_again() {
        let unsent = |text| matches!(of_answer(Code::Unavailable, text), Verdict::Unsent(_));
        assert!(unsent("etcdserver: no leader"));
        assert!(unsent("etcdserver: too many requests"));
        let old = of_answer(Code::Unknown, "auth: revision in header is old");
        assert!(matches!(old, Verdict::Stale(_)));
    }

    #[test]
    fn what_is_for_good_is_refused_with_what_to_do() {
        let space = of_answer(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
        assert!(matches!(space, Verdict::Refused(text) if text.contains("alarm disarm")));
        let denied = of_answer(Code::PermissionDenied, "etcdserver: permission denied");
        assert!(matches!(denied, Verdict::Refused(text) if text.contains("grant-permission")));
        assert!(matches!(of_answer(Code::Unimplemented, ""), Verdict::Refused(_)));
    }

    #[test]
    fn who_is_not_trusted_is_told_from_who_is_gone() {
        let barred = |text: &str| matches!(of_connecting(text.to_owned()), Verdict::Barred(_));
        assert!(barred("invalid peer certificate: UnknownIssuer"));
        assert!(barred("connection error: received fatal alert: CertificateRequired"));
        assert!(!barred("received fatal alert: InternalError"));
        assert!(!barred("Connection refused (os error 111)"));
    }
}
