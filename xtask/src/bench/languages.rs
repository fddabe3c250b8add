//! What a plugin costs in each language: its size, compiling it once at install, its calls, and what
//! an ADD of a container takes with it, beside the component that ships inside.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::Options;
use super::component::{calls, median};
use super::machine::{Container, Machine};
use super::parts::rounds;
use super::process::Call;
use super::report::Figures;
use super::subject::Subject;
use crate::command::{say, text};
use crate::languages::{self, Language};

/// What all is compared with: addresses by the built-in component, no policy.
const BUILT_IN: &str = "host-local built in";

/// Measures it.
pub(crate) fn run(machine: &Machine, options: &Options) -> Result<()> {
    let there = |language: &Language| {
        language
            .examples
            .iter()
            .all(|e| languages::built_component(&language.component(e)).exists())
    };
    let (all, missing): (Vec<_>, Vec<_>) = languages::ALL.into_iter().partition(there);
    let two: Vec<Language> = all.into_iter().filter(|l| l.examples.contains(&"guard")).collect();
    for language in missing {
        say(&format!("without {}: it is not built", language.name));
    }
    say("\n### Components by their language\n");
    say("| component | KiB | compiled at install, s | compiled, KiB | imports, of which WASI |");
    say("|---|---|---|---|---|");
    for language in &two {
        for example in ["pool", "guard"] {
            component(machine, &language.component(example))?;
        }
    }
    let ipam = lives(machine, options, &two, "pool")?;
    costs(machine, &two, "pool", "allocate", &ipam)?;
    let policy = lives(machine, options, &two, "guard")?;
    costs(machine, &two, "guard", "admit", &policy)
}

/// One row of sizes; it is installed by this.
fn component(machine: &Machine, name: &str) -> Result<()> {
    let wasm = languages::built_component(name);
    let before = compiled(machine);
    let mut install = Command::new(&machine.executables.ours);
    install.args(["plugin", "install"]).arg(&wasm).args(["--name", name]);
    let start = Instant::now();
    text(install.envs(machine.variables()))?;
    let took = start.elapsed().as_secs_f64();
    let mut inspect = Command::new(&machine.executables.ours);
    inspect.args(["plugin", "inspect", "--json"]).arg(&wasm);
    let about: Value = serde_json::from_str(&text(inspect.envs(machine.variables()))?)?;
    let imports = about.get("imports").and_then(Value::as_array).cloned().unwrap_or_default();
    let system = imports.iter().filter_map(|import| import.get("name")?.as_str());
    let system = system.filter(|name| name.starts_with("wasi:")).count();
    let (size, code) = (kib(&wasm), compiled(machine) - before);
    say(&format!("| {name} | {size} | {took:.1} | {code} | {}, {system} |", imports.len()));
    Ok(())
}

fn kib(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len()) / 1024
}

/// KiB of all that is compiled.
fn compiled(machine: &Machine) -> u64 {
    let files = std::fs::read_dir(machine.dir.join("lib/plugins/compiled"));
    files.into_iter().flatten().flatten().map(|entry| kib(&entry.path())).sum()
}

/// The network of a subject; the second octet tells networks apart.
fn subject(machine: &Machine, name: &'static str, example: &str, octet: usize) -> Subject {
    let mut ipam = json!({
        "type": "host-local", "ranges": [[{ "subnet": format!("10.{octet}.0.0/16") }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let plugin = format!("{name}-{example}");
    let mut policies = json!([]);
    match (name, example) {
        (BUILT_IN, _) => {}
        (_, "pool") => ipam["type"] = json!(plugin),
        _ => policies = json!([{ "plugin": plugin, "config": { "mtu": 1400, "quota": 1_000 } }]),
    }
    let conf = json!({
        "cniVersion": "1.0.0", "name": format!("{example}{octet}"), "type": "wharfinger",
        "driver": "ptp", "ipam": ipam, "policies": policies,
    });
    let program = machine.executables.ours.clone();
    let path = program.parent().map(std::path::PathBuf::from).unwrap_or_default();
    Subject { name, program, path, conf }
}

fn subjects(machine: &Machine, all: &[Language], example: &str) -> Vec<Subject> {
    let names = std::iter::once(BUILT_IN).chain(all.iter().map(|language| language.name));
    let first = if example == "pool" { 100 } else { 120 };
    names.enumerate().map(|(n, name)| subject(machine, name, example, first + n)).collect()
}

/// Whole lives of containers, by turns.
fn lives(machine: &Machine, options: &Options, all: &[Language], example: &str) -> Result<Figures> {
    let mut figures = Figures::default();
    rounds(machine, options, &subjects(machine, all, example), &mut figures, "")?;
    Ok(figures)
}

/// A row for each language: what its calls and the ADD around them take.
fn costs(
    machine: &Machine,
    all: &[Language],
    example: &str,
    call: &str,
    figures: &Figures,
) -> Result<()> {
    say(&format!("\n### {example}: what a call, and an ADD with it, takes\n"));
    say(&format!(
        "| language | {call} in a fresh process, ms | later calls, ms | ADD of a container, ms | \
         beside {BUILT_IN} | peak memory, MiB |"
    ));
    say("|---|---|---|---|---|---|");
    let calls = calls(machine)?;
    let base = figures.median("ADD", BUILT_IN).unwrap_or(f64::NAN);
    for subject in subjects(machine, all, example) {
        let component = format!("{}-{example}", subject.name);
        let first = calls.get(&format!("{component} {call}")).cloned();
        let shown = |ms: Option<f64>| ms.map_or_else(String::new, |ms| format!("{ms:.2}"));
        let later = if subject.name == BUILT_IN { None } else { later(machine, &component, call)? };
        let add = figures.median("ADD", subject.name).unwrap_or(f64::NAN);
        let peak = peak(machine, &subject)?;
        say(&format!(
            "| {} | {} | {} | {add:.1} | {:.2} | {peak:.1} |",
            subject.name,
            shown(first.map(median)),
            shown(later),
            add / base,
        ));
    }
    Ok(())
}

/// The median of calls in one process, each of a fresh instance.
fn later(machine: &Machine, component: &str, call: &str) -> Result<Option<f64>> {
    let input = machine.dir.join("input.json");
    let config = match call {
        "allocate" => json!({ "ranges": [[{ "subnet": "10.99.0.0/16" }]] }),
        _ => json!({ "mtu": 1400, "quota": 1_000 }),
    };
    let pod = json!({ "namespace": "default", "name": "web-0" });
    std::fs::write(&input, json!({ "config": config, "pod": pod }).to_string())?;
    let mut bench = Command::new(&machine.executables.ours);
    bench.args(["plugin", "bench", "--rounds", "100", "--input"]).arg(&input);
    bench.arg(languages::built_component(component));
    let said = text(bench.envs(machine.variables()))?;
    let row = said.lines().find(|line| line.starts_with(call));
    Ok(row.and_then(|row| row.split_whitespace().nth(2)?.parse().ok()))
}

/// How much memory an ADD had at most, in MiB: looked at while it runs.
fn peak(machine: &Machine, subject: &Subject) -> Result<f64> {
    let container = Container::new("peak")?;
    let call = machine.call(subject, "ADD", &container, None)?;
    let most = watched(&call)?;
    let result = machine.call(subject, "DEL", &container, None)?.time();
    result.map(|_| most)
}

#[expect(clippy::cast_precision_loss, reason = "MiB of a process")]
fn watched(call: &Call) -> Result<f64> {
    let mut child = call.start()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0_u64;
    while child.try_wait()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(now.unwrap_or(0));
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(most as f64 / 1024.0)
}
