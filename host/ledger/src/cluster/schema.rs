//! The JSON Schemas of what a book's objects say, derived from the types that read and write them, kept
//! in `tests/data/objects.schema.json`: a store that has schemas (custom resources) takes them from there.
//! `WHARFINGER_GOLDEN=update` writes them.

use std::path::Path;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::objects::{Block, Domain, Remembered};

/// Without references, as the API server wants them.
fn schema<T: schemars::JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    narrow(&mut schema);
    schema
}

/// What a store is to know of a type: how large it may become, and nothing that would be put into an
/// object for it.
fn narrow(schema: &mut Value) {
    let Some(all) = schema.as_object_mut() else { return };
    for beside in ["default", "title"] {
        all.remove(beside);
    }
    if let Some(about) = all.get("description").and_then(Value::as_str) {
        let about = about.replace('\n', " ");
        all.insert("description".to_owned(), json!(about));
    }
    // What is not there is left out.
    if let Some(kinds) = all.get("type").and_then(Value::as_array) {
        let kind = kinds.iter().find(|kind| **kind != json!("null")).cloned();
        all.insert("type".to_owned(), kind.unwrap_or_default());
    }
    match all.get("format").and_then(Value::as_str) {
        Some("ip") => {
            all.remove("format");
            let address = json!({ "minLength": 2, "maxLength": 45, "pattern": "^[0-9a-f:.]+$" });
            all.extend(address.as_object().cloned().unwrap_or_default());
        }
        Some("uint64" | "uint32") => {
            all.insert("format".to_owned(), json!("int64"));
        }
        _ => {}
    }
    if all.get("type") == Some(&json!("array")) {
        all.entry("maxItems").or_insert(json!(64));
    }
    // A pair is a list of two.
    if let Some(first) = all.get("items").and_then(|items| items.get(0)).cloned() {
        all.insert("items".to_owned(), first);
    }
    for of in ["items", "additionalProperties"] {
        all.get_mut(of).into_iter().for_each(narrow);
    }
    let properties = all.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flatten().for_each(|(_, property)| narrow(property));
}

#[test]
fn the_schemas_are_those_that_are_kept() {
    let all = json!({
        "domain": schema::<Domain>(),
        "block": schema::<Block>(),
        "identity": schema::<Remembered>(),
    });
    let text = format!("{all:#}\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/objects.schema.json");
    if std::env::var_os("WHARFINGER_GOLDEN").is_some_and(|it| it == "update") {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{} is another: WHARFINGER_GOLDEN=update writes it", path.display());
}
