//! `wharfinger serve --docker`: a remote network driver and a remote IPAM driver for dockerd.
//!
//! A thin server: what calls mean is decided in `host/docker`, attachments are made and undone by the
//! verbs, as CNI's are, and what Docker does not send again is kept in the ledger. It never calls
//! Docker. Each call is work of a thread of its own, with a `Program` of its own, as each call of
//! CNI is a process; so many may come at once, and a restart loses nothing. Start reading at
//! [`serve`], then [`calls::answer`].

mod calls;
mod collect;
mod folder;
mod http;
mod ipam;
mod network;
mod ports;
mod state;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};

pub(crate) use collect::collect;
pub(crate) use folder::folder;
pub(crate) use state::look;

use crate::program::Program;
use crate::settings::{self, Paths};

/// Where dockerd looks for a driver called `wharfinger`.
pub(crate) const SOCKET: &str = "/run/docker/plugins/wharfinger.sock";

/// How to serve.
#[derive(Debug, Clone)]
pub(crate) struct Flags {
    /// Where to listen, unless a service manager does.
    pub(crate) socket: PathBuf,
    /// Who may come beside root.
    pub(crate) group: Option<String>,
    /// Networks are a swarm's, not the node's.
    pub(crate) global: bool,
    /// Docker starts and stops this process, among mounts of its own.
    pub(crate) managed: bool,
}

/// What all calls have in common.
pub(crate) struct Server {
    paths: Paths,
    global: bool,
    /// Held while a network is made or taken away.
    networks: Mutex<()>,
    /// Held while a pool is made, changed or taken away.
    pools: Mutex<()>,
    /// Held while an address is taken by its name: the second to name it finds it in use.
    names: Mutex<()>,
}

impl Server {
    pub(crate) fn new(paths: Paths, global: bool) -> Self {
        Self {
            paths,
            global,
            networks: Mutex::new(()),
            pools: Mutex::new(()),
            names: Mutex::new(()),
        }
    }

    /// What one call works with. The node's file is read each time: what it says counts at once.
    pub(crate) fn program(&self) -> Result<Program> {
        let configured = settings::read(&self.paths.config)?;
        Ok(Program::new(self.paths.clone(), configured))
    }
}

/// Serves until told to end; calls that have begun are finished.
pub(crate) fn serve(paths: Paths, flags: &Flags) -> Result<()> {
    if flags.managed {
        wharfinger_kernel::let_be_set().context("let kernel parameters be set")?;
    }
    let server = Arc::new(Server::new(paths, flags.global));
    // Nobody is heard before all is as it was.
    state::restore(&server)?;
    let listener = crate::dhcp::listen(&flags.socket)?;
    let listener = open_to(listener, &flags.socket, flags.group.as_deref())?;
    http::serve(listener, &server)?;
    // A service manager's socket is its own to remove.
    if std::env::var_os("LISTEN_FDS").is_none() {
        let _ = std::fs::remove_file(&flags.socket);
    }
    Ok(())
}

/// Lets root come, and a group.
fn open_to(listener: UnixListener, path: &Path, group: Option<&str>) -> Result<UnixListener> {
    if std::env::var_os("LISTEN_FDS").is_some() {
        return Ok(listener);
    }
    let at = || path.display().to_string();
    let mode = match group {
        Some(group) => {
            std::os::unix::fs::chown(path, None, Some(gid(group)?)).with_context(at)?;
            0o660
        }
        None => 0o600,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).with_context(at)?;
    Ok(listener)
}

/// group(5).
fn gid(group: &str) -> Result<u32> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let text = std::fs::read_to_string("/etc/group").context("/etc/group")?;
    let mut entries = text.lines().map(|line| line.split(':'));
    let number = entries.find_map(|mut fields| match (fields.next(), fields.nth(1)) {
        (Some(name), Some(number)) if name == group => number.parse().ok(),
        _ => None,
    });
    match number {
        Some(number) => Ok(number),
        None => bail!("group {group}: no such group in /etc/group"),
    }
}
