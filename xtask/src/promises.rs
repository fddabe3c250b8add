//! What the repository promises about itself, held by tests: the layers, and that each requirement
//! and each known pain has a test that bears its name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::command::workspace;

/// Each crate, and which of ours it may know.
const LAYERS: [(&str, &[&str]); 16] = [
    ("cni", &[]),
    ("plan", &[]),
    ("drivers", &["cni", "plan"]),
    ("kernel", &["plan"]),
    ("ledger", &["cni", "plan"]),
    ("speaker", &["ledger"]),
    ("etcd", &["ledger", "speaker"]),
    ("kube", &["ledger", "speaker"]),
    ("wasm", &["cni", "plan"]),
    ("delegate", &["cni", "plan"]),
    ("dhcp", &[]),
    ("docker", &["cni"]),
    ("view", &[]),
    ("attach", &["cni", "plan", "drivers", "kernel", "ledger", "wasm", "delegate", "dhcp"]),
    ("kit", &["cni", "plan", "ledger", "wasm", "attach"]),
    (
        "wharfinger",
        &[
            "cni", "plan", "drivers", "kernel", "ledger", "etcd", "kube", "wasm", "delegate",
            "dhcp", "docker", "attach", "kit", "view",
        ],
    ),
];

#[test]
fn arrows_point_one_way() {
    let host = workspace().join("host");
    let there: BTreeSet<String> = fs::read_dir(&host)
        .expect("host/")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let known: BTreeSet<String> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, known, "every crate has its layer");
    for (name, allowed) in LAYERS {
        let manifest = fs::read_to_string(host.join(name).join("Cargo.toml")).expect("manifest");
        let ordinary = manifest.split("[dev-dependencies]").next().expect("a part");
        for line in ordinary.lines() {
            let Some(rest) = line.strip_prefix("wharfinger-") else { continue };
            let used: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
            assert!(allowed.contains(&used.as_str()), "host/{name} may not know {used}");
        }
    }
}

/// Requirements of the CNI specification that fall on a plugin, by the numbers of our list of
/// them. Left out: 27, which allows; 36, the caller's part of 34; 39, of address management
/// that leases over a wire.
const REQUIREMENTS: [&str; 70] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17",
    "18", "18a", "19", "20", "21", "22", "23", "24", "25", "26", "28", "29", "30", "31", "32",
    "33", "34", "35", "37", "38", "40", "41", "42", "43", "44", "45", "46", "47", "48", "49", "50",
    "51", "52", "53", "54", "55", "56", "57", "58", "59", "60", "61", "62", "63", "64", "65", "66",
    "67", "68", "69", "70", "71", "72",
];

/// What users of other software suffer from, and ours are not to.
const PAINS: &[&str] = &[
    "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10", "a11", "b1", "b2", "b3", "b4",
    "b5", "b6", "b7", "b8", "b9", "b10", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "d1",
    "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8",
    "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "g1", "g2", "g3", "h1",
    "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11", "h12", "h13", "h14", "h15",
    "h16", "h17", "h18",
];

#[test]
fn every_requirement_and_every_pain_has_its_test() {
    let mut names = Vec::new();
    for folder in ["host", "tests/suite", "plugins-wasm", "sdk", "xtask"] {
        test_names(&workspace().join(folder), &mut names);
    }
    let (requirements, pains) = (numbers(&names, "req"), numbers(&names, "pain"));
    let without: Vec<&str> = REQUIREMENTS
        .iter()
        .filter(|number| !requirements.contains(**number))
        .chain(PAINS.iter().filter(|row| !pains.contains(**row)))
        .copied()
        .collect();
    assert!(without.is_empty(), "no test bears the name of {without:?}");
}

#[test]
fn each_test_that_the_threat_model_names_is_there() {
    let text = fs::read_to_string(workspace().join("SECURITY.md")).expect("SECURITY.md");
    let mut names = Vec::new();
    for folder in ["host", "tests/suite", "tests/fuzz", "xtask"] {
        test_names(&workspace().join(folder), &mut names);
    }
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what"));
    let mut wrong = Vec::new();
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let tests: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        let gone = tests.iter().filter(|test| !names.contains(*test));
        wrong.extend(gone.map(|test| format!("no test {test}")));
        if tests.is_empty() && !row.starts_with("| ---") {
            wrong.push(format!("nothing shows it: {row}"));
        }
    }
    assert!(wrong.is_empty(), "SECURITY.md: {wrong:#?}");
}

/// Names of functions below a folder. Links are not followed: packages of examples are links to
/// what they stand in.
fn test_names(folder: &Path, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        let others = ["target", "node_modules"].iter().any(|name| path.ends_with(name));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if !others {
                test_names(&path, names);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            // Those of a part of a test of many parts are called from another file.
            let lines = text.lines().map(|line| line.trim().trim_start_matches("pub(crate) "));
            let lines = lines.filter_map(|line| line.strip_prefix("fn "));
            names.extend(lines.filter_map(|line| Some(line.split(['(', '<']).next()?.to_owned())));
        }
    }
}

/// The numbers that follow `kind` in names: `req_10_11_name` has 10 and 11, and so has
/// `req_10_req_011_name`.
fn numbers(names: &[String], kind: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names {
        let mut counting = false;
        for word in name.split('_') {
            let is_kind = word == kind;
            let is_number = counting
                && word.chars().any(|c| c.is_ascii_digit())
                && word.len() <= 3
                && word.chars().all(|c| c.is_ascii_alphanumeric());
            counting = is_kind || is_number || counting && word == "and";
            if is_number {
                found.insert(word.trim_start_matches('0').to_owned());
            }
        }
    }
    found
}

#[test]
fn numbers_are_read_off_names() {
    let names = ["req_08_69_an_error_1_x", "pain_a2_req_34_del", "req_21_and_25_x"];
    let names = names.map(str::to_owned);
    let expected = ["21", "25", "34", "69", "8"].map(str::to_owned);
    assert_eq!(numbers(&names, "req"), expected.into());
    assert_eq!(numbers(&names, "pain"), ["a2".to_owned()].into());
}
