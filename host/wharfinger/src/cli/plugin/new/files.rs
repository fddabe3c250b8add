//! The files that projects are made of; paths are those in the project. A test in the module above
//! compares these lists with the folders.

/// A file of `sdk/rust`: its path below a folder of that, and its text.
macro_rules! file {
    ($folder:literal, $path:literal) => {
        (
            $path,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/rust/", $folder, $path)),
        )
    };
}

/// The crate, and the contract.
pub(super) const SDK: &[(&str, &str)] = &[
    file!("", "Cargo.toml"),
    file!("", "src/address.rs"),
    file!("", "src/attachment.rs"),
    file!("", "src/bindings.rs"),
    file!("", "src/call.rs"),
    file!("", "src/config.rs"),
    file!("", "src/failure.rs"),
    file!("", "src/guest.rs"),
    file!("", "src/guest/convert.rs"),
    file!("", "src/guest/host.rs"),
    file!("", "src/guest/web.rs"),
    file!("", "src/http.rs"),
    file!("", "src/ipam.rs"),
    file!("", "src/lease.rs"),
    file!("", "src/ledger.rs"),
    file!("", "src/lib.rs"),
    file!("", "src/log.rs"),
    file!("", "src/node.rs"),
    file!("", "src/plan.rs"),
    file!("", "src/policy.rs"),
    file!("", "src/store.rs"),
    file!("", "src/subnet.rs"),
    file!("", "src/testing.rs"),
    file!("", "src/testing/book.rs"),
    file!("", "src/testing/current.rs"),
    file!("", "src/testing/judge.rs"),
    file!("", "wit/http/deps/clocks.wit"),
    file!("", "wit/http/deps/io.wit"),
    file!("", "wit/http/http.wit"),
    file!("", "wit/plugin/host.wit"),
    file!("", "wit/plugin/ipam.wit"),
    file!("", "wit/plugin/plan.wit"),
    file!("", "wit/plugin/policy.wit"),
    file!("", "wit/plugin/types.wit"),
];

/// A project of an IPAM plugin.
pub(super) const IPAM: &[(&str, &str)] = &[
    file!("template/ipam/", "Cargo.toml"),
    file!("template/ipam/", "README.md"),
    file!("template/ipam/", "config.json"),
    file!("template/ipam/", "src/lib.rs"),
];

/// A project of a policy.
pub(super) const POLICY: &[(&str, &str)] = &[
    file!("template/policy/", "Cargo.toml"),
    file!("template/policy/", "README.md"),
    file!("template/policy/", "config.json"),
    file!("template/policy/", "src/lib.rs"),
];

/// What projects of every kind have.
pub(super) const SHARED: &[(&str, &str)] =
    &[file!("template/", "Cargo.lock"), (".gitignore", "/dist\n/target\n")];
