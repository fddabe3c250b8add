//! `wharfinger explain`: the plan, and nothing done.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use wharfinger_attach::dry;

use super::{explained, network, print};
use crate::program::Program;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The path of a conflist, or a network's name in the configuration directory
    conflist: String,
    /// The interface's name in the container
    #[arg(long, default_value = "eth0")]
    ifname: String,
    /// The container's id
    #[arg(long, default_value = "example")]
    container: String,
    /// Where conflists are
    #[arg(long, default_value = "/etc/cni/net.d", env = "NETCONFPATH")]
    conf_dir: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self, program: &Program) -> Result<u8> {
        let conf = network::load(&self.conflist, &self.conf_dir)?;
        let dry = program
            .look(|host| dry::dry(host, &conf, &self.container, &self.ifname))
            .map_err(|error| explained(error.to_cni(&conf.name)))?;
        let lease = dry.lease.render(wharfinger_cni::Version::V1_1_0)?;
        if self.json {
            let value = json!({ "plan": dry.plan, "lease": lease });
            return print(&format!("{value:#}\n"));
        }
        let ips: Vec<_> = dry.lease.ips.iter().map(|ip| ip.address.to_string()).collect();
        let head = format!(
            "network {}: ADD of container {}, interface {}, would be given {}\n",
            conf.name,
            self.container,
            self.ifname,
            if ips.is_empty() { "no address".to_owned() } else { ips.join(" and ") },
        );
        print(&format!("{head}{}", dry.plan))
    }
}
