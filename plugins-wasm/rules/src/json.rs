//! JSON and where it stands: the policy's own configuration, read strictly, and a network
//! configuration, read as hosts read it and refused where it could be read in two ways.
//!
//! Nothing here may panic or guess: both come from strangers.

use std::borrow::Cow;

use serde_json::Value;

/// A value, and the document that it is in. Where it is, is looked for only where something is
/// wrong with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    root: &'a Value,
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

/// What a rule looks at and cannot be read for certain. A place of a network configuration is
/// refused then: another reader might make something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// RFC 6901, or the name of an argument, or of a pod.
    pub(crate) place: String,
    /// "is not a port".
    pub(crate) what: Cow<'static, str>,
    /// It is the cluster's API that does not tell.
    pub(crate) of_api: bool,
}

impl Unreadable {
    /// A place of what the attachment asks for.
    pub(crate) fn new(place: String, what: &'static str) -> Self {
        Self { place, what: what.into(), of_api: false }
    }
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { root: value, value }
    }

    fn at(&self, value: &'a Value) -> Self {
        Self { root: self.root, value }
    }

    /// Where it is: an RFC 6901 pointer.
    pub(crate) fn pointer(&self) -> String {
        pointer(self.root, self.value).unwrap_or_default()
    }

    /// A problem here.
    pub(crate) fn problem(&self, message: &str) -> Problem {
        Problem { pointer: self.pointer(), message: message.to_owned() }
    }

    /// "must be a string, found 7".
    pub(crate) fn wanted(&self, what: &str) -> Problem {
        self.problem(&format!("must be {what}, found {}", cut(&self.value.to_string(), 40)))
    }

    /// This place cannot be read.
    pub(crate) fn unreadable(&self, what: &'static str) -> Unreadable {
        Unreadable::new(self.pointer(), what)
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let root = self.root;
        let object = self.value.as_object().into_iter().flatten();
        object.map(move |(name, value)| (name.as_str(), Self { root, value }))
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
    pub(crate) fn items(&self) -> impl ExactSizeIterator<Item = Self> + use<'a> {
        let root = self.root;
        let list = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(move |value| Self { root, value })
    }

    /// A member by its exact name.
    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        Some(self.at(self.value.as_object()?.get(name)?))
    }

    /// A member in whatever case, as CNI plugins read them; null is absent. Two spellings at
    /// once are refused: which one counts depends on who reads.
    pub(crate) fn folded(&self, name: &str) -> Result<Option<Self>, Unreadable> {
        Ok(self.spelled(name)?.map(|(_, member)| member))
    }

    /// The same, with the key as it is spelled.
    pub(crate) fn spelled(&self, name: &str) -> Result<Option<(&'a str, Self)>, Unreadable> {
        let object = match self.value {
            Value::Null => return Ok(None),
            Value::Object(object) => object,
            _ => return Err(self.unreadable("is not an object")),
        };
        let mut found = object.iter().filter(|(key, value)| !value.is_null() && same(key, name));
        let Some((key, value)) = found.next() else { return Ok(None) };
        let member = self.at(value);
        match found.next() {
            Some(_) => Err(member.unreadable("is there in two spellings")),
            None => Ok(Some((key, member))),
        }
    }

    /// A member of a member.
    pub(crate) fn path(&self, names: &[&str]) -> Result<Option<Self>, Unreadable> {
        let mut at = *self;
        for name in names {
            match at.folded(name)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The items of a list that must be one.
    pub(crate) fn list(&self) -> Result<impl ExactSizeIterator<Item = Self> + use<'a>, Unreadable> {
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

/// The pointer to a value within another, which is told by its address.
fn pointer(here: &Value, wanted: &Value) -> Option<String> {
    if std::ptr::eq(here, wanted) {
        return Some(String::new());
    }
    match here {
        Value::Array(list) => list
            .iter()
            .enumerate()
            .find_map(|(i, item)| Some(format!("/{i}{}", pointer(item, wanted)?))),
        Value::Object(object) => object.iter().find_map(|(key, member)| {
            let rest = pointer(member, wanted)?;
            Some(format!("/{}{rest}", key.replace('~', "~0").replace('/', "~1")))
        }),
        _ => None,
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
