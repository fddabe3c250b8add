//! Where etcd is, and who we are to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use etcd_client::ConnectOptions;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::verdict::Verdict;

/// What an operator says of etcd. Files are read when a connection is made: what is replaced
/// (certificates that end, a new password) is used from the next connection on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URLs of members, as `https://10.0.0.1:2379`. Without a scheme: https where there is a
    /// `ca`. Without a port: 2379.
    pub endpoints: Vec<String>,
    /// What all keys begin with, before a slash.
    pub prefix: String,
    /// Certificates (PEM) of the authority that members are known by. A member is always verified;
    /// the system's own authorities are not asked, so https needs it.
    pub ca: Option<PathBuf>,
    /// Our own certificate (PEM), which members know us by; with `key`.
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
    /// Our name, where etcd has users; with `password_file`.
    pub user: Option<String>,
    /// Holds the password; white space at its end is not part of it.
    pub password_file: Option<PathBuf>,
    /// How long one member may take to answer; one that is silent for an eighth of it has another
    /// asked beside it. A commit that was sent is waited for until the caller's time is over.
    pub timeout: Duration,
}

/// Settings that cannot be right; the text says which, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("etcd: {0}")]
pub struct Invalid(String);

impl Settings {
    /// The members' URLs, and the prefix with its slash.
    pub(crate) fn check(&self) -> Result<(Vec<String>, String), Invalid> {
        let wrong = |text: &str| Err(Invalid(text.to_owned()));
        if self.endpoints.is_empty() {
            return wrong("no endpoints: name at least one member, as https://10.0.0.1:2379");
        }
        if self.cert.is_some() != self.key.is_some() {
            return wrong("cert and key go together");
        }
        if self.user.is_some() != self.password_file.is_some() {
            return wrong("user and password_file go together");
        }
        let prefix = self.prefix.trim_matches('/');
        if prefix.is_empty() {
            return wrong("the prefix is empty: the book would stand among the keys of others");
        }
        if self.timeout.is_zero() {
            return wrong("the timeout is zero");
        }
        let urls = self.endpoints.iter().map(|text| self.url(text)).collect::<Result<_, _>>()?;
        Ok((urls, format!("{prefix}/")))
    }

    fn url(&self, text: &str) -> Result<String, Invalid> {
        let wrong = |why: &str| Err(Invalid(format!("endpoint {text:?}: {why}")));
        let secure = self.ca.is_some();
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false if secure => format!("https://{text}"),
            false => format!("http://{text}"),
        };
        let Ok(uri) = whole.parse::<tonic::transport::Uri>() else { return wrong("not a URL") };
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return wrong("not a URL with a host");
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || whole.contains('@') {
            return wrong("more than scheme, host and port");
        }
        match scheme {
            "https" if !secure => return wrong("https needs `ca`, which the member is known by"),
            "http" if secure || self.cert.is_some() => {
                return wrong(
                    "http has no use for `ca` and `cert`: write https, or leave them out",
                );
            }
            "http" | "https" => {}
            _ => return wrong("neither http nor https"),
        }
        Ok(format!("{scheme}://{host}:{}", uri.port_u16().unwrap_or(2379)))
    }

    /// How a member is connected to, with what the files hold now.
    pub(crate) fn endpoint(&self, url: &str) -> Result<Endpoint, Verdict> {
        let refused = |error: tonic::transport::Error| {
            let said = crate::verdict::causes(&error);
            Verdict::Refused(format!("etcd's ca, cert or key cannot be used: {said}"))
        };
        // Pings where an answer is waited for, not oftener than etcd allows: a watch on a member
        // that vanished without a word would wait for ever.
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(refused)?
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5));
        match self.tls()? {
            Some(tls) => endpoint.tls_config(tls).map_err(refused),
            None => Ok(endpoint),
        }
    }

    fn tls(&self) -> Result<Option<ClientTlsConfig>, Verdict> {
        let Some(ca) = &self.ca else { return Ok(None) };
        let text = read("ca", ca)?;
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            let name = ca.display();
            return Err(Verdict::Refused(format!("etcd's ca {name} has no certificate (PEM)")));
        }
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(text));
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else { return Ok(Some(tls)) };
        Ok(Some(tls.identity(Identity::from_pem(read("cert", cert)?, read("key", key)?))))
    }

    /// A member without a leader says so at once, rather than let us wait.
    pub(crate) fn options(&self) -> Result<ConnectOptions, Verdict> {
        let options = ConnectOptions::new().with_require_leader(true);
        let (Some(user), Some(file)) = (&self.user, &self.password_file) else {
            return Ok(options);
        };
        Ok(options.with_user(user, read("password_file", file)?.trim_end()))
    }
}

fn read(what: &str, path: &Path) -> Result<String, Verdict> {
    std::fs::read_to_string(path).map_err(|error| {
        Verdict::Refused(format!("cannot read etcd's {what} {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str) -> Settings {
        Settings {
            endpoints: vec![endpoint.into()],
            prefix: "wharfinger".into(),
            ca: None,
            cert: None,
            key: None,
            user: None,
            password_file: None,
            timeout: Duration::from_secs(2),
        }
    }

    fn with_ca(endpoint: &str) -> Settings {
        Settings { ca: Some("/ca.pem".into()), ..settings(endpoint) }
    }

    #[test]
    fn endpoints_are_made_whole() {
        let whole = |settings: Settings| settings.check().unwrap().0.remove(0);
        assert_eq!(whole(settings("10.0.0.1")), "http://10.0.0.1:2379");
        assert_eq!(whole(settings("http://a.example:80/")), "http://a.example:80");
        assert_eq!(whole(with_ca("[fd00::1]:1")), "https://[fd00::1]:1");
        assert_eq!(whole(with_ca("https://[fd00::1]")), "https://[fd00::1]:2379");
    }

    #[test]
    fn settings_that_cannot_be_right_say_which() {
        let said = |settings: Settings| settings.check().unwrap_err().to_string();
        assert!(said(settings("https://a")).contains("needs `ca`"));
        assert!(said(with_ca("http://a")).contains("write https"));
        assert!(said(settings("ftp://a")).contains("neither http nor https"));
        assert!(said(settings("http://user:password@a")).contains("more than scheme"));
        assert!(said(settings("http://a/v3")).contains("more than scheme"));
        assert!(said(settings("a b")).contains("not a URL"));
        assert!(said(settings("")).contains("not a URL"));
        assert!(said(Settings { endpoints: vec![], ..settings("a") }).contains("no endpoints"));
        assert!(said(Settings { prefix: "/".into(), ..settings("a") }).contains("prefix"));
        assert!(said(Settings { user: Some("u".into()), ..settings("a") }).contains("together"));
        assert!(said(Settings { cert: Some("c".into()), ..settings("a") }).contains("together"));
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let Err(Verdict::Refused(text)) = with_ca("a").endpoint("https://a:1") else { panic!() };
        assert!(text.contains("ca /ca.pem"), "{text}");
        let none = Settings { ca: Some("/dev/null".into()), ..settings("a") };
        let Err(Verdict::Refused(text)) = none.endpoint("https://a:1") else { panic!() };
        assert!(text.contains("/dev/null has no certificate"), "{text}");
    }
}
