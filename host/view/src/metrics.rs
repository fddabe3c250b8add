//! Measures of a node: what its events add up to, and how full its pools are, as text for Prometheus.
//!
//! Verbs write events and nothing else; whoever asks for measures adds up what is new since the last
//! time. A [`Tally`] is kept between two questions, so that its counters only rise while the file of
//! events is cut. Start reading at [`Tally::add`] and [`render`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Upper ends of the histograms' buckets, in seconds: from a call of a component to a deadline.
const BUCKETS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Series of one kind: beyond that, names from outside are counted under `other`.
const SERIES: usize = 500;

/// How long things took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Of each bucket alone, in their order; what is longer counts in `count` alone.
    within: [u64; BUCKETS.len()],
    count: u64,
    sum: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        let fits = self.within.iter_mut().zip(BUCKETS).find(|(_, end)| seconds <= *end);
        if let Some((bucket, _)) = fits {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

/// What all events so far add up to. Keys are labels' values, separated by a tab.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// By verb, outcome and cause.
    verbs: BTreeMap<String, u64>,
    /// By verb and phase.
    phases: BTreeMap<String, Histogram>,
    /// By plugin and call.
    calls: BTreeMap<String, Histogram>,
    /// By plugin, call and decision.
    decisions: BTreeMap<String, u64>,
    /// Verbs that failed by a plugin: trap or nonsense, or a limit.
    plugin_failures: BTreeMap<String, u64>,
    /// By what happened beside verbs.
    happened: BTreeMap<String, u64>,
    /// How often all was asked again.
    again: u64,
    /// Lines that are no event.
    skipped: u64,
}

/// CNI codes by name.
const CAUSES: [(u64, &str); 22] = [
    (1, "version"),
    (2, "field"),
    (3, "unknown-container"),
    (4, "environment"),
    (5, "io"),
    (6, "decoding"),
    (7, "configuration"),
    (8, "namespace"),
    (11, "try-again"),
    (50, "not-available"),
    (51, "limited"),
    (100, "exhausted"),
    (101, "denied"),
    (102, "plugin"),
    (103, "limit"),
    (104, "kernel"),
    (105, "exists"),
    (106, "conflict"),
    (107, "drift"),
    (108, "ledger"),
    (109, "delegate"),
    (999, "internal"),
];

fn cause(code: u64) -> &'static str {
    CAUSES.iter().find(|(known, _)| *known == code).map_or("other", |(_, name)| name)
}

/// Of a plugin's name and digest, the name.
fn name(plugin: &str) -> &str {
    plugin.split_once('@').map_or(plugin, |(name, _)| name)
}

fn slot<'m, T: Default>(map: &'m mut BTreeMap<String, T>, labels: &[&str]) -> &'m mut T {
    let mut key = labels.iter().map(|label| crate::plain(label)).collect::<Vec<_>>().join("\t");
    if map.len() >= SERIES && !map.contains_key(&key) {
        key = vec!["other"; labels.len()].join("\t");
    }
    map.entry(key).or_default()
}

fn count(map: &mut BTreeMap<String, u64>, labels: &[&str]) {
    *slot(map, labels) += 1;
}

fn time(map: &mut BTreeMap<String, Histogram>, labels: &[&str], milliseconds: f64) {
    slot(map, labels).add((milliseconds / 1e3).max(0.0));
}

impl Tally {
    /// Adds a line of the file of events.
    pub fn add(&mut self, line: &[u8]) {
        let Ok(event @ Value::Object(_)) = serde_json::from_slice(line) else {
            self.skipped += 1;
            return;
        };
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        if event.get("event").is_some() {
            return count(&mut self.happened, &[text("event")]);
        }
        let verb = text("verb");
        let code = event.get("code").and_then(Value::as_u64);
        let (outcome, cause) = code.map_or(("ok", ""), |code| ("failed", cause(code)));
        count(&mut self.verbs, &[verb, outcome, cause]);
        self.again += event.get("again").and_then(Value::as_u64).unwrap_or_default();
        let plugins = self.calls(&event, cause);
        if let Some(whole) = event.get("milliseconds").and_then(Value::as_f64) {
            time(&mut self.phases, &[verb, "all"], whole);
            if plugins > 0.0 {
                time(&mut self.phases, &[verb, "plugins"], plugins);
            }
            let mut rest = whole - plugins;
            for (phase, took) in
                event.get("phases").and_then(Value::as_object).into_iter().flatten()
            {
                let took = took.as_f64().unwrap_or_default();
                time(&mut self.phases, &[verb, phase], took);
                rest -= took;
            }
            time(&mut self.phases, &[verb, "rest"], rest);
        }
    }

    /// The calls of components in an event: how long they took together, in milliseconds.
    fn calls(&mut self, event: &Value, cause: &str) -> f64 {
        let mut all = 0.0;
        for call in event.get("calls").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| call.get(key).and_then(Value::as_str).unwrap_or_default();
            let (plugin, export, decision) = (name(text("plugin")), text("call"), text("decision"));
            let took = call.get("milliseconds").and_then(Value::as_f64).unwrap_or_default();
            all += took;
            time(&mut self.calls, &[plugin, export], took);
            count(&mut self.decisions, &[plugin, export, decision]);
            if matches!(decision, "failed" | "passed") {
                let kind = if cause == "limit" { "limit" } else { "failure" };
                count(&mut self.plugin_failures, &[plugin, kind]);
            }
        }
        all
    }
}

/// What is so now.
#[derive(Debug, Clone, Default)]
pub struct Now {
    /// Of this executable.
    pub version: String,
    /// Network, pool, and how many addresses: all, held, resting, remembered.
    pub pools: Vec<(String, String, [u64; 4])>,
    /// Attachments by network and state.
    pub attachments: BTreeMap<(String, String), u64>,
    /// Whether the ledger can be written.
    pub ledger: bool,
    /// Bytes of its file.
    pub ledger_bytes: u64,
    /// Components that are installed, and what is wrong with the store.
    pub components: (u64, u64),
    /// Whether the cluster's store answers, where there is one.
    pub store: Option<bool>,
}

/// The two ways in which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As scrapers ask for it.
    OpenMetrics,
    /// As node_exporter's textfile collector reads it.
    Prometheus,
}

struct Text {
    format: Format,
    out: String,
}

/// All measures.
pub fn render(tally: &Tally, now: &Now, format: Format) -> String {
    let mut text = Text { format, out: String::new() };
    text.family("wharfinger_build_info", "gauge", "The executable.");
    text.sample("wharfinger_build_info", &[("version", &now.version)], 1);
    text.counters(
        "wharfinger_verbs",
        "Verbs, by how they ended.",
        &["verb", "outcome", "cause"],
        &tally.verbs,
    );
    let help = "How long verbs took: all of it, each phase, and the rest.";
    text.histograms("wharfinger_verb_seconds", help, &["verb", "phase"], &tally.phases);
    let help = "How long calls of components took.";
    text.histograms("wharfinger_plugin_call_seconds", help, &["plugin", "call"], &tally.calls);
    let labels = &["plugin", "call", "decision"];
    text.counters(
        "wharfinger_plugin_decisions",
        "What components decided.",
        labels,
        &tally.decisions,
    );
    let help = "Calls of components that failed, by a limit or otherwise.";
    text.counters("wharfinger_plugin_failures", help, &["plugin", "kind"], &tally.plugin_failures);
    text.counters(
        "wharfinger_happened",
        "What happened beside verbs.",
        &["event"],
        &tally.happened,
    );
    text.counter(
        "wharfinger_asked_again",
        "Times that all was asked again, as others were first.",
        tally.again,
    );
    text.counter(
        "wharfinger_events_skipped",
        "Lines of the events that are no event.",
        tally.skipped,
    );
    text.now(now);
    if format == Format::OpenMetrics {
        text.out.push_str("# EOF\n");
    }
    text.out
}

impl Text {
    /// In OpenMetrics a counter's family is without the ending of its samples.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let end =
            if kind == "counter" && self.format == Format::Prometheus { "_total" } else { "" };
        let _ = writeln!(self.out, "# HELP {name}{end} {help}\n# TYPE {name}{end} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        let braces =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.out, "{name}{braces} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(&format!("{name}_total"), &[], value);
    }

    fn counters(&mut self, name: &str, help: &str, labels: &[&str], all: &BTreeMap<String, u64>) {
        self.family(name, "counter", help);
        for (key, value) in all {
            let labels: Vec<(&str, &str)> = labels.iter().copied().zip(key.split('\t')).collect();
            self.sample(&format!("{name}_total"), &labels, value);
        }
    }

    fn histograms(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        all: &BTreeMap<String, Histogram>,
    ) {
        self.family(name, "histogram", help);
        for (key, histogram) in all {
            let labels: Vec<(&str, &str)> = labels.iter().copied().zip(key.split('\t')).collect();
            let mut upto = 0;
            for (within, end) in histogram.within.iter().zip(BUCKETS) {
                upto += within;
                let end = format!("{end:?}");
                let labels = [&labels[..], &[("le", end.as_str())]].concat();
                self.sample(&format!("{name}_bucket"), &labels, upto);
            }
            let infinite = [&labels[..], &[("le", "+Inf")]].concat();
            self.sample(&format!("{name}_bucket"), &infinite, histogram.count);
            self.sample(&format!("{name}_sum"), &labels, histogram.sum);
            self.sample(&format!("{name}_count"), &labels, histogram.count);
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn now(&mut self, now: &Now) {
        let name = "wharfinger_pool_addresses";
        self.family(name, "gauge", "Addresses of pools, by what they are.");
        for (network, pool, counts) in &now.pools {
            for (state, count) in ["total", "held", "resting", "remembered"].iter().zip(counts) {
                self.sample(name, &[("network", network), ("pool", pool), ("state", state)], count);
            }
        }
        let name = "wharfinger_attachments";
        self.family(name, "gauge", "Attachments of the node.");
        for ((network, state), count) in &now.attachments {
            self.sample(name, &[("network", network), ("state", state)], count);
        }
        self.gauge(
            "wharfinger_ledger_writable",
            "Whether the ledger can be written.",
            now.ledger.into(),
        );
        self.gauge("wharfinger_ledger_bytes", "The ledger's file.", now.ledger_bytes);
        self.gauge("wharfinger_components_installed", "Components in the store.", now.components.0);
        let help = "What is wrong in the store of components.";
        self.gauge("wharfinger_components_broken", help, now.components.1);
        if let Some(up) = now.store {
            self.gauge("wharfinger_cluster_up", "Whether the cluster's store answers.", up.into());
        }
    }
}

/// As a label's value: names come from outside.
fn escaped(text: &str) -> String {
    let text = crate::plain(text);
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
