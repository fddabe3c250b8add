//! The file in which a container's orchestrator finds which device an interface is: the device
//! information file of the Network Plumbing Working Group's specification, version 1.1.0
//! (<https://github.com/k8snetworkplumbingwg/device-info-spec>).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The file is there: what is written into it names a PCI device. One that is there already, with
/// whatever it says, is somebody else's, and stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceFile {
    /// Where it is.
    pub path: String,
    /// The device's address, as `0000:00:1f.6`.
    pub pci: String,
}

impl DeviceFile {
    /// What it says.
    pub fn text(&self) -> String {
        let Self { pci, .. } = self;
        format!(
            "{{\"type\":\"pci\",\"version\":\"1.1.0\",\"pci\":{{\"pci-address\":\"{pci}\"}}}}\n"
        )
    }
}

impl fmt::Display for DeviceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {} says PCI {}", self.path, self.pci)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_specification_asks_for() -> Result<(), serde_json::Error> {
        let file = DeviceFile { path: "/run/one".to_owned(), pci: "0000:00:1f.6".to_owned() };
        let said: serde_json::Value = serde_json::from_str(&file.text())?;
        let pci = serde_json::json!({ "pci-address": "0000:00:1f.6" });
        assert_eq!(said, serde_json::json!({ "type": "pci", "version": "1.1.0", "pci": pci }));
        Ok(())
    }
}
