//! The guide of Kubernetes, as it stands: every `sh` block of `docs/kubernetes.md`, in order, beside a
//! copy of `deploy/kubernetes`, on two nodes. The tests do what a controller manager does.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::path::{Path, PathBuf};

use wharfinger_kube_lab::Node;
use wharfinger_suite::{Kube, executable, run};

const NODES: [&str; 2] = ["node-1", "node-2"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The guide's `sh` blocks.
fn blocks() -> Vec<String> {
    let guide = std::fs::read_to_string(workspace().join("docs/kubernetes.md")).expect("the guide");
    let parts = guide.split("```sh\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Runs a block beside `deploy`, as the administrator.
fn sh(kube: &Kube, place: &Path, block: &str) -> String {
    let script = format!(
        "cd {} && export KUBECONFIG={} && kubectl() {{ {} kubectl --dir {} \"$@\"; }}\n{block}",
        place.display(),
        kube.lab.admin().display(),
        wharfinger_kube_lab::script().display(),
        kube.lab.dir().display(),
    );
    run(&["bash", "-eu", "-o", "pipefail", "-c", &script])
}

/// What the guide's machines are here.
fn here(block: &str, kube: &Kube) -> String {
    let url = kube.lab.url().expect("the server");
    // The image is the nodes' already, and this machine's executable is where it was built.
    let image = format!("packaging/image/build wharfinger.tar '' {}", executable().display());
    let block = block.replace("packaging/image/build wharfinger.tar", &image);
    block.replace("https://172.16.0.10:6443", &url)
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn from_an_empty_cluster_to_pods() {
    let kube = Kube::new();
    let place = kube.lab.place("guide").expect("a directory");
    let root = kube.lab.place("nothing").expect("a directory");
    for folder in ["deploy", "packaging"] {
        let from = workspace().join(folder).display().to_string();
        run(&["cp", "-a", &from, &place.display().to_string()]);
    }
    // How a node moves over is in `kube_move`.
    let blocks: Vec<String> = blocks().iter().map(|block| here(block, &kube)).collect();
    let [image, apply, look, policy, sticky, refused, book, role, _, remove, end] =
        blocks.as_slice()
    else {
        unreachable!("{blocks:?}")
    };
    let _ = sh(&kube, &place, image);
    let images = vec![place.join("wharfinger.tar")];
    for name in NODES {
        let (root, images) = (root.clone(), images.clone());
        let node = Node { name: name.to_owned(), root, images, unready: true };
        kube.lab.start(&node).expect("a node");
    }
    rolled_out(&kube, || sh(&kube, &place, apply));
    let words = ["wait", "--for=condition=Ready", "node", "--all", "--timeout=90s"];
    let _ = kube.lab.kubectl(&words).expect("Ready nodes");
    let said = sh(&kube, &place, look);
    assert!(said.contains("wharfinger-node-1") && !said.contains("NotReady"), "{said}");
    // The nodes have it in a minute or two; of new pods at once.
    rolled_out(&kube, || sh(&kube, &place, policy));
    let said = sh(&kube, &place, sticky);
    for node in NODES {
        assert!(said.contains(&format!("{node} 10.244.0.10")), "{said}");
    }
    let said = sh(&kube, &place, refused);
    assert!(said.contains("network pods: policy rules@") && said.contains("hostPort 80"), "{said}");
    let said = sh(&kube, &place, book);
    assert!(
        said.contains("pool.wharfinger.dev/") && said.contains("block.wharfinger.dev/"),
        "{said}"
    );
    let said = sh(&kube, &place, role);
    assert!(said.contains("created"), "{said}");
    rolled_out(&kube, || sh(&kube, &place, remove));
    for node in NODES {
        assert!(!kube.lab.file(node, "/opt/cni/bin/wharfinger").exists());
    }
    let _ = sh(&kube, &place, end);
}

/// Applies something, and makes the DaemonSet's pods anew.
fn rolled_out(kube: &Kube, apply: impl Fn() -> String) {
    let _ = apply();
    kube.publish_authority("wharfinger");
    for node in NODES {
        kube.roll(node);
    }
    for node in NODES {
        kube.rolled(node);
    }
}
