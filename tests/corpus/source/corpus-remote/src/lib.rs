//! Gives addresses of one range, and says of which it is told that they were given back. What is built of this
//! is kept, one file for each version of the contract.

use serde::Deserialize;
use wharfinger_sdk::{
    Attachment, Failure, Ipam, Lease, Pool, Remote, Request, Subnet, export_ipam, log,
};

/// As host-local has it: the first range alone.
#[derive(Deserialize)]
struct Corpus {
    ranges: [[Subnet; 1]; 1],
}

export_ipam!(Corpus, remote);

impl Corpus {
    fn range(&self) -> &Subnet {
        let [[range]] = &self.ranges;
        range
    }
}

impl Ipam for Corpus {
    fn pools(&self) -> Result<Vec<Pool>, Failure> {
        Ok(vec![self.range().pool()])
    }

    fn allocate(&self, _: &Request) -> Result<Lease, Failure> {
        Ok(Lease::of([self.range().take_free()?]))
    }
}

impl Remote for Corpus {
    fn released(&self, attachment: &Attachment, lease: Option<&Lease>) -> Result<(), Failure> {
        let addresses = lease.map(|lease| &lease.addresses[..]).unwrap_or_default();
        let addresses = addresses.iter().map(|leased| leased.address.to_string());
        log::info(format!(
            "{} gave back {}",
            attachment.id,
            addresses.collect::<Vec<_>>().join(" ")
        ));
        Ok(())
    }
}
