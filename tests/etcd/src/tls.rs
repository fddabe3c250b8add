//! Certificates of a test's own, by the `openssl` command.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The authority, the members, a client, and an authority that nobody here trusts.
#[derive(Debug)]
pub struct Certificates(PathBuf);

const CONFIG: &str = "[req]
distinguished_name = dn
prompt = no
[dn]
CN = replaced
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[leaf]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = NAMES
";

impl Certificates {
    /// Members are known by `addresses`; the client's name is `client`.
    pub(crate) fn make(dir: PathBuf, addresses: &[IpAddr]) -> Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let mut names: Vec<String> = addresses.iter().map(|a| format!("IP:{a}")).collect();
        names.push("DNS:localhost".into());
        std::fs::write(dir.join("config"), CONFIG.replace("NAMES", &names.join(",")))?;
        let this = Self(dir);
        this.openssl("ca", "authority", None)?;
        this.openssl("stranger", "authority", None)?;
        this.openssl("member", "leaf", Some("ca"))?;
        this.openssl("client", "leaf", Some("ca"))?;
        this.openssl("impostor", "leaf", Some("stranger"))?;
        Ok(this)
    }

    fn openssl(&self, name: &str, kind: &str, by: Option<&str>) -> Result<()> {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-nodes", "-days", "20", "-subj", &format!("/CN={name}")]);
        command.arg("-config").arg(self.0.join("config")).args(["-extensions", kind]);
        command.arg("-keyout").arg(self.key(name)).arg("-out").arg(self.cert(name));
        if let Some(by) = by {
            command.arg("-CA").arg(self.cert(by)).arg("-CAkey").arg(self.key(by));
        }
        let done = command.output().context("run openssl")?;
        if !done.status.success() {
            bail!("openssl makes {name}: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(())
    }

    /// The certificate of `ca`, `member`, `client`, or of `stranger` and its `impostor`.
    pub fn cert(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }

    /// The key that goes with it.
    pub fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.key"))
    }

    /// What a member, or etcdctl, is started with: its options for the authority's certificate,
    /// its own, and its key.
    pub(crate) fn options(&self, [ca, cert, key]: [&str; 3], name: &str) -> Vec<String> {
        let option = |what: &str, path: &Path| format!("--{what}={}", path.display());
        vec![
            option(ca, &self.cert("ca")),
            option(cert, &self.cert(name)),
            option(key, &self.key(name)),
        ]
    }
}
