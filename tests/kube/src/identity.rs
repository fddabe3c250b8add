//! Nodes without kubelets: their objects, and what they prove who they are by.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::Lab;

/// Whose token the nodes have.
const ACCOUNT: &str = "wharfinger-node";
/// Where it is.
const SPACE: &str = "wharfinger";

impl Lab {
    /// The kinds, roles and policies of this directory (`deploy/kubernetes`), and the nodes' account.
    pub fn deploy(&self, directory: &Path) -> Result<()> {
        self.kubectl(&["create", "namespace", SPACE])?;
        for account in ["default", ACCOUNT] {
            self.kubectl(&["-n", SPACE, "create", "serviceaccount", account])?;
        }
        for file in ["crds", "rbac", "admission"] {
            let file = directory.join(file).with_extension("yaml");
            self.kubectl(&["apply", "-f", &file.display().to_string()])?;
        }
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all"]).map(drop)
    }

    /// Nodes of these names, each with a pod of the account on it, which tokens are bound to.
    pub fn identities(&self, names: &[&str]) -> Result<()> {
        let node = |name: &&str| json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } });
        let pod = |name: &&str| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": name, "namespace": SPACE },
                "spec": {
                    "nodeName": name, "serviceAccountName": ACCOUNT, "hostNetwork": true,
                    "tolerations": [{ "operator": "Exists" }],
                    "containers": [{ "name": "c", "image": "none" }],
                },
            })
        };
        for all in [names.iter().map(node).collect(), names.iter().map(pod).collect::<Vec<_>>()] {
            let list = json!({ "apiVersion": "v1", "kind": "List", "items": all });
            self.kubectl_with(&["create", "-f", "-"], &list.to_string())?;
        }
        Ok(())
    }

    /// A token of the account that is bound to this node's pod, or to nothing.
    pub fn token(&self, node: Option<&str>) -> Result<String> {
        let bound = node.map(|pod| format!("--bound-object-name={pod}"));
        let mut words = vec!["-n", SPACE, "create", "token", ACCOUNT, "--duration=24h"];
        if let Some(bound) = &bound {
            words.extend(["--bound-object-kind=Pod", bound]);
        }
        Ok(self.kubectl(&words)?.trim().to_owned())
    }

    /// The same token, as it would be had it ended an hour ago.
    pub fn expired(&self, token: &str) -> Result<String> {
        Ok(self.kube(&["expired"], &[token])?.trim().to_owned())
    }

    /// A directory as it is mounted for a service account, with this token in it.
    pub fn mounted(&self, name: &str, token: &str) -> Result<std::path::PathBuf> {
        let place = self.place(name)?;
        std::fs::copy(self.authority(), place.join("ca.crt")).context("the authority")?;
        std::fs::write(place.join("token"), token).context("a token")?;
        Ok(place)
    }
}
