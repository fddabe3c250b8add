//! Components that were built with each released version of the contract, kept as they were built:
//! today's executable runs them.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wharfinger_suite::World;

/// What a component is configured with, and what an ADD with it must say.
struct Member {
    /// `VERSION/LANGUAGE-NAME.wasm`, or the same with `.xz` after it.
    file: String,
    packed: bool,
    kind: Kind,
}

enum Kind {
    Ipam,
    Policy,
}

/// Every component of the corpus; its name says its kind.
fn members() -> Vec<Member> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let folder = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).expect("a folder of the corpus");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let versions = folder(&corpus).into_iter().filter(|path| path.is_dir());
    let files = versions.flat_map(|version| folder(&version));
    files
        .filter(|path| path.extension().is_some_and(|end| end == "wasm" || end == "xz"))
        .map(|path| {
            let packed = path.extension().is_some_and(|end| end == "xz");
            let file = path.display().to_string();
            let kind = if file.contains("-policy.wasm") { Kind::Policy } else { Kind::Ipam };
            Member { file, packed, kind }
        })
        .collect()
}

impl Member {
    /// The component, unpacked where it is kept packed.
    fn wasm(&self, world: &World) -> String {
        if !self.packed {
            return self.file.clone();
        }
        let xz = Command::new("xz").args(["--decompress", "--stdout", &self.file]).output();
        let xz = xz.expect("xz, of Debian's package xz-utils");
        assert!(xz.status.success(), "{}: {xz:?}", self.file);
        let path = world.path("member.wasm");
        std::fs::write(&path, xz.stdout).expect("the unpacked component");
        path.display().to_string()
    }
}

/// All of the corpus takes these configurations: what they mean may never change.
fn conf(world: &World, kind: &Kind) -> Value {
    match kind {
        Kind::Ipam => {
            let ranges = json!([[{ "subnet": "10.1.0.0/24" }]]);
            world.conf("bridge", &json!({ "ipam": { "type": "member", "ranges": ranges } }))
        }
        Kind::Policy => {
            let policy = json!({ "plugin": "member", "config": { "mtu": 1400 } });
            world.conf("bridge", &json!({ "policies": [policy] }))
        }
    }
}

#[test]
#[ignore = "needs root: ring languages"]
fn pain_h1_pain_h16_components_of_every_version_run() {
    let members = members();
    assert!(members.len() >= 11, "components of each version, and of each language");
    for member in &members {
        let world = World::new();
        let wasm = member.wasm(&world);
        let _ = world.cli_ok(&["plugin", "install", &wasm, "--name", "member"]);
        let conf = conf(&world, &member.kind);
        let attached = world.attach(&conf);
        match member.kind {
            Kind::Ipam => assert!(attached.v4().starts_with("10.1.0."), "{}", member.file),
            Kind::Policy => {
                let mtu = attached.container.ns.link("eth0").mtu;
                assert_eq!(mtu, 1400, "{}", member.file);
            }
        }
        attached.check();
        attached.del();
        world.assert_nothing_left();
    }
}
