//! The conformance checks: what every plugin owes its host, tried out without root against a
//! ledger in memory.
//!
//! A check ends with its first fault. All chance comes from the seed, which the report names.

mod ipam;
mod mutate;
mod policy;
mod report;

pub use ipam::ipam;
pub use policy::policy;
pub use report::{Check, Outcome, Report};

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wharfinger_cni::AttachmentId;
use wharfinger_wasm::{Attachment, Error, Node, Pod, Problem};

use crate::sim::{Called, NETWORK, NOW};

/// What to try, and with what: `conformance.json` of a plugin's project.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The plugin's configuration, a good one: for IPAM the "ipam" object.
    pub config: Value,
    /// Merged into the network configuration around it.
    pub network: Map<String, Value>,
    /// Namespaces of the pods that come and go.
    pub namespaces: Vec<String>,
    /// CNI_ARGS of each.
    pub args: BTreeMap<String, String>,
    /// What the node is called.
    pub node: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many attachments come and go in the long check.
    pub attachments: usize,
    /// Checks that are left out: their name, and why.
    pub skip: BTreeMap<String, String>,
    /// Where chance begins.
    pub seed: u64,
    /// The deadline of one call, in milliseconds; calls are to end in half of it.
    pub deadline: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: json!({}),
            network: Map::new(),
            namespaces: vec!["default".to_owned()],
            args: BTreeMap::new(),
            node: "node-1".to_owned(),
            labels: BTreeMap::new(),
            attachments: 3_000,
            skip: BTreeMap::new(),
            seed: 0,
            deadline: 1_000,
        }
    }
}

impl Settings {
    fn node(&self) -> Node {
        Node { name: self.node.clone(), labels: self.labels.clone(), now: NOW }
    }

    /// The pod with this number, in its `life`th container: the same pod comes back as another
    /// container.
    fn attachment(&self, pod: usize, life: usize) -> Attachment {
        let namespace = match self.namespaces.len() {
            0 => "default".to_owned(),
            many => self.namespaces.get(pod % many).cloned().unwrap_or_default(),
        };
        let own = |pair: (&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        let name = format!("pod-{pod}");
        let mut args: Vec<(String, String)> = vec![
            own(("IgnoreUnknown", "1")),
            own(("K8S_POD_NAMESPACE", &namespace)),
            own(("K8S_POD_NAME", &name)),
        ];
        args.extend(self.args.clone());
        Attachment {
            id: AttachmentId {
                network: NETWORK.to_owned(),
                container: format!("container-{pod}-{life}"),
                ifname: "eth0".to_owned(),
            },
            pod: Some(Pod { namespace, name, uid: Some(format!("uid-{pod}")) }),
            args,
        }
    }
}

/// How a check ends early.
#[derive(Debug)]
enum Stop {
    /// The plugin is wrong.
    Fault(String),
    /// There is nothing to check.
    Idle(String),
}

impl From<wharfinger_ledger::Error> for Stop {
    fn from(error: wharfinger_ledger::Error) -> Self {
        Self::Fault(error.to_string())
    }
}

/// A check that passed has a note on what it saw.
type Checked = Result<String, Stop>;

fn fault<T>(what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fault(what.into()))
}

fn idle<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Idle(why.into()))
}

/// The longest call so far.
#[derive(Default)]
struct Slowest(Cell<Duration>, Cell<usize>);

impl Slowest {
    fn note<T>(&self, called: Called<T>) -> Called<T> {
        self.0.set(self.0.get().max(called.took));
        self.1.set(self.1.get() + 1);
        called
    }

    /// The check of it, last of all.
    fn check(&self, settings: &Settings) -> Checked {
        let (took, calls) = (self.0.get(), self.1.get());
        let most = Duration::from_millis(settings.deadline) / 2;
        if took > most {
            return fault(format!(
                "the slowest of {calls} calls took {took:.1?}; {most:.0?} is half the deadline"
            ));
        }
        Ok(format!("{calls} calls, the slowest took {took:.1?}"))
    }
}

/// An ending that no input excuses: all but the plugin's own typed failure, and the want of a
/// grant that an operator may give.
fn crashed(error: &Error) -> bool {
    !matches!(error, Error::Failed { .. }) && !lacks_http(error)
}

/// It would ask an outside system, if it might.
fn lacks_http(error: &Error) -> bool {
    matches!(error, Error::Refused { import, .. } if import.starts_with("wasi:http"))
}

/// Without the outside system there is nothing to see.
fn needs_http<T>(error: &Error) -> Result<T, Stop> {
    idle(format!("{error}: give the outside system, or one for tests, with --http URL"))
}

/// A problem is for people: it says what is wrong, and where. The pointer leads to what is there,
/// or to what is missing from something that is there.
fn good_problem(config: &str, problem: &Problem) -> Result<(), String> {
    let Problem { pointer, message } = problem;
    if message.is_empty() {
        return Err(format!("a problem at {pointer:?} without a message"));
    }
    let Ok(value) = serde_json::from_str::<Value>(config) else { return Ok(()) };
    let parent = pointer.rsplit_once('/').map(|(parent, _)| parent);
    let there = pointer.is_empty()
        || pointer.starts_with('/')
            && (value.pointer(pointer).is_some()
                || parent.and_then(|parent| value.pointer(parent)).is_some());
    if there {
        return Ok(());
    }
    Err(format!("the problem {message:?} is at {pointer:?}, which leads nowhere in {config}"))
}

/// The check, first of all, without which the others have nothing to look at.
const CONFIG: &str = "config";

/// Runs the checks, less those that are left out.
fn run(
    plugin: &str,
    kind: &str,
    settings: &Settings,
    checks: &[(&str, &str, &dyn Fn() -> Checked)],
) -> Report {
    let one = |(name, about, check): &(&str, &str, &dyn Fn() -> Checked)| {
        let outcome = match settings.skip.get(*name) {
            Some(why) => Outcome::NotApplicable { why: format!("left out: {why}") },
            None => Outcome::of(check()),
        };
        Check { name: (*name).to_owned(), about: (*about).to_owned(), outcome }
    };
    let checks: Vec<Check> = checks.iter().map(one).collect();
    let idle = |check: &Check| matches!(check.outcome, Outcome::NotApplicable { .. });
    let untried = checks.iter().any(|check| check.name == CONFIG && idle(check));
    Report {
        plugin: plugin.to_owned(),
        kind: kind.to_owned(),
        seed: settings.seed,
        tried: !untried || settings.skip.contains_key(CONFIG),
        checks,
    }
}
