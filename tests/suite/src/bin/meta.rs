//! A CNI meta-plugin for tests, which does what Multus does: it is one plugin to the runtime, and runs
//! several others, one after the other, in one namespace, as `eth0`, `net1`, `net2`. Each gets what of
//! `runtimeConfig` its own capabilities name, and the path of a file for what its device is. DEL goes
//! backwards, and so does what is left of an ADD that failed.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Map, Value, json};

const DEVICES: &str = "/var/run/k8s.cni.cncf.io/devinfo/cni";

/// One of those that are run.
struct Delegate {
    conf: Value,
    ifname: String,
    /// Where it may say what its device is.
    file: PathBuf,
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn delegates(conf: &Value) -> Vec<Delegate> {
    let all = conf["delegates"].as_array().into_iter().flatten();
    let offered = conf["runtimeConfig"].as_object().cloned().unwrap_or_default();
    let one = |(at, delegate): (usize, &Value)| {
        let ifname = if at == 0 { variable("CNI_IFNAME") } else { format!("net{at}") };
        let name = format!("{}-{ifname}", variable("CNI_CONTAINERID"));
        let file = PathBuf::from(DEVICES).join(name);
        let mut offered = offered.clone();
        offered.insert("CNIDeviceInfoFile".to_owned(), json!(file));
        let mut conf = delegate.clone();
        conf["runtimeConfig"] = Value::Object(wanted(&delegate["capabilities"], &offered));
        Delegate { conf, ifname, file }
    };
    all.enumerate().map(one).collect()
}

/// What of it these capabilities name.
fn wanted(capabilities: &Value, offered: &Map<String, Value>) -> Map<String, Value> {
    let named = offered.iter().filter(|(key, _)| capabilities[key.as_str()] == json!(true));
    named.map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl Delegate {
    /// What it answers; an error is one of CNI.
    fn run(&self, verb: &str) -> Result<Value, Value> {
        let failed = |what: String| json!({ "cniVersion": "1.0.0", "code": 999, "msg": what });
        let kind = self.conf["type"].as_str().unwrap_or_default();
        let path = variable("CNI_PATH");
        let places = path.split(':').map(|folder| PathBuf::from(folder).join(kind));
        let program = places.into_iter().find(|place| place.is_file());
        let program = program.ok_or_else(|| failed(format!("no {kind} in {path}")))?;
        let mut command = Command::new(program);
        command.env("CNI_COMMAND", verb).env("CNI_IFNAME", &self.ifname);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        if let Some(mut pipe) = child.stdin.take() {
            let written = pipe.write_all(self.conf.to_string().as_bytes());
            written.map_err(|error| failed(error.to_string()))?;
        }
        let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    fn del(&self) -> Result<Value, Value> {
        let done = self.run("DEL");
        let _ = fs::remove_file(&self.file);
        done
    }
}

/// All of them, or none; what the first answers.
fn add(delegates: &[Delegate]) -> Result<Value, Value> {
    let mut first = Value::Null;
    for (at, delegate) in delegates.iter().enumerate() {
        match delegate.run("ADD") {
            Ok(result) if at == 0 => first = result,
            Ok(_) => {}
            Err(error) => {
                delegates.iter().take(at + 1).rev().for_each(|delegate| _ = delegate.del());
                return Err(error);
            }
        }
    }
    Ok(first)
}

fn verb(conf: &Value) -> Result<Value, Value> {
    let delegates = delegates(conf);
    match variable("CNI_COMMAND").as_str() {
        "ADD" => add(&delegates),
        "DEL" => {
            // One that fails keeps none of the others.
            let done: Vec<_> = delegates.iter().rev().map(Delegate::del).collect();
            done.into_iter().find(Result::is_err).unwrap_or(Ok(Value::Null))
        }
        "VERSION" => Ok(json!({ "cniVersion": "1.0.0", "supportedVersions": ["1.0.0"] })),
        _ => Ok(Value::Null),
    }
}

fn main() -> ExitCode {
    let mut text = String::new();
    let _ = std::io::stdin().read_to_string(&mut text);
    let answer = verb(&serde_json::from_str(&text).unwrap_or_default());
    let (Ok(value) | Err(value)) = &answer;
    if !value.is_null() {
        let _ = write!(std::io::stdout(), "{value}");
    }
    ExitCode::from(u8::from(answer.is_err()))
}
