//! A store in memory, and an attachment to decide on.
#![allow(dead_code, clippy::unwrap_used, clippy::missing_panics_doc, reason = "for tests")]

use std::cell::Cell;
use std::collections::BTreeMap;

use rules::config::{Config, parse};
use rules::decide::{self, Verdict};
use rules::facts::{Api, Attachment, Facts, Known};
use rules::plan::Plan;
use rules::quota::Store;
use serde_json::{Value, json};

/// The store of one policy.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemStore(pub(crate) BTreeMap<String, String>);

impl Store for MemStore {
    fn get(&mut self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    fn put(&mut self, key: &str, value: &str) {
        assert!(key.len() <= 1_024, "the host takes no such key");
        self.0.insert(key.to_owned(), value.to_owned());
    }

    fn count(&mut self, prefix: &str) -> u64 {
        self.0.keys().filter(|key| key.starts_with(prefix)).count() as u64
    }

    fn scan(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<(String, String)> {
        let all = self.0.iter().filter(|(key, _)| key.starts_with(prefix));
        let above = all.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        above.take(limit as usize).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// One ADD.
#[derive(Debug, Clone)]
pub(crate) struct Add {
    /// Whose.
    pub(crate) attachment: Attachment,
    /// The network configuration.
    pub(crate) network: Value,
    /// What the pod's author wrote.
    pub(crate) pod: Value,
    /// The plan.
    pub(crate) plan: Plan,
    /// What the cluster's API says.
    pub(crate) api: TestApi,
}

/// The cluster's API, and how often it was asked.
#[derive(Debug, Clone)]
pub(crate) struct TestApi {
    /// What it says.
    pub(crate) says: Result<Known, String>,
    /// How often it was asked.
    pub(crate) asked: Cell<u32>,
}

impl Api for TestApi {
    fn pod(&self) -> Result<Known, String> {
        self.asked.set(self.asked.get() + 1);
        self.says.clone()
    }
}

/// Of pod `team-a/web-0`, with this network configuration.
pub(crate) fn add(network: Value) -> Add {
    Add {
        attachment: Attachment {
            network: "pods".to_owned(),
            container: "c1".to_owned(),
            interface: "eth0".to_owned(),
            pod: Some(("team-a".to_owned(), "web-0".to_owned())),
            args: Vec::new(),
        },
        network,
        pod: json!({"CNI_ARGS": {}, "args": {}, "annotations": {}}),
        plan: Plan::default(),
        api: TestApi { says: Err("nobody asked for it".to_owned()), asked: Cell::new(0) },
    }
}

impl Add {
    /// In another namespace.
    #[must_use]
    pub(crate) fn of(mut self, namespace: &str, pod: &str) -> Self {
        self.attachment.pod = Some((namespace.to_owned(), pod.to_owned()));
        self
    }

    /// With `CNI_ARGS`.
    #[must_use]
    pub(crate) fn arg(mut self, name: &str, value: &str) -> Self {
        self.attachment.args.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a result of these addresses.
    #[must_use]
    pub(crate) fn result(mut self, addresses: &[&str]) -> Self {
        let ips: Vec<Value> = addresses.iter().map(|a| json!({"address": a})).collect();
        self.plan.result = json!({"ips": ips});
        self
    }

    fn facts<'a>(&'a self, texts: &'a [String; 2]) -> Facts<'a> {
        let [network, pod] = texts;
        Facts::new(&self.attachment, network, pod, &self.api)
    }

    fn texts(&self) -> [String; 2] {
        [self.network.to_string(), self.pod.to_string()]
    }

    /// `admit`.
    pub(crate) fn admitted(&self, config: &Value, store: &mut MemStore) -> Result<Verdict, String> {
        decide::admit(good(config), &self.facts(&self.texts()), store)
    }

    /// `review`.
    pub(crate) fn reviewed(&self, config: &Value, store: &mut MemStore) -> Verdict {
        decide::review(&good(config), self.facts(&self.texts()), &self.plan, store)
    }

    /// `admit`, without anything in the store.
    pub(crate) fn admit(&self, config: &Value) -> Verdict {
        self.admitted(config, &mut MemStore::default()).unwrap()
    }

    /// `review`, without anything in the store.
    pub(crate) fn review(&self, config: &Value) -> Verdict {
        self.reviewed(config, &mut MemStore::default())
    }
}

/// A configuration without problems.
pub(crate) fn good(config: &Value) -> Config {
    parse(&config.to_string()).unwrap_or_else(|problems| panic!("{config}: {problems:?}"))
}

/// The reason of a refusal, less the rule behind it.
pub(crate) fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Deny(reason) => match reason.rsplit_once(" (/") {
            Some((said, rule)) if !rule.starts_with("quotas") => said.to_owned(),
            _ => reason,
        },
        other => panic!("{other:?}"),
    }
}

/// The patch.
pub(crate) fn patch(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Amend(patch) => patch,
        other => panic!("{other:?}"),
    }
}
