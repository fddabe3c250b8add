//! What is generated from the contract. Nothing here is for authors.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]

/// What the host offers, and the types: shared by the exports below. What a plugin does not call
/// is not in its component.
pub mod host {
    wit_bindgen::generate!({
        path: "wit/plugin",
        inline: "
            package wharfinger:sdk;
            world host {
                import wharfinger:plugin/types@0.3.0;
                import wharfinger:plugin/plan@0.3.0;
                import wharfinger:plugin/ledger@0.3.0;
                import wharfinger:plugin/store@0.3.0;
                import wharfinger:plugin/logger@0.3.0;
                import wharfinger:plugin/node@0.3.0;
                import wharfinger:plugin/workload@0.3.0;
            }
        ",
        world: "wharfinger:sdk/host",
        generate_all,
    });
}

pub mod ipam {
    wit_bindgen::generate!({
        path: "wit/plugin",
        inline: "
            package wharfinger:sdk;
            world ipam { export wharfinger:plugin/ipam@0.3.0; }
        ",
        world: "wharfinger:sdk/ipam",
        pub_export_macro: true,
        default_bindings_module: "wharfinger_sdk::bindings::ipam",
        with: { "wharfinger:plugin/types@0.3.0": crate::bindings::host::wharfinger::plugin::types },
    });
}

pub mod remote {
    wit_bindgen::generate!({
        path: "wit/plugin",
        inline: "
            package wharfinger:sdk;
            world remote { export wharfinger:plugin/ipam-remote@0.3.0; }
        ",
        world: "wharfinger:sdk/remote",
        pub_export_macro: true,
        default_bindings_module: "wharfinger_sdk::bindings::remote",
        with: { "wharfinger:plugin/types@0.3.0": crate::bindings::host::wharfinger::plugin::types },
    });
}

pub mod policy {
    wit_bindgen::generate!({
        path: "wit/plugin",
        inline: "
            package wharfinger:sdk;
            world policy { export wharfinger:plugin/policy@0.3.0; }
        ",
        world: "wharfinger:sdk/policy",
        pub_export_macro: true,
        default_bindings_module: "wharfinger_sdk::bindings::policy",
        with: {
            "wharfinger:plugin/types@0.3.0": crate::bindings::host::wharfinger::plugin::types,
            "wharfinger:plugin/plan@0.3.0": crate::bindings::host::wharfinger::plugin::plan,
        },
    });
}

#[cfg(feature = "http")]
pub mod http {
    wit_bindgen::generate!({
        path: "wit/http",
        inline: "
            package wharfinger:sdk-http;
            world http { import wasi:http/outgoing-handler@0.2.12; }
        ",
        world: "wharfinger:sdk-http/http",
        generate_all,
    });
}
