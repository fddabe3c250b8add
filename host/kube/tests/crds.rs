//! The definitions of the book's kinds, made here and kept in `deploy/kubernetes/crds.yaml`;
//! `WHARFINGER_GOLDEN=update` writes them. What the book writes is described by its own types
//! (`host/ledger/src/cluster/schema.rs`); here is what stands beside it in an object, for people. That
//! nothing is lacking is shown by the ledger's suite on a real API server, which drops what is in no
//! definition.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

fn text(most: u32, about: &str) -> Value {
    json!({ "type": "string", "maxLength": most, "description": about })
}

fn number(about: &str) -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "description": about })
}

fn object(about: &str, required: &[&str], properties: Value) -> Value {
    let mut all = json!({ "type": "object", "description": about });
    if !required.is_empty() {
        all["required"] = json!(required);
    }
    all["properties"] = properties;
    all
}

fn list(about: &str, most: u32, of: &Value) -> Value {
    json!({ "type": "array", "description": about, "maxItems": most, "items": of })
}

fn after() -> Value {
    text(20, "The version that it was written over")
}

fn domain() -> Value {
    text(253, "The address space: a driver, and the link that its addresses are on")
}

/// The schema of what the book writes, by the ledger's types.
fn written(what: &str) -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../ledger/tests/data/objects.schema.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all[what].clone()
}

/// The same with more fields, some of which are always there.
fn with(mut written: Value, required: &[&str], more: Value) -> Value {
    let (Value::Object(more), Some(known)) = (more, written["properties"].as_object_mut()) else {
        panic!("no object");
    };
    known.extend(more);
    let always = written["required"].as_array().cloned().unwrap_or_default();
    let always = required.iter().map(|name| json!(name)).chain(always);
    written["required"] = always.collect();
    written
}

fn pool() -> Value {
    with(written("domain"), &["domain"], json!({ "domain": domain(), "after": after() }))
}

fn block() -> Value {
    with(
        written("block"),
        &["domain", "first"],
        json!({
            "domain": domain(),
            "first": text(45, "Its first address"),
            "range": text(49, "Which, for people"),
            "used": number("How many are held"),
            "free": number("How many nobody has, nor do they rest or are remembered"),
            "after": after(),
        }),
    )
}

/// What `kubectl wait` waits for, in Kubernetes' own form.
fn conditions() -> Value {
    let condition = object(
        "What holds of it",
        &["type", "status"],
        json!({
            "type": text(316, "Full: all of its addresses are held"),
            "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
            "reason": text(1024, "Why, in a word"),
            "message": text(32768, "Why, for people"),
            "lastTransitionTime": {
                "type": "string", "format": "date-time", "description": "Since when",
            },
        }),
    );
    let about = "What holds of it, as of its last write";
    object(about, &[], json!({ "conditions": list(about, 8, &condition) }))
}

fn claim() -> Value {
    object(
        "What is remembered for an identity, on whatever node it is",
        &["addresses"],
        json!({
            "domain": domain(),
            "network": text(253, "Its network"),
            "identity": text(253, "Its name"),
            "addresses": written("identity"),
            "after": after(),
        }),
    )
}

fn note() -> Value {
    let content = json!({
        "description": "As the plugin, or the program itself, wrote it",
        "x-kubernetes-preserve-unknown-fields": true,
    });
    let about = "What a plugin keeps, the number of an overlay, what a node says of itself";
    object(
        about,
        &["key", "content"],
        json!({
            "key": text(512, "Its place in the book"),
            "content": content,
            "after": after(),
        }),
    )
}

fn column(name: &str, kind: &str, path: &str) -> Value {
    json!({ "name": name, "type": kind, "jsonPath": path })
}

fn definition(kind: &str, plural: &str, spec: &Value, mut columns: Vec<Value>) -> Value {
    columns.push(column("Age", "date", ".metadata.creationTimestamp"));
    let about = spec["description"].clone();
    let mut schema = object(
        about.as_str().unwrap(),
        &["spec"],
        json!({
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": spec,
        }),
    );
    if kind == "Block" {
        schema["properties"]["status"] = conditions();
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.wharfinger.dev") },
        "spec": {
            "group": "wharfinger.dev",
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                "singular": kind.to_lowercase(), "categories": ["wharfinger"],
            },
            "scope": "Cluster",
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "additionalPrinterColumns": columns,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

fn definitions() -> Vec<Value> {
    let domain = || column("Domain", "string", ".spec.domain");
    vec![
        definition(
            "Pool",
            "pools",
            &pool(),
            vec![domain(), column("Bits", "integer", ".spec.block")],
        ),
        definition(
            "Block",
            "blocks",
            &block(),
            vec![
                column("Node", "string", ".spec.owner"),
                domain(),
                column("Range", "string", ".spec.range"),
                column("Used", "integer", ".spec.used"),
                column("Free", "integer", ".spec.free"),
            ],
        ),
        definition(
            "Claim",
            "claims",
            &claim(),
            vec![
                column("Network", "string", ".spec.network"),
                column("Identity", "string", ".spec.identity"),
                column("Addresses", "string", ".spec.addresses"),
            ],
        ),
        definition("Note", "notes", &note(), vec![column("Key", "string", ".spec.key")]),
    ]
}

/// YAML, as people write it.
fn yaml(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(all) if !all.is_empty() => {
            for (key, value) in all {
                write!(out, "{pad}{key}:").unwrap();
                nested(value, indent + 2, out);
            }
        }
        Value::Array(all) if !all.is_empty() => {
            for value in all {
                let mut inner = String::new();
                yaml(value, indent + 2, &mut inner);
                let scalar = !value.is_object() && !value.is_array();
                let inner = if scalar { format!("{pad}  {}\n", plain(value)) } else { inner };
                write!(out, "{pad}- {}", inner.trim_start()).unwrap();
            }
        }
        other => writeln!(out, "{pad}{}", plain(other)).unwrap(),
    }
}

fn nested(value: &Value, indent: usize, out: &mut String) {
    let empty = value.as_object().is_some_and(Map::is_empty);
    if value.is_object() && !empty || value.is_array() {
        out.push('\n');
        yaml(value, indent, out);
    } else {
        writeln!(out, " {}", plain(value)).unwrap();
    }
}

/// A text that needs no quotes has none.
fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(text)
            if text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.')
                && !text.contains(": ")
                && !matches!(text.to_lowercase().as_str(), "true" | "false" | "null") =>
        {
            text.to_owned()
        }
        _ => value.to_string(),
    }
}

#[test]
fn the_definitions_are_those_that_are_shipped() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes/crds.yaml");
    let mut text = "# Made by host/kube/tests/crds.rs and the types of the ledger.\n".to_owned();
    for definition in definitions() {
        text.push_str("---\n");
        yaml(&definition, 0, &mut text);
    }
    if std::env::var_os("WHARFINGER_GOLDEN").is_some_and(|it| it == "update") {
        std::fs::write(&path, &text).unwrap();
    }
    let shipped = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(shipped == text, "{} is another: WHARFINGER_GOLDEN=update writes it", path.display());
}
