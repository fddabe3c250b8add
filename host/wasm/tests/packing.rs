//! Components at the end of an executable: written, found again, mapped and called.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::{MemBook, guest, node, request};
use wharfinger_wasm::{Error, Grants, Ipam, IpamPlugin, Limits, Plugins, Runtimes, package};

/// A directory of this test's own, gone when it ends.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wharfinger-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A file that stands for a program.
    fn program(&self) -> PathBuf {
        let path = self.0.join("program");
        fs::write(&path, vec![0x7f; 10_001]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refused(path: &Path) -> String {
    match Plugins::open(path, &Runtimes::default()) {
        Ok(_) => panic!("{} was taken", path.display()),
        Err(error @ Error::Unloadable { .. }) => error.to_string(),
        Err(other) => panic!("{other:?}"),
    }
}

fn ipam(plugins: &Plugins, name: &str) -> Option<Result<IpamPlugin, Error>> {
    plugins.ipam(name, &Limits::default(), &Grants::default())
}

#[test]
fn what_is_packed_is_found_mapped_and_works_after_the_file_is_gone() {
    let dir = Dir::new("packed");
    let (program, out) = (dir.program(), dir.0.join("out"));
    let wasm = guest("plugins-wasm/host-local");
    let hostile = guest("tests/hostile");
    let both: [(&str, &[u8]); 2] = [("hostile", &hostile), ("host-local", &wasm)];
    package::write(&program, &out, &both).unwrap();
    assert!(fs::read(&out).unwrap().starts_with(&fs::read(&program).unwrap()));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o755);

    let plugins = Plugins::open(&out, &Runtimes::default()).unwrap();
    assert_eq!(plugins.names().collect::<Vec<_>>(), ["hostile", "host-local"]);
    assert!(ipam(&plugins, "nobody").is_none());
    let plugin = ipam(&plugins, "host-local").unwrap().unwrap();
    assert_eq!(plugin.identity(), format!("host-local@{}", package::digest(&wasm)));
    fs::remove_file(&out).unwrap();
    let config = r#"{"subnet": "10.1.0.0/24"}"#;
    for _ in 0..2 {
        let lease = plugin.allocate(&node(), &request(config, &[]), &mut MemBook::default());
        assert_eq!(lease.unwrap().addresses[0].address.to_string(), "10.1.0.2/24");
    }
}

#[test]
fn packing_again_replaces_what_was_there() {
    let dir = Dir::new("again");
    let (program, out) = (dir.program(), dir.0.join("out"));
    let wasm = guest("plugins-wasm/host-local");
    package::write(&program, &out, &[("one", &wasm), ("two", &wasm)]).unwrap();
    let once = fs::metadata(&out).unwrap().len();
    package::write(&out, &out, &[("one", &wasm)]).unwrap();
    assert!(fs::metadata(&out).unwrap().len() < once);
    let plugins = Plugins::open(&out, &Runtimes::default()).unwrap();
    assert_eq!(plugins.names().collect::<Vec<_>>(), ["one"]);
    assert!(ipam(&plugins, "one").unwrap().is_ok());
}

#[test]
fn a_program_without_components_or_with_a_damaged_end_is_refused_in_words() {
    let dir = Dir::new("damaged");
    let (program, out) = (dir.program(), dir.0.join("out"));
    let said = refused(&program);
    assert!(said.contains("carries no built-in components"), "{said}");
    assert!(said.contains("cargo xtask build"), "{said}");
    assert!(refused(&dir.0.join("missing")).contains("No such file"));

    let wasm = guest("plugins-wasm/host-local");
    package::write(&program, &out, &[("host-local", &wasm)]).unwrap();
    let whole = fs::read(&out).unwrap();
    // Bytes are missing from the middle: the index is not where the footer says.
    let torn = [&whole[..5_000], &whole[9_000..]].concat();
    fs::write(&out, torn).unwrap();
    assert!(refused(&out).contains("damaged"));
    // A truncated file has no footer.
    fs::write(&out, &whole[..whole.len() - 1]).unwrap();
    assert!(refused(&out).contains("carries no built-in components"));
    // Of another engine.
    let text = String::from_utf8_lossy(&whole);
    assert!(text.contains("wasmtime-48.0.8/settings-"));
    let mut foreign = whole.clone();
    let at = whole.windows(15).rposition(|w| w == b"wasmtime-48.0.8").unwrap();
    foreign[at + 9..at + 11].copy_from_slice(b"47");
    fs::write(&out, foreign).unwrap();
    assert!(refused(&out).contains("compiled for wasmtime-47.0.8"));
}

#[test]
fn this_test_carries_no_components() {
    let error = Plugins::embedded(&Runtimes::default()).err().unwrap().to_string();
    assert!(error.contains("/proc/self/exe carries no built-in components"), "{error}");
}
