//! `[plugins.NAME]` and `[plugins."sha256:…"]`: what the operator grants to one component, and its
//! own limits. A name grants the component that is built in or installed under it; a component
//! named by its path has what its digest is granted, and no more.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use wharfinger_wasm::{Grants, HttpGrant, Limits};

use super::limits::LimitsSection;

/// The deadline of a plugin that may ask over HTTP, where nobody set one.
const DEADLINE_WITH_HTTP: Duration = Duration::from_secs(10);
/// One request, where `timeout` says nothing.
const TIMEOUT: f64 = 5.0;
/// A body, where `size` says nothing.
const SIZE: usize = 1 << 20;

/// A section.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Section {
    #[serde(default)]
    amend: Vec<String>,
    #[serde(default)]
    http: Vec<HttpSection>,
    #[serde(default)]
    pod: bool,
    #[serde(default)]
    limits: LimitsSection,
}

/// `[[plugins.NAME.http]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct HttpSection {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
    methods: Vec<String>,
    timeout: Option<f64>,
    size: Option<usize>,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    ca: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Scheme {
    Http,
    Https,
}

/// All sections, found right but for files that they name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plugins {
    node: LimitsSection,
    sections: BTreeMap<String, Section>,
}

impl Plugins {
    pub(super) fn new(node: LimitsSection, sections: BTreeMap<String, Section>) -> Result<Self> {
        for (key, section) in &sections {
            section.check(key)?;
        }
        Ok(Self { node, sections })
    }

    /// The sections about a component: its digest's comes last, and has the last word. `name` is
    /// none of a component that is named by its path.
    fn about<'a>(
        &'a self,
        name: Option<&'a str>,
        digest: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Section)> {
        let keys = name.into_iter().chain([digest]);
        keys.filter_map(|key| Some((key, self.sections.get(key)?)))
    }

    /// What a component's calls may use up.
    pub(crate) fn limits(&self, name: Option<&str>, digest: &str) -> Result<Limits> {
        let mut limits = self.node.over(&Limits::default(), "limits")?;
        let http = self.about(name, digest).any(|(_, section)| !section.http.is_empty());
        if http && self.node.deadline.is_none() {
            limits.deadline = DEADLINE_WITH_HTTP;
        }
        for (key, section) in self.about(name, digest) {
            limits = section.limits.over(&limits, &format!("plugins.{key}.limits"))?;
        }
        Ok(limits)
    }

    /// What a component is granted. Reads the certificates that are named.
    pub(crate) fn grants(&self, name: Option<&str>, digest: &str) -> Result<Grants> {
        let mut http = Vec::new();
        for (key, section) in self.about(name, digest) {
            for grant in &section.http {
                http.push(grant.grant(&format!("plugins.{key}.http"))?);
            }
        }
        let pod = self.about(name, digest).any(|(_, section)| section.pod);
        Ok(Grants { http, pod })
    }

    /// `amend` of each section, by name or digest.
    pub(crate) fn amend(&self) -> BTreeMap<String, Vec<String>> {
        let of = |(key, section): (&String, &Section)| (key.clone(), section.amend.clone());
        self.sections.iter().map(of).filter(|(_, pointers)| !pointers.is_empty()).collect()
    }

    /// What the section of this name or digest grants, a line each; none where it grants nothing.
    pub(crate) fn told(&self, key: &str) -> Vec<String> {
        let Some(section) = self.sections.get(key) else { return Vec::new() };
        let http = section.http.iter().map(HttpSection::told);
        let amend = section.amend.iter().map(|pointer| format!("to amend {pointer}"));
        let pod = section.pod.then(|| "to read the pod's labels and annotations".to_owned());
        http.chain(pod).chain(amend).collect()
    }
}

impl Section {
    fn check(&self, key: &str) -> Result<()> {
        let digest = key.strip_prefix("sha256:").is_none_or(|hex| {
            hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        });
        ensure!(digest, "plugins.{key:?}: a digest is \"sha256:\" and 64 lower-case digits");
        ensure!(
            !key.contains('/'),
            "plugins.{key:?}: a component that is named by its path is granted by its digest, which \
             `wharfinger plugin inspect FILE` tells"
        );
        for pointer in &self.amend {
            let pointers = pointer.starts_with('/');
            ensure!(pointers, "plugins.{key}.amend: {pointer:?} is no pointer: \"/ipam/ranges\"");
        }
        self.limits.over(&Limits::default(), &format!("plugins.{key}.limits"))?;
        self.http.iter().try_for_each(|http| http.check(&format!("plugins.{key}.http")))
    }
}

impl HttpSection {
    fn check(&self, place: &str) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        ensure!(
            !self.host.is_empty() && self.host.chars().all(plain),
            "{place}.host = {:?}: a host's name or address, as it stands in a URL",
            self.host
        );
        ensure!(!self.methods.is_empty(), "{place}.methods is empty: [\"GET\"]");
        for method in &self.methods {
            let word = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic());
            ensure!(word, "{place}.methods: {method:?} is no method: \"GET\"");
        }
        if self.ca.is_some() && self.scheme == Scheme::Http {
            bail!("{place}.ca: certificates are for the scheme https");
        }
        self.timeout(place).map(drop)
    }

    fn timeout(&self, place: &str) -> Result<Duration> {
        let seconds = self.timeout.unwrap_or(TIMEOUT);
        Duration::try_from_secs_f64(seconds).with_context(|| format!("{place}.timeout = {seconds}"))
    }

    fn port(&self) -> u16 {
        let usual = if self.scheme == Scheme::Https { 443 } else { 80 };
        self.port.unwrap_or(usual)
    }

    fn grant(&self, place: &str) -> Result<HttpGrant> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("{place}.ca: read {}", path.display()))
        };
        Ok(HttpGrant {
            tls: self.scheme == Scheme::Https,
            host: self.host.trim_matches(['[', ']']).to_ascii_lowercase(),
            port: self.port(),
            methods: self.methods.iter().map(|method| method.to_ascii_uppercase()).collect(),
            timeout: self.timeout(place)?,
            size: self.size.unwrap_or(SIZE),
            addresses: self.addresses.clone(),
            authorities: self.ca.as_ref().map(read).transpose()?,
        })
    }

    fn told(&self) -> String {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        let methods = self.methods.join(", ").to_ascii_uppercase();
        format!("{methods} of {scheme}://{}:{}", self.host, self.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn parse(text: &str) -> Result<Plugins> {
        super::super::parse(text).map(|configured| configured.plugins)
    }

    #[test]
    fn nothing_is_granted_by_default() -> Result<()> {
        let plugins = parse("")?;
        assert_eq!(plugins.grants(Some("netbox"), DIGEST)?, Grants::default());
        assert_eq!(plugins.limits(Some("netbox"), DIGEST)?, Limits::default());
        Ok(())
    }

    #[test]
    fn a_grant_is_read_and_makes_the_deadline_longer() -> Result<()> {
        let text = "[[plugins.netbox.http]]\nscheme = \"https\"\nhost = \"IPAM.example\"\n\
                    methods = [\"get\", \"POST\"]\n[plugins.netbox.limits]\nmemory = 1048576\n";
        let plugins = parse(text)?;
        let grants = plugins.grants(Some("netbox"), DIGEST)?;
        assert_eq!(
            grants.http,
            [HttpGrant {
                tls: true,
                host: "ipam.example".to_owned(),
                port: 443,
                methods: vec!["GET".to_owned(), "POST".to_owned()],
                timeout: Duration::from_secs(5),
                size: 1 << 20,
                addresses: vec![],
                authorities: None,
            }]
        );
        let limits = plugins.limits(Some("netbox"), DIGEST)?;
        assert_eq!((limits.deadline, limits.memory), (Duration::from_secs(10), 1 << 20));
        // Of this digest, but not of this name: named by its path.
        assert_eq!(plugins.grants(None, DIGEST)?, Grants::default());
        assert_eq!(plugins.told("netbox"), ["GET, POST of https://IPAM.example:443"]);
        // A deadline that is set is the deadline.
        let plugins = parse(&format!("[limits]\ndeadline = 2.0\n{text}"))?;
        assert_eq!(plugins.limits(Some("netbox"), DIGEST)?.deadline, Duration::from_secs(2));
        Ok(())
    }

    #[test]
    fn pain_h2_reading_of_the_pod_is_granted_by_name_or_by_digest() -> Result<()> {
        let by_name = parse("[plugins.rules]\npod = true\n")?;
        assert!(by_name.grants(Some("rules"), DIGEST)?.pod);
        assert!(!by_name.grants(Some("other"), DIGEST)?.pod);
        assert!(!by_name.grants(None, DIGEST)?.pod);
        assert_eq!(by_name.told("rules"), ["to read the pod's labels and annotations"]);
        let by_digest = parse(&format!("[plugins.{DIGEST:?}]\npod = true\n"))?;
        assert!(by_digest.grants(None, DIGEST)?.pod);
        Ok(())
    }

    #[test]
    fn the_digest_has_the_last_word() -> Result<()> {
        let text = format!(
            "[plugins.a.limits]\nlog = 1\nreturned = 1\n[plugins.{DIGEST:?}.limits]\nlog = 2\n"
        );
        let plugins = parse(&text)?;
        let limits = plugins.limits(Some("a"), DIGEST)?;
        assert_eq!((limits.log, limits.returned), (2, 1));
        let limits = plugins.limits(None, DIGEST)?;
        assert_eq!((limits.log, limits.returned), (2, Limits::default().returned));
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() {
        let http = "[[plugins.a.http]]\nscheme = \"https\"\nhost = \"h\"\nmethods = [\"GET\"]\n";
        for (text, words) in [
            ("[plugins.a]\namend = [\"mtu\"]\n", "plugins.a.amend"),
            ("[plugins.a]\nammend = []\n", "ammend"),
            ("[plugins.\"sha256:12\"]\namend = []\n", "sha256:12"),
            ("[plugins.\"/opt/x.wasm\"]\namend = []\n", "by its digest"),
            ("[plugins.a.limits]\ndeadline = -1\n", "plugins.a.limits.deadline"),
            (&http.replace("https", "ftp"), "ftp"),
            (&http.replace("\"h\"", "\"h/x\""), "plugins.a.http.host"),
            (&http.replace("\"GET\"", ""), "plugins.a.http.methods"),
            (&http.replace("\"GET\"", "\"G T\""), "plugins.a.http.methods"),
            (&format!("{http}timeout = -2\n"), "plugins.a.http.timeout"),
            (&format!("{http}port = 70000\n"), "port"),
            (&format!("{http}redirects = 1\n"), "redirects"),
            (&http.replace("methods = [\"GET\"]\n", ""), "methods"),
        ] {
            let error = parse(text).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains(words), "{text}: {error}");
        }
        let missing = parse(&format!("{http}ca = \"/nonexistent\"\n")).unwrap();
        let error = missing.grants(Some("a"), DIGEST).unwrap_err();
        assert!(format!("{error:#}").contains("plugins.a.http.ca: read /nonexistent"), "{error:#}");
    }
}
