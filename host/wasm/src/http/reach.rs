//! From a granted host to an open connection: names are resolved here, every address is
//! checked, and the connection goes to the address that was checked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::exchange::Failure;
use crate::grants::HttpGrant;
use crate::raw::own_addresses;

/// Connects to one of the host's addresses.
pub(super) async fn connect(grant: &HttpGrant) -> Result<TcpStream, Failure> {
    let own = own_addresses().map_err(|e| Failure::Connect(format!("own addresses: {e}")))?;
    let mut why = Failure::Name(format!("{} has no address", grant.host));
    for address in resolve(grant).await? {
        if let Some(what) = prohibited(address.ip(), &own, &grant.addresses) {
            why = Failure::Prohibited(address.ip(), what);
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => why = Failure::Connect(format!("{address}: {e}")),
        }
    }
    Err(why)
}

async fn resolve(grant: &HttpGrant) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(address) = grant.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, grant.port)]);
    }
    let found = tokio::net::lookup_host((grant.host.as_str(), grant.port)).await;
    let found = found.map_err(|e| Failure::Name(format!("{}: {e}", grant.host)))?;
    Ok(found.collect())
}

/// Why a request may not go there; none if it may. What the grant names may be reached
/// whatever it is.
fn prohibited(address: IpAddr, own: &[IpAddr], named: &[IpAddr]) -> Option<&'static str> {
    let address = address.to_canonical();
    if named.iter().any(|named| named.to_canonical() == address) {
        return None;
    }
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    match address {
        a if a.is_unspecified() => Some("the unspecified address"),
        a if a.is_loopback() => Some("a loopback address"),
        a if a.is_multicast() || broadcast => Some("a multicast or broadcast address"),
        _ if link_local => Some("a link-local address"),
        a if own.contains(&a) => Some("an address of this node"),
        _ => None,
    }
}

/// Speaks TLS on a connection; the host must prove that it is the granted one.
pub(super) async fn secure(
    grant: &HttpGrant,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let failed = |what: String| Failure::Tls(format!("{}: {what}", grant.host));
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(e.to_string()))?
        .with_root_certificates(authorities(grant).map_err(&failed)?)
        .with_no_client_auth();
    let name = ServerName::try_from(grant.host.clone()).map_err(|e| failed(e.to_string()))?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.map_err(|e| failed(e.to_string()))
}

fn authorities(grant: &HttpGrant) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = &grant.authorities else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err("the system has no certificates of authorities; name them with \"ca\" in \
                        the grant"
                .to_owned());
        }
        return Ok(roots);
    };
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| format!("the grant's \"ca\": {e}"))?;
        roots.add(certificate).map_err(|e| format!("the grant's \"ca\": {e}"))?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(address: &str, own: &[&str], named: &[&str]) -> Option<&'static str> {
        let read = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<Vec<_>>();
        prohibited(address.parse().unwrap(), &read(own), &read(named))
    }

    #[test]
    fn what_is_near_is_reached_only_by_name_of_its_address() {
        for near in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "::",
            "169.254.169.254",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "fd00::9",
        ] {
            let own = ["10.0.0.1", "fd00::9"];
            assert!(said(near, &own, &[]).is_some(), "{near}");
            assert_eq!(said(near, &own, &[near]), None, "{near}");
        }
        for far in ["10.0.0.2", "93.184.216.34", "2001:db8::1", "::ffff:10.0.0.2"] {
            assert_eq!(said(far, &["10.0.0.1"], &[]), None, "{far}");
        }
    }

    #[test]
    fn loopback_is_among_the_nodes_own() {
        assert!(own_addresses().unwrap().contains(&IpAddr::from([127, 0, 0, 1])));
    }
}
