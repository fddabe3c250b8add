//! What the API says of a pod decides on its network: by a grant, by two reads, and by nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use wharfinger_suite::{Kube, Pod};

/// May read pods and namespaces, each by its name, and nothing else.
const RIGHTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: facts }
rules: [{ apiGroups: [""], resources: [pods, namespaces], verbs: [get] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: facts }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: facts }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: facts }]
"#;

const GRANT: &str = "[plugins.rules]\npod = true\n";

fn network() -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [{
        "type": "wharfinger", "driver": "bridge", "bridge": "cni0", "isGateway": true,
        "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.1.1.0/24" }]] },
    }] })
}

/// A node's settings: its rules look at labels of the pod and of its namespace.
fn settings(kubernetes: &str, grant: &str) -> String {
    format!(
        "{kubernetes}{grant}[[policies]]\nplugin = \"rules\"\n[policies.config]\nrules = [\n\
         {{ match = {{ podLabels = {{ tier = [\"restricted\", \"secret\"] }} }}, \
         deny = \"{{found}}: not on this node\" }},\n\
         {{ match = {{ namespaceLabels = {{ env = \"closed\" }} }}, deny = \"{{found}}\" }},\n]\n"
    )
}

struct World {
    kube: Kube,
    kubernetes: String,
}

impl World {
    fn new() -> Self {
        let kube = Kube::new();
        kube.lab.kubectl_with(&["create", "-f", "-"], RIGHTS).unwrap();
        let config = kube.lab.user("facts", "").unwrap();
        let kubernetes = format!("[kubernetes]\nkubeconfig = {:?}\n", config.display().to_string());
        kube.node("n1", &network(), &settings(&kubernetes, GRANT));
        kube.on("n1", &["ip", "netns", "add", "hand"]);
        Self { kube, kubernetes }
    }

    fn write(&self, settings: &str) {
        let path = self.kube.lab.file("n1", "/etc/wharfinger/config.toml");
        std::fs::write(path, settings).unwrap();
    }

    /// The uid of a pod that no kubelet looks at.
    fn nobodys(&self, name: &str, labels: &Value) -> String {
        self.kube
            .create(&[Pod::new(name, "n9").with(&json!({ "metadata": { "labels": labels } }))]);
        let pod = self.kube.lab.get(&["pod", name]).unwrap();
        pod["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// An ADD for a pod, and its DEL: what was said where it was refused.
    fn add(&self, name: &str, uid: &str) -> Result<(), String> {
        let args = format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_UID={uid}");
        let run = |verb: &str| {
            let words = [
                "/opt/cni/bin/wharfinger",
                verb,
                "pods",
                "--netns",
                "/run/netns/hand",
                "--container",
                "hand",
                "--args",
                &args,
            ];
            let out = self.kube.lab.inside("n1", &words).output().unwrap();
            let said = [out.stdout, out.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            if out.status.success() { Ok(()) } else { Err(said) }
        };
        let added = run("add");
        run("del").unwrap();
        added
    }

    /// How often one object of this resource was read, by the API server's own count.
    fn reads(&self, resource: &str) -> f64 {
        let metrics = self.kube.lab.kubectl(&["get", "--raw", "/metrics"]).unwrap();
        let named = format!("resource=\"{resource}\"");
        let lines = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{"));
        let lines = lines.filter(|line| line.contains("verb=\"GET\"") && line.contains(&named));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn pain_h2_labels_decide_on_a_pod_by_two_reads_of_the_api() {
    let world = World::new();
    let kube = &world.kube;
    let labelled = |name: &str, tier: &str| {
        Pod::new(name, "n1").with(&json!({ "metadata": { "labels": { "tier": tier } } }))
    };
    kube.create(&[labelled("open", "open"), labelled("shut", "restricted")]);
    assert!(kube.running("open")[0].starts_with("10.1.1."));
    let event = kube.refused("shut");
    assert!(event.contains("pod label tier restricted: not on this node (/rules/0)"), "{event}");
    kube.delete(&["open", "shut", "--force"]);

    // One read of the pod, one of its namespace.
    let (fine, bad) =
        (world.nobodys("x", &json!({})), world.nobodys("y", &json!({ "tier": "secret" })));
    for (name, uid, wanted) in [("x", &fine, None), ("y", &bad, Some("pod label tier secret"))] {
        let before = (world.reads("pods"), world.reads("namespaces"));
        let said = world.add(name, uid).err();
        assert_eq!(said.is_some(), wanted.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().contains(wanted.unwrap_or_default()));
        let after = (world.reads("pods"), world.reads("namespaces"));
        assert_eq!((after.0 - before.0, after.1 - before.1), (1.0, 1.0), "{name}");
    }
    kube.lab.kubectl(&["label", "namespace", "default", "env=closed"]).unwrap();
    let said = world.add("x", &fine).unwrap_err();
    assert!(said.contains("namespace label env closed"), "{said}");
    kube.lab.kubectl(&["label", "namespace", "default", "env-"]).unwrap();
    let said = world.add("x", "00000000-0000-0000-0000-000000000000").unwrap_err();
    assert!(said.contains("pod default/x is another one in the API by now"), "{said}");
    let said = world.add("x/../y", &fine).unwrap_err();
    assert!(said.contains("is no name of a pod"), "{said}");
    refused_in_words(&world, &fine);
}

/// Without grant, settings, rights or API server.
fn refused_in_words(world: &World, uid: &str) {
    world.add("x", uid).unwrap();

    world.write(&settings(&world.kubernetes, ""));
    let said = world.add("x", uid).unwrap_err();
    assert!(said.contains("workload.pod, which it is not granted"), "{said}");
    assert!(said.contains("[plugins.rules]") && said.contains("pod = true"), "{said}");
    world.write(&settings("", GRANT));
    let said = world.add("x", uid).unwrap_err();
    assert!(said.contains("the node's file has no [kubernetes]"), "{said}");

    let policy = settings(&world.kubernetes, GRANT);
    world.write(&policy);
    world.kube.lab.kubectl(&["delete", "clusterrolebinding", "facts"]).unwrap();
    let said = world.add("x", uid).unwrap_err();
    assert!(said.contains("forbidden") && said.contains("pods"), "{said}");
    world.kube.lab.server("stop").unwrap();
    let said = world.add("x", uid).unwrap_err();
    assert!(said.contains("pod default/x is not known to this policy"), "{said}");
    // A rule that is passed over then, if that is what the operator wants.
    world.write(
        &policy.replace("[policies.config]\n", "[policies.config]\nunknownPod = \"ignore\"\n"),
    );
    world.add("x", uid).unwrap();
    world.kube.lab.server("start").unwrap();
}
