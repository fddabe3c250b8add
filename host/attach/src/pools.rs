//! What a network allocates from, and how full that is: for people to look at. The component is asked
//! for its pools and for nothing else, and nothing is written.

use std::path::PathBuf;

use wharfinger_cni::NetConf;
use wharfinger_ledger::{Range, Record, Usage};
use wharfinger_wasm::Node;

use crate::conf::{IpamConf, Source};
use crate::network::{Network, pretended};
use crate::{Error, Host, book, deputy, error, ipam, reserve};

/// Ranges under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// As the component calls it.
    pub name: String,
    /// The address space.
    pub domain: String,
    /// What belongs to it.
    pub ranges: Vec<Range>,
    /// How full they are, whoever holds it.
    pub usage: Usage,
}

/// Where a network's addresses come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// From these pools of a component, which is called so.
    Pools(String, Vec<Pool>),
    /// There are no pools to tell of, and why.
    None(String),
}

/// By a configuration; `path` is `CNI_PATH`.
pub fn of_conf(host: &Host, conf: &NetConf, path: &[PathBuf]) -> Result<Given, Error> {
    let mut call = pretended(conf, "eth0", "pools");
    call.path = path.to_vec();
    let network = Network::read(host, &call)?;
    let Some(ipam) = &network.ipam else {
        return Ok(Given::None("it has no addresses of ours".to_owned()));
    };
    match &ipam.source {
        Source::Component(name) => {
            let pools = of_component(host, &conf.name, &network.domain, ipam, name)?;
            Ok(Given::Pools(name.clone(), pools))
        }
        Source::Executable(name) => {
            Ok(Given::None(format!("the executable {name} gives its addresses")))
        }
        Source::Dhcp => Ok(Given::None("a DHCP server gives its addresses".to_owned())),
    }
}

/// By what an attachment was made with, for a network whose configuration is not there.
pub fn of_record(host: &Host, record: &Record) -> Result<Given, Error> {
    match deputy::kept_conf(&record.conf) {
        Some(conf) => of_conf(host, &conf, &deputy::folders(record, None)),
        None => Ok(Given::None("its configuration is not known any more".to_owned())),
    }
}

fn of_component(
    host: &Host,
    network: &str,
    domain: &str,
    ipam: &IpamConf,
    name: &str,
) -> Result<Vec<Pool>, Error> {
    let plugin = host.engine.ipam(name).map_err(|error| error::plugin(error, "/ipam"))?;
    let node = Node { now: host.node.now(), ..host.settings.node.clone() };
    let pools = plugin.pools(&node, &ipam::config(host, ipam)?);
    let reserved = reserve::of(host, network, ipam);
    let full = |pool: wharfinger_wasm::Pool| {
        let ranges = book::ranges(&pool.ranges);
        let usage = match &reserved {
            None => host.ledger.usage(domain, &ranges, node.now)?,
            Some(reserved) => reserved.usage(&ranges)?,
        };
        Ok(Pool { name: pool.name, domain: domain.to_owned(), ranges, usage })
    };
    pools.map_err(|error| error::plugin(error, "/ipam"))?.into_iter().map(full).collect()
}
