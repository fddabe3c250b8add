//! A subnet to give addresses from, with the reference plugin's keys: what most IPAM needs.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use crate::{Failure, LeasedAddress, Pool, Problem, Range, ledger};

/// `{"subnet": "10.1.0.0/24", "rangeStart": ..., "rangeEnd": ..., "gateway": ..., "exclude": [...]}`,
/// of which only the first is needed. Neither the gateway nor the network's own addresses are
/// ever given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subnet {
    /// Gives the prefix length.
    pub subnet: IpNet,
    /// The first address to give; otherwise the first usable one.
    #[serde(default)]
    pub range_start: Option<IpAddr>,
    /// The last.
    #[serde(default)]
    pub range_end: Option<IpAddr>,
    /// The gateway; otherwise the first address of the subnet, where it has more than two.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Never given.
    #[serde(default)]
    pub exclude: Vec<Range>,
}

impl Subnet {
    /// Of all addresses of a network.
    pub fn new(subnet: IpNet) -> Self {
        Self { subnet, range_start: None, range_end: None, gateway: None, exclude: Vec::new() }
    }

    /// What is wrong with it, at this pointer.
    pub fn check(&self, pointer: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, what: String| {
            problems.push(Problem::at(format!("{pointer}/{key}"), what));
        };
        let network = self.subnet.trunc();
        if self.subnet != network {
            wrong("subnet", format!("has host bits set: the network is {network}"));
        }
        let inside = [("rangeStart", self.range_start), ("rangeEnd", self.range_end)];
        for (key, address) in inside {
            if let Some(address) = address.filter(|address| !network.contains(address)) {
                wrong(key, format!("{address} lies outside {network}"));
            }
        }
        if let Some(gateway) = self.gateway
            && gateway.is_ipv4() != network.addr().is_ipv4()
        {
            wrong("gateway", format!("{gateway} is of another family than {network}"));
        }
        if self.bounds().is_none() {
            wrong("rangeEnd", "lies below the start of the range".to_owned());
        }
        problems
    }

    /// What addresses come from; nothing where it is [wrong](Self::check).
    pub fn ranges(&self) -> Vec<Range> {
        self.bounds().into_iter().collect()
    }

    /// The same as a pool, named as the subnet.
    pub fn pool(&self) -> Pool {
        Pool::new(self.subnet.to_string(), self.ranges())
    }

    /// The gateway, where there is one.
    pub fn gateway(&self) -> Option<IpAddr> {
        let usable = Range::usable(self.subnet);
        let room = usable.first() != self.subnet.network();
        self.gateway.or(room.then_some(usable.first()))
    }

    /// What is never given: what is excluded, the gateway, the network's own addresses.
    pub fn excluded(&self) -> Vec<Range> {
        let usable = Range::usable(self.subnet);
        let own = [self.subnet.network(), self.subnet.broadcast()];
        let own = own.into_iter().filter(|address| !usable.contains(*address));
        let single = self.gateway().into_iter().chain(own).map(Range::single);
        self.exclude.iter().copied().chain(single).collect()
    }

    /// Whether it may give this address.
    pub fn gives(&self, address: IpAddr) -> bool {
        self.ranges().iter().any(|range| range.contains(address))
            && !self.excluded().iter().any(|range| range.contains(address))
    }

    /// The address as a lease has it: with prefix length and gateway.
    pub fn leased(&self, address: IpAddr) -> LeasedAddress {
        let whole = IpNet::from(address);
        let address = IpNet::new(address, self.subnet.prefix_len()).unwrap_or(whole);
        LeasedAddress { address, gateway: self.gateway() }
    }

    /// Takes this address from the ledger; a conflict where it cannot be had.
    pub fn take(&self, address: IpAddr) -> Result<LeasedAddress, Failure> {
        if !self.gives(address) {
            return Err(Failure::conflict(format!(
                "{address} was asked for, but {} does not give it",
                self.subnet
            )));
        }
        ledger::take(address)?;
        Ok(self.leased(address))
    }

    /// Takes a free address: first what the attachment holds already.
    pub fn take_free(&self) -> Result<LeasedAddress, Failure> {
        let taken = ledger::take_free(&self.ranges(), &self.excluded(), None);
        let full = || Failure::exhausted(format!("no address is free in {}", self.subnet));
        taken.map(|address| self.leased(address)).ok_or_else(full)
    }

    fn bounds(&self) -> Option<Range> {
        let usable = Range::usable(self.subnet);
        let first = self.range_start.unwrap_or(usable.first());
        Range::new(first, self.range_end.unwrap_or(usable.last()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Subnet {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_wrong_is_said_at_its_pointer() {
        let bad = read(
            r#"{"subnet": "10.1.0.9/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.2.0.1", "gateway": "fd00::1"}"#,
        );
        let pointers: Vec<String> = bad.check("/a").into_iter().map(|p| p.pointer).collect();
        assert_eq!(pointers, ["/a/subnet", "/a/rangeEnd", "/a/gateway"]);
        let down =
            read(r#"{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}"#);
        assert_eq!(down.check("").len(), 1);
        assert!(read(r#"{"subnet": "10.1.0.0/24"}"#).check("").is_empty());
    }

    #[test]
    fn the_gateway_and_the_networks_own_addresses_are_not_given() {
        let all =
            read(r#"{"subnet": "10.1.0.0/30", "rangeStart": "10.1.0.0", "rangeEnd": "10.1.0.3"}"#);
        let given = |n: u8| all.gives(IpAddr::from([10, 1, 0, n]));
        assert_eq!((0..4).map(given).collect::<Vec<_>>(), [false, false, true, false]);
        assert_eq!(Subnet::new("10.1.0.9/32".parse().unwrap()).gateway(), None);
    }
}
