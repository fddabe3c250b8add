//! The finished plan and the CNI result, as far as rules look at them.

use serde_json::Value;

use crate::facts::{self, Mapping, Values, destinations, host_ports};
use crate::json::{At, Unreadable};
use crate::net::Net;
use crate::when::{Named, Number, Text};

/// What is about to happen.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Destinations of the steps that add routes.
    pub routes: Vec<String>,
    /// Kernel parameters that are set, with slashes.
    pub sysctls: Vec<String>,
    /// Bits a second towards the container.
    pub ingress: Vec<u64>,
    /// Bits a second from the container.
    pub egress: Vec<u64>,
    /// Ports of the host led to the container.
    pub forwards: Vec<Mapping>,
    /// The CNI result.
    pub result: Value,
}

impl Plan {
    /// Addresses of the result: `ips`, or before 0.3.0 `ip4` and `ip6`.
    pub(crate) fn leased(&self) -> Result<Vec<Net>, Unreadable> {
        let result = At::root(&self.result);
        let mut texts = Vec::new();
        if let Some(list) = result.path(&["ips"])? {
            for item in list.list()? {
                texts.extend(item.path(&["address"])?);
            }
        }
        for family in ["ip4", "ip6"] {
            texts.extend(result.path(&[family, "ip"])?);
        }
        let net = |at: &At<'_>| {
            let address = facts::bare(at.text()?);
            address.map(Net::single).ok_or_else(|| at.unreadable("is not an address"))
        };
        texts.iter().map(net).collect()
    }
}

impl Values for Plan {
    fn texts(&self, text: Text) -> Result<Vec<String>, Unreadable> {
        if text != Text::Sysctl {
            return Ok(Vec::new());
        }
        Ok(self.sysctls.iter().filter_map(|key| facts::sysctl(key)).collect())
    }

    fn named(&self, _: Named, _: &str) -> Result<Vec<String>, Unreadable> {
        Ok(Vec::new())
    }

    fn numbers(&self, number: Number) -> Result<Vec<u64>, Unreadable> {
        Ok(match number {
            Number::HostPort => host_ports(&self.forwards),
            Number::IngressRate => self.ingress.clone(),
            Number::EgressRate => self.egress.clone(),
        })
    }

    fn addresses(&self) -> Result<Vec<Net>, Unreadable> {
        self.leased()
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Unreadable> {
        Ok(self.forwards.clone())
    }

    fn routes(&self) -> Result<Vec<Net>, Unreadable> {
        let mut all: Vec<Net> = self.routes.iter().filter_map(|text| Net::parse(text)).collect();
        if let Some(list) = At::root(&self.result).path(&["routes"])? {
            all.extend(destinations(&list)?);
        }
        Ok(all)
    }

    fn planned(&self) -> Option<&dyn Values> {
        None
    }
}
