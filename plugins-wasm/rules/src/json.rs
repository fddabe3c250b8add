//! JSON and where it stands: the policy's own configuration, read strictly, and a network
//! configuration, read as hosts read it and refused where it could be read in two ways.
//!
//! Nothing here may panic or guess: both come from strangers.

use serde_json::Value;

/// A value and where it is: an RFC 6901 pointer.
#[derive(Debug, Clone)]
pub(crate) struct At<'a> {
    pub(crate) pointer: String,
    pub(crate) value: &'a Value,
}

/// What is wrong with the policy's configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// RFC 6901.
    pub pointer: String,
    /// One line.
    pub message: String,
}

/// A place of a network configuration that a rule looks at, and that cannot be read for certain.
/// What cannot be read is refused: another reader might make something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// RFC 6901, or the name of an argument.
    pub(crate) place: String,
    /// "is not a port".
    pub(crate) what: &'static str,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { pointer: String::new(), value }
    }

    /// A problem here.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { pointer: self.pointer.clone(), message: message.into() }
    }

    /// "must be a string, found 7".
    pub(crate) fn wanted(&self, what: &str) -> Problem {
        self.problem(format!("must be {what}, found {}", cut(&self.value.to_string(), 40)))
    }

    /// This place cannot be read.
    pub(crate) fn unreadable(&self, what: &'static str) -> Unreadable {
        Unreadable { place: self.pointer.clone(), what }
    }

    fn member(&self, name: &str, value: &'a Value) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{name}", self.pointer), value }
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members(&self) -> Vec<(&'a str, Self)> {
        let Value::Object(object) = self.value else { return Vec::new() };
        object.iter().map(|(name, value)| (name.as_str(), self.member(name, value))).collect()
    }

    /// Whether it is an object or a list without anything in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            Value::Object(object) => object.is_empty(),
            Value::Array(list) => list.is_empty(),
            _ => false,
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> Vec<Self> {
        let Value::Array(list) = self.value else { return Vec::new() };
        let item = |(i, value)| Self { pointer: format!("{}/{i}", self.pointer), value };
        list.iter().enumerate().map(item).collect()
    }

    /// A member by its exact name.
    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        Some(self.member(name, self.value.as_object()?.get(name)?))
    }

    /// A member in whatever case, as CNI plugins read them; null is absent. Two spellings at
    /// once are refused: which one counts depends on who reads.
    pub(crate) fn folded(&self, name: &str) -> Result<Option<Self>, Unreadable> {
        let object = match self.value {
            Value::Null => return Ok(None),
            Value::Object(object) => object,
            _ => return Err(self.unreadable("is not an object")),
        };
        let mut found = object.iter().filter(|(key, value)| !value.is_null() && same(key, name));
        let Some((key, value)) = found.next() else { return Ok(None) };
        let member = self.member(key, value);
        match found.next() {
            Some(_) => Err(member.unreadable("is there in two spellings")),
            None => Ok(Some(member)),
        }
    }

    /// A member of a member.
    pub(crate) fn path(&self, names: &[&str]) -> Result<Option<Self>, Unreadable> {
        let mut at = self.clone();
        for name in names {
            match at.folded(name)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The items of a list that must be one.
    pub(crate) fn list(&self) -> Result<Vec<Self>, Unreadable> {
        if !self.value.is_array() {
            return Err(self.unreadable("is not a list"));
        }
        Ok(self.items())
    }

    /// A whole number.
    pub(crate) fn number(&self) -> Result<u64, Unreadable> {
        self.value.as_u64().ok_or_else(|| self.unreadable("is not a whole number"))
    }

    /// A string.
    pub(crate) fn text(&self) -> Result<&'a str, Unreadable> {
        self.value.as_str().ok_or_else(|| self.unreadable("is not a string"))
    }
}

/// A letter as Go's decoder compares it: two that are not ASCII fold to ASCII letters.
fn fold(letter: char) -> char {
    match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        other => other.to_ascii_lowercase(),
    }
}

/// Whether two keys are one to those who read without regard to case.
fn same(left: &str, right: &str) -> bool {
    left.chars().map(fold).eq(right.chars().map(fold))
}

/// At most so many characters of a text.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
