//! A policy with one fault: `{"fault": "...", "max": 3, "mtu": 1400}`. It admits so many
//! attachments for each namespace, with that MTU. Without a fault it is a good one.

wit_bindgen::generate!({ path: "../../wit/0.2.0", world: "policy-plugin", generate_all });

use exports::wharfinger::plugin::policy::{Guest, Request, Verdict};
use serde_json::{Value, json};
use wharfinger::plugin::plan::Step;
use wharfinger::plugin::store;
use wharfinger::plugin::types::{Failure, Problem, Reason};

struct Plugin;
export!(Plugin);

struct Config {
    fault: String,
    max: u64,
    mtu: u64,
}

type Bad = (&'static str, &'static str);

/// The fault of a configuration that may otherwise be wrong: it stands in it as text.
fn fault(config: &str) -> String {
    let rest = config.split_once(r#""fault":""#).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default().to_owned()
}

fn read(config: &str) -> Result<Config, Bad> {
    let value: Value = serde_json::from_str(config).map_err(|_| ("", "is no JSON"))?;
    let object = value.as_object().ok_or(("", "is no object"))?;
    let max = object.get("max").ok_or(("/max", "is missing"))?;
    let max = max.as_u64().ok_or(("/max", "is no count"))?;
    let mtu = object.get("mtu").map_or(Some(1_500), Value::as_u64);
    let mtu = mtu.ok_or(("/mtu", "is no count of bytes"))?;
    let fault = object.get("fault").map_or(Some(""), Value::as_str);
    let fault = fault.ok_or(("/fault", "is no text"))?.to_owned();
    Ok(Config { fault, max, mtu })
}

fn failure(message: String) -> Failure {
    Failure { reason: Reason::InvalidConfig, message, detail: None }
}

impl Guest for Plugin {
    fn validate(config: String) -> Vec<Problem> {
        let Err((pointer, message)) = read(&config) else { return vec![] };
        let pointer = match fault(&config).as_str() {
            "admits-anything" => return vec![],
            "traps-on-bad-config" => core::arch::wasm32::unreachable(),
            "wrong-pointer" => "nowhere",
            _ => pointer,
        };
        vec![Problem { pointer: pointer.into(), message: message.into() }]
    }

    fn admit(request: Request) -> Result<Verdict, Failure> {
        let config = match read(&request.config) {
            Ok(config) => config,
            Err(_) if fault(&request.config) == "admits-anything" => return Ok(Verdict::Allow),
            Err((pointer, message)) => return Err(failure(format!("{pointer}: {message}"))),
        };
        if config.fault == "traps-on-hostile" {
            let network: Value = serde_json::from_str(&request.network_config).unwrap();
            assert!(network["mtu"].as_u64().unwrap() > 0);
        }
        if !admitted(&config, &request) {
            let reason = if config.fault == "no-reason" { "" } else { "too many in the namespace" };
            return Ok(Verdict::Deny(reason.into()));
        }
        let patch = match config.fault.as_str() {
            "changes-type" => json!({ "mtu": config.mtu, "ipam": { "type": "mine" } }),
            "drops-policies" => json!({ "policies": null }),
            _ => json!({ "mtu": config.mtu }),
        };
        Ok(Verdict::Amend(patch.to_string()))
    }

    fn review(request: Request, _: Vec<Step>, _: String) -> Result<Verdict, Failure> {
        Ok(match fault(&request.config).as_str() {
            "changes-result" => Verdict::Amend(r#"{"ips": []}"#.into()),
            _ => Verdict::Amend(r#"{"dns": {"search": ["a.example"]}}"#.into()),
        })
    }
}

/// Counts attachments by entries of the store that live as long as they do.
fn admitted(config: &Config, request: &Request) -> bool {
    let namespace =
        request.attachment.pod.as_ref().map(|pod| pod.namespace.as_str()).unwrap_or_default();
    let prefix = format!("{namespace}/");
    let count = store::count(&prefix);
    let id = &request.attachment.id;
    let key = match config.fault.as_str() {
        "counts-retries" => format!("{prefix}{count}"),
        _ => format!("{prefix}{}/{}/{}", id.network, id.container, id.ifname),
    };
    if store::get(&key).is_some() {
        return true;
    }
    let lifetime = match config.fault.as_str() {
        "leaks" => store::Lifetime::Permanent,
        _ => store::Lifetime::Attachment,
    };
    store::put(&key, "", lifetime);
    count < config.max
}
