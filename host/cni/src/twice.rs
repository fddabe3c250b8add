//! Kernel parameters that a configuration names twice, which a parsed object does not show: the
//! last of them would count, and the first be silently left out.
//!
//! Of every other key the last counts, as Go has it.
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::conf::fold_eq;

/// A key that comes twice in one object named `sysctl`, wherever that stands. None where there
/// is no such key, or no JSON.
pub(crate) fn sysctl(json: &[u8]) -> Option<String> {
    let mut twice = None;
    let mut reader = serde_json::Deserializer::from_slice(json);
    let _ = Walk { among_sysctls: false, twice: &mut twice }.deserialize(&mut reader);
    twice
}

struct Walk<'a> {
    among_sysctls: bool,
    twice: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let among_sysctls = fold_eq(&key, "sysctl");
            if self.among_sysctls && !seen.insert(key.clone()) {
                *self.twice = Some(key);
            }
            map.next_value_seed(Walk { among_sysctls, twice: &mut *self.twice })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_named_twice_is_found_and_no_other_key() {
        let twice = |json: &str| sysctl(json.as_bytes());
        let found = Some("net.core.somaxconn".to_owned());
        let two = r#"{"net.core.somaxconn": "1", "x": 1.5, "net.core.somaxconn": "2"}"#;
        assert_eq!(twice(&format!(r#"{{"SysCtl": {two}}}"#)), found);
        assert_eq!(twice(&format!(r#"{{"features": {{"tuning": {{"sysctl": {two}}}}}}}"#)), found);
        assert_eq!(twice(&format!(r#"{{"args": {{"cni": {{"sysctl": {two}}}}}}}"#)), found);
        assert_eq!(twice(&format!(r#"{{"other": {two}, "l": [null, true, -1, {two}]}}"#)), None);
        assert_eq!(twice(r#"{"sysctl": {"a": "1"}, "x": {"sysctl": {"a": "1"}}}"#), None);
        assert_eq!(twice("{"), None);
    }
}
