//! The contract's Rust side, made from `wit/`. Every import may end the call.
#![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit/0.1.0",
    world: "ipam-plugin",
    imports: { default: trappable },
});
