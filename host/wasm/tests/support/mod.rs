//! Builds guests, and a book in memory.
#![allow(dead_code, clippy::unwrap_used, reason = "for tests, each of which uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use wharfinger_cni::AttachmentId;
use wharfinger_wasm::{
    AddressRange, Attachment, Book, BookError, Grants, HttpAnswer, HttpRequest, IpamPlugin, Level,
    Limits, NoPod, Node, Plugin, PodFacts, Refusal, Request, Usage,
};

/// Builds the guest in a folder of the checkout: a component's bytes. `xtask` does it, so that
/// what makes components is no dependency here: it would build the Wasm compiler once more, with
/// other features.
pub(crate) fn guest(folder: &str) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "xtask", "--", "component", folder])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    let path = String::from_utf8(output.stdout).unwrap();
    std::fs::read(path.trim()).unwrap()
}

/// An IPAM plugin of these bytes, without grants.
pub(crate) fn ipam(name: &str, wasm: &[u8], limits: &Limits) -> IpamPlugin {
    Plugin::compiled(name, wasm, limits, &Grants::default()).unwrap().ipam().unwrap()
}

/// A request by container `c1`.
pub(crate) fn request(config: &str, wanted: &[&str]) -> Request {
    Request {
        attachment: Attachment {
            id: AttachmentId {
                network: "pods".to_owned(),
                container: "c1".to_owned(),
                ifname: "eth0".to_owned(),
            },
            pod: None,
            args: vec![("IgnoreUnknown".to_owned(), "1".to_owned())],
        },
        config: config.to_owned(),
        network_config: format!(r#"{{"cniVersion":"1.1.0","name":"pods","ipam":{config}}}"#),
        wanted: wanted.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

/// A node with a name and a label.
pub(crate) fn node() -> Node {
    let labels = BTreeMap::from([("zone".to_owned(), "west".to_owned())]);
    Node { name: "node-1".to_owned(), labels, now: 1_795_000_000 }
}

/// A book for one test: simple, by the words of the contract.
#[derive(Default)]
pub(crate) struct MemBook {
    pub(crate) held: BTreeSet<IpAddr>,
    pub(crate) taken: BTreeSet<IpAddr>,
    pub(crate) last: Option<IpAddr>,
    pub(crate) lines: Vec<(Level, String)>,
    pub(crate) store: BTreeMap<String, String>,
    pub(crate) http: Vec<(HttpRequest, HttpAnswer)>,
    /// What every request is answered with, unsent, where it is set.
    pub(crate) known: Option<HttpAnswer>,
    /// What the API says of the pod; none: there is no Kubernetes.
    pub(crate) pod: Option<Result<PodFacts, NoPod>>,
    /// What every question is answered with, where it is set.
    pub(crate) broken: Option<&'static str>,
    /// How long every question takes.
    pub(crate) slow: std::time::Duration,
}

impl MemBook {
    fn ask(&self) -> Result<(), BookError> {
        std::thread::sleep(self.slow);
        self.broken.map_or(Ok(()), |why| Err(why.into()))
    }

    /// What was taken is held from now on.
    pub(crate) fn commit(&mut self) {
        self.last = self.taken.last().copied().or(self.last);
        self.held.append(&mut self.taken);
    }

    fn free(&self, address: IpAddr, excluded: &[AddressRange]) -> bool {
        !self.held.contains(&address)
            && !self.taken.contains(&address)
            && !excluded.iter().any(|range| within(address, *range))
    }
}

fn within(address: IpAddr, (first, last): AddressRange) -> bool {
    address.is_ipv4() == first.is_ipv4() && first <= address && address <= last
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_add(1).map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(v6) => u128::from(v6).checked_add(1).map(|n| IpAddr::V6(n.into())),
    }
}

impl Book for MemBook {
    fn pod(&mut self) -> Result<Result<PodFacts, NoPod>, BookError> {
        self.ask()?;
        let nowhere = NoPod::NotThere("there is no Kubernetes here".to_owned());
        Ok(self.pod.clone().unwrap_or(Err(nowhere)))
    }

    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, BookError> {
        self.ask()?;
        if self.held.contains(&address) {
            let id = AttachmentId {
                network: "pods".to_owned(),
                container: "c0".to_owned(),
                ifname: "eth0".to_owned(),
            };
            return Ok(Err(Refusal::Held(id)));
        }
        self.taken.insert(address);
        Ok(Ok(()))
    }

    fn take_free(
        &mut self,
        ranges: &[AddressRange],
        excluded: &[AddressRange],
        start: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, BookError> {
        self.ask()?;
        let from = start.or(self.last.and_then(next)).into_iter();
        let above = from.flat_map(|from| {
            ranges
                .iter()
                .filter(move |range| within(from, **range))
                .map(move |range| (from, range.1))
        });
        for (first, last) in above.chain(ranges.iter().copied()) {
            let all = std::iter::successors(Some(first), |address| next(*address));
            let mut all = all.take_while(|address| *address <= last);
            if let Some(address) = all.find(|address| self.free(*address, excluded)) {
                self.taken.insert(address);
                return Ok(Some(address));
            }
        }
        Ok(None)
    }

    fn remembered(&mut self, _: &str) -> Result<Vec<IpAddr>, BookError> {
        self.ask().map(|()| vec![])
    }

    fn remember(&mut self, _: &str) -> Result<(), BookError> {
        self.ask()
    }

    fn store_get(&mut self, key: &str) -> Result<Option<String>, BookError> {
        self.ask().map(|()| self.store.get(key).cloned())
    }

    fn store_put(&mut self, key: &str, value: &str, _: bool) -> Result<(), BookError> {
        self.store.insert(key.to_owned(), value.to_owned());
        self.ask()
    }

    fn store_remove(&mut self, key: &str) -> Result<bool, BookError> {
        self.ask().map(|()| self.store.remove(key).is_some())
    }

    fn store_scan(
        &mut self,
        _: &str,
        _: Option<&str>,
        _: u32,
    ) -> Result<Vec<(String, String)>, BookError> {
        self.ask().map(|()| vec![])
    }

    fn store_count(&mut self, prefix: &str) -> Result<u64, BookError> {
        self.ask()?;
        Ok(self.store.keys().filter(|key| key.starts_with(prefix)).count() as u64)
    }

    fn store_size(&mut self) -> Result<u64, BookError> {
        self.ask()?;
        Ok(self.store.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    fn usage(&mut self, _: &[AddressRange]) -> Result<Usage, BookError> {
        self.ask().map(|()| Usage::default())
    }

    fn http_known(&mut self, _: &HttpRequest) -> Option<HttpAnswer> {
        self.known.clone()
    }

    fn http_done(&mut self, request: &HttpRequest, answer: &HttpAnswer) {
        self.http.push((request.clone(), answer.clone()));
    }

    fn log(&mut self, level: Level, message: &str) {
        self.lines.push((level, message.to_owned()));
    }
}
