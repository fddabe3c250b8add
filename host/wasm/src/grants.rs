//! What the operator granted to one plugin beyond the imports of its world. Default: nothing.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Grants of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// `plugins.NAME.http`: where it may send requests.
    pub http: Vec<HttpGrant>,
    /// `plugins.NAME.pod`: it may read what the cluster's API says of the pod.
    pub pod: bool,
}

/// One place that requests may go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Where a request wants to go, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    /// In lower case, an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// In upper case.
    pub(crate) method: String,
}

impl Target {
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// What an operator writes into the node's TOML file to grant this to a plugin.
    pub(crate) fn grant(&self, digest: &str) -> String {
        let mut text = format!("[[plugins.{}.http]]\n", toml(digest));
        let _ = writeln!(text, "scheme = \"{}\"", self.scheme());
        let _ = writeln!(text, "host = {}", toml(&self.host));
        let _ = writeln!(text, "port = {}", self.port);
        let _ = write!(text, "methods = [{}]", toml(&self.method));
        text
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets = self.host.contains(':');
        let host = if brackets { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{} {}://{host}:{}", self.method, self.scheme(), self.port)
    }
}

/// What an operator writes into the node's TOML file to let a plugin read of the pod: a plugin that
/// is built in or installed is named, one at a path is told by its digest.
pub(crate) fn pod(identity: &str) -> String {
    let (name, digest) = identity.rsplit_once('@').unwrap_or(("", identity));
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let named = !name.is_empty() && name.chars().all(bare);
    let key = if named { name.to_owned() } else { toml(digest) };
    format!("[plugins.{key}]\npod = true")
}

/// A TOML basic string; what a plugin made up may hold anything.
fn toml(text: &str) -> String {
    let clean = text.chars().take(253).map(|c| if c.is_control() { ' ' } else { c });
    let mut quoted = String::from("\"");
    for c in clean {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

impl Grants {
    /// The grant that covers this.
    pub(crate) fn http_for(&self, target: &Target) -> Option<&HttpGrant> {
        self.http.iter().find(|grant| {
            grant.tls == target.tls
                && grant.host.eq_ignore_ascii_case(&target.host)
                && grant.port == target.port
                && grant.methods.contains(&target.method)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> HttpGrant {
        HttpGrant {
            tls: true,
            host: "ipam.example".to_owned(),
            port: 443,
            methods: vec!["GET".to_owned()],
            timeout: Duration::from_secs(1),
            size: 1,
            addresses: vec![],
            authorities: None,
        }
    }

    fn target() -> Target {
        Target { tls: true, host: "ipam.example".into(), port: 443, method: "GET".into() }
    }

    #[test]
    fn a_grant_covers_its_scheme_host_port_and_method_alone() {
        let grants = Grants { http: vec![grant()], ..Grants::default() };
        assert!(grants.http_for(&target()).is_some());
        for other in [
            Target { tls: false, ..target() },
            Target { host: "ipam.example.org".into(), ..target() },
            Target { port: 444, ..target() },
            Target { method: "POST".into(), ..target() },
        ] {
            assert_eq!(grants.http_for(&other), None, "{other}");
        }
        assert_eq!(Grants::default().http_for(&target()), None);
    }

    #[test]
    fn pain_h15_the_lines_that_would_grant_it_are_toml() {
        let said = target().grant("sha256:ab");
        assert_eq!(
            said,
            "[[plugins.\"sha256:ab\".http]]\nscheme = \"https\"\nhost = \"ipam.example\"\n\
             port = 443\nmethods = [\"GET\"]"
        );
        assert_eq!(pod("rules@sha256:ab"), "[plugins.rules]\npod = true");
        assert_eq!(pod("/a/b.wasm@sha256:ab"), "[plugins.\"sha256:ab\"]\npod = true");
        let wild = Target { host: "a\"\n]".into(), ..target() };
        assert!(wild.grant("x").contains("host = \"a\\\" ]\""), "{}", wild.grant("x"));
    }
}
