//! Machines without kubelets whose book is in a real API server: each has a node's own credentials, with
//! the roles and policies that are shipped, and is on the lab's segment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::MutexGuard;

use wharfinger_kube_lab::Lab;

use crate::{World, kube, run, try_run};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kubernetes");

/// See the module.
#[derive(Debug)]
pub struct Site {
    /// The machines.
    pub nodes: Vec<World>,
    /// The API server.
    pub lab: Lab,
    /// Where each machine's credentials are.
    mounted: Vec<PathBuf>,
    /// The last to go.
    _one: MutexGuard<'static, ()>,
}

#[track_caller]
fn must<T, E: std::fmt::Debug>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

impl Site {
    /// So many machines. `settings` is more of each machine's settings, at the level of their keys without a
    /// table; `of_kubernetes` are more keys of `[kubernetes]`.
    #[track_caller]
    pub fn new(nodes: usize, settings: &str, of_kubernetes: &str) -> Self {
        let one = kube::alone();
        let lab = must(Lab::for_nodes(), "an API server");
        must(lab.deploy(Path::new(DEPLOY)), "kinds, roles and policies");
        let names: Vec<String> = (0..nodes).map(Self::name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        must(lab.identities(&names), "nodes");
        let mut site = Self { nodes: Vec::new(), lab, mounted: Vec::new(), _one: one };
        for at in 0..nodes {
            let token = site.fresh_token(at);
            site.mounted.push(must(site.lab.mounted(&Self::name(at), &token), "credentials"));
            site.nodes.push(site.machine(at, settings, of_kubernetes));
        }
        site
    }

    /// What a machine is called.
    pub fn name(at: usize) -> String {
        format!("n{at}")
    }

    #[track_caller]
    fn machine(&self, at: usize, settings: &str, of_kubernetes: &str) -> World {
        let world = World::new();
        let (link, home) = (link(at), world.host.name().to_owned());
        run(&["ip", "link", "add", &link, "type", "veth", "peer", "name", "up0", "netns", &home]);
        run(&["ip", "link", "set", &link, "master", "kube0", "up"]);
        world.host.ip(&format!("address add 172.29.0.{}/24 dev up0", 100 + at));
        world.host.ip("link set up0 up");
        world.settings(&format!(
            "ledger = \"kubernetes\"\n{settings}\n[node]\nname = \"{}\"\n[kubernetes]\n\
             service-account = \"{}\"\nserver = \"{}\"\n{of_kubernetes}\n",
            Self::name(at),
            self.mounted[at].display(),
            must(self.lab.url(), "the API server's place"),
        ));
        world
    }

    /// Where a machine's credentials are, as they are mounted for a service account.
    pub fn credentials(&self, at: usize) -> String {
        self.mounted[at].display().to_string()
    }

    /// A token for a machine, as its kubelet would get one.
    #[track_caller]
    pub fn fresh_token(&self, at: usize) -> String {
        must(self.lab.token(Some(&Self::name(at))), "a token")
    }

    /// The token that a machine has.
    #[track_caller]
    pub fn token(&self, at: usize) -> String {
        must(std::fs::read_to_string(self.mounted[at].join("token")), "a token")
    }

    /// From now on it has this one.
    #[track_caller]
    pub fn set_token(&self, at: usize, token: &str) {
        let place = self.mounted[at].join("token");
        let new = place.with_extension("new");
        must(std::fs::write(&new, token).and_then(|()| std::fs::rename(&new, &place)), "a token");
    }

    /// Cuts a machine off from the API server, without a word.
    pub fn cut(&self, at: usize) {
        run(&["ip", "link", "set", &link(at), "nomaster"]);
    }

    /// Undoes that.
    pub fn mend(&self, at: usize) {
        run(&["ip", "link", "set", &link(at), "master", "kube0"]);
    }

    /// Every connection to the API server is reset at its next word, and none is made, until
    /// [`Site::connect`].
    pub fn disconnect(&self) {
        let rule = "iifname kube0 meta l4proto tcp reject with tcp reset";
        let table =
            "add table ip site; add chain ip site in { type filter hook input priority 0; }";
        run(&["nft", &format!("{table}; add rule ip site in {rule}")]);
    }

    /// Undoes that.
    pub fn connect(&self) {
        let _ = try_run(&["nft", "delete table ip site"]);
    }

    /// Our command line on a machine, by the administrator's credentials instead of the node's.
    #[track_caller]
    pub fn as_admin(&self, at: usize, words: &[&str]) -> Output {
        let admin = self.lab.admin().display().to_string();
        self.nodes[at].cli_with(words, &[("WHARFINGER_KUBECONFIG", &admin)])
    }

    /// The same, which must succeed: what it wrote.
    #[track_caller]
    pub fn as_admin_ok(&self, at: usize, words: &[&str]) -> String {
        let output = self.as_admin(at, words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Who holds what by the book: address and node.
    #[track_caller]
    pub fn held(&self) -> BTreeSet<(String, String)> {
        let blocks = must(self.lab.get(&["blocks"]), "blocks");
        let mut all = BTreeSet::new();
        for block in blocks["items"].as_array().into_iter().flatten() {
            for (address, held) in block["spec"]["held"].as_object().into_iter().flatten() {
                let node = held["node"].as_str().unwrap_or_default();
                all.insert((address.clone(), node.to_owned()));
            }
        }
        all
    }

    /// How many requests for objects of the book the API server has answered, by its own count.
    #[track_caller]
    pub fn requests(&self) -> u64 {
        self.requests_of("")
    }

    /// Likewise, of this verb: `LIST`.
    #[track_caller]
    pub fn requests_of(&self, verb: &str) -> u64 {
        let metrics = must(self.lab.kubectl(&["get", "--raw", "/metrics"]), "metrics");
        let verb = format!("verb=\"{verb}");
        let ours = metrics.lines().filter(|line| {
            line.starts_with("apiserver_request_total{")
                && line.contains("group=\"wharfinger.dev\"")
                && line.contains(&verb)
        });
        ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }
}

/// Its port of the segment.
fn link(at: usize) -> String {
    format!("site{at}")
}
