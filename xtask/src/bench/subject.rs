//! Who is measured: ours, the reference plugins, the floor; with the same configuration.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::machine::Machine;

/// The name that ours has in the tables.
pub(crate) const OURS: &str = "ours";
/// That of an earlier executable of ours.
pub(crate) const BEFORE: &str = "ours, before";
/// That of the reference without masquerade.
pub(crate) const REFERENCE: &str = "reference";
/// Its back ends of masquerade.
pub(crate) const IPTABLES: &str = "reference, iptables";
/// The other.
pub(crate) const NFTABLES: &str = "reference, nftables";
/// The bare program.
pub(crate) const FLOOR: &str = "floor";

/// One of them, in one configuration.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// As the tables name it.
    pub name: &'static str,
    /// The executable.
    pub program: PathBuf,
    /// CNI_PATH.
    pub path: PathBuf,
    /// The configuration.
    pub conf: Value,
}

/// Its networks' second octets are so far from ours.
const EARLIER: u8 = 100;

impl Machine {
    /// Bridge and address management; `network` and the second octet tell networks apart.
    pub(crate) fn bridges(&self, network: &str, octet: u8, masquerade: bool) -> Vec<Subject> {
        let mut all = vec![self.ours(network, octet, masquerade)];
        let other = self.ours(&format!("{network}-before"), octet + EARLIER, masquerade);
        all.extend(self.before(other));
        if masquerade {
            all.push(self.reference(IPTABLES, network, octet + 1, Some("iptables")));
            all.push(self.reference(NFTABLES, network, octet + 2, Some("nftables")));
        } else {
            all.push(self.reference(REFERENCE, network, octet + 1, None));
        }
        if self.executables.floor.is_file() {
            all.push(self.floor(network, octet, masquerade));
        }
        all
    }

    /// The earlier executable, where there is one, with this network, which is its own.
    pub(crate) fn before(&self, subject: Subject) -> Option<Subject> {
        let program = self.executables.before.clone()?;
        Some(Subject { name: BEFORE, program, ..subject })
    }

    fn ours(&self, network: &str, octet: u8, masquerade: bool) -> Subject {
        let program = self.executables.ours.clone();
        let conf = json!({
            "cniVersion": "1.0.0", "name": network, "type": "wharfinger", "driver": "bridge",
            "bridge": format!("br{octet}"), "isGateway": true, "ipMasq": masquerade,
            "ipam": self.ipam(octet, false),
        });
        let path = program.parent().map(PathBuf::from).unwrap_or_default();
        Subject { name: OURS, program, path, conf }
    }

    fn reference(
        &self,
        name: &'static str,
        network: &str,
        octet: u8,
        backend: Option<&str>,
    ) -> Subject {
        let path = self.executables.reference.clone();
        let mut conf = json!({
            "cniVersion": "1.0.0", "name": network, "type": "bridge",
            "bridge": format!("br{octet}"), "isGateway": true, "ipMasq": backend.is_some(),
            "ipam": self.ipam(octet, true),
        });
        if let (Some(backend), Some(conf)) = (backend, conf.as_object_mut()) {
            conf.insert("ipMasqBackend".to_owned(), json!(backend));
        }
        Subject { name, program: path.join("bridge"), path, conf }
    }

    /// The floor knows nothing but these. It uses the bridge, and the table, of an ADD of ours.
    fn floor(&self, network: &str, octet: u8, masquerade: bool) -> Subject {
        let program = self.executables.floor.clone();
        let conf = json!({
            "cniVersion": "1.0.0", "name": network, "type": "floor",
            "bridge": format!("br{octet}"), "ipMasq": masquerade,
            "address": format!("10.{octet}.255.250/16"), "gateway": format!("10.{octet}.0.1"),
        });
        Subject { name: FLOOR, program, path: PathBuf::new(), conf }
    }

    /// Address management alone, as another main plugin asks for it.
    pub(crate) fn ipams(&self, network: &str, octet: u8) -> Vec<Subject> {
        let mut all = vec![self.own_ipam(network, octet)];
        let other = self.own_ipam(&format!("{network}-before"), octet + EARLIER);
        all.extend(self.before(other));
        let path = self.executables.reference.clone();
        let conf = of_bridge(network, &self.ipam(octet + 1, true));
        all.push(Subject { name: REFERENCE, program: path.join("host-local"), path, conf });
        all
    }

    fn own_ipam(&self, network: &str, octet: u8) -> Subject {
        let mut ipam = self.ipam(octet, false);
        if let Some(ipam) = ipam.as_object_mut() {
            ipam.insert("plugin".to_owned(), json!("host-local"));
            ipam.insert("type".to_owned(), json!("wharfinger"));
        }
        let (program, path) = (self.executables.ours.clone(), self.executables.reference.clone());
        Subject { name: OURS, program, path, conf: of_bridge(network, &ipam) }
    }

    /// The addresses of a network; the reference's keep files.
    pub(crate) fn ipam(&self, octet: u8, reference: bool) -> Value {
        let mut ipam = json!({
            "type": "host-local", "ranges": [[{ "subnet": format!("10.{octet}.0.0/16") }]],
            "routes": [{ "dst": "0.0.0.0/0" }],
        });
        if let (true, Some(ipam)) = (reference, ipam.as_object_mut()) {
            ipam.insert("dataDir".to_owned(), json!(self.dir.join(format!("data{octet}"))));
        }
        ipam
    }
}

/// As a bridge of the reference asks for addresses.
fn of_bridge(network: &str, ipam: &Value) -> Value {
    json!({ "cniVersion": "1.0.0", "name": network, "type": "bridge", "ipam": ipam })
}
