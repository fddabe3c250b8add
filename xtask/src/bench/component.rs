//! What a component adds to an ADD: the same logic without a sandbox, built in, installed, named by
//! its path with nothing compiled; and what a policy adds. Address management alone, so that little
//! else is in the figures.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Options;
use super::machine::{Container, Machine};
use super::parts::rounds;
use super::report::Figures;
use super::subject::Subject;
use crate::command::{must, say, workspace};

const NATIVE: &str = "host-local without a sandbox";
const BUILT_IN: &str = "host-local built in";
const INSTALLED: &str = "host-local installed";
const POLICY: &str = "built in, and a policy of rules";
const COLD: &str = "host-local by its path, not compiled yet";

/// Measures it.
pub(crate) fn run(machine: &Machine, options: &Options) -> Result<()> {
    let wasm = workspace().join("target/wasm/host-local.wasm");
    install(machine, &wasm)?;
    let mut figures = Figures::default();
    rounds(machine, options, &subjects(machine), &mut figures, "")?;
    for _ in 0..options.rounds.min(5) {
        let took = cold(machine, &wasm)?;
        figures.add("ADD", COLD, took);
    }
    figures.print("What a component adds: addresses alone", BUILT_IN, &[]);
    phases(machine)
}

fn subjects(machine: &Machine) -> Vec<Subject> {
    let ours = || machine.executables.ours.clone();
    let rules = json!({ "deny": [{ "hostPortBelow": 1024 }] });
    let policies = json!([{ "plugin": "rules", "config": rules }]);
    vec![
        subject(machine, NATIVE, machine.executables.native.clone(), 70, "host-local", None),
        subject(machine, BUILT_IN, ours(), 71, "host-local", None),
        subject(machine, INSTALLED, ours(), 72, "installed", None),
        subject(machine, POLICY, ours(), 73, "host-local", Some(policies)),
    ]
}

fn subject(
    machine: &Machine,
    name: &'static str,
    program: PathBuf,
    octet: u8,
    plugin: &str,
    policies: Option<Value>,
) -> Subject {
    let mut ipam = json!({
        "type": "wharfinger", "plugin": plugin,
        "ranges": [[{ "subnet": format!("10.{octet}.0.0/16") }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
    });
    if let (Some(policies), Some(ipam)) = (policies, ipam.as_object_mut()) {
        ipam.insert("policies".to_owned(), policies);
    }
    let network = format!("component{octet}");
    let conf = json!({ "cniVersion": "1.0.0", "name": network, "type": "bridge", "ipam": ipam });
    Subject { name, program, path: machine.executables.reference.clone(), conf }
}

fn install(machine: &Machine, wasm: &std::path::Path) -> Result<()> {
    let mut command = std::process::Command::new(&machine.executables.ours);
    command.args(["plugin", "install"]).arg(wasm).args(["--name", "installed"]);
    must(command.envs(machine.variables()))
}

/// An ADD that has to compile first: what was compiled is taken away.
fn cold(machine: &Machine, wasm: &std::path::Path) -> Result<super::process::Took> {
    let compiled = machine.dir.join("lib/plugins/compiled");
    for entry in std::fs::read_dir(&compiled).context("what was compiled")? {
        std::fs::remove_file(entry?.path())?;
    }
    let plugin = wasm.display().to_string();
    let subject = subject(machine, COLD, machine.executables.ours.clone(), 74, &plugin, None);
    let container = Container::new("cold")?;
    let (result, took) = machine.call(&subject, "ADD", &container, None)?.time()?;
    machine.call(&subject, "DEL", &container, Some(&result))?.time()?;
    Ok(took)
}

/// Within an ADD: each call of a component. What is left of the difference to the first row is
/// finding, mapping and loading it.
fn phases(machine: &Machine) -> Result<()> {
    say("\n| call within an ADD | n | median ms |\n|---|---|---|");
    for (call, took) in calls(machine)? {
        say(&format!("| {call} | {} | {:.2} |", took.len(), median(took)));
    }
    Ok(())
}

/// How long each call of a component took, in milliseconds, by "PLUGIN CALL", as the events have it.
pub(crate) fn calls(machine: &Machine) -> Result<BTreeMap<String, Vec<f64>>> {
    let mut calls: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for file in ["run/events.jsonl.1", "run/events.jsonl"] {
        let text = std::fs::read_to_string(machine.dir.join(file)).unwrap_or_default();
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).context("an event")?;
            for call in event.get("calls").and_then(Value::as_array).into_iter().flatten() {
                let text = |key: &str| call.get(key).and_then(Value::as_str).unwrap_or_default();
                let plugin = text("plugin").split('@').next().unwrap_or_default().to_owned();
                let took = call.get("milliseconds").and_then(Value::as_f64);
                calls.entry(format!("{plugin} {}", text("call"))).or_default().extend(took);
            }
        }
    }
    Ok(calls)
}

/// The middle one.
pub(crate) fn median(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took.get(took.len() / 2).copied().unwrap_or_default()
}
