//! `wharfinger doctor`: what on this node keeps attachments from working, and what to do. What is a
//! finding is decided in `wharfinger-view`; here facts are gathered, and nothing is changed.

pub(super) mod conf;
mod host;
pub(super) mod networks;
mod state;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use wharfinger_view::doctor::{Facts, Level, findings};

use super::Answer;
use super::network::Folders;
use crate::certificate::Standing;
use crate::program::Program;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Where conflists are
    #[arg(long, default_value = "/etc/cni/net.d", env = "NETCONFPATH")]
    conf_dir: PathBuf,
    #[command(flatten)]
    folders: Folders,
    /// Also what is no trouble: which file each runtime takes, who provides each type
    #[arg(long)]
    all: bool,
}

impl Doctor {
    /// The status is 1 where there is a finding that is more than a notice.
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let mut found = findings(&self.facts(program));
        let trouble = found.iter().any(|finding| finding.level > Level::Notice);
        found.retain(|finding| self.all || finding.level > Level::Notice);
        let text = if found.is_empty() {
            "nothing was found\n".to_owned()
        } else {
            found.iter().map(|finding| finding.text() + "\n").collect()
        };
        Ok(Answer::new(text, serde_json::to_value(&found)?).unless(trouble))
    }

    fn facts(&self, program: &Program) -> Facts {
        let folders = self.folders.all();
        let mut facts = Facts {
            kernel: host::release(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings: crate::settings::read(&program.paths.config)
                .err()
                .map(|error| format!("{error:#}")),
            conf: conf::directory(program, &self.conf_dir),
            bin: folders.iter().map(|folder| conf::bin(folder)).collect(),
            sysctls: host::sysctls(),
            firewalld: host::runs("firewalld"),
            link_files: host::link_files(),
            udev: host::udev_rules(Path::new("/")),
            ..Facts::default()
        };
        facts.certificates = program.certificates().into_iter().filter_map(ill).collect();
        state::gather(program, &mut facts);
        facts.owned.extend(state::owned(&self.conf_dir));
        facts.owned.extend(folders.iter().flat_map(|folder| state::owned(folder)));
        let looked = program.look(|host| {
            let mut more = facts.clone();
            networks::gather(host, &self.conf_dir, &folders, &mut more);
            state::leaks(host, &mut more);
            host::gather(host, &mut more);
            Ok(more)
        });
        match looked {
            Ok(more) => more,
            Err(error) => {
                facts.ledger.get_or_insert(format!("{:#}", super::told(&error)));
                facts
            }
        }
    }
}

/// What is to be said of a certificate, and whether it is of no use already.
fn ill(standing: Standing) -> Option<(bool, String)> {
    match standing {
        Standing::Good => None,
        Standing::Ends(text) => Some((false, text)),
        Standing::Useless(text) => Some((true, text)),
    }
}
