//! The parts of the benchmark.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Options;
use super::machine::{Container, Machine};
use super::process::{Call, Took, at_once};
use super::report::Figures;
use super::subject::{BEFORE, FLOOR, IPTABLES, NFTABLES, OURS, REFERENCE, Subject};
use crate::command::{program, say, text};
use crate::tools;

/// Their names, in the order in which they run.
pub(crate) const NAMES: [&str; 13] = [
    "start",
    "plain",
    "masquerade",
    "ipam",
    "component",
    "crowd",
    "chain",
    "docker",
    "cluster",
    super::kubernetes::NAME,
    "overlay",
    "books",
    LANGUAGES,
];

/// It needs the tools of every language.
pub(crate) const LANGUAGES: &str = "languages";

/// What runs where it is named alone: it needs more than others.
const ALONE: [&str; 2] = [LANGUAGES, super::kubernetes::NAME];

/// Runs those that are wanted.
pub(crate) fn run(machine: &Machine, options: &Options) -> Result<()> {
    introduce(machine)?;
    for name in NAMES {
        let named = options.only.iter().any(|only| only == name);
        if !named && (ALONE.contains(&name) || !options.only.is_empty()) {
            continue;
        }
        match name {
            "start" => start(machine, options)?,
            "plain" => lives(machine, options, false)?,
            "masquerade" => lives(machine, options, true)?,
            "ipam" => ipam(machine, options)?,
            "component" => super::component::run(machine, options)?,
            "crowd" => crowd(machine, options)?,
            "chain" => super::chain::run(machine, options)?,
            "docker" => super::docker::run(machine, options)?,
            "cluster" => super::cluster::run(machine, options)?,
            super::kubernetes::NAME => super::kubernetes::run(machine, options)?,
            "overlay" => super::overlay::run(machine, options)?,
            LANGUAGES => super::languages::run(machine, options)?,
            _ => books(machine, options)?,
        }
    }
    Ok(())
}

fn introduce(machine: &Machine) -> Result<()> {
    let kernel = text(&mut program("uname -r"))?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    say(&format!("kernel {}, {cpus} processors, load {load}", kernel.trim()));
    sizes(machine);
    Ok(())
}

/// One executable, beside the directory that it stands for.
fn sizes(machine: &Machine) {
    let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len()) / 1024;
    let reference = &machine.executables.reference;
    let all: Vec<u64> = tools::plugin_names().map(|name| size(reference.join(name))).collect();
    let (bridge, ipam) = (size(reference.join("bridge")), size(reference.join("host-local")));
    let (ours, theirs) = (size(machine.executables.ours.clone()), all.iter().sum::<u64>());
    say("\n### Sizes\n\n| what | KiB | ours is |\n|---|---|---|");
    say(&format!("| ours, under {} names | {ours} | |", all.len()));
    for (what, theirs) in
        [("all of the reference's", theirs), ("its bridge", bridge), ("its host-local", ipam)]
    {
        let hundredths = (ours * 100).checked_div(theirs).unwrap_or_default();
        let (whole, rest) = (hundredths / 100, hundredths % 100);
        say(&format!("| {what} | {theirs} | {whole}.{rest:02} of it |"));
    }
}

/// Start-up alone.
fn start(machine: &Machine, options: &Options) -> Result<()> {
    let stdin = machine.dir.join("empty");
    std::fs::write(&stdin, "").context("an empty file")?;
    let version = vec![("CNI_COMMAND".to_owned(), "VERSION".to_owned())];
    let reference = |name: &str| machine.executables.reference.join(name);
    let ours = machine.executables.ours.clone();
    let mut calls = vec![
        (OURS, ours.clone(), vec![], version.clone()),
        ("ours, `version`", ours, vec!["version".to_owned()], vec![]),
        ("reference bridge", reference("bridge"), vec![], version.clone()),
        ("reference host-local", reference("host-local"), vec![], version.clone()),
        ("/bin/true", PathBuf::from("/bin/true"), vec![], vec![]),
    ];
    let before = machine.executables.before.clone();
    calls.extend(before.map(|program| (BEFORE, program, vec![], version)));
    let mut figures = Figures::default();
    for round in 0..=options.rounds * 2 {
        for (whose, program, args, env) in &calls {
            let call = Call {
                program: program.clone(),
                args: args.clone(),
                env: env.clone(),
                stdin: stdin.clone(),
            };
            let (_, took) = call.time()?;
            if round > 0 {
                figures.add("VERSION", whose, took);
            }
        }
    }
    figures.print("Starting: VERSION, which does nothing", OURS, &[]);
    Ok(())
}

/// One whole life of an attachment.
fn live(machine: &Machine, subject: &Subject, mut note: impl FnMut(&str, Took)) -> Result<()> {
    let container = Container::new("c")?;
    let (result, took) = machine.call(subject, "ADD", &container, None)?.time()?;
    note("ADD", took);
    if subject.name != FLOOR {
        note("CHECK", machine.call(subject, "CHECK", &container, Some(&result))?.time()?.1);
    }
    note("DEL", machine.call(subject, "DEL", &container, Some(&result))?.time()?.1);
    Ok(())
}

/// Rounds of lives, the subjects by turns, each round beginning with another.
pub(crate) fn rounds(
    machine: &Machine,
    options: &Options,
    subjects: &[Subject],
    figures: &mut Figures,
    suffix: &str,
) -> Result<()> {
    for round in 0..=options.rounds {
        for turn in 0..subjects.len() {
            let Some(subject) = subjects.get((turn + round) % subjects.len()) else { continue };
            live(machine, subject, |verb, took| {
                if round > 0 {
                    figures.add(&format!("{verb}{suffix}"), subject.name, took);
                }
            })
            .with_context(|| subject.name)?;
        }
    }
    Ok(())
}

/// ADD, CHECK, DEL of the bridge with addresses.
fn lives(machine: &Machine, options: &Options, masquerade: bool) -> Result<()> {
    let mut figures = Figures::default();
    let octet = if masquerade { 20 } else { 10 };
    let network = if masquerade { "masq" } else { "plain" };
    let subjects = machine.bridges(network, octet, masquerade);
    rounds(machine, options, &subjects, &mut figures, "")?;
    if masquerade {
        let aims = [IPTABLES, NFTABLES].map(|whose| [("ADD", whose, 0.2), ("DEL", whose, 0.35)]);
        figures.print("Bridge with addresses and masquerade", OURS, &aims.concat());
    } else {
        let aims = [("ADD", REFERENCE, 0.45), ("CHECK", REFERENCE, 0.3), ("DEL", REFERENCE, 1.0)];
        figures.print("Bridge with addresses", OURS, &aims);
    }
    Ok(())
}

/// Addresses alone.
fn ipam(machine: &Machine, options: &Options) -> Result<()> {
    let mut figures = Figures::default();
    rounds(machine, options, &machine.ipams("ipam", 30), &mut figures, "")?;
    figures.print("Addresses alone, for another main plugin", OURS, &[]);
    Ok(())
}

const CROWD: usize = 32;

/// Many at once.
fn crowd(machine: &Machine, options: &Options) -> Result<()> {
    let mut figures = Figures::default();
    let mut subjects = machine.bridges("crowd", 40, false);
    subjects.extend(machine.bridges("crowd-masq", 50, true));
    subjects.retain(|subject| subject.name != FLOOR);
    for round in 0..=options.crowds {
        for subject in &subjects {
            let masquerade = subject.conf.get("ipMasq") == Some(&Value::Bool(true));
            let suffix = if masquerade { " with masquerade" } else { "" };
            let containers = (0..CROWD)
                .map(|number| Container::new(&format!("c{number}")))
                .collect::<Result<Vec<Container>>>()?;
            let results = crowd_verb(machine, subject, "ADD", &containers, &[])?;
            let ends = crowd_verb(machine, subject, "DEL", &containers, &results.0)?;
            if round > 0 {
                figures.add(&format!("{CROWD} ADDs{suffix}"), subject.name, results.1);
                figures.add(&format!("{CROWD} DELs{suffix}"), subject.name, ends.1);
            }
        }
    }
    figures.print("Many at once: until all are done", OURS, &[]);
    Ok(())
}

fn crowd_verb(
    machine: &Machine,
    subject: &Subject,
    verb: &str,
    containers: &[Container],
    results: &[Value],
) -> Result<(Vec<Value>, Took)> {
    let calls = containers
        .iter()
        .enumerate()
        .map(|(at, container)| machine.call(subject, verb, container, results.get(at)))
        .collect::<Result<Vec<Call>>>()?;
    at_once(&calls).with_context(|| subject.name)
}

/// How each grows with what is on the books.
fn books(machine: &Machine, options: &Options) -> Result<()> {
    let mut figures = Figures::default();
    let mut subjects = machine.bridges("books", 60, false);
    subjects.retain(|subject| subject.name != FLOOR);
    let mut filled = 0;
    let mut fillers = Vec::new();
    for &wanted in &options.books {
        say(&format!("filling the books: {wanted}"));
        for subject in &subjects {
            fillers.extend(fill(machine, subject, filled, wanted).with_context(|| subject.name)?);
        }
        filled = wanted;
        rounds(machine, options, &subjects, &mut figures, &format!(" at {wanted}"))?;
    }
    let title = "Growth with the attachments on the books";
    figures.print_growth(title, &options.books, &[OURS, BEFORE, REFERENCE]);
    Ok(())
}

/// Puts attachments `from..to` on the books of a subject's network: ours by the product itself, as
/// the address management of another main plugin, so that no links are made; the reference's as the
/// files that it keeps. Ours are all of one container, which is to live as long as they are needed.
fn fill(machine: &Machine, subject: &Subject, from: usize, to: usize) -> Result<Option<Container>> {
    if ![OURS, BEFORE].contains(&subject.name) {
        return fill_reference(subject, from, to).map(|()| None);
    }
    let mut conf = subject.conf.clone();
    if let Some(conf) = conf.as_object_mut() {
        conf.insert("type".to_owned(), "bridge".into());
        conf.remove("driver");
        if let Some(ipam) = conf.get_mut("ipam").and_then(Value::as_object_mut) {
            ipam.insert("type".to_owned(), "wharfinger".into());
            ipam.insert("plugin".to_owned(), "host-local".into());
        }
    }
    let filler = Subject { conf, ..subject.clone() };
    let whose = if subject.name == BEFORE { "before" } else { "" };
    let container = Container::new(&format!("filler{to}{whose}"))?;
    let call = machine.call(&filler, "ADD", &container, None)?;
    let numbers: Vec<usize> = (from..to).collect();
    for batch in numbers.chunks(16) {
        let calls: Vec<Call> = batch
            .iter()
            .map(|number| {
                let mut call = call.clone();
                call.env.push(("CNI_CONTAINERID".to_owned(), format!("filler-{number}")));
                call
            })
            .collect();
        at_once(&calls)?;
    }
    Ok(Some(container))
}

fn fill_reference(subject: &Subject, from: usize, to: usize) -> Result<()> {
    let ipam = subject.conf.get("ipam").context("ipam")?;
    let data = ipam.get("dataDir").and_then(Value::as_str).context("dataDir")?;
    let subnet = ipam.pointer("/ranges/0/0/subnet").and_then(Value::as_str).context("subnet")?;
    let prefix = subnet.trim_end_matches(".0.0/16");
    let dir = PathBuf::from(data).join("books");
    std::fs::create_dir_all(&dir)?;
    let mut last = String::new();
    for number in from..to {
        let host = number + 2;
        last = format!("{prefix}.{}.{}", host / 256, host % 256);
        std::fs::write(dir.join(&last), format!("filler-{number:064}\r\neth0"))?;
    }
    std::fs::write(dir.join("last_reserved_ip.0"), last)?;
    Ok(())
}
