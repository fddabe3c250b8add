//! `[trace]`: where spans are sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Result, bail};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TraceSection {
    endpoint: String,
}

impl TraceSection {
    /// A collector on this node: what it is told goes in clear, so it goes no further.
    pub(super) fn collector(&self) -> Result<SocketAddr> {
        let Self { endpoint } = self;
        let place = endpoint.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let place = place.map(|place| place.replacen("localhost:", "127.0.0.1:", 1));
        let address = place.and_then(|place| place.parse::<SocketAddr>().ok());
        match address {
            Some(address) if is_here(address.ip()) => Ok(address),
            Some(address) => bail!(
                "trace.endpoint is {endpoint:?}: {} is not this node; a collector on this node, as \
                 http://127.0.0.1:4318, sends it on",
                address.ip()
            ),
            None => bail!(
                "trace.endpoint is {endpoint:?}, which is not of the form http://127.0.0.1:4318"
            ),
        }
    }
}

fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.to_canonical() == IpAddr::V4(Ipv4Addr::LOCALHOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_on_this_node() {
        let of = |endpoint: &str| {
            let endpoint = endpoint.to_owned();
            TraceSection { endpoint }.collector().map_err(|error| error.to_string())
        };
        let good = |text: &str| of(text).map(|address| address.to_string());
        assert_eq!(good("http://127.0.0.1:4318").as_deref(), Ok("127.0.0.1:4318"));
        assert_eq!(good("http://localhost:4318/").as_deref(), Ok("127.0.0.1:4318"));
        assert_eq!(good("http://[::1]:4318").as_deref(), Ok("[::1]:4318"));
        for (bad, why) in [
            ("https://127.0.0.1:4318", "not of the form"),
            ("http://127.0.0.1", "not of the form"),
            ("http://127.0.0.1:4318/v1/traces", "not of the form"),
            ("http://192.0.2.1:4318", "is not this node"),
            ("http://0.0.0.0:4318", "is not this node"),
            ("", "not of the form"),
        ] {
            let said = of(bad).err().unwrap_or_default();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
