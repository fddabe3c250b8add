//! Kubernetes' API server: where it is, and how this node proves who it is.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use wharfinger_kube::{Access, Kube, Settings};

/// Seconds that an answer may take.
const TIMEOUT: f64 = 2.0;

/// `[kubernetes]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct KubernetesSection {
    kubeconfig: Option<PathBuf>,
    service_account: Option<PathBuf>,
    server: Option<String>,
    timeout: Option<f64>,
    /// Of the cluster's book, where that is there.
    pub(super) block_size: Option<u32>,
}

/// Where a person's own credentials are, for a command by hand.
const KUBECONFIG: &str = "WHARFINGER_KUBECONFIG";

impl KubernetesSection {
    pub(super) fn kube(self) -> Result<Kube> {
        let by_hand = std::env::var_os(KUBECONFIG).map(PathBuf::from);
        let access = match (by_hand, self.kubeconfig, self.service_account, self.server) {
            (Some(path), ..) | (None, Some(path), None, None) => Access::Kubeconfig(path),
            (None, None, Some(directory), Some(server)) => Access::Mounted { directory, server },
            _ => bail!("[kubernetes] needs kubeconfig, or service-account and server"),
        };
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        let fine = (0.01..=60.0).contains(&timeout);
        ensure!(fine, "kubernetes.timeout is {timeout}: 0.01 to 60 seconds");
        Ok(Kube::new(Settings { access, timeout: Duration::from_secs_f64(timeout) })?)
    }
}
