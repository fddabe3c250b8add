//! `deploy/kubernetes` on nodes: what is shipped, applied by a kustomization of one's own over it. There is
//! no controller manager in the lab, which would make a DaemonSet's pods, and a namespace's
//! `kube-root-ca.crt`: the tests make both, the pods from the DaemonSet's own template, so that a node's
//! token is one that its kubelet has asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_kube_lab::{Node, eventually};

use crate::kube::Kube;
use crate::netns::run;
use crate::subject::{executable, workspace};
use crate::words::must;

/// A cluster whose nodes are brought up and kept by what is shipped.
#[derive(Debug)]
pub struct Deployed {
    /// The cluster.
    pub kube: Kube,
    /// Where the kustomization is.
    mine: PathBuf,
}

/// What the kustomization says.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which of the images.
    pub version: &'static str,
    /// The network of the nodes.
    pub network: Value,
    /// The nodes' settings.
    pub settings: String,
    /// Its own components: folders of `deploy/kubernetes`.
    pub components: &'static str,
}

/// A file of `deploy/kubernetes`.
fn shipped(file: &str) -> String {
    let place = workspace().join("deploy/kubernetes").join(file);
    must(std::fs::read_to_string(&place), file)
}

impl Wanted {
    /// As it is shipped, with ranges of these subnets, a family each.
    pub fn shipped(subnets: &[&str]) -> Self {
        let text = shipped("config/10-pods.conflist");
        let mut network: Value = must(serde_json::from_str(&text), "the shipped network");
        let range = |subnet: &&str| json!([{ "subnet": subnet }]);
        network["plugins"][0]["ipam"]["ranges"] = subnets.iter().map(range).collect();
        let settings = shipped("config/config.toml");
        Self { version: "0.1.0", network, settings, components: "" }
    }
}

/// An image of an executable, where it was put.
#[track_caller]
fn packed(images: &Path, version: &str, program: &Path) -> PathBuf {
    let out = images.join(format!("{version}.tar"));
    let build = workspace().join("packaging/image/build").display().to_string();
    let name = format!("docker.io/library/wharfinger:{version}");
    run(&[&build, &out.display().to_string(), &name, &program.display().to_string()]);
    out
}

impl Deployed {
    /// Nodes that have the image in these versions, which differ in nothing but that they are other
    /// files, and nothing else of ours. Nothing is applied yet.
    #[track_caller]
    pub fn new(nodes: &[&str], versions: &[&str]) -> Self {
        let kube = Kube::new();
        let place = |name: &str| must(kube.lab.place(name), "a directory");
        let (root, images, mine) = (place("nothing"), place("images"), place("mine"));
        let program = executable();
        let images: Vec<PathBuf> =
            versions.iter().map(|version| packed(&images, version, &program)).collect();
        for name in nodes {
            let (root, images) = (root.clone(), images.clone());
            let node = Node { name: (*name).to_owned(), root, images, unready: true };
            must(kube.lab.start(&node), name);
        }
        Self { kube, mine }
    }

    /// Writes the kustomization and applies it.
    #[track_caller]
    pub fn apply(&self, wanted: &Wanted) {
        let base = must(workspace().join("deploy/kubernetes").canonicalize(), "deploy/kubernetes");
        let base = base.display().to_string();
        // kustomize wants what is below, or a way up from where it is.
        let up = self.mine.components().skip(1).map(|_| "..").collect::<Vec<_>>().join("/");
        let components = match wanted.components {
            "" => String::new(),
            name => format!("components: [{up}{base}/{name}]\n"),
        };
        let server = must(self.kube.lab.url(), "the server");
        let text = format!(
            "resources: [{up}{base}]\n{components}\
             images: [{{name: wharfinger, newTag: {}}}]\n\
             generatorOptions: {{disableNameSuffixHash: true}}\n\
             configMapGenerator:\n\
             - name: wharfinger-node\n  namespace: wharfinger\n  behavior: replace\n  \
               files: [config.toml, 10-pods.conflist]\n\
             patches:\n\
             - target: {{kind: DaemonSet, name: wharfinger}}\n  patch: |-\n    \
               - {{op: replace, path: /spec/template/spec/containers/0/env/1/value, value: \"{server}\"}}\n",
            wanted.version,
        );
        let write = |name: &str, text: &str| must(std::fs::write(self.mine.join(name), text), name);
        write("kustomization.yaml", &text);
        write("config.toml", &wanted.settings);
        write("10-pods.conflist", &wanted.network.to_string());
        must(self.kube.lab.kubectl(&["apply", "-k", &self.mine.display().to_string()]), "apply");
        self.kube.publish_authority("wharfinger");
    }

    /// Applies it, and makes the pods of these nodes anew: they are Ready.
    #[track_caller]
    pub fn roll_out(&self, wanted: &Wanted, nodes: &[&str]) {
        self.apply(wanted);
        for node in nodes {
            self.kube.roll(node);
        }
        for node in nodes {
            self.kube.rolled(node);
            self.node(node, true);
        }
    }

    /// Waits until a node is Ready, or is not.
    #[track_caller]
    pub fn node(&self, node: &str, ready: bool) {
        let ask = || {
            let is = self.kube.ready(node);
            anyhow::ensure!(is == ready, "{node}: Ready is {is}");
            Ok(())
        };
        if let Err(error) = eventually(Duration::from_secs(90), ask) {
            panic!("{error:#}\n{}", self.kube.log(node));
        }
    }

    /// A signal to what runs on a node by this word of its command line: `node up`, which installs, or
    /// `serve --agent`, which it starts.
    #[track_caller]
    pub fn signal(&self, node: &str, signal: &str, what: &str) {
        let (first, rest) = what.split_at(1);
        // Who looks does not find himself.
        let script = format!(
            "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | \
             grep -q 'wharfinger [{first}]{rest}\\|exe [{first}]{rest}' && \
             kill -{signal} ${{p#/proc/}} && found=yes; done; [ -n \"$found\" ]"
        );
        self.kube.on(node, &["bash", "-c", &script]);
    }
}
