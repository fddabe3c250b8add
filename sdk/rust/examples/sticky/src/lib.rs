//! A pod keeps its address, by namespace and name: across deletion and re-creation, on this node
//! and past reboots, until an operator forgets it.

use std::net::IpAddr;

use serde::Deserialize;
use wharfinger_sdk::{
    Attachment, Explain, Failure, Ipam, Lease, LeasedAddress, Pool, Problem, Reason, Request,
    Route, Subnet, export_ipam, ledger, log, store,
};

/// The `ipam` object of a network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Sticky {
    /// Where addresses come from.
    pool: Subnet,
    /// While somebody else has a pod's address: wait for it, or give another for the time being.
    #[serde(default)]
    when_held: WhenHeld,
    /// Copied to the lease.
    #[serde(default)]
    routes: Vec<Route>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WhenHeld {
    #[default]
    Another,
    Wait,
}

export_ipam!(Sticky);

impl Ipam for Sticky {
    fn check(&self) -> Vec<Problem> {
        self.pool.check("/pool")
    }

    fn pools(&self) -> Result<Vec<Pool>, Failure> {
        Ok(vec![self.pool.pool()])
    }

    fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
        let identity = identity(&request.attachment);
        let leased = match (request.wanted.first(), &identity) {
            (Some(wanted), _) => self.pool.take(*wanted).inspect(|_| remember(identity.as_ref())),
            (None, Some(identity)) => self.of(identity, &request.attachment),
            (None, None) => self.pool.take_free(),
        };
        Ok(Lease::of([leased?]).with_routes(self.routes.clone()))
    }
}

impl Sticky {
    /// The pod's own address; its first one becomes that.
    fn of(&self, identity: &String, attachment: &Attachment) -> Result<LeasedAddress, Failure> {
        let instead = format!("instead/{}", attachment.id);
        // Asked again it answers the same, though the pod's own address may be free by now.
        if let Some(given) = store::get(&instead) {
            return self.pool.take(given.parse()?);
        }
        // One outside of the pool was given by an older configuration.
        let own = ledger::remembered(identity).into_iter().find(|own| self.pool.gives(*own));
        let Some(own) = own else {
            return self.pool.take_free().inspect(|_| remember(Some(identity)));
        };
        match self.pool.take(own) {
            Ok(leased) => {
                remember(Some(identity));
                Ok(leased)
            }
            Err(held) => {
                let leased = self.instead(own, held)?;
                let given = leased.address.addr().to_string();
                store::put(&instead, &given, store::Lifetime::Attachment);
                Ok(leased)
            }
        }
    }

    /// What a pod gets whose address somebody has. It is not remembered: the pod's stays its own.
    fn instead(&self, own: IpAddr, held: Failure) -> Result<LeasedAddress, Failure> {
        match self.when_held {
            WhenHeld::Wait => Err(held).explain(Reason::TryAgain, "the pod's own address"),
            WhenHeld::Another => {
                log::warn(format!("{held}: the pod gets another than its own {own}"));
                self.pool.take_free()
            }
        }
    }
}

fn remember(identity: Option<&String>) {
    if let Some(identity) = identity {
        ledger::remember(identity);
    }
}

/// "NAMESPACE/NAME/IFNAME": a pod may be attached to a network more than once.
fn identity(attachment: &Attachment) -> Option<String> {
    let pod = attachment.pod.as_ref()?;
    Some(format!("{}/{}/{}", pod.namespace, pod.name, attachment.id.ifname))
}

#[cfg(test)]
mod tests {
    use wharfinger_sdk::serde_json::{Value, json};
    use wharfinger_sdk::testing::Host;

    use super::*;

    fn config(when_held: &str) -> Value {
        json!({"pool": {"subnet": "10.1.0.0/29"}, "whenHeld": when_held})
    }

    fn pod(name: &str, container: &str) -> Attachment {
        Attachment::new("pods", container, "eth0").with_pod("db", name)
    }

    fn add(host: &mut Host, attachment: &Attachment) -> String {
        let lease = host.add::<Sticky>(&config("another"), attachment).unwrap();
        lease.addresses[0].address.addr().to_string()
    }

    #[test]
    fn a_pod_that_is_made_anew_has_its_address_again() {
        let mut host = Host::new();
        let own = add(&mut host, &pod("db-0", "a"));
        host.del(&pod("db-0", "a"));
        let others: Vec<_> =
            (1..5).map(|n| add(&mut host, &pod(&format!("db-{n}"), &n.to_string()))).collect();
        assert!(!others.contains(&own), "{own} in {others:?}");
        host.reboot();
        assert_eq!(add(&mut host, &pod("db-0", "b")), own);
    }

    #[test]
    fn what_is_remembered_goes_to_others_before_a_pod_has_none() {
        let mut host = Host::new();
        for n in 0..5 {
            add(&mut host, &pod(&format!("db-{n}"), &n.to_string()));
        }
        host.del(&pod("db-0", "0"));
        assert_eq!(add(&mut host, &pod("web", "w")), "10.1.0.2");
        let full = host.add::<Sticky>(&config("another"), &pod("db-0", "b")).unwrap_err();
        assert_eq!(full.reason, Reason::Exhausted);
    }

    #[test]
    fn while_its_address_is_held_a_pod_waits_or_has_another() {
        let mut host = Host::new();
        let own = add(&mut host, &pod("db-0", "old"));
        let waiting = host.add::<Sticky>(&config("wait"), &pod("db-0", "new")).unwrap_err();
        assert_eq!(waiting.reason, Reason::TryAgain);
        assert_eq!(waiting.message, "the pod's own address: 10.1.0.2 is held by pods/old/eth0");
        let other = add(&mut host, &pod("db-0", "new"));
        assert_ne!(other, own);
        host.del(&pod("db-0", "old"));
        assert_eq!(add(&mut host, &pod("db-0", "new")), other);
        host.del(&pod("db-0", "new"));
        assert_eq!(add(&mut host, &pod("db-0", "newer")), own);
    }

    #[test]
    fn an_address_by_name_becomes_the_pods_own() {
        let mut host = Host::new();
        let wanted = "10.1.0.5".parse().unwrap();
        let request = Request::new(pod("db-0", "a")).wanting([wanted]);
        host.allocate::<Sticky>(&config("wait"), &request).unwrap();
        host.del(&pod("db-0", "a"));
        assert_eq!(add(&mut host, &pod("db-0", "b")), "10.1.0.5");
    }

    #[test]
    fn what_is_no_pod_has_any_address() {
        let mut host = Host::new();
        assert_eq!(add(&mut host, &Attachment::new("pods", "a", "eth0")), "10.1.0.2");
    }
}
