//! Why a call came to nothing: what `?` turns every error into.

use std::fmt;

/// What kind of failure it is: it decides what the host tells the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The configuration is wrong: trying again cannot help.
    InvalidConfig,
    /// Every address that the request allows is taken; the host adds the counts.
    Exhausted,
    /// An address asked for by name cannot be had.
    Conflict,
    /// Might work later.
    TryAgain,
    /// Anything else.
    Other,
}

/// Why a plugin could not do what it was asked. Every standard error turns into one with `?`, of
/// [`Reason::Other`]; [`Explain`] says more.
///
/// ```
/// # use wharfinger_sdk::{Explain, Failure, Reason};
/// fn port(text: &str) -> Result<u16, Failure> {
///     if text.is_empty() {
///         return Err(Failure::invalid_config("no port"));
///     }
///     Ok(text.parse()?)
/// }
/// assert_eq!(port("").unwrap_err().reason, Reason::InvalidConfig);
/// assert_eq!(port("x").unwrap_err().message, "invalid digit found in string");
/// let said = port("x").explain(Reason::Conflict, "host port").unwrap_err();
/// assert_eq!(said.message, "host port: invalid digit found in string");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub reason: Reason,
    /// One line for the operator: what cannot be done, why, what to do.
    pub message: String,
    /// More, over several lines if need be.
    pub detail: Option<String>,
}

impl Failure {
    /// Of this kind. Control characters of the message become spaces: it is one line.
    pub fn new(reason: Reason, message: impl fmt::Display) -> Self {
        let one_line = |c: char| if c.is_control() { ' ' } else { c };
        let message = message.to_string().chars().map(one_line).collect();
        Self { reason, message, detail: None }
    }

    /// The configuration is wrong.
    pub fn invalid_config(message: impl fmt::Display) -> Self {
        Self::new(Reason::InvalidConfig, message)
    }

    /// Nothing is free.
    pub fn exhausted(message: impl fmt::Display) -> Self {
        Self::new(Reason::Exhausted, message)
    }

    /// What was asked for by name cannot be had.
    pub fn conflict(message: impl fmt::Display) -> Self {
        Self::new(Reason::Conflict, message)
    }

    /// Might work later.
    pub fn try_again(message: impl fmt::Display) -> Self {
        Self::new(Reason::TryAgain, message)
    }

    /// Anything else.
    pub fn other(message: impl fmt::Display) -> Self {
        Self::new(Reason::Other, message)
    }

    /// With more for the operator to read.
    pub fn with_detail(self, detail: impl fmt::Display) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// `Failure` itself is no `std::error::Error`, as otherwise this would overlap `From<T> for T`.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(one) = cause {
            text = format!("{text}: {one}");
            cause = one.source();
        }
        Self::new(Reason::Other, text)
    }
}

/// Says what was being done, and what kind of failure it is, where something went wrong.
pub trait Explain<T> {
    /// The value, or a failure of this kind: "what: cause".
    fn explain(self, reason: Reason, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Explain<T> for Result<T, E> {
    fn explain(self, reason: Reason, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| {
            let cause: Failure = error.into();
            let message = format!("{what}: {}", cause.message);
            Failure { detail: cause.detail, ..Failure::new(reason, message) }
        })
    }
}

impl<T> Explain<T> for Option<T> {
    fn explain(self, reason: Reason, what: impl fmt::Display) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::new(reason, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_with_its_causes_in_one_line() {
        #[derive(Debug)]
        struct Outer(std::num::ParseIntError);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("read\nit")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let failure: Failure = Outer("x".parse::<u8>().unwrap_err()).into();
        assert_eq!(failure.message, "read it: invalid digit found in string");
        assert_eq!(failure.reason, Reason::Other);
    }

    #[test]
    fn nothing_where_something_was_wanted() {
        let failure = None::<u8>.explain(Reason::TryAgain, "no zone").unwrap_err();
        assert_eq!((failure.reason, failure.message.as_str()), (Reason::TryAgain, "no zone"));
    }
}
