//! What users of container networking suffer from, on Kubernetes: rows of `docs/pains.md`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_kube_lab::eventually;
use wharfinger_suite::{Deployed, Kube, Pod, must, strings};

use crate::{NODES, nothing_left};

/// Ninety of one pool, on three nodes: nobody is given what another has.
/// Nobody waits for an agent, and one that is away misses nothing.
pub(crate) fn pain_a6_b4_and_e6_many_at_once_without_an_agent(cluster: &Deployed) {
    let kube = &cluster.kube;
    // As for want of memory; who would start it again is stopped.
    cluster.signal("n3", "STOP", "node up");
    cluster.signal("n3", "KILL", "serve --agent");
    let labels = json!({ "metadata": { "labels": { "many": "yes" } } });
    let of_node = |node: &&str| -> Vec<Pod> {
        (0..30).map(|at| Pod::new(&format!("many-{node}-{at}"), node).with(&labels)).collect()
    };
    kube.create(&NODES.iter().flat_map(of_node).collect::<Vec<_>>());
    let pods = kube.all_running("many=yes", 90);
    let addresses: BTreeSet<String> =
        pods.iter().flat_map(|pod| strings(pod, &["status", "podIPs"], "ip")).collect();
    assert_eq!(addresses.len(), 180);
    // What was taken back of ADDs that failed on the way is sent by a later verb, or the agent.
    let held = kube.held();
    assert!(addresses.iter().all(|address| held.contains_key(address)), "{addresses:?} {held:?}");
    kube.delete(&["-l", "many=yes"]);
    for node in NODES {
        kube.nothing_left(node);
    }
    cluster.signal("n3", "CONT", "node up");
    kube.nobody_holds();
}

/// Does something on each of the nodes again and again, while `work` is done.
fn meanwhile(nodes: &[&str], again: impl Fn(&str) + Sync, work: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for node in nodes {
            let (done, again) = (&done, &again);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    again(node);
                }
            });
        }
        // Also where it fails.
        let end = End(&done);
        work();
        drop(end);
    });
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Each has its own record, whatever it is called, and no collector frees what was born after it looked.
pub(crate) fn pain_b1_and_b2_one_name_again_and_again_while_others_collect(kube: &Kube) {
    kube.create(&[Pod::new("stays", "n1")]);
    let stays = kube.running("stays");
    let collect = |node: &str| _ = must(kube.as_admin(node, &["gc", "--cluster"]), "a collection");
    meanwhile(&["n1", "n2"], collect, || {
        for node in ["n1", "n2", "n1"] {
            kube.create(&[Pod::new("same", node)]);
            let same = kube.running("same");
            assert!(!same.iter().any(|address| stays.contains(address)), "{same:?} {stays:?}");
            kube.pings("stays", &same[0]);
            let held = kube.held();
            let theirs = |address: &String| held.get(address).is_some_and(|(by, _)| by == node);
            assert!(same.iter().all(theirs), "{same:?} {held:?}");
            // At once, and the next one while containerd may still be at the last.
            let words = ["delete", "pod", "same", "--grace-period=0", "--force"];
            must(kube.lab.kubectl(&words), "delete it");
        }
    });
    kube.holds(&stays);
    kube.delete(&["stays"]);
    nothing_left(kube);
}

/// A block's entry of an address, in the book.
fn entry(kube: &Kube, address: &str) -> (String, Value) {
    let blocks = must(kube.lab.get(&["blocks"]), "blocks");
    let of = |block: &Value| {
        let held = block["spec"]["held"].get(address)?.clone();
        Some((block["metadata"]["name"].as_str()?.to_owned(), held))
    };
    let found = blocks["items"].as_array().into_iter().flatten().find_map(of);
    found.unwrap_or_else(|| panic!("{address} is in no block"))
}

/// Somebody wrote nonsense beside an address, and a Node is gone from the API though its kubelet runs: a
/// collector frees nothing of what lives, and the book says the truth again.
pub(crate) fn pain_b3_what_lives_is_worth_more_than_what_is_written(kube: &Kube) {
    kube.create(&[Pod::new("x", "n1"), Pod::new("y", "n2")]);
    let (x, y) = (kube.running("x"), kube.running("y"));
    let true_ones = [entry(kube, &x[0]).1, entry(kube, &y[0]).1];
    for (address, key, wrong) in [(&x[0], "container", "stale"), (&y[0], "node", "n1")] {
        let patch = format!(
            r#"[{{"op": "replace", "path": "/spec/held/{address}/{key}", "value": "{wrong}"}}]"#
        );
        let block = entry(kube, address).0;
        must(kube.lab.kubectl(&["patch", "block", &block, "--type=json", "-p", &patch]), "spoil");
    }
    must(kube.lab.kubectl(&["delete", "node", "n2"]), "no Node");
    let mended = || {
        // That an address is another's by the book is told by the status.
        let said = ["n1", "n2"].map(|node| kube.as_admin(node, &["gc", "--cluster"]));
        let now = [entry(kube, &x[0]).1, entry(kube, &y[0]).1];
        let same = now.iter().zip(&true_ones).all(|(now, was)| {
            ["node", "container", "network"].iter().all(|key| now[key] == was[key])
        });
        anyhow::ensure!(same, "the book has {now:?}, and not {true_ones:?}: {said:?}");
        Ok(said)
    };
    let [said, _] = must(eventually(Duration::from_mins(1), mended), "the book");
    let said = must(said, "the collection");
    assert!(said.contains("node n2 does not live"), "{said}");
    // Kubelet says once, when it begins, that there is this node.
    must(kube.lab.service("n2", "restart", "kubelet"), "kubelet");
    kube.create(&[Pod::new("z", "n1")]);
    let z = kube.running("z");
    kube.pings("z", &y[0]);
    kube.holds(&[x, y, z].concat());
    kube.delete(&["x", "y", "z"]);
    nothing_left(kube);
}

/// Three hundred blocks of another node's, beside those that are used.
fn foreign_blocks(domain: &str) -> String {
    let block = |at: u128| {
        let number = 0xfd44_0000_0000_0000_0000_0000_0001_0000_u128 + at * 64;
        let address = std::net::Ipv6Addr::from_bits(number);
        let who = json!({ "node": "n9", "network": "pods", "container": "c", "ifname": "eth0" });
        json!({
            "apiVersion": "wharfinger.dev/v1alpha1", "kind": "Block",
            "metadata": { "name": format!("{domain}.6{number:032x}") },
            "spec": {
                "domain": domain, "first": address, "owner": "n9", "used": 1,
                "held": { address.to_string(): who },
            },
        })
    };
    let all: Vec<Value> = (0..300).map(block).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": all }).to_string()
}

/// As large as the book is: an ADD asks for what is its node's own.
pub(crate) fn pain_g1_an_add_asks_for_few_objects_of_a_large_book(kube: &Kube) {
    let add = |name: &str| must(kube.call("n1", "ADD", name).map_err(|it| it.to_string()), name);
    let first = strings(&add("first"), &["ips"], "address");
    let first = first[1].split('/').next().unwrap_or_default();
    let (name, _) = entry(kube, first);
    let (domain, _) = name.rsplit_once('.').unwrap_or_default();
    let foreign = foreign_blocks(domain);
    must(kube.lab.kubectl_with(&["create", "-f", "-"], &foreign), "a large book");
    let names = ["one", "two", "three", "four", "five"];
    let before = kube.requests("");
    for name in names {
        let _ = add(name);
    }
    let asked = kube.requests("") - before;
    // Three for each address at most; the agents ask for something now and then, too.
    assert!(asked <= 30, "five ADDs of two addresses cost {asked} requests");
    for name in names.iter().chain(&["first"]) {
        must(kube.call("n1", "DEL", name).map_err(|it| it.to_string()), name);
    }
    must(kube.lab.kubectl_with(&["delete", "-f", "-"], &foreign), "a small book");
    nothing_left(kube);
}

/// A token as the node's, signed by whoever signs them, that ended a minute ago.
fn ended_token(cluster: &Deployed, node: &str) -> String {
    let lab = &cluster.kube.lab;
    let script = "import base64, json, subprocess, sys, time\n\
        head, claims, _ = open(sys.argv[1]).read().strip().split('.')\n\
        claims = json.loads(base64.urlsafe_b64decode(claims + '=='))\n\
        claims['exp'] = int(time.time()) - 60\n\
        claims['iat'] = claims['nbf'] = claims['exp'] - 3600\n\
        text = lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip('=')\n\
        signed = head + '.' + text(json.dumps(claims).encode())\n\
        sign = ['openssl', 'dgst', '-sha256', '-sign', sys.argv[2]]\n\
        by = subprocess.run(sign, input=signed.encode(), capture_output=True, check=True)\n\
        print(signed + '.' + text(by.stdout))\n";
    let token = lab.file(node, "/etc/wharfinger/token").display().to_string();
    let key = lab.authority().with_file_name("sa.key").display().to_string();
    wharfinger_suite::run(&["python3", "-c", script, &token, &key])
}

/// Neither ADD nor STATUS hides it, DEL does not need it, and what is put right is used at once.
pub(crate) fn pain_e5_a_token_that_ended_is_said_and_its_successor_is_used_at_once(
    cluster: &Deployed,
) {
    let kube = &cluster.kube;
    kube.create(&[Pod::new("before", "n2")]);
    let _ = kube.running("before");
    let ended = ended_token(cluster, "n2");
    cluster.signal("n2", "STOP", "node up");
    let place = kube.lab.file("n2", "/etc/wharfinger/token");
    must(std::fs::write(place, ended), "the token");
    for verb in ["STATUS", "ADD"] {
        let Err(refused) = kube.call("n2", verb, "hand") else { panic!("{verb} goes well") };
        assert!(refused.to_string().contains("token"), "{refused}");
    }
    cluster.node("n2", false);
    kube.create(&[Pod::new("after", "n2")]);
    let told = || {
        let events = kube.events("after");
        anyhow::ensure!(events.contains("token"), "{events}");
        Ok(())
    };
    must(eventually(Duration::from_mins(1), told), "what the pod's events say");
    kube.delete(&["before"]);
    kube.nothing_left("n2");
    // What kubelet has for it meanwhile is the node's once somebody brings it there.
    cluster.signal("n2", "KILL", "node up");
    cluster.node("n2", true);
    let after = kube.running("after");
    kube.holds(&after);
    kube.delete(&["after"]);
    nothing_left(kube);
}
