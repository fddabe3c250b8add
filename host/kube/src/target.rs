//! Whom we speak to and who we are to it, as the files say now.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::settings::{Access, Invalid, Settings};
use crate::yaml;

/// The largest file that is read.
const LARGEST: u64 = 4 << 20;

/// See the module. Two that are equal may share a connection.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What stands before each path; without a slash at its end.
    pub(crate) base: String,
    /// The name in the server's certificate.
    name: String,
    /// PEM; none: the system's authorities.
    ca: Option<Vec<u8>>,
    /// Certificate and key, PEM.
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// A target, and the token of now.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) target: Target,
    pub(crate) token: Option<String>,
}

// Keys and tokens are in no message, not even in one for developers.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("target", &self.target).finish_non_exhaustive()
    }
}

fn invalid<T>(text: String) -> Result<T, Invalid> {
    Err(Invalid(text))
}

impl Settings {
    /// Reads the files.
    pub(crate) fn login(&self) -> Result<Login, Invalid> {
        match &self.access {
            Access::Kubeconfig(path) => kubeconfig(path),
            Access::Mounted { directory, server } => {
                let ca = Some(read(&directory.join("ca.crt"))?);
                let target = Target::new(server, None, ca, None)?;
                Ok(Login { target, token: Some(token_in(&directory.join("token"))?) })
            }
        }
    }
}

impl Target {
    fn new(
        server: &str,
        name: Option<&str>,
        ca: Option<Vec<u8>>,
        identity: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, Invalid> {
        let wrong = |why: &str| invalid(format!("server {server:?}: {why}"));
        let Ok(uri) = server.parse::<hyper::Uri>() else { return wrong("not a URL") };
        if uri.scheme_str() != Some("https") {
            return wrong("not https: the API server is verified, always");
        }
        let Some(host) = uri.host() else { return wrong("no host") };
        if uri.query().is_some() || uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            return wrong("more than a URL's host, port and path");
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let base = uri.path().trim_end_matches('/').to_owned();
        let name = name.unwrap_or(&host).to_owned();
        let port = uri.port_u16().unwrap_or(443);
        Ok(Self { host, port, base, name, ca, identity })
    }

    /// How its certificate is verified, and ours shown.
    pub(crate) fn tls(&self) -> Result<(ClientConfig, ServerName<'static>), Invalid> {
        let Ok(name) = ServerName::try_from(self.name.clone()) else {
            return invalid(format!("{:?} is no name of a server", self.name));
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Invalid(error.to_string()))?
            .with_root_certificates(self.roots()?);
        let Some((cert, key)) = &self.identity else {
            return Ok((builder.with_no_client_auth(), name));
        };
        let chain = certificates("client-certificate", cert)?;
        let Ok(key) = PrivateKeyDer::from_pem_slice(key) else {
            return invalid("client-key has no key (PEM)".to_owned());
        };
        let config = builder.with_client_auth_cert(chain, key);
        let unusable = |error| Invalid(format!("client-certificate cannot be used: {error}"));
        Ok((config.map_err(unusable)?, name))
    }

    fn roots(&self) -> Result<RootCertStore, Invalid> {
        let mut roots = RootCertStore::empty();
        let certificates = match &self.ca {
            Some(ca) => certificates("certificate-authority", ca)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let (good, _) = roots.add_parsable_certificates(certificates);
        if good == 0 {
            return invalid("no certificate of an authority that the server is known by".into());
        }
        Ok(roots)
    }

    /// Our own certificate.
    pub(crate) fn certificate(&self) -> Option<CertificateDer<'static>> {
        let (cert, _) = self.identity.as_ref()?;
        CertificateDer::from_pem_slice(cert).ok()
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// For texts.
    pub(crate) fn url(&self) -> String {
        format!("https://{}{}", self.authority(), self.base)
    }
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => invalid(format!("{what} has no certificate (PEM)")),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Invalid> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|it| it.take(LARGEST).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => invalid(format!("cannot read {}: {error}", path.display())),
    }
}

fn token_in(path: &Path) -> Result<String, Invalid> {
    let text = String::from_utf8(read(path)?).unwrap_or_default();
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return invalid(format!("{} has no token", path.display()));
    }
    Ok(token.to_owned())
}

fn kubeconfig(path: &Path) -> Result<Login, Invalid> {
    let wrong = |why: String| Invalid(format!("kubeconfig {}: {why}", path.display()));
    let text = String::from_utf8(read(path)?).map_err(|_| wrong("not text".into()))?;
    let file = yaml::read(&text).map_err(wrong)?;
    let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
    File { file: &file, directory }.login().map_err(|Invalid(why)| wrong(why))
}

/// A kubeconfig, and what its relative paths begin from.
struct File<'a> {
    file: &'a Value,
    directory: PathBuf,
}

/// What we do not do, and what to do instead.
const NEVER: [(&str, &str); 6] = [
    ("exec", "no program is run for credentials: use tokenFile or a client certificate"),
    ("auth-provider", "use tokenFile or a client certificate"),
    ("username", "use tokenFile or a client certificate"),
    ("password", "use tokenFile or a client certificate"),
    ("proxy-url", "the server is reached directly, or not at all"),
    ("as", "say who you are by your credentials"),
];

impl File<'_> {
    fn login(&self) -> Result<Login, Invalid> {
        let Some(current) = text(self.file, "current-context") else {
            return invalid("no current-context".to_owned());
        };
        let context = self.named("contexts", current, "context")?;
        let of = |key: &str| text(context, key).unwrap_or_default();
        let cluster = self.named("clusters", of("cluster"), "cluster")?;
        let user = self.named("users", of("user"), "user")?;
        if cluster.get("insecure-skip-tls-verify").is_some_and(|it| *it != Value::Bool(false)) {
            return invalid(
                "insecure-skip-tls-verify: whoever sits between could give addresses twice; name \
                 the certificate-authority instead"
                    .to_owned(),
            );
        }
        for (key, advice) in NEVER {
            if cluster.get(key).or(user.get(key)).is_some_and(|value| !value.is_null()) {
                return invalid(format!("{key} is not understood: {advice}"));
            }
        }
        let Some(server) = text(cluster, "server") else { return invalid("no server".into()) };
        let ca = self.data(cluster, "certificate-authority")?;
        let cert = self.data(user, "client-certificate")?;
        let identity = match (cert, self.data(user, "client-key")?) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            _ => return invalid("client-certificate and client-key go together".into()),
        };
        let target = Target::new(server, text(cluster, "tls-server-name"), ca, identity)?;
        Ok(Login { target, token: self.token(user)? })
    }

    /// The file comes before the text, as with kubectl.
    fn token(&self, user: &Value) -> Result<Option<String>, Invalid> {
        if let Some(file) = text(user, "tokenFile") {
            return Ok(Some(token_in(&self.directory.join(file))?));
        }
        match text(user, "token").map(str::trim) {
            Some(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Some(token.to_owned()))
            }
            Some(_) => invalid("the token is none".to_owned()),
            None => Ok(None),
        }
    }

    /// `KEY-data`, else what `KEY` names.
    fn data(&self, of: &Value, key: &str) -> Result<Option<Vec<u8>>, Invalid> {
        if let Some(data) = text(of, &format!("{key}-data")) {
            let data: String = data.split_ascii_whitespace().collect();
            let Ok(data) = STANDARD.decode(data) else {
                return invalid(format!("{key}-data is not base64"));
            };
            return Ok(Some(data));
        }
        text(of, key).map(|path| read(&self.directory.join(path))).transpose()
    }

    fn named(&self, list: &str, name: &str, what: &str) -> Result<&Value, Invalid> {
        let all = self.file.get(list).and_then(Value::as_array);
        let mut all = all.into_iter().flatten();
        let found = all.find(|one| text(one, "name") == Some(name)).and_then(|one| one.get(what));
        match found {
            Some(found) if found.is_object() => Ok(found),
            _ => invalid(format!("no {what} of the name {name:?} among its {list}")),
        }
    }
}

fn text<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    of.get(key)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// An authority's certificate, as those of tests are.
    const CA: &str = include_str!("../../wasm/tests/tls/ca.pem");
    const SECRET: &str = "a-token-of-nobody";

    /// Whatever a kubeconfig says: a server that is verified and reached by https, or a reason, and no
    /// secret in any text.
    #[test]
    fn fuzz_kubeconfigs() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), CA).unwrap();
        std::fs::write(dir.path().join("token"), SECRET).unwrap();
        let path = dir.path().join("kubeconfig");
        let access = Access::Kubeconfig(path.clone());
        let settings = Settings { access, timeout: Duration::from_secs(1) };
        wharfinger_fuzz::fuzz("kubeconfig", 600, |input| {
            std::fs::write(&path, input).unwrap();
            let said = match settings.login() {
                Err(why) => why.to_string(),
                Ok(login) => {
                    let token = login.token.as_deref().unwrap_or_default();
                    assert!(token.bytes().all(|byte| byte.is_ascii_graphic()), "{token:?}");
                    assert!(login.target.url().starts_with("https://"), "{login:?}");
                    // Without an authority those of this machine are read, which takes long.
                    let tls = login.target.ca.is_some().then(|| login.target.tls().map(drop));
                    format!("{login:?} {tls:?}")
                }
            };
            assert!(!said.contains(SECRET), "{said}");
            said
        });
    }
}
