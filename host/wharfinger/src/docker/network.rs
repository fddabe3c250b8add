//! The network driver: networks and endpoints.

use std::sync::PoisonError;

use serde_json::{Value, json};
use wharfinger_attach::{Host, share};
use wharfinger_cni::{Attach, Node, Plugin, Success, Version};
use wharfinger_docker::wire::{About, CreateNetwork};
use wharfinger_docker::{Id, Network, interface};
use wharfinger_ledger::{Entry, State};

use super::calls::{Answer, Failure, add, call, conf, del, with};
use super::{Server, ports, state};
use crate::events;
use crate::program::Program;
use crate::serve::Served;

/// One call's work with networks.
pub(super) struct Networks<'a> {
    pub(super) server: &'a Server,
    pub(super) program: &'a Program,
}

fn refuse<T>(text: String) -> Result<T, Failure> {
    Err(Failure::Refused(text))
}

impl Networks<'_> {
    /// `CreateNetwork`: kept before it is answered, since Docker never says it again.
    pub(super) fn create(&self, request: &CreateNetwork) -> Answer {
        let mut network = Network::read(request)?;
        if network.has_links() {
            wharfinger_attach::conf::readable(&conf(&network.conf())?)?;
        }
        let _one = self.server.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let there = state::networks(self.program)?;
        if let Some(known) = there.iter().find(|known| known.id == network.id) {
            (network.made_bridge, network.made) = (known.made_bridge, known.made);
            return if *known == network {
                self.shared(&network).map(|()| json!({}))
            } else {
                refuse(format!("network {} is there with other options", network.id.short()))
            };
        }
        if let Some(bridge) = network.bridge() {
            if let Some(other) = there.iter().find(|other| other.bridge() == Some(bridge)) {
                return refuse(format!("bridge {bridge} is that of network {}", other.id.short()));
            }
            let there = with(self.program, |host: &Host| share::has_link(host, bridge))?;
            network.made_bridge = !there;
        }
        network.made = with(self.program, |host: &Host| Ok(host.node.now()))?;
        state::keep_network(self.program, &network)?;
        if let Err(failure) = self.shared(&network) {
            self.take_away(&network)?;
            return Err(failure);
        }
        let what = json!({ "network": network.name(), "id": network.id, "driver": network.driver });
        events::happened(&self.server.paths.run, "docker network created", &what);
        Ok(json!({}))
    }

    fn shared(&self, network: &Network) -> Result<(), Failure> {
        match network.bridge() {
            Some(_) => state::shared(self.program, network),
            None => Ok(()),
        }
    }

    /// `DeleteNetwork`: with all that is left of its endpoints.
    pub(super) fn delete(&self, about: &About) -> Answer {
        let id = Id::parse("NetworkID", &about.network)?;
        let _one = self.server.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let there = state::networks(self.program)?;
        let Some(network) = there.into_iter().find(|known| known.id == id) else {
            return Ok(json!({}));
        };
        if network.has_links() {
            let node = Node { path: Vec::new(), conf: conf(&network.conf())? };
            Served::new(self.program).gc(&node, &[])?;
        }
        self.take_away(&network)?;
        let what = json!({ "network": network.name(), "id": network.id });
        events::happened(&self.server.paths.run, "docker network deleted", &what);
        Ok(json!({}))
    }

    fn take_away(&self, network: &Network) -> Result<(), Failure> {
        if let Some(bridge) = network.bridge().filter(|_| network.made_bridge) {
            with(self.program, |host: &Host| share::remove_bridge(host, bridge))?;
        }
        state::forget_network(self.program, network)
    }

    fn network(&self, about: &About) -> Result<Network, Failure> {
        let id = Id::parse("NetworkID", &about.network)?;
        let there = state::networks(self.program)?;
        match there.into_iter().find(|known| known.id == id) {
            Some(network) => Ok(network),
            None => refuse(format!("network {} is not known here", id.short())),
        }
    }

    /// `CreateEndpoint`: the whole attachment, its link still in the host's namespace.
    pub(super) fn create_endpoint(&self, about: &About) -> Answer {
        let (network, endpoint) = (self.network(about)?, endpoint(about)?);
        if !network.has_links() {
            return Ok(json!({}));
        }
        let call = attachment(&network.endpoint(about)?, &endpoint)?;
        let known = self.entry(&call)?.filter(|entry| entry.record.state == State::Attached);
        if let Some(entry) = known {
            let same = entry.record.conf.get("network") == Some(&Value::Object(call.conf.raw));
            return if same {
                Ok(json!({ "Interface": network.created(about, &result(&entry)?) }))
            } else {
                refuse(format!("endpoint {} is there already", endpoint.short()))
            };
        }
        self.free_stale(&network, about, &call)?;
        let success = add(self.program, &call)?;
        Ok(json!({ "Interface": network.created(about, &success) }))
    }

    /// What Docker gives to one endpoint of a network no other one has: it forgot that one, as
    /// after a kill of the daemon where our IPAM is not that network's.
    fn free_stale(&self, network: &Network, about: &About, call: &Attach) -> Result<(), Failure> {
        let given = about.interface.addresses();
        let entries =
            with(self.program, |host: &Host| Ok(host.ledger.list(Some(&network.name()))?))?;
        let stale = entries.iter().map(|entry| &entry.record).filter(|record| {
            record.id.container != call.id.container
                && record.addresses.iter().any(|address| given.contains(address))
        });
        for record in stale {
            if let Ok(other) = Id::parse("endpoint", &record.id.container) {
                self.remove(network, &other)?;
            }
        }
        Ok(())
    }

    /// `DeleteEndpoint`.
    pub(super) fn delete_endpoint(&self, about: &About) -> Answer {
        let endpoint = endpoint(about)?;
        let Ok(network) = self.network(about) else { return Ok(json!({})) };
        self.remove(&network, &endpoint)?;
        Ok(json!({}))
    }

    /// Undoes an endpoint: its ports, then its attachment.
    pub(super) fn remove(&self, network: &Network, endpoint: &Id) -> Result<(), Failure> {
        if !network.has_links() {
            return Ok(());
        }
        ports::withdraw(self.program, network, endpoint)?;
        Ok(del(self.program, &attachment(&network.conf(), endpoint)?)?)
    }

    /// `Join`: the names by which Docker moves the link, and the way out.
    pub(super) fn join(&self, about: &About) -> Answer {
        let (network, endpoint) = (self.network(about)?, endpoint(about)?);
        let made =
            if network.has_links() { self.made(&network, &endpoint)? } else { Success::default() };
        Ok(json!(network.joined(&endpoint, &made)))
    }

    /// What the endpoint's ADD was answered with.
    fn made(&self, network: &Network, endpoint: &Id) -> Result<Success, Failure> {
        let call = attachment(&network.conf(), endpoint)?;
        match self.entry(&call)? {
            Some(entry) if entry.record.state == State::Attached => result(&entry),
            _ => refuse(format!("endpoint {} is not known here", endpoint.short())),
        }
    }

    fn entry(&self, call: &Attach) -> Result<Option<Entry>, Failure> {
        with(self.program, |host: &Host| Ok(host.ledger.get(&call.id)?))
    }

    /// `EndpointOperInfo`: Docker has no use for what a remote driver says.
    pub(super) fn info(&self, about: &About) -> Answer {
        self.network(about)?;
        endpoint(about)?;
        Ok(json!({ "Value": {} }))
    }

    /// `ProgramExternalConnectivity`: the endpoint is its container's gateway, and has the ports.
    pub(super) fn publish(&self, about: &About) -> Answer {
        let (network, endpoint) = (self.network(about)?, endpoint(about)?);
        let wanted = wharfinger_docker::choices(&about.options, network.binding)?;
        if wanted.is_empty() || !network.has_links() {
            return Ok(json!({}));
        }
        let made = self.made(&network, &endpoint)?;
        ports::publish(self.program, &network, &endpoint, &made, &wanted)?;
        Ok(json!({}))
    }

    /// `RevokeExternalConnectivity` and `Leave`: the ports are free.
    pub(super) fn withdraw(&self, about: &About) -> Answer {
        let endpoint = endpoint(about)?;
        if let Ok(network) = self.network(about)
            && network.has_links()
        {
            ports::withdraw(self.program, &network, &endpoint)?;
        }
        Ok(json!({}))
    }
}

fn endpoint(about: &About) -> Result<Id, Failure> {
    Ok(Id::parse("EndpointID", &about.endpoint)?)
}

/// The call that is about an endpoint.
fn attachment(value: &Value, endpoint: &Id) -> Result<Attach, Failure> {
    Ok(call(conf(value)?, endpoint.as_str(), &interface(endpoint)))
}

fn result(entry: &Entry) -> Result<Success, Failure> {
    let result = entry.record.result.clone().unwrap_or_default();
    Ok(Success::parse(Version::V1_1_0, &result)?)
}
