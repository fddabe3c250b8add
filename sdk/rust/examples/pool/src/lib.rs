//! Addresses from sets of ranges, one of each set, as host-local gives them; a pod may keep its own.
//! The same plugin stands in every language's examples.

use std::net::IpAddr;

use serde::Deserialize;
use wharfinger_sdk::{
    Failure, Ipam, Lease, LeasedAddress, Pool as Named, Problem, Range, Request, Route, Subnet,
    export_ipam, ledger,
};

/// The `ipam` object of a network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    /// Each inner list is a set: an attachment gets one address of each.
    ranges: Vec<Set>,
    /// Copied to the lease.
    #[serde(default)]
    routes: Vec<Route>,
    /// A pod keeps its addresses, by namespace and name.
    #[serde(default)]
    sticky: bool,
}

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Set(Vec<Subnet>);

export_ipam!(Pool);

impl Ipam for Pool {
    fn check(&self) -> Vec<Problem> {
        let empty = |pointer: String| Problem::at(pointer, "is empty: there is nothing to give");
        if self.ranges.is_empty() {
            return vec![empty("/ranges".to_owned())];
        }
        let mut problems = Vec::new();
        for (n, set) in self.ranges.iter().enumerate() {
            if set.0.is_empty() {
                problems.push(empty(format!("/ranges/{n}")));
            }
            for (m, subnet) in set.0.iter().enumerate() {
                problems.extend(subnet.check(&format!("/ranges/{n}/{m}")));
            }
        }
        problems
    }

    fn pools(&self) -> Result<Vec<Named>, Failure> {
        let named = |(n, set): (usize, &Set)| Named::new(n.to_string(), set.ranges());
        Ok(self.ranges.iter().enumerate().map(named).collect())
    }

    fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
        let in_none = |address: &&IpAddr| !self.ranges.iter().any(|set| set.gives(**address));
        if let Some(address) = request.wanted.iter().find(in_none) {
            return Err(Failure::conflict(format!("{address} is in none of the ranges")));
        }
        let pod = request.attachment.pod.as_ref().filter(|_| self.sticky);
        let identity = pod.map(|pod| format!("{}/{}", pod.namespace, pod.name));
        let own = identity.as_deref().map(ledger::remembered).unwrap_or_default();
        let mut addresses = Vec::new();
        for (n, set) in self.ranges.iter().enumerate() {
            let address = match request.wanted.iter().find(|wanted| set.gives(**wanted)) {
                Some(wanted) => ledger::take(*wanted).map(|()| *wanted)?,
                None => set
                    .free(&own)
                    .ok_or_else(|| Failure::exhausted(format!("set {n} has no free address")))?,
            };
            addresses.extend(set.leased(address));
        }
        if let Some(identity) = &identity {
            ledger::remember(identity);
        }
        Ok(Lease::of(addresses).with_routes(self.routes.clone()))
    }
}

impl Set {
    fn ranges(&self) -> Vec<Range> {
        self.0.iter().flat_map(Subnet::ranges).collect()
    }

    fn gives(&self, address: IpAddr) -> bool {
        self.0.iter().any(|subnet| subnet.gives(address))
    }

    /// Takes the first of a pod's own addresses that is to be had, otherwise a free one.
    fn free(&self, own: &[IpAddr]) -> Option<IpAddr> {
        let mut own = own.iter().copied().filter(|address| self.gives(*address));
        let excluded: Vec<Range> = self.0.iter().flat_map(Subnet::excluded).collect();
        own.find(|address| ledger::take(*address).is_ok())
            .or_else(|| ledger::take_free(&self.ranges(), &excluded, None))
    }

    fn leased(&self, address: IpAddr) -> Option<LeasedAddress> {
        let subnet = self.0.iter().find(|subnet| subnet.gives(address))?;
        Some(subnet.leased(address))
    }
}

#[cfg(test)]
mod tests {
    use wharfinger_sdk::serde_json::{Value, json};
    use wharfinger_sdk::testing::Host;
    use wharfinger_sdk::{Attachment, Reason};

    use super::*;

    fn config() -> Value {
        json!({
            "ranges": [[{"subnet": "10.1.0.0/29"}], [{"subnet": "fd00::/64"}]],
            "routes": [{"dst": "0.0.0.0/0"}]
        })
    }

    fn web(container: &str) -> Attachment {
        Attachment::new("pods", container, "eth0").with_pod("default", "web-0")
    }

    fn addresses(lease: &Lease) -> Vec<String> {
        lease.addresses.iter().map(|leased| leased.address.to_string()).collect()
    }

    #[test]
    fn an_attachment_gets_one_address_of_each_set() {
        let mut host = Host::new();
        let lease = host.add::<Pool>(&config(), &web("a")).unwrap();
        assert_eq!(addresses(&lease), ["10.1.0.2/29", "fd00::2/64"]);
        assert_eq!(lease.addresses[0].gateway, Some(IpAddr::from([10, 1, 0, 1])));
        assert_eq!(lease.routes.len(), 1);
        let pools = host.pools::<Pool>(&config()).unwrap();
        let pools: Vec<String> =
            pools.iter().map(|pool| format!("{} {}", pool.name, pool.ranges[0])).collect();
        assert_eq!(pools, ["0 10.1.0.1-10.1.0.6", "1 fd00::1-fd00::ffff:ffff:ffff:ffff"]);
    }

    #[test]
    fn an_address_by_name_is_had_or_refused() {
        let mut host = Host::new();
        host.reserve([10, 1, 0, 6].into(), "the printer");
        host.add::<Pool>(&config(), &web("a")).unwrap();
        let mut ask = |n: u8| {
            let request = Request::new(web("b")).wanting([[10, 1, 0, n].into()]);
            host.allocate::<Pool>(&config(), &request)
        };
        for (n, message) in [
            (2, "10.1.0.2 is held by pods/a/eth0"),
            (6, "10.1.0.6 is reserved: the printer"),
            (1, "10.1.0.1 is in none of the ranges"),
            (9, "10.1.0.9 is in none of the ranges"),
        ] {
            let refused = ask(n).unwrap_err();
            assert_eq!((refused.reason, refused.message.as_str()), (Reason::Conflict, message));
        }
        assert_eq!(addresses(&ask(5).unwrap())[0], "10.1.0.5/29");
    }

    #[test]
    fn what_is_full_is_said() {
        let mut host = Host::new();
        let config = json!({"ranges": [[{"subnet": "10.1.0.0/30"}]]});
        host.add::<Pool>(&config, &web("a")).unwrap();
        let full = host.add::<Pool>(&config, &web("b")).unwrap_err();
        let said = (full.reason, full.message.as_str());
        assert_eq!(said, (Reason::Exhausted, "set 0 has no free address"));
    }

    #[test]
    fn a_pod_keeps_its_addresses_where_it_is_to() {
        for (sticky, again) in [(true, "10.1.0.2/29"), (false, "10.1.0.3/29")] {
            let mut host = Host::new();
            let mut config = config();
            config["sticky"] = json!(sticky);
            host.add::<Pool>(&config, &web("a")).unwrap();
            host.del(&web("a"));
            let lease = host.add::<Pool>(&config, &web("b")).unwrap();
            assert_eq!(addresses(&lease)[0], again);
        }
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        for (config, pointer) in [
            (json!({"ranges": []}), "/ranges"),
            (json!({"ranges": [[]]}), "/ranges/0"),
            (json!({"ranges": [[{"subnet": "10.1.0.9/24"}]]}), "/ranges/0/0/subnet"),
            (json!({"ranges": [[{"subnet": "ten"}]]}), "/ranges/0/0/subnet"),
            (json!({"ranges": [[{"subnet": "10.1.0.0/24"}]], "range": 1}), "/range"),
        ] {
            let problems = Host::new().problems::<Pool>(&config);
            assert_eq!(problems[0].pointer, pointer, "{config}");
        }
    }
}
