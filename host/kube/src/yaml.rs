//! YAML as JSON, for kubeconfigs. Pure. Refuses aliases, which may make a small text a large
//! document, and depths that no kubeconfig has.

use serde_json::{Map, Value};
use yaml_rust2::Event;
use yaml_rust2::parser::Parser;
use yaml_rust2::scanner::TScalarStyle;

/// How deep a document may be.
const DEPTH: usize = 32;

/// Reads the first document. Every scalar is text, but for what YAML says plainly to be null or a
/// truth value.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    // All JSON is YAML but for rarities, and says it better where it is wrong.
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let mut parser = Parser::new(text.chars());
    loop {
        match next(&mut parser)? {
            Event::StreamStart | Event::DocumentStart => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Value::Null),
            event => return value(event, &mut parser, DEPTH),
        }
    }
}

type Chars<'a> = Parser<std::str::Chars<'a>>;

fn next(parser: &mut Chars<'_>) -> Result<Event, String> {
    parser.next_token().map(|(event, _)| event).map_err(|error| error.to_string())
}

fn value(event: Event, parser: &mut Chars<'_>, depth: usize) -> Result<Value, String> {
    let Some(depth) = depth.checked_sub(1) else { return Err("it is too deep".to_owned()) };
    match event {
        Event::Scalar(text, style, _, tag) => Ok(scalar(text, style, tag.is_some())),
        Event::SequenceStart(..) => {
            let mut all = Vec::new();
            loop {
                match next(parser)? {
                    Event::SequenceEnd => return Ok(Value::Array(all)),
                    event => all.push(value(event, parser, depth)?),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut all = Map::new();
            loop {
                let key = match next(parser)? {
                    Event::MappingEnd => return Ok(Value::Object(all)),
                    Event::Scalar(key, ..) => key,
                    _ => return Err("a key that is not text".to_owned()),
                };
                let event = next(parser)?;
                let value = value(event, parser, depth)?;
                if all.insert(key.clone(), value).is_some() {
                    return Err(format!("{key:?} is there twice"));
                }
            }
        }
        Event::Alias(_) => Err("an alias (*): write the text instead".to_owned()),
        other => Err(format!("{other:?} where a value should be")),
    }
}

fn scalar(text: String, style: TScalarStyle, tagged: bool) -> Value {
    if style != TScalarStyle::Plain || tagged {
        return Value::String(text);
    }
    match text.as_str() {
        "" | "~" | "null" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_kubeconfigs_have_is_read() {
        let text = "# made\napiVersion: v1\nusers:\n- name: 'a b'\n  user:\n    token: |\n      abc\n\
                    preferences: {}\nx: true\ny:\nz: \"true\"\nport: 0123\n";
        let value = read(text).unwrap();
        assert_eq!(value["users"][0], json!({ "name": "a b", "user": { "token": "abc\n" } }));
        assert_eq!(
            (&value["x"], &value["y"], &value["z"]),
            (&json!(true), &json!(null), &json!("true"))
        );
        assert_eq!(value["port"], "0123");
        assert_eq!(read("{\"a\": 1}").unwrap(), json!({ "a": 1 }));
        assert_eq!(read("").unwrap(), Value::Null);
    }

    #[test]
    fn what_may_blow_up_is_refused() {
        assert!(read("a: &a [x]\nb: [*a, *a]\n").unwrap_err().contains("alias"));
        assert!(read(&"[".repeat(1000)).is_err());
        assert!(read("a: 1\na: 2\n").unwrap_err().contains("twice"));
        assert!(read("a: [").is_err());
    }
}
