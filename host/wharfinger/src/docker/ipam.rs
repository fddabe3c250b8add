//! The IPAM driver: pools, and addresses from components.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_attach::dry::{self, Unwell};
use wharfinger_attach::hold::{self, Held};
use wharfinger_attach::{Error, Host};
use wharfinger_cni::AttachmentId;
use wharfinger_docker::wire::{AddressOf, RequestPool};
use wharfinger_docker::{Pool, SPACES, Wanted};
use wharfinger_ledger::{Record, State};

use super::calls::{Answer, Failure, add, call, conf, del, with};
use super::{Server, state};
use crate::events;
use crate::program::Program;

/// One call's work with pools.
pub(super) struct Ipam<'a> {
    pub(super) server: &'a Server,
    pub(super) program: &'a Program,
}

/// An address that is held as it is.
pub(super) fn held(pool: &Pool, address: IpAddr) -> Held {
    Held {
        id: id(pool, &named(address)),
        domain: pool.domain.clone(),
        address,
        conf: json!({ "network": pool.conf(None) }),
    }
}

/// Under what the book has an address that was named.
fn named(address: IpAddr) -> String {
    format!("ip-{}", address.to_string().replace(':', "-"))
}

/// Holds again what was asked for by name, where a reboot or the loss of the ledger let it go.
pub(super) fn hold_named(program: &Program, pool: &Pool) -> Result<(), Failure> {
    for address in &pool.named {
        with(program, |host: &Host| match host.ledger.get(&held(pool, *address).id)? {
            Some(_) => Ok(()),
            None => hold_in(host, pool, *address),
        })?;
    }
    Ok(())
}

/// Holds an address of a pool as it is. A network's gateway is that of each node of a cluster: one of
/// them holds it, and the others have it, too.
fn hold_in(host: &Host, pool: &Pool, address: IpAddr) -> Result<(), Error> {
    let held = held(pool, address);
    match hold::hold(host, &held) {
        Err(Error::AddressHeld { holder, .. })
            if pool.gateway == Some(address) && is_of(&holder, &held.id) =>
        {
            Ok(())
        }
        done => done,
    }
}

/// Whether who has an address is this one, on whichever node: the name of another node stands before
/// the container.
fn is_of(holder: &str, id: &AttachmentId) -> bool {
    let end = format!("/{}/{}", id.container, id.ifname);
    holder.strip_prefix(&id.network).is_some_and(|rest| {
        let node = rest.strip_suffix(&end);
        node.is_some_and(|node| node.is_empty() || node.starts_with('/'))
    })
}

fn id(pool: &Pool, ifname: &str) -> AttachmentId {
    AttachmentId {
        network: pool.network.clone(),
        container: pool.holder(),
        ifname: ifname.to_owned(),
    }
}

fn refuse<T>(text: String) -> Result<T, Failure> {
    Err(Failure::Refused(text))
}

impl Ipam<'_> {
    /// `RequestPool`.
    pub(super) fn request_pool(&self, request: &RequestPool) -> Answer {
        let _one = self.server.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let there = state::pools(self.program)?;
        let pool = Pool::read(request, &there)?;
        let conf = conf(&pool.conf(None))?;
        with(self.program, |host: &Host| match dry::status(host, &conf, &[]) {
            Ok(()) => Ok(()),
            Err(Unwell::NotAvailable(error) | Unwell::Impaired(error)) => Err(*error),
        })?;
        state::keep_pool(self.program, &pool)?;
        let what = json!({ "pool": pool.id, "network": pool.network, "uses": pool.uses });
        events::happened(&self.server.paths.run, "docker pool requested", &what);
        Ok(json!({ "PoolID": pool.id, "Pool": pool.pool, "Data": {} }))
    }

    /// `ReleasePool`: with the last one goes all that is held of it.
    pub(super) fn release_pool(&self, request: &AddressOf) -> Answer {
        let _one = self.server.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut pool) = self.find(&request.pool)? else { return Ok(json!({})) };
        pool.uses = pool.uses.saturating_sub(1);
        if pool.uses > 0 {
            state::keep_pool(self.program, &pool)?;
            return Ok(json!({}));
        }
        self.drop_pool(&pool)?;
        Ok(json!({}))
    }

    /// Takes a pool away, with all that is held of it.
    pub(super) fn drop_pool(&self, pool: &Pool) -> Result<(), Failure> {
        for record in self.records(pool)? {
            self.free(pool, &record)?;
        }
        state::forget_pool(self.program, pool)?;
        let what = json!({ "pool": pool.id, "network": pool.network });
        events::happened(&self.server.paths.run, "docker pool released", &what);
        Ok(())
    }

    /// `RequestAddress`.
    pub(super) fn request_address(&self, request: &AddressOf) -> Answer {
        let Some(pool) = self.find(&request.pool)? else {
            return refuse(format!("pool {:?} is not known here", short(&request.pool)));
        };
        hold_named(self.program, &pool)?;
        let address = match pool.wanted(&request.address, request.is_gateway())? {
            Wanted::Any => self.any(&pool)?,
            Wanted::Asked(ip) => self.asked(&pool, ip)?,
            Wanted::Held(ip) => self.hold(&pool, ip, request)?,
        };
        Ok(json!({ "Address": pool.with_length(address), "Data": {} }))
    }

    /// The component chooses. Docker names nobody: each has a name of its own. Where the ledger was
    /// lost and made anew, an address may be given that a container has: it stays held for that one.
    fn any(&self, pool: &Pool) -> Result<IpAddr, Failure> {
        loop {
            let name = format!("a-{:012x}", RandomState::new().build_hasher().finish() >> 16);
            let address = self.given(pool, &name, None)?;
            if !self.is_in_use(pool, address)? {
                return Ok(address);
            }
        }
    }

    /// Whether an endpoint has it. A swarm's manager gives addresses before nodes do.
    fn is_in_use(&self, pool: &Pool, address: IpAddr) -> Result<bool, Failure> {
        if pool.space != SPACES[0] {
            return Ok(false);
        }
        let entries = with(self.program, |host: &Host| Ok(host.ledger.list(None)?))?;
        // The address space of a network's own attachments has the network's name.
        let endpoint = |record: &Record| {
            record.domain == record.id.network && record.domain.starts_with("docker-")
        };
        let mut records = entries.iter().map(|entry| &entry.record);
        Ok(records.any(|record| endpoint(record) && record.addresses.contains(&address)))
    }

    /// The component is asked for this one. One that an earlier call was killed over is given.
    fn asked(&self, pool: &Pool, address: IpAddr) -> Result<IpAddr, Failure> {
        let _one = self.server.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = named(address);
        self.refuse_finished(pool, &name, address)?;
        self.keep_named(pool, address, false)?;
        self.given(pool, &name, Some(address)).inspect_err(|_| {
            let _ = self.forget_named(pool, address);
        })
    }

    fn refuse_finished(&self, pool: &Pool, name: &str, address: IpAddr) -> Result<(), Failure> {
        let id = id(pool, name);
        let there = with(self.program, |host: &Host| Ok(host.ledger.get(&id)?))?;
        match there.filter(|entry| entry.record.state == State::Attached) {
            Some(_) => refuse(format!("{address} is in use")),
            None => Ok(()),
        }
    }

    fn given(&self, pool: &Pool, name: &str, wanted: Option<IpAddr>) -> Result<IpAddr, Failure> {
        let call = call(conf(&pool.conf(wanted))?, &pool.holder(), name);
        let success = add(self.program, &call)?;
        let mut given = success.ips.iter().map(|ip| ip.address.addr());
        let fits =
            |ip: &IpAddr| pool.pool.contains(ip) && wanted.is_none_or(|wanted| wanted == *ip);
        if let Some(address) = given.find(fits) {
            return Ok(address);
        }
        del(self.program, &call)?;
        refuse(format!("the plugin gave no address of {} that fits", pool.pool))
    }

    /// A gateway's, or one outside of the range: nobody is asked. A gateway that nobody names is
    /// the first one, or where that is somebody's already one that the component gives.
    fn hold(&self, pool: &Pool, address: IpAddr, request: &AddressOf) -> Result<IpAddr, Failure> {
        let _one = self.server.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !request.is_gateway() {
            self.refuse_finished(pool, &named(address), address)?;
        }
        self.keep_named(pool, address, request.is_gateway())?;
        let mut pool = pool.clone();
        pool.gateway = request.is_gateway().then_some(address);
        let pool = &pool;
        match self.program.verb(|host| hold_in(host, pool, address)) {
            Ok(()) => Ok(address),
            Err(Error::AddressHeld { .. }) if request.address.is_empty() => {
                self.forget_named(pool, address)?;
                self.any(pool)
            }
            Err(error) => {
                self.forget_named(pool, address)?;
                Err(error.into())
            }
        }
    }

    /// `ReleaseAddress`: one that is not held is free.
    pub(super) fn release_address(&self, request: &AddressOf) -> Answer {
        let Some(pool) = self.find(&request.pool)? else { return Ok(json!({})) };
        let address = pool.contained(&request.address)?;
        for record in self.records(&pool)? {
            if record.addresses.contains(&address) {
                self.free(&pool, &record)?;
            }
        }
        self.forget_named(&pool, address)?;
        Ok(json!({}))
    }

    /// Frees what one record holds.
    pub(super) fn free(&self, pool: &Pool, record: &Record) -> Result<(), Failure> {
        if record.plugin.is_none() {
            let id = &record.id;
            return with(self.program, |host: &Host| hold::release(host, id, Duration::ZERO));
        }
        Ok(del(
            self.program,
            &call(conf(&pool.conf(None))?, &record.id.container, &record.id.ifname),
        )?)
    }

    /// What is held of a pool for Docker.
    pub(super) fn records(&self, pool: &Pool) -> Result<Vec<Record>, Failure> {
        let holder = pool.holder();
        let entries =
            with(self.program, |host: &Host| Ok(host.ledger.list(Some(&pool.network))?))?;
        let records = entries.into_iter().map(|entry| entry.record);
        Ok(records.filter(|record| record.id.container == holder).collect())
    }

    fn find(&self, id: &str) -> Result<Option<Pool>, Failure> {
        Ok(state::pools(self.program)?.into_iter().find(|pool| pool.id == id))
    }

    /// Docker does not ask for it again after a reboot.
    fn keep_named(&self, pool: &Pool, address: IpAddr, gateway: bool) -> Result<(), Failure> {
        self.change(pool, &|pool| {
            if !pool.named.contains(&address) {
                pool.named.push(address);
            }
            if gateway {
                pool.gateway = Some(address);
            }
        })
    }

    fn forget_named(&self, pool: &Pool, address: IpAddr) -> Result<(), Failure> {
        self.change(pool, &|pool| {
            pool.named.retain(|it| *it != address);
            pool.gateway = pool.gateway.filter(|it| *it != address);
        })
    }

    fn change(&self, pool: &Pool, how: &dyn Fn(&mut Pool)) -> Result<(), Failure> {
        let _one = self.server.pools.lock().unwrap_or_else(PoisonError::into_inner);
        // Others may have changed it meanwhile.
        let Some(mut pool) = self.find(&pool.id)? else { return Ok(()) };
        let before = pool.clone();
        how(&mut pool);
        if pool == before { Ok(()) } else { state::keep_pool(self.program, &pool) }
    }
}

fn short(text: &str) -> Value {
    text.chars().take(80).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_known_on_another_node() {
        let id = AttachmentId {
            network: "docker-10.120.0.0-24".into(),
            container: "wharfinger-10.120.0.0-24".into(),
            ifname: "ip-10.120.0.1".into(),
        };
        assert!(is_of(&id.to_string(), &id));
        let other = "docker-10.120.0.0-24/node-0/wharfinger-10.120.0.0-24/ip-10.120.0.1";
        assert!(is_of(other, &id));
        for no in [
            "docker-10.120.0.0-24/node-0/wharfinger-10.120.0.0-24/ip-10.120.0.2",
            "docker-10.120.0.0-24/c/eth0",
            "docker-10.120.0.0-240/wharfinger-10.120.0.0-24/ip-10.120.0.1",
            "",
        ] {
            assert!(!is_of(no, &id), "{no}");
        }
    }
}
