//! Pools chosen by the namespace of a pod, with a pool for all others.

use serde::Deserialize;
use wharfinger_sdk::{
    Failure, Ipam, Lease, LeasedAddress, Problem, Range, Reason, Request, Route, Subnet,
    export_ipam,
};

/// The `ipam` object of a network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ByNamespace {
    /// The first that has an attachment's namespace serves it.
    pools: Vec<Pool>,
    /// Copied to the lease.
    #[serde(default)]
    routes: Vec<Route>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    /// For people.
    name: String,
    /// Whose it is: names, or beginnings of names with a '*' after. Without this, everybody's.
    namespaces: Option<Vec<String>>,
    /// In the order they are tried.
    subnets: Vec<Subnet>,
}

export_ipam!(ByNamespace);

impl Ipam for ByNamespace {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut seen: Vec<(Range, &str)> = Vec::new();
        for (i, pool) in self.pools.iter().enumerate() {
            for (j, subnet) in pool.subnets.iter().enumerate() {
                let pointer = format!("/pools/{i}/subnets/{j}");
                problems.extend(subnet.check(&pointer));
                for range in subnet.ranges() {
                    if let Some((_, other)) = seen.iter().find(|(seen, _)| seen.overlaps(&range)) {
                        let what = format!("overlaps a subnet of pool {other}");
                        problems.push(Problem::at(&pointer, what));
                    }
                    seen.push((range, &pool.name));
                }
            }
        }
        problems
    }

    fn pools(&self) -> Result<Vec<wharfinger_sdk::Pool>, Failure> {
        let ranges = |pool: &Pool| pool.subnets.iter().flat_map(Subnet::ranges).collect::<Vec<_>>();
        let shown = |pool: &Pool| wharfinger_sdk::Pool::new(&pool.name, ranges(pool));
        Ok(self.pools.iter().map(shown).collect())
    }

    fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
        let namespace = request.attachment.namespace();
        let pool = self.pools.iter().find(|pool| pool.serves(namespace));
        let shown = namespace.unwrap_or("(no pod)");
        let none = || Failure::other(format!("no pool is for namespace {shown}"));
        let leased = pool.ok_or_else(none)?.give(request)?;
        Ok(Lease::of([leased]).with_routes(self.routes.clone()))
    }
}

impl Pool {
    fn serves(&self, namespace: Option<&str>) -> bool {
        let Some(patterns) = &self.namespaces else { return true };
        namespace.is_some_and(|name| patterns.iter().any(|pattern| matches(pattern, name)))
    }

    fn give(&self, request: &Request) -> Result<LeasedAddress, Failure> {
        if let Some(wanted) = request.wanted.first() {
            let subnet = self.subnets.iter().find(|subnet| subnet.gives(*wanted));
            let outside = || {
                let name = &self.name;
                Failure::conflict(format!("{wanted} was asked for, but is not in pool {name}"))
            };
            return subnet.ok_or_else(outside)?.take(*wanted);
        }
        for subnet in &self.subnets {
            match subnet.take_free() {
                Err(failure) if failure.reason == Reason::Exhausted => {}
                answer => return answer,
            }
        }
        Err(Failure::exhausted(format!("pool {} has no free address", self.name)))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use wharfinger_sdk::Attachment;
    use wharfinger_sdk::serde_json::{Value, json};
    use wharfinger_sdk::testing::Host;

    use super::*;

    fn config() -> Value {
        json!({"pools": [
            {"name": "a", "namespaces": ["team-a", "team-a-*"], "subnets": [
                {"subnet": "10.1.0.0/30"}, {"subnet": "10.1.1.0/30"}]},
            {"name": "rest", "subnets": [{"subnet": "10.2.0.0/24"}]},
        ]})
    }

    fn add(host: &mut Host, namespace: &str, container: &str) -> Result<String, Failure> {
        let attachment = Attachment::new("pods", container, "eth0").with_pod(namespace, container);
        let lease = host.add::<ByNamespace>(&config(), &attachment)?;
        Ok(lease.addresses[0].address.addr().to_string())
    }

    #[test]
    fn a_namespace_has_its_pool_and_no_other() {
        let mut host = Host::new();
        assert_eq!(add(&mut host, "team-a", "a").unwrap(), "10.1.0.2");
        assert_eq!(add(&mut host, "team-a-dev", "b").unwrap(), "10.1.1.2");
        assert_eq!(add(&mut host, "team-ab", "c").unwrap(), "10.2.0.2");
        let full = add(&mut host, "team-a", "d").unwrap_err();
        assert_eq!(full.message, "pool a has no free address");
    }

    #[test]
    fn what_is_no_pod_has_the_pool_of_everybody() {
        let bare = Attachment::new("pods", "a", "eth0");
        let lease = Host::new().add::<ByNamespace>(&config(), &bare).unwrap();
        assert_eq!(lease.addresses[0].address.to_string(), "10.2.0.2/24");
        let strict = json!({"pools": [config()["pools"][0]]});
        let refused = Host::new().add::<ByNamespace>(&strict, &bare).unwrap_err();
        assert_eq!(refused.message, "no pool is for namespace (no pod)");
    }

    #[test]
    fn an_address_of_another_namespaces_pool_is_refused() {
        let pod = Attachment::new("pods", "a", "eth0").with_pod("team-b", "a");
        let request = Request::new(pod).wanting(["10.1.0.2".parse().unwrap()]);
        let refused = Host::new().allocate::<ByNamespace>(&config(), &request).unwrap_err();
        assert_eq!(refused.reason, Reason::Conflict);
    }

    #[test]
    fn pools_that_overlap_are_named() {
        let twice = json!({"pools": [
            {"name": "a", "subnets": [{"subnet": "10.1.0.0/24"}]},
            {"name": "b", "subnets": [{"subnet": "10.1.0.128/25"}]},
        ]});
        let problems = Host::new().problems::<ByNamespace>(&twice);
        assert_eq!(problems[0].to_string(), "/pools/1/subnets/0: overlaps a subnet of pool a");
    }
}
