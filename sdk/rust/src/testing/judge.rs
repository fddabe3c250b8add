//! What the real host checks of a lease.

use std::net::IpAddr;

use crate::Lease;

/// What is wrong with it.
pub(super) fn lease(lease: &Lease, taken: &[IpAddr], wanted: &[IpAddr]) -> Result<(), String> {
    let mut seen: Vec<IpAddr> = Vec::new();
    for leased in &lease.addresses {
        let address = leased.address.addr();
        if !taken.contains(&address) {
            return Err(format!("it returned {address}, which it did not take in this call"));
        }
        if seen.contains(&address) {
            return Err(format!("it returned {address} twice"));
        }
        hop(leased.gateway, address)?;
        seen.push(address);
    }
    if let Some(missing) = wanted.iter().find(|wanted| !seen.contains(wanted)) {
        return Err(format!("it returned a lease without {missing}, which was asked for by name"));
    }
    for route in &lease.routes {
        if route.destination != route.destination.trunc() {
            return Err(format!("it returned a route to {}: host bits", route.destination));
        }
        hop(route.gateway, route.destination.addr())?;
    }
    Ok(())
}

fn hop(hop: Option<IpAddr>, of: IpAddr) -> Result<(), String> {
    match hop {
        Some(hop) if hop.is_ipv4() != of.is_ipv4() => {
            Err(format!("it returned the gateway {hop} for {of}: another family"))
        }
        Some(hop) if hop == of => Err(format!("it returned {hop} as its own gateway")),
        _ => Ok(()),
    }
}
