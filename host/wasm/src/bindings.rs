//! The contract's Rust side, made from `wit/`, for each released version. Every import may end
//! the call.
//!
//! What versions have in common, word for word, is one Rust type: that of the newest. Where a
//! later version changes it, the older one has its own again, and an adapter. The engine
//! compares structures, not these names, before a call; a test of each version would notice.
#![allow(missing_docs, dead_code, clippy::all, clippy::pedantic, reason = "generated")]

/// As of wit/0.3.0.
pub(crate) mod v0_3 {
    wasmtime::component::bindgen!({
        path: "../../wit/0.3.0",
        inline: "
            package wharfinger:host;
            world everything {
                import wharfinger:plugin/ledger@0.3.0;
                import wharfinger:plugin/store@0.3.0;
                import wharfinger:plugin/logger@0.3.0;
                import wharfinger:plugin/node@0.3.0;
                import wharfinger:plugin/workload@0.3.0;
                export wharfinger:plugin/ipam@0.3.0;
                export wharfinger:plugin/ipam-remote@0.3.0;
                export wharfinger:plugin/policy@0.3.0;
            }
        ",
        imports: { default: trappable },
    });
}

/// As of wit/0.2.0.
pub(crate) mod v0_2 {
    wasmtime::component::bindgen!({
        path: "../../wit/0.2.0",
        inline: "
            package wharfinger:host;
            world everything {
                import wharfinger:plugin/ledger@0.2.0;
                import wharfinger:plugin/store@0.2.0;
                import wharfinger:plugin/logger@0.2.0;
                import wharfinger:plugin/node@0.2.0;
                export wharfinger:plugin/ipam@0.2.0;
                export wharfinger:plugin/ipam-remote@0.2.0;
                export wharfinger:plugin/policy@0.2.0;
            }
        ",
        imports: { default: trappable },
        with: {
            "wharfinger:plugin/types": crate::bindings::v0_3::wharfinger::plugin::types,
            "wharfinger:plugin/plan": crate::bindings::v0_3::wharfinger::plugin::plan,
        },
    });
}

/// As of wit/0.1.0.
pub(crate) mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1.0",
        inline: "
            package wharfinger:host;
            world everything {
                import wharfinger:plugin/ledger@0.1.0;
                import wharfinger:plugin/store@0.1.0;
                import wharfinger:plugin/logger@0.1.0;
                import wharfinger:plugin/node@0.1.0;
                export wharfinger:plugin/ipam@0.1.0;
                export wharfinger:plugin/ipam-remote@0.1.0;
                export wharfinger:plugin/policy@0.1.0;
            }
        ",
        imports: { default: trappable },
        with: {
            "wharfinger:plugin/types": crate::bindings::v0_3::wharfinger::plugin::types,
            "wharfinger:plugin/plan": crate::bindings::v0_3::wharfinger::plugin::plan,
        },
    });
}
