//! Every right that a node should not have, tried with its own token against another's objects: a
//! real API server, tokens that are bound to pods of two nodes, the roles and the policy that are
//! shipped. Each is tried beside what the node may do, so that it is the right that is missing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "what is written in place is handed on")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharfinger_kube::{Access, Kube, Settings, Written};
use wharfinger_kube_lab::Lab;
use wharfinger_ledger::cluster::Fault;

const WAIT: Duration = Duration::from_secs(20);
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kubernetes");
const API: &str = "/apis/wharfinger.dev/v1alpha1";

/// The API server, two nodes by their tokens, and the administrator.
struct World {
    lab: Lab,
    admin: Kube,
    n1: Kube,
    n2: Kube,
}

fn kube(path: PathBuf) -> Kube {
    Kube::new(Settings { access: Access::Kubeconfig(path), timeout: WAIT }).unwrap()
}

/// With a token of the nodes' service account, bound to this node's pod, or to nothing.
fn node(lab: &Lab, name: &str, bound: Option<&str>) -> Kube {
    let directory = lab.mounted(name, &lab.token(bound).unwrap()).unwrap();
    let access = Access::Mounted { directory, server: lab.url().unwrap() };
    Kube::new(Settings { access, timeout: WAIT }).unwrap()
}

impl World {
    fn new() -> Self {
        let lab = Lab::api().unwrap();
        lab.deploy(Path::new(DEPLOY)).unwrap();
        lab.identities(&["n1", "n2"]).unwrap();
        let admin = kube(lab.admin());
        let (n1, n2) = (node(&lab, "n1", Some("n1")), node(&lab, "n2", Some("n2")));
        let world = Self { lab, admin, n1, n2 };
        world.settle();
        world
    }

    /// A policy counts some time after it was made.
    fn settle(&self) {
        let start = Instant::now();
        let foreign = named("notes", "node.n1", json!({ "key": "node/n1", "content": {} }));
        while !matches!(self.n2.create(&all("notes"), &foreign, WAIT), Err(Fault::Refused(_))) {
            assert!(start.elapsed() < Duration::from_mins(1), "the policy does not count");
            let _ = self.admin.get(&one("notes", "node.n1"), WAIT).map(|found| {
                let version = wharfinger_kube::version_of(&found.unwrap_or_default()).unwrap_or(1);
                self.admin.delete(&one("notes", "node.n1"), version, WAIT)
            });
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A block as the administrator wants it to be.
    fn block(&self, name: &str, spec: &Value) -> Value {
        let object = named("blocks", name, spec.clone());
        let Written::Done(made) = self.admin.create(&all("blocks"), &object, WAIT).unwrap() else {
            panic!("{name} is there already")
        };
        made
    }
}

fn all(plural: &str) -> String {
    format!("{API}/{plural}")
}

fn one(plural: &str, name: &str) -> String {
    format!("{API}/{plural}/{name}")
}

fn named(plural: &str, name: &str, spec: Value) -> Value {
    let kind = match plural {
        "pools" => "Pool",
        "blocks" => "Block",
        "claims" => "Claim",
        _ => "Note",
    };
    json!({
        "apiVersion": "wharfinger.dev/v1alpha1", "kind": kind, "metadata": { "name": name },
        "spec": spec,
    })
}

fn held(node: &str) -> Value {
    json!({ "node": node, "network": "pods", "container": "c", "ifname": "eth0" })
}

/// With these parts beside the place.
fn spec(parts: Value) -> Value {
    let mut spec = json!({ "domain": "d", "first": "10.0.0.0" });
    spec.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    spec
}

fn denied<T: std::fmt::Debug>(what: &str, result: Result<T, Fault>) {
    match result {
        Err(Fault::Refused(text)) => {
            let right = text.contains("denied request") || text.contains("forbidden");
            assert!(right, "{what}: {text}");
        }
        other => panic!("{what}: {other:?}"),
    }
}

fn allowed(what: &str, result: Result<Written, Fault>) {
    assert!(matches!(result, Ok(Written::Done(_))), "{what}: {result:?}");
}

/// Changes of a block: by whom, from what, to what, and whether it may be.
#[allow(clippy::too_many_lines, reason = "a table")]
fn changes() -> Vec<(&'static str, Value, Value, bool)> {
    let (mine, theirs) = (held("n1"), held("n2"));
    let rest = json!({ "until": 5, "order": 1 });
    let kept = json!({ "order": 1, "by": 1 });
    let a = |entry: &Value| json!({ "10.0.0.1": entry });
    let both = json!({ "10.0.0.1": theirs, "10.0.0.2": mine });
    vec![
        ("takes a block", json!({}), json!({ "owner": "n1" }), true),
        ("gives a block back", json!({ "owner": "n1" }), json!({}), true),
        ("takes a block for another", json!({}), json!({ "owner": "n2" }), false),
        ("takes another's block", json!({ "owner": "n2" }), json!({ "owner": "n1" }), false),
        ("gives another's block back", json!({ "owner": "n2" }), json!({}), false),
        ("gives its block to another", json!({ "owner": "n1" }), json!({ "owner": "n2" }), false),
        (
            "takes an address",
            json!({ "owner": "n1" }),
            json!({ "owner": "n1", "held": a(&mine) }),
            true,
        ),
        ("releases an address", json!({ "held": a(&mine) }), json!({ "rests": a(&rest) }), true),
        (
            "borrows an address",
            json!({ "owner": "n2", "held": a(&theirs) }),
            json!({ "owner": "n2", "held": both }),
            true,
        ),
        ("takes for another", json!({}), json!({ "held": a(&theirs) }), false),
        ("releases another's", json!({ "held": a(&theirs) }), json!({}), false),
        (
            "takes what another holds",
            json!({ "held": a(&theirs) }),
            json!({ "held": a(&mine) }),
            false,
        ),
        (
            "gives its own to another",
            json!({ "held": a(&mine) }),
            json!({ "held": a(&theirs) }),
            false,
        ),
        (
            "changes what another holds",
            json!({ "held": a(&theirs) }),
            json!({ "held": a(&json!({
            "node": "n2", "network": "pods", "container": "other", "ifname": "eth0" })) }),
            false,
        ),
        ("lets rest what it had not", json!({}), json!({ "rests": a(&rest) }), false),
        (
            "changes how long another's rests",
            json!({ "rests": a(&rest) }),
            json!({ "rests": a(&json!({ "until": 9, "order": 1 })) }),
            false,
        ),
        (
            "remembers its own",
            json!({ "held": a(&mine) }),
            json!({ "held": a(&mine), "kept": a(&kept) }),
            true,
        ),
        ("remembers what it does not hold", json!({}), json!({ "kept": a(&kept) }), false),
        ("forgets what it does not hold", json!({ "kept": a(&kept) }), json!({}), false),
    ]
}

#[test]
#[ignore = "needs Kubernetes' programs: ring kubernetes"]
fn a_node_has_no_right_over_anothers_addresses() {
    let world = World::new();
    for (at, (what, before, after, may)) in changes().into_iter().enumerate() {
        let name = format!("d.{at}");
        let mut object = world.block(&name, &spec(before));
        object["spec"] = spec(after);
        let result = world.n1.update(&one("blocks", &name), &object, WAIT);
        if may { allowed(what, result) } else { denied(what, result) }
    }
    let create = |name: &str, parts: Value| {
        world.n1.create(&all("blocks"), &named("blocks", name, spec(parts)), WAIT)
    };
    allowed(
        "makes its own",
        create("d.own", json!({ "owner": "n1", "held": { "10.0.0.1": held("n1") } })),
    );
    allowed("makes nobody's", create("d.none", json!({})));
    denied("makes another's", create("d.other", json!({ "owner": "n2" })));
    denied(
        "makes another's holder",
        create("d.held", json!({ "held": { "10.0.0.1": held("n2") } })),
    );
    let moved = world.block("d.moved", &spec(json!({ "owner": "n1" })));
    let mut there = moved.clone();
    there["spec"]["first"] = json!("10.0.0.64");
    denied("moves a block", world.n1.update(&one("blocks", "d.moved"), &there, WAIT));
    let version = wharfinger_kube::version_of(&moved).unwrap();
    denied("removes a block", world.n1.delete(&one("blocks", "d.moved"), version, WAIT));
    notes(&world);
    beside(&world);
    strangers(&world);
}

fn notes(world: &World) {
    let note = |name: &str, content: Value| {
        named("notes", name, json!({ "key": name, "content": content }))
    };
    let make = |node: &Kube, name: &str, content: Value| {
        node.create(&all("notes"), &note(name, content), WAIT)
    };
    allowed("says of itself", make(&world.n1, "node.n1", json!({ "boot": "b" })));
    denied("says of another", make(&world.n1, "node.n2", json!({ "boot": "b" })));
    denied("has another's name", make(&world.n1, "machine.n2", json!({ "machine": "m" })));
    let theirs = json!({ "k": { "value": "v", "holder": { "node": "n2", "network": "pods" } } });
    let store = make(&world.n2, "book.store.p", theirs);
    let Ok(Written::Done(mut store)) = store else { panic!("{store:?}") };
    let version = wharfinger_kube::version_of(&store).unwrap();
    denied("removes what is kept", world.n1.delete(&one("notes", "book.store.p"), version, WAIT));
    let place = one("notes", "book.store.p");
    store["spec"]["content"]["k"]["value"] = json!("mine");
    denied("changes what is kept", world.n1.update(&place, &store, WAIT));
    store["spec"]["content"]["k"]["value"] = json!("v");
    store["spec"]["content"]["n"] = json!({ "value": "1" });
    allowed("keeps more", world.n1.update(&place, &store, WAIT));
    let overlay = make(&world.n1, "overlay.vni.4096", json!({ "network": "pods" }));
    let Ok(Written::Done(mut overlay)) = overlay else { panic!("{overlay:?}") };
    overlay["spec"]["content"]["network"] = json!("other");
    denied("takes a number", world.n1.update(&one("notes", "overlay.vni.4096"), &overlay, WAIT));
}

fn beside(world: &World) {
    let pool =
        json!({ "domain": "d", "block": 6, "networks": { "pods": [["10.0.0.1", "10.0.0.9"]] } });
    let made = world.n1.create(&all("pools"), &named("pools", "d", pool), WAIT);
    let Ok(Written::Done(mut pool)) = made else { panic!("{made:?}") };
    pool["spec"]["block"] = json!(5);
    denied("cuts a pool anew", world.n2.update(&one("pools", "d"), &pool, WAIT));
    let version = wharfinger_kube::version_of(&pool).unwrap();
    denied("removes a pool", world.n1.delete(&one("pools", "d"), version, WAIT));
    let claim = json!({
        "domain": "d", "network": "pods", "identity": "web-0", "addresses": ["10.0.0.1"],
    });
    let made = world.n1.create(&all("claims"), &named("claims", "d.pods.web-0", claim), WAIT);
    let Ok(Written::Done(mut claim)) = made else { panic!("{made:?}") };
    let version = wharfinger_kube::version_of(&claim).unwrap();
    denied("removes a claim", world.n2.delete(&one("claims", "d.pods.web-0"), version, WAIT));
    claim["spec"]["identity"] = json!("web-1");
    denied("makes it another's", world.n2.update(&one("claims", "d.pods.web-0"), &claim, WAIT));
    claim["spec"]["identity"] = json!("web-0");
    claim["spec"]["addresses"] = json!(["10.0.0.2"]);
    allowed("moves a claim", world.n2.update(&one("claims", "d.pods.web-0"), &claim, WAIT));
}

/// What is not of the book, and a token that is bound to no node.
fn strangers(world: &World) {
    for path in ["/api/v1/secrets", "/api/v1/pods", "/api/v1/namespaces/default/configmaps"] {
        denied(path, world.n1.list(path, "", WAIT));
    }
    let loose = node(&world.lab, "loose", None);
    let own = named("blocks", "d.loose", spec(json!({})));
    denied("without a node", loose.create(&all("blocks"), &own, WAIT));
}
