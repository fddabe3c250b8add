//! A plugin with a bug, made with the SDK as authors make theirs: what does the operator read?

use serde::Deserialize;
use wharfinger_sdk::{Failure, Ipam, Lease, Pool, Request, Subnet, export_ipam};

#[derive(Deserialize)]
struct Panics {
    pool: Subnet,
}

export_ipam!(Panics);

impl Ipam for Panics {
    fn pools(&self) -> Result<Vec<Pool>, Failure> {
        Ok(vec![self.pool.pool()])
    }

    fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
        let _ = self.pool.take_free()?;
        Ok(Lease::of([self.pool.leased(address_of(request))]))
    }
}

/// The bug: not every attachment is of a pod.
#[inline(never)]
fn address_of(request: &Request) -> std::net::IpAddr {
    let pod = request.attachment.pod.as_ref().expect("an attachment without a pod");
    pod.name.parse().expect("a pod's name that is an address")
}
