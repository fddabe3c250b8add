//! What belongs onto a node: settings, credentials, networks. Each file is written beside its place and
//! renamed within the directory, whole or not at all, and only where it is not so already: containerd,
//! which reads its directory anew on a rename, is not disturbed without a reason.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use wharfinger_kube::{self as kube, Access, Kube};

use super::Places;
use crate::cli::{Did, Network, by_hand, network, print};
use crate::program::Program;
use crate::settings::{self, Paths};

/// What makes a node's settings those of one that is being left.
const DETACH_ONLY: &str = "detach-only = true\n";

/// See the module.
pub(super) struct Site {
    paths: Paths,
    places: Places,
    /// The token that was written last: one that is older, of a pod that is being replaced, does not
    /// take turns with its successor's.
    token: RefCell<Vec<u8>>,
    /// The ranges that the cluster gave to the node, once they are known: they stay.
    ranges: RefCell<Option<String>>,
}

/// What stands for them in a conflist, in place of `ranges`.
const RANGES: &str = "\"$(POD_CIDRS)\"";
/// How long the API server may take to tell them.
const WAIT: Duration = Duration::from_secs(5);

impl Site {
    pub(super) fn new(paths: &Paths, places: Places) -> Self {
        let (token, ranges) = (RefCell::default(), RefCell::default());
        Self { paths: paths.clone(), places, token, ranges }
    }

    /// With the node's settings as they are now.
    pub(super) fn program(&self) -> Result<Program> {
        Ok(Program::new(self.paths.clone(), settings::read(&self.paths.config)?))
    }

    /// A file beside the node's settings.
    fn beside(&self, name: &str) -> PathBuf {
        self.paths.config.with_file_name(name)
    }

    /// The service account's token and authority, and the kubeconfig that names them. Kubelet renews the
    /// token where it is mounted, and verbs read ours anew for each call.
    pub(super) fn credentials(&self) -> Result<()> {
        let (token, authority) = (self.beside("token"), self.beside("ca.crt"));
        let mounted = self.places.account.join("token");
        let text = match fs::read(&mounted) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).context(mounted.display().to_string()),
        };
        let from = self.places.account.join("ca.crt");
        let ca = fs::read(&from).with_context(|| from.display().to_string())?;
        if *self.token.borrow() == text && token.exists() {
            return Ok(());
        }
        write(&authority, &ca, 0o644)?;
        write(&token, &text, 0o600)?;
        let kubeconfig = kubeconfig(&self.server()?, &authority, &token);
        write(&self.beside("kubeconfig"), kubeconfig.as_bytes(), 0o600)?;
        *self.token.borrow_mut() = text;
        Ok(())
    }

    fn server(&self) -> Result<String> {
        if let Some(server) = self.places.server.as_ref().filter(|server| !server.is_empty()) {
            return Ok(server.clone());
        }
        let of = |name: &str| std::env::var(name).ok();
        match (of("KUBERNETES_SERVICE_HOST"), of("KUBERNETES_SERVICE_PORT")) {
            (Some(host), Some(port)) if host.contains(':') => {
                Ok(format!("https://[{host}]:{port}"))
            }
            (Some(host), Some(port)) => Ok(format!("https://{host}:{port}")),
            _ => bail!(
                "where is the API server? Neither --server nor KUBERNETES_SERVICE_HOST says it"
            ),
        }
    }

    /// The node's settings; whether they changed. What cannot be read is not written.
    pub(super) fn settings(&self, detach_only: bool) -> Result<bool> {
        let from = self.places.from.join("config.toml");
        let text = match fs::read_to_string(&from) {
            Ok(text) => self.named(text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context(from.display().to_string()),
        };
        let text = if detach_only { format!("{DETACH_ONLY}{text}") } else { text };
        settings::check(&text).with_context(|| from.display().to_string())?;
        write(&self.paths.config, text.as_bytes(), 0o644)
    }

    /// With the node's name where it belongs.
    fn named(&self, text: String) -> Result<String> {
        const NAME: &str = "$(NODE_NAME)";
        match &self.places.node_name {
            _ if !text.contains(NAME) => Ok(text),
            Some(name) => Ok(text.replace(NAME, name)),
            None => bail!("{NAME} is in what is to be installed, and NODE_NAME is not set"),
        }
    }

    /// A conflist as it belongs onto this node.
    fn network(&self, from: &Path) -> Result<String> {
        let text = fs::read_to_string(from).with_context(|| from.display().to_string())?;
        let text = self.named(text)?;
        if !text.contains(RANGES) {
            return Ok(text);
        }
        let ranges = self.ranges().with_context(|| format!("{}: {RANGES}", from.display()))?;
        Ok(text.replace(RANGES, &ranges))
    }

    /// The ranges that the cluster gave to this node: asked for once, and by no verb.
    fn ranges(&self) -> Result<String> {
        if self.program()?.configured().cluster.is_some() {
            bail!(
                "these are the node's alone, and its book is one for all nodes: take `ledger` out of \
                 the nodes' settings, or write the cluster's range"
            );
        }
        if let Some(known) = &*self.ranges.borrow() {
            return Ok(known.clone());
        }
        let Some(name) = &self.places.node_name else { bail!("NODE_NAME is not set") };
        let directory = self.places.account.clone();
        let access = Access::Mounted { directory, server: self.server()? };
        let kube = Kube::new(kube::Settings { access, timeout: WAIT })?;
        let node = kube.get(&format!("/api/v1/nodes/{name}"), WAIT).context(
            "the nodes' account needs the ClusterRole wharfinger-pod-cidrs (deploy/kubernetes/rbac.yaml)",
        )?;
        let ranges =
            ranges_of(&node.unwrap_or_default()).with_context(|| format!("Node {name}"))?;
        *self.ranges.borrow_mut() = Some(ranges.clone());
        Ok(ranges)
    }

    /// The conflists that are wanted: each where it comes from, and where it belongs.
    fn wanted(&self) -> Result<Vec<(PathBuf, PathBuf)>> {
        let files = network::files(&self.places.from)?;
        let belongs = |from: PathBuf| {
            let place = self.places.conf_dir.join(from.file_name()?);
            Some((from, place))
        };
        Ok(files.into_iter().filter_map(belongs).collect())
    }

    /// Lets the runtime know of each network that is wanted, once an ADD to it would work.
    pub(super) fn networks(&self) -> Result<()> {
        for (from, place) in self.wanted()? {
            let text = self.network(&from)?;
            if is(&place, text.as_bytes()) {
                continue;
            }
            let draft = self.beside(&format!("draft-{}", name(&place)));
            write(&draft, text.as_bytes(), 0o644)?;
            let asked = self.ask(&draft);
            fs::remove_file(&draft).with_context(|| draft.display().to_string())?;
            asked?;
            write(&place, text.as_bytes(), 0o644)?;
            print(&format!("installed {}\n", place.display()))?;
        }
        Ok(())
    }

    /// Whether an ADD to the network of this file would work.
    fn ask(&self, conflist: &Path) -> Result<()> {
        let network = Network {
            name: conflist.display().to_string(),
            conf_dir: self.places.conf_dir.clone(),
            cni_path: self.places.bin_dir.display().to_string(),
            cache_dir: PathBuf::from("/var/lib/cni"),
        };
        by_hand::status(&self.program()?, &network).map(drop)
    }

    /// Whether every network is there, and an ADD to it would work.
    pub(super) fn ready(&self) -> Result<()> {
        let program = self.program()?;
        if program.configured().detach_only {
            bail!("this node is being left: nothing is attached any more");
        }
        for (from, place) in self.wanted()? {
            if !is(&place, self.network(&from)?.as_bytes()) {
                bail!("{} is not installed", place.display());
            }
            self.ask(&place)?;
        }
        Ok(())
    }

    /// Takes networks, credentials and settings away; says what.
    pub(super) fn remove(&self) -> Result<Vec<Did>> {
        let networks = self.wanted()?.into_iter().map(|(_, place)| place);
        let credentials = ["kubeconfig", "token", "ca.crt"].map(|name| self.beside(name));
        let all = networks.chain(credentials).chain([self.paths.config.clone()]);
        let mut done = Vec::new();
        for place in all {
            match fs::remove_file(&place) {
                Ok(()) => done.push(Did::new("removed", place.display())),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).context(format!("remove {}", place.display())),
            }
        }
        Ok(done)
    }
}

/// Each of the Node's `podCIDRs` is a range set of its own: one address of each.
fn ranges_of(node: &Value) -> Result<String> {
    let all = node.pointer("/spec/podCIDRs").and_then(Value::as_array);
    let all = all.map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        bail!(
            "it has no spec.podCIDRs: the controller manager gives them with --allocate-node-cidrs and \
             --cluster-cidr"
        );
    }
    let range = |cidr: &Value| {
        let (address, length) = cidr.as_str()?.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let length: u8 = length.parse().ok()?;
        (length <= if address.is_ipv4() { 32 } else { 128 })
            .then(|| json!([{ "subnet": format!("{address}/{length}") }]))
    };
    let ranges: Option<Vec<Value>> = all.iter().map(range).collect();
    let ranges = ranges.with_context(|| format!("its spec.podCIDRs are {all:?}"))?;
    Ok(Value::Array(ranges).to_string())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is(place: &Path, text: &[u8]) -> bool {
    fs::read(place).is_ok_and(|there| there == text)
}

/// Writes a file whole, or not at all; whether it had to be.
fn write(place: &Path, text: &[u8], mode: u32) -> Result<bool> {
    if is(place, text) {
        return Ok(false);
    }
    let put = || -> std::io::Result<()> {
        if let Some(directory) = place.parent() {
            fs::create_dir_all(directory)?;
        }
        let draft = place.with_file_name(format!(".{}.new-{}", name(place), std::process::id()));
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&draft)?;
        let written = file.write_all(text).and_then(|()| file.sync_all());
        written.and_then(|()| fs::rename(&draft, place)).inspect_err(|_| {
            let _ = fs::remove_file(&draft);
        })
    };
    put().with_context(|| format!("write {}", place.display()))?;
    Ok(true)
}

/// JSON, which YAML is a way of writing.
fn kubeconfig(server: &str, authority: &Path, token: &Path) -> String {
    let cluster = json!({ "server": server, "certificate-authority": authority });
    let context = json!({ "cluster": "cluster", "user": "node" });
    let whole = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "node",
        "clusters": [{ "name": "cluster", "cluster": cluster }],
        "users": [{ "name": "node", "user": { "tokenFile": token } }],
        "contexts": [{ "name": "node", "context": context }],
    });
    format!("{whole:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(dir: &Path) -> Site {
        let place = |name: &str| dir.join(name);
        let places = Places {
            from: place("from"),
            bin_dir: place("bin"),
            conf_dir: place("conf"),
            account: place("account"),
            server: Some("https://10.96.0.1:443".to_owned()),
            node_name: Some("n1".to_owned()),
            names: Vec::new(),
        };
        for name in ["from", "account"] {
            fs::create_dir_all(place(name)).unwrap();
        }
        let config = place("etc/config.toml");
        Site::new(&Paths { run: place("run"), lib: place("lib"), config }, places)
    }

    #[test]
    fn settings_are_written_where_they_differ_and_can_be_read() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let site = site(dir.path());
        let from = dir.path().join("from/config.toml");
        fs::write(&from, "[node]\nname = \"$(NODE_NAME)\"\n")?;
        assert!(site.settings(false)? && !site.settings(false)?);
        assert_eq!(site.program()?.configured().settings.node.name, "n1");
        fs::write(&from, "nonsense = 1\n")?;
        assert!(site.settings(false).is_err());
        assert_eq!(site.program()?.configured().settings.node.name, "n1", "as before");
        fs::write(&from, "[node]\nname = \"n2\"\n")?;
        assert!(site.settings(true)? && site.program()?.configured().detach_only);
        assert!(site.settings(false)? && !site.program()?.configured().detach_only);
        Ok(())
    }

    #[test]
    fn pain_e5_a_renewed_token_is_the_nodes_at_once() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let site = site(dir.path());
        site.credentials()?;
        assert!(!dir.path().join("etc/kubeconfig").exists(), "there is no account");
        fs::write(dir.path().join("account/ca.crt"), "authority")?;
        for token in ["first", "second"] {
            fs::write(dir.path().join("account/token"), token)?;
            site.credentials()?;
            assert_eq!(fs::read_to_string(dir.path().join("etc/token"))?, token);
        }
        let text = fs::read_to_string(dir.path().join("etc/kubeconfig"))?;
        let config: serde_json::Value = serde_json::from_str(&text)?;
        let token = dir.path().join("etc/token");
        assert_eq!(config["users"][0]["user"]["tokenFile"], json!(token));
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://10.96.0.1:443");
        let left = fs::read_dir(dir.path().join("etc"))?.count();
        assert_eq!(left, 3, "drafts are gone");
        Ok(())
    }

    #[test]
    fn ranges_are_those_of_the_node_and_nothing_else() {
        let of = |cidrs: Value| ranges_of(&json!({ "spec": { "podCIDRs": cidrs } }));
        let ranges = of(json!(["10.78.3.0/24", "fd78:3::/64"])).unwrap();
        assert_eq!(ranges, r#"[[{"subnet":"10.78.3.0/24"}],[{"subnet":"fd78:3::/64"}]]"#);
        for wrong in [json!([]), json!(["10.78.3.0"]), json!(["10.78.3.0/33"]), json!([7])] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
        let said = ranges_of(&Value::Null).unwrap_err().to_string();
        assert!(said.contains("--allocate-node-cidrs"), "{said}");
    }
}
