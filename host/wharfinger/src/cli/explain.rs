//! `wharfinger explain`: the plan of an ADD, or the node as it is; and nothing done.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::json;
use wharfinger_attach::dry;
use wharfinger_view::topology::Format;

use super::topology::topology;
use super::{Answer, explained, network, told};
use crate::program::Program;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The path of a conflist, or a network's name in the configuration directory: what an ADD would
    /// do. Without it, what is attached to this node is drawn
    conflist: Option<String>,
    /// How the node is drawn
    #[arg(long, value_enum, conflicts_with = "conflist")]
    format: Option<Drawn>,
    /// The interface's name in the container
    #[arg(long, default_value = "eth0")]
    ifname: String,
    /// The container's id
    #[arg(long, default_value = "example")]
    container: String,
    /// Where conflists are
    #[arg(long, default_value = "/etc/cni/net.d", env = "NETCONFPATH")]
    conf_dir: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Drawn {
    Text,
    Json,
    Mermaid,
    Dot,
    Svg,
}

impl Explain {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let Some(conflist) = &self.conflist else { return self.draw(program) };
        wharfinger_cni::check_names(&self.container, &self.ifname)?;
        let conf = network::load(conflist, &self.conf_dir)?;
        let dry = program
            .look(|host| dry::dry(host, &conf, &self.container, &self.ifname))
            .map_err(|error| explained(error.to_cni(&conf.name)))?;
        let lease = dry.lease.render(wharfinger_cni::Version::V1_1_0)?;
        let ips: Vec<_> = dry.lease.ips.iter().map(|ip| ip.address.to_string()).collect();
        let head = format!(
            "network {}: ADD of container {}, interface {}, would be given {}\n",
            conf.name,
            self.container,
            self.ifname,
            if ips.is_empty() { "no address".to_owned() } else { ips.join(" and ") },
        );
        let value = json!({ "plan": dry.plan, "lease": lease });
        Ok(Answer::new(format!("{head}{}", dry.plan), value))
    }

    fn draw(&self, program: &Program) -> Result<Answer> {
        let format = match self.format {
            Some(Drawn::Json) => Format::Json,
            Some(Drawn::Text) | None => Format::Text,
            Some(Drawn::Mermaid) => Format::Mermaid,
            Some(Drawn::Dot) => Format::Dot,
            Some(Drawn::Svg) => Format::Svg,
        };
        let drawn = program.look(|host| topology(host, None)).map_err(|error| told(&error))?;
        Ok(Answer::new(drawn.render(format), serde_json::to_value(&drawn)?))
    }
}
