//! What the operator granted to one plugin beyond the imports of its world. Default: nothing.

use std::net::IpAddr;
use std::time::Duration;

/// Grants of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// `plugins.NAME.http`: where it may send requests.
    pub http: Vec<HttpGrant>,
}

/// One place that requests may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// `https`, or plain.
    pub tls: bool,
    /// The host's name or address, in lower case.
    pub host: String,
    /// The port.
    pub port: u16,
    /// "GET", in upper case.
    pub methods: Vec<String>,
    /// For one request, from its start to the end of its answer.
    pub timeout: Duration,
    /// Bytes of an answer's body, and of a request's.
    pub size: usize,
    /// Addresses that the host may resolve to although they are loopback, link-local, or the
    /// node's own.
    pub addresses: Vec<IpAddr>,
    /// PEM certificates of the authorities that sign the host's; none: the system's.
    pub authorities: Option<Vec<u8>>,
}
