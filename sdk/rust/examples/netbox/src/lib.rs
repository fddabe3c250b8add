//! Addresses from NetBox: one of a prefix's available addresses for each attachment, found again
//! by its description, and deleted when the host says that it was released.
//!
//! NetBox decides, the host's ledger has the last word: an address that it cannot take is refused.
//! Start reading at [`Netbox::allocate`]; [`api`] speaks NetBox's API.

mod api;

use serde::Deserialize;
use wharfinger_sdk::{
    Attachment, Explain, Failure, Ipam, Lease, Pool, Problem, Reason, Remote, Request, Route,
    Subnet, export_ipam, log,
};

use api::Api;

/// The `ipam` object of a network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Netbox {
    /// "https://netbox.example", without a path's end.
    url: String,
    /// A token that may add and delete addresses. Name it in `secrets`, so that no record shows it.
    token: String,
    /// The number of the prefix in NetBox.
    prefix: u64,
    /// The prefix itself, and its gateway.
    subnet: Subnet,
    /// Copied to the lease.
    #[serde(default)]
    routes: Vec<Route>,
}

export_ipam!(Netbox, remote);

impl Ipam for Netbox {
    fn check(&self) -> Vec<Problem> {
        let mut problems = self.subnet.check("/subnet");
        let web = ["http://", "https://"].iter().any(|scheme| self.url.starts_with(scheme));
        if !web || self.url.ends_with('/') {
            problems.push(Problem::at("/url", "must be as https://netbox.example"));
        }
        if self.token.is_empty() {
            problems.push(Problem::at("/token", "is empty"));
        }
        problems
    }

    fn pools(&self) -> Result<Vec<Pool>, Failure> {
        Ok(vec![self.subnet.pool()])
    }

    fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
        if let Some(wanted) = request.wanted.first() {
            return Err(Failure::conflict(format!(
                "{wanted} was asked for, but NetBox chooses the addresses of this network"
            )));
        }
        let (api, key) = (self.api(), request.attachment.id.to_string());
        // Asked first: a call may run again after a conflict, and an ADD after a crash.
        let entry = match api.find(&key)?.into_iter().next() {
            Some(entry) => entry,
            None => api.allocate(self.prefix, &key)?,
        };
        let address = entry.address.addr();
        if !self.subnet.subnet.contains(&address) {
            let subnet = self.subnet.subnet;
            let what = format!("NetBox gave {address}, which is not in {subnet}: see prefix");
            return Err(Failure::invalid_config(what));
        }
        // NetBox keeps it for this attachment until the host says that there is none.
        let leased = self.subnet.take(address).explain(Reason::Conflict, "NetBox's address")?;
        log::info(format!("NetBox gave {address}, its entry {}", entry.id));
        Ok(Lease::of([leased]).with_routes(self.routes.clone()))
    }
}

impl Remote for Netbox {
    fn released(&self, attachment: &Attachment, _: Option<&Lease>) -> Result<(), Failure> {
        let api = self.api();
        for entry in api.find(&attachment.id.to_string())? {
            api.delete(entry.id)?;
        }
        Ok(())
    }
}

impl Netbox {
    fn api(&self) -> Api<'_> {
        Api { url: &self.url, token: &self.token }
    }
}

#[cfg(test)]
mod tests;
