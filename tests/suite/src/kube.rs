//! Nodes with kubelets, and our executable as their network: the lab of `tests/kube` with what stands on a
//! node, and the pods that are made there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_kube_lab::{Lab, Node, eventually};

use crate::words::{must, say};
use crate::{merge, subject};

/// No more than one lab of a process has nodes: they share a network namespace.
static ONE: Mutex<()> = Mutex::new(());

/// Nobody else of this process has one, until this is dropped.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long anything may take here: other things run on this machine.
const WITHIN: Duration = Duration::from_secs(90);

/// The cluster; it ends with this value.
#[derive(Debug)]
pub struct Kube {
    /// Its programs.
    pub lab: Lab,
    _one: MutexGuard<'static, ()>,
}

/// A pod that is to be: `docker.io/lab/box:1`, which sleeps, on a node.
#[derive(Debug, Clone)]
pub struct Pod(Value);

impl Pod {
    /// A pod of this name on a node.
    pub fn new(name: &str, node: &str) -> Self {
        Self(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
            "spec": {
                "nodeName": node, "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "c", "image": "docker.io/lab/box:1", "imagePullPolicy": "Never",
                }],
            },
        }))
    }

    /// With more of it, merged.
    #[must_use]
    pub fn with(mut self, more: &Value) -> Self {
        merge(&mut self.0, more);
        self
    }

    /// A port of the node's that leads to one of its.
    #[must_use]
    pub fn port(mut self, host: u16, container: u16) -> Self {
        let ports = json!([{ "hostPort": host, "containerPort": container, "protocol": "TCP" }]);
        if let Some(first) = self.0.pointer_mut("/spec/containers/0") {
            merge(first, &json!({ "ports": ports }));
        }
        self
    }

    /// As kubectl reads it.
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}

impl Kube {
    /// An API server, without nodes so far.
    #[track_caller]
    pub fn new() -> Self {
        subject::need_root();
        let one = alone();
        Self { lab: must(Lab::for_nodes(), "a lab"), _one: one }
    }

    /// A node with our executable, this conflist and these settings; it is Ready. What is empty is
    /// not there.
    #[track_caller]
    pub fn node(&self, name: &str, conflist: &Value, settings: &str) {
        let root = self.root(name, conflist, settings);
        let unready = conflist.is_null();
        let node = Node { name: name.to_owned(), root, unready, ..Node::default() };
        must(self.lab.start(&node), name);
    }

    /// Gives a node another conflist, as its runtime sees it.
    #[track_caller]
    pub fn network(&self, node: &str, conflist: &Value) {
        self.network_in(node, "10-pods.conflist", conflist);
    }

    /// The same, by the name of its file: the first one counts.
    #[track_caller]
    pub fn network_in(&self, node: &str, file: &str, conflist: &Value) {
        let path = self.lab.file(node, "/etc/cni/net.d").join(file);
        let draft = path.with_extension("new");
        must(std::fs::write(&draft, conflist.to_string()), "a conflist");
        must(std::fs::rename(&draft, &path), "a conflist");
        // containerd hears of it, and says nothing of that.
        std::thread::sleep(Duration::from_secs(1));
    }

    /// What is laid over a node's `/etc` and `/opt`.
    #[track_caller]
    pub fn root(&self, name: &str, conflist: &Value, settings: &str) -> PathBuf {
        let place = |path: &str| must(self.lab.place(&format!("{name}/{path}")), name);
        let (etc, conf, bin) =
            (place("etc/wharfinger"), place("etc/cni/net.d"), place("opt/cni/bin"));
        if !settings.is_empty() {
            must(std::fs::write(etc.join("config.toml"), settings), "settings");
        }
        if !conflist.is_null() {
            must(std::fs::copy(subject::executable(), bin.join("wharfinger")), "the executable");
            // containerd asks for it by this name.
            let link = std::os::unix::fs::symlink("wharfinger", bin.join("loopback"));
            must(link, "the name loopback");
            must(std::fs::write(conf.join("10-pods.conflist"), conflist.to_string()), "conflist");
        }
        place("")
    }

    /// Makes pods.
    #[track_caller]
    pub fn create(&self, pods: &[Pod]) {
        let all: Vec<&Value> = pods.iter().map(|pod| &pod.0).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": all });
        must(self.lab.kubectl_with(&["create", "-f", "-"], &list.to_string()), "make pods");
    }

    /// Gives a node's kubelet a pod of its own, that nobody else has to be asked for.
    #[track_caller]
    pub fn add_static(&self, pod: &Pod, node: &str) {
        let name = pod.0["metadata"]["name"].as_str().unwrap_or_default();
        must(std::fs::write(self.manifest(name, node), pod.text()), "a manifest");
    }

    /// Takes it away again.
    #[track_caller]
    pub fn remove_static(&self, name: &str, node: &str) {
        must(std::fs::remove_file(self.manifest(name, node)), "a manifest");
    }

    fn manifest(&self, name: &str, node: &str) -> PathBuf {
        self.lab.manifests(node).join(name).with_extension("json")
    }

    /// What the controller manager does, which is not there: the certificate of the API server's
    /// authority in a namespace.
    pub fn publish_authority(&self, namespace: &str) {
        let ca = format!("--from-file=ca.crt={}", self.lab.authority().display());
        // There already: no reason to fail.
        let _ =
            self.lab.kubectl(&["-n", namespace, "create", "configmap", "kube-root-ca.crt", &ca]);
    }

    /// What it does too: the pod of our DaemonSet on a node, in the place of the one before. It is made
    /// from the DaemonSet's own template.
    #[track_caller]
    pub fn roll(&self, node: &str) {
        let name = format!("wharfinger-{node}");
        let words = ["-n", "wharfinger", "delete", "pod", &name, "--ignore-not-found"];
        must(self.lab.kubectl(&words), "delete the pod");
        let set =
            must(self.lab.get(&["-n", "wharfinger", "daemonset", "wharfinger"]), "the DaemonSet");
        let mut pod = set["spec"]["template"].clone();
        merge(
            &mut pod,
            &json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": name, "namespace": "wharfinger" },
                "spec": { "nodeName": node },
            }),
        );
        must(self.lab.kubectl_with(&["create", "-f", "-"], &pod.to_string()), "the pod");
    }

    /// Waits until that pod is Ready.
    #[track_caller]
    pub fn rolled(&self, node: &str) {
        let name = format!("wharfinger-{node}");
        let ask = || {
            let pod = self.lab.get(&["-n", "wharfinger", "pod", &name])?;
            let ready = pod.pointer("/status/containerStatuses/0/ready") == Some(&json!(true));
            anyhow::ensure!(ready, "{name} is not ready: {}", pod["status"]);
            Ok(())
        };
        if let Err(error) = eventually(WITHIN, ask) {
            panic!("{error:#}\n{}", self.log(node));
        }
    }

    /// What that pod says.
    pub fn log(&self, node: &str) -> String {
        let words = ["-n", "wharfinger", "logs", &format!("wharfinger-{node}")];
        self.lab.kubectl(&words).unwrap_or_else(|error| format!("{error:#}"))
    }

    /// Waits until a pod runs: its addresses.
    #[track_caller]
    pub fn running(&self, name: &str) -> Vec<String> {
        let ask = || {
            let pod = self.lab.get(&["pod", name])?;
            let phase = pod.pointer("/status/phase").and_then(Value::as_str);
            anyhow::ensure!(phase == Some("Running"), "{name} does not run: {}", pod["status"]);
            Ok(crate::strings(&pod, &["status", "podIPs"], "ip"))
        };
        // After an outage kubelet waits longer before each of its tries.
        match eventually(2 * WITHIN, ask) {
            Ok(addresses) => addresses,
            Err(error) => panic!("{error:#}\n{}", self.events(name)),
        }
    }

    /// Waits until so many pods run, of those that a label selects.
    #[track_caller]
    pub fn all_running(&self, label: &str, many: usize) -> Vec<Value> {
        let ask = || {
            let pods = self.lab.get(&["pods", "-l", label])?;
            let pods = pods["items"].as_array().cloned().unwrap_or_default();
            let runs = |pod: &&Value| pod["status"]["phase"] == "Running";
            let running = pods.iter().filter(runs).count();
            anyhow::ensure!(running == many, "{running} of {many} pods {label} run");
            Ok(pods)
        };
        must(eventually(2 * WITHIN, ask), "pods")
    }

    /// Deletes pods, and waits until they are gone.
    #[track_caller]
    pub fn delete(&self, words: &[&str]) {
        let all: Vec<&str> =
            ["delete", "pod", "--wait", "--timeout=180s"].iter().chain(words).copied().collect();
        must(self.lab.kubectl(&all), "delete pods");
    }

    /// What happened to a pod, a line each: its reason and its message.
    #[track_caller]
    pub fn events(&self, pod: &str) -> String {
        let of = format!("--field-selector=involvedObject.name={pod}");
        let columns = "custom-columns=R:.reason,M:.message";
        must(self.lab.kubectl(&["get", "events", &of, "-o", columns, "--no-headers"]), "events")
    }

    /// Waits until a pod's network is refused: what is said of it.
    #[track_caller]
    pub fn refused(&self, pod: &str) -> String {
        let ask = || {
            let events = self.events(pod);
            let said = events.lines().find(|line| line.starts_with("FailedCreatePodSandBox"));
            said.map(str::to_owned).ok_or_else(|| anyhow::anyhow!("{pod} is not refused: {events}"))
        };
        must(eventually(WITHIN, ask), pod)
    }

    /// Whether a node is Ready, as its kubelet has it.
    pub fn ready(&self, node: &str) -> bool {
        let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
        self.lab.kubectl(&["get", "node", node, "-o", path]).is_ok_and(|text| text == "True")
    }

    /// A program in a pod; what it wrote, nothing where it failed.
    pub fn in_pod(&self, pod: &str, words: &[&str]) -> String {
        let all: Vec<&str> = ["exec", pod, "--"].iter().chain(words).copied().collect();
        self.lab.kubectl(&all).unwrap_or_default()
    }

    /// A program on a node that must succeed.
    #[track_caller]
    pub fn on(&self, node: &str, words: &[&str]) -> String {
        must(self.lab.exec(node, words), node)
    }

    /// Our command line on a node.
    #[track_caller]
    pub fn cli(&self, node: &str, words: &[&str]) -> String {
        let all: Vec<&str> = ["/opt/cni/bin/wharfinger"].iter().chain(words).copied().collect();
        self.on(node, &all)
    }

    /// Whether a pod reaches an address.
    #[track_caller]
    pub fn pings(&self, pod: &str, address: &str) {
        let ask = || {
            let words = ["exec", pod, "--", "ping", "-c", "1", "-W", "2", address];
            self.lab.kubectl(&words)
        };
        must(eventually(Duration::from_secs(20), ask), &format!("{pod} pings {address}"));
    }

    /// The same, without the API server: from the namespace of a node that has the first address.
    #[track_caller]
    pub fn pings_from(&self, node: &str, own: &str, address: &str) {
        let script = format!(
            "for ns in /run/netns/*; do nsenter --net=$ns ip -o addr | grep -q ' {own}/' && \
             exec nsenter --net=$ns ping -c 1 -W 2 {address}; done; exit 1"
        );
        let ask = || self.lab.exec(node, &["bash", "-c", &script]);
        must(eventually(Duration::from_secs(20), ask), &format!("{own} pings {address}"));
    }

    /// A verb, as a runtime calls it, for a container of this name with a namespace of that name, made by
    /// ADD and removed after DEL. The node's own network has one plugin. An error is what was answered;
    /// a verb that takes longer than a minute is killed, and answers nothing.
    #[track_caller]
    pub fn call(&self, node: &str, verb: &str, name: &str) -> Result<Value, Value> {
        let file = self.lab.file(node, "/etc/cni/net.d/10-pods.conflist");
        let list = must(std::fs::read(&file), "the node's network");
        let list: Value = must(serde_json::from_slice(&list), "the node's network");
        let mut conf = list["plugins"][0].clone();
        merge(&mut conf, &json!({ "cniVersion": list["cniVersion"], "name": list["name"] }));
        let script = r#"[ "$2" != ADD ] || ip netns add $3 || exit
            export CNI_COMMAND=$2 CNI_CONTAINERID=$3 CNI_NETNS=/run/netns/$3
            export CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin
            timeout -s KILL 60 /opt/cni/bin/wharfinger <<<"$1" && done=yes
            [ "$2$done" != DELyes ] && [ "$2$done" != ADD ] || ip netns del $3
            [ "$done" ]"#;
        let words = ["bash", "-c", script, "call", &conf.to_string(), verb, name];
        let output = must(self.lab.inside(node, &words).output(), verb);
        let said = String::from_utf8_lossy(&output.stdout);
        let value = if said.trim().is_empty() && output.status.success() {
            Value::Null
        } else {
            let complaint = String::from_utf8_lossy(&output.stderr);
            must(serde_json::from_str(&said), &format!("{verb} answers {said:?} {complaint}"))
        };
        if output.status.success() { Ok(value) } else { Err(value) }
    }

    /// What a node's events say of ADDs that failed, a line each.
    #[track_caller]
    pub fn failed(&self, node: &str) -> Vec<Value> {
        let said = self.cli(node, &["events", "--failed", "--verb", "ADD", "--json"]);
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Our command line on a node, as the administrator of the cluster.
    pub fn as_admin(&self, node: &str, words: &[&str]) -> anyhow::Result<String> {
        let access = format!("WHARFINGER_KUBECONFIG={}", self.lab.admin().display());
        let all = ["env", &access, "/opt/cni/bin/wharfinger"];
        let all: Vec<&str> = all.iter().chain(words).copied().collect();
        self.lab.exec(node, &all)
    }

    /// What is left on a node once its pods are gone: attachments, links of pods, files of the runtime's
    /// cache, and rules that name one.
    #[track_caller]
    pub fn left(&self, node: &str) -> Vec<String> {
        let script = "ls /var/lib/cni/results 2>/dev/null\n\
                      ip -o link | grep -o 'veth[0-9a-f]*\\|wh[0-9a-f]\\{6,\\}'\n\
                      ls /run/netns 2>/dev/null\n\
                      /opt/cni/bin/wharfinger ls --json | grep -o '\"id\".*'\n\
                      nft -s list ruleset | grep elements\n true";
        let said = self.on(node, &["bash", "-c", script]);
        said.lines().map(str::to_owned).collect()
    }

    /// Who has what by the cluster's book: address, node and container.
    #[track_caller]
    pub fn held(&self) -> BTreeMap<String, (String, String)> {
        let blocks = must(self.lab.get(&["blocks"]), "blocks");
        let mut all = BTreeMap::new();
        for block in blocks["items"].as_array().into_iter().flatten() {
            for (address, held) in block["spec"]["held"].as_object().into_iter().flatten() {
                let text = |key: &str| held[key].as_str().unwrap_or_default().to_owned();
                all.insert(address.clone(), (text("node"), text("container")));
            }
        }
        all
    }

    /// Waits until just these addresses are held by the cluster's book.
    #[track_caller]
    pub fn holds(&self, addresses: &[String]) {
        let wanted: BTreeSet<&String> = addresses.iter().collect();
        let ask = || {
            let held = self.held();
            let same = held.keys().collect::<BTreeSet<_>>() == wanted;
            anyhow::ensure!(same, "the book has {held:?}, and not {wanted:?}");
            Ok(())
        };
        must(eventually(WITHIN, ask), "what is held");
    }

    /// Waits until the cluster's book has nothing of anybody.
    #[track_caller]
    pub fn nobody_holds(&self) {
        self.holds(&[]);
    }

    /// How many requests about objects of ours, of this resource where one is named, the API server has
    /// answered by its own count, watches not counted.
    #[track_caller]
    pub fn requests(&self, resource: &str) -> u64 {
        let metrics = must(self.lab.kubectl(&["get", "--raw", "/metrics"]), "metrics");
        let named = format!("resource=\"{resource}");
        let ours = metrics.lines().filter(|line| {
            line.starts_with("apiserver_request_total{")
                && line.contains("group=\"wharfinger.dev\"")
                && line.contains(&named)
                && !line.contains("verb=\"WATCH\"")
        });
        ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Waits until nothing is left on a node.
    #[track_caller]
    pub fn nothing_left(&self, node: &str) {
        let ask = || {
            let left = self.left(node);
            anyhow::ensure!(left.is_empty(), "left on {node}: {left:#?}");
            Ok(())
        };
        must(eventually(Duration::from_secs(30), ask), node);
    }
}

impl Default for Kube {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let words = ["get", "pods,nodes", "-A", "-o", "wide"];
            say(&self.lab.kubectl(&words).unwrap_or_default());
            let words = ["get", "events", "--field-selector=type=Warning", "--no-headers"];
            say(&self.lab.kubectl(&words).unwrap_or_default());
        }
    }
}
