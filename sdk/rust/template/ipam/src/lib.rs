//! Which address an attachment gets: a free one of the first pool that has room.

use std::net::IpAddr;

use serde::Deserialize;
use wharfinger_sdk::{
    Failure, Ipam, Lease, LeasedAddress, Pool, Problem, Reason, Request, Route, Subnet, export_ipam,
};

/// The `ipam` object of a network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where addresses come from, in the order they are tried.
    pools: Vec<Subnet>,
    /// Copied to the lease.
    #[serde(default)]
    routes: Vec<Route>,
}

export_ipam!(Config);

impl Ipam for Config {
    fn check(&self) -> Vec<Problem> {
        if self.pools.is_empty() {
            return vec![Problem::at("/pools", "is empty: there is nothing to give")];
        }
        let pools = self.pools.iter().enumerate();
        pools
            .flat_map(|(i, pool)| pool.check(&format!("/pools/{i}")))
            .collect()
    }

    fn pools(&self) -> Result<Vec<Pool>, Failure> {
        Ok(self.pools.iter().map(Subnet::pool).collect())
    }

    fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
        let leased = match request.wanted.as_slice() {
            [] => self.free()?,
            [wanted, ..] => self.named(*wanted)?,
        };
        Ok(Lease::of([leased]).with_routes(self.routes.clone()))
    }
}

impl Config {
    /// An address that was asked for.
    fn named(&self, wanted: IpAddr) -> Result<LeasedAddress, Failure> {
        let pool = self.pools.iter().find(|pool| pool.gives(wanted));
        let nowhere = || Failure::conflict(format!("{wanted} is in none of the pools"));
        pool.ok_or_else(nowhere)?.take(wanted)
    }

    fn free(&self) -> Result<LeasedAddress, Failure> {
        for pool in &self.pools {
            match pool.take_free() {
                Err(failure) if failure.reason == Reason::Exhausted => {}
                answer => return answer,
            }
        }
        Err(Failure::exhausted("no pool has a free address"))
    }
}

#[cfg(test)]
mod tests {
    use wharfinger_sdk::serde_json::{Value, json};
    use wharfinger_sdk::testing::Host;
    use wharfinger_sdk::{Attachment, Reason, Request};

    use super::Config;

    /// Two pools: of one address, and of many.
    fn config() -> Value {
        json!({"pools": [{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/24"}]})
    }

    fn container(name: &str) -> Attachment {
        Attachment::new("pods", name, "eth0")
    }

    #[test]
    fn the_second_pool_serves_when_the_first_is_full() {
        let mut host = Host::new();
        for (name, address) in [
            ("a", "10.1.0.2/30"),
            ("b", "10.2.0.2/24"),
            ("c", "10.2.0.3/24"),
        ] {
            let lease = host.add::<Config>(&config(), &container(name)).unwrap();
            assert_eq!(lease.addresses[0].address.to_string(), address);
        }
    }

    #[test]
    fn asked_twice_it_answers_the_same() {
        let mut host = Host::new();
        let first = host.add::<Config>(&config(), &container("a")).unwrap();
        assert_eq!(
            host.add::<Config>(&config(), &container("a")).unwrap(),
            first
        );
    }

    #[test]
    fn an_address_asked_for_is_given_or_refused() {
        let mut host = Host::new();
        let wanted = "10.2.0.77".parse().unwrap();
        let request = |name: &str| Request::new(container(name)).wanting([wanted]);
        let lease = host.allocate::<Config>(&config(), &request("a")).unwrap();
        assert_eq!(lease.addresses[0].address.addr(), wanted);
        let refused = host
            .allocate::<Config>(&config(), &request("b"))
            .unwrap_err();
        assert_eq!(refused.reason, Reason::Conflict);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let bad = json!({"pools": [{"subnet": "10.1.0.0/24", "gateway": "fd00::1"}]});
        let problems = Host::new().problems::<Config>(&bad);
        assert_eq!(problems[0].pointer, "/pools/0/gateway");
    }
}
