//! `wharfinger conf schema`: the published JSON Schemas, which the executable carries. Tests hold that they
//! know each key that is read: of drivers and features in `host/drivers`, of the node's settings in
//! `settings`.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::cli::Answer;

/// Of a CNI configuration.
const NETWORK: &str = include_str!("../../../../../docs/schema/network.schema.json");
/// Of the node's TOML file.
pub(crate) const NODE: &str = include_str!("../../../../../docs/schema/node.schema.json");

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// What it is of
    #[arg(value_enum, default_value = "network")]
    of: Of,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Of {
    /// A conflist, or one configuration
    Network,
    /// The node's settings
    Node,
}

impl Schema {
    pub(super) fn run(&self) -> Result<Answer> {
        let text = match self.of {
            Of::Network => NETWORK,
            Of::Node => NODE,
        };
        Ok(Answer::new(text, serde_json::from_str(text)?))
    }
}
