//! All that is there on a machine, to be compared with what was there before.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::{Link, World};

/// What is there of all that an attachment might leave.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Of the book.
    pub rows: Vec<String>,
    links: Vec<String>,
    /// The packet filter's, word by word: the kernel has no order of elements.
    rules: Vec<String>,
    routes: Vec<String>,
    /// But those that go round, or that SQLite has beside a database.
    files: BTreeSet<String>,
}

impl Picture {
    /// What one has and the other has not; none where they are the same.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let all = |of: &Self| -> Vec<String> {
            let lists = [&of.rows, &of.links, &of.rules, &of.routes].into_iter().flatten();
            lists.chain(&of.files).cloned().collect()
        };
        let less = |one: &Self, other: &Self| -> Vec<String> {
            let mut left = all(one);
            for item in all(other) {
                if let Some(at) = left.iter().position(|known| *known == item) {
                    left.remove(at);
                }
            }
            left
        };
        let (more, gone) = (less(self, other), less(other, self));
        (self != other).then(|| format!("left: {more:?}; gone: {gone:?}"))
    }

    /// Without books that were set aside.
    #[must_use]
    pub fn without_damaged(mut self) -> Self {
        self.files.retain(|file| !file.contains(".damaged-"));
        self
    }
}

/// Of a folder, by name: without what goes round, and hints that may be lost.
fn walk(at: &Path, name: &str, into: &mut BTreeSet<String>) {
    let rounds = [
        "calls",
        "host-local",
        "events.jsonl",
        "events.jsonl.1",
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db.lock",
    ];
    let Ok(entries) = std::fs::read_dir(at) else { return };
    for entry in entries.filter_map(Result::ok) {
        let own = entry.file_name().to_string_lossy().into_owned();
        if rounds.contains(&own.as_str()) {
            continue;
        }
        let full = format!("{name}/{own}");
        if entry.path().is_dir() {
            walk(&entry.path(), &full, into);
        } else {
            into.insert(full);
        }
    }
}

impl World {
    /// What is there; no address may be in two rows.
    #[track_caller]
    pub fn picture(&self) -> Picture {
        let mut rows = Vec::new();
        let mut held = BTreeSet::new();
        for row in self.ledger() {
            let texts = row["addresses"].as_array().into_iter().flatten();
            let mine: BTreeSet<String> = texts.filter_map(Value::as_str).map(bare).collect();
            for address in &mine {
                assert!(held.insert(address.clone()), "{address} has two owners: {row}");
            }
            rows.push(format!("{} {} {mine:?}", row["container"], row["ifname"]));
        }
        rows.sort();
        let link = |l: &Link| {
            format!("{} {} {} {:?} {}", l.name, l.kind, l.alias, l.addresses, l.raw["master"])
        };
        let mut links: Vec<String> = self.links().iter().map(link).collect();
        links.sort();
        let rules = self.rules();
        let mut rules: Vec<String> = rules.split_whitespace().map(str::to_owned).collect();
        rules.sort();
        let mut files = BTreeSet::new();
        for folder in ["run", "lib", "data"] {
            walk(&self.path(folder), folder, &mut files);
        }
        Picture { rows, links, rules, routes: self.host.routes(), files }
    }
}

/// Without its prefix length.
fn bare(address: &str) -> String {
    address.split('/').next().unwrap_or(address).to_owned()
}
