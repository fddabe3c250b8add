//! Reading JSON as the reference does, and pointing at what is wrong with it.
//!
//! Keys match in any case, null is the same as absent, unknown keys are ignored.

use serde_json::{Map, Value};

/// A value and where it is: an RFC 6901 pointer.
#[derive(Debug, Clone)]
pub struct At<'a> {
    /// RFC 6901.
    pub pointer: String,
    /// The value itself.
    pub value: &'a Value,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// RFC 6901.
    pub pointer: String,
    /// One line.
    pub message: String,
}

impl<'a> At<'a> {
    /// The document itself.
    pub fn root(value: &'a Value) -> Self {
        Self { pointer: String::new(), value }
    }

    /// A problem here.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { pointer: self.pointer.clone(), message: message.into() }
    }

    /// A member, by its exact name or else in any case; null is absent.
    pub fn get(&self, key: &str) -> Option<Self> {
        let object = self.value.as_object()?;
        let (name, value) = exact(object, key).or_else(|| any_case(object, key))?;
        let pointer = format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"));
        (!value.is_null()).then_some(Self { pointer, value })
    }

    /// The members of a list.
    pub fn items(&self) -> Result<Vec<Self>, Problem> {
        let list = self.value.as_array().ok_or_else(|| self.wanted("a list"))?;
        let item = |(i, value)| Self { pointer: format!("{}/{i}", self.pointer), value };
        Ok(list.iter().enumerate().map(item).collect())
    }

    /// A string.
    pub fn text(&self) -> Result<&'a str, Problem> {
        self.value.as_str().ok_or_else(|| self.wanted("a string"))
    }

    pub(crate) fn u32(&self) -> Result<u32, Problem> {
        let number = self.value.as_u64().and_then(|n| u32::try_from(n).ok());
        number.ok_or_else(|| self.wanted("a whole number from 0 to 4294967295"))
    }

    pub(crate) fn u8(&self) -> Result<u8, Problem> {
        let number = self.value.as_u64().and_then(|n| u8::try_from(n).ok());
        number.ok_or_else(|| self.wanted("a whole number from 0 to 255"))
    }

    /// It is an object.
    pub fn object(&self) -> Result<(), Problem> {
        self.value.is_object().then_some(()).ok_or_else(|| self.wanted("an object"))
    }

    /// "must be a string, found 7".
    pub fn wanted(&self, what: &str) -> Problem {
        let found = self.value.to_string();
        let mut cut: String = found.chars().take(40).collect();
        if cut.len() < found.len() {
            cut.push('…');
        }
        self.problem(format!("must be {what}, found {cut}"))
    }
}

fn exact<'a>(object: &'a Map<String, Value>, key: &str) -> Option<(&'a String, &'a Value)> {
    object.get_key_value(key)
}

fn any_case<'a>(object: &'a Map<String, Value>, key: &str) -> Option<(&'a String, &'a Value)> {
    object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))
}
