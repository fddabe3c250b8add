//! What every book must do, run on each kind: the model, SQLite, a cluster's of one node. The crate
//! of etcd runs the same on a cluster's whose store is a real one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

/// Writes each test once, and runs it on each kind of book.
macro_rules! each {
    ($($(#[$doc:meta])* fn $name:ident<$kind:ident>() $body:block)*) => {
        $($(#[$doc])* fn $name<$kind: Kind>() $body)*
        mod memory { $(#[test] fn $name() { super::$name::<super::Memory>(); })* }
        mod sqlite { $(#[test] fn $name() { super::$name::<super::Sqlite>(); })* }
        mod cluster { $(#[test] fn $name() { super::$name::<super::Cluster>(); })* }
        mod one_by_one {
            type Book = super::Cluster<crate::common::OneByOne>;
            $(#[test] fn $name() { super::$name::<Book>(); })*
        }
        mod cluster_on_disk { $(#[test] fn $name() { super::$name::<super::ClusterOnDisk>(); })* }
    };
}

#[path = "cases/giving.rs"]
mod giving;
#[path = "cases/lasting.rs"]
mod lasting;
