//! Against real members of etcd, which each test starts for itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod contract;
mod outages;
mod trust;
mod watching;

use std::time::Duration;

use wharfinger_etcd::{Etcd, Settings};
use wharfinger_etcd_server::{Cluster, Place, Setup};
use wharfinger_ledger::cluster::{Committed, Fault, Guard, Object, Put, Remote};

/// Long enough for a busy machine; what must end earlier says so itself.
const WAIT: Duration = Duration::from_secs(20);

/// Settings without TLS and users.
fn settings(endpoints: Vec<String>) -> Settings {
    Settings {
        endpoints,
        prefix: "wharfinger".into(),
        ca: None,
        cert: None,
        key: None,
        user: None,
        password_file: None,
        timeout: Duration::from_secs(2),
    }
}

fn client(etcd: &Cluster) -> Etcd {
    Etcd::new(settings(etcd.endpoints())).unwrap()
}

fn guard(key: &str, version: u64) -> Guard {
    Guard { key: key.into(), version }
}

fn put(key: &str, value: &str) -> Put {
    Put { key: key.into(), value: Some(value.into()) }
}

/// Writes one object that is not there; its version. Where a busy machine makes members change
/// their leader, the end of a commit may not be known: it is looked at, as our callers do.
fn create(store: &dyn Remote, key: &str, value: &str) -> u64 {
    let mut unknown = false;
    loop {
        match store.commit(&[guard(key, 0)], &[put(key, value)], WAIT) {
            Ok(Committed::Done(versions)) => return versions[0],
            Ok(Committed::Conflict) if unknown => return one(store, key).unwrap().version,
            Err(Fault::Unknown(_)) => unknown = true,
            other => panic!("{key}: {other:?}"),
        }
    }
}

fn one(store: &dyn Remote, key: &str) -> Option<Object> {
    store.get(&[key], WAIT).unwrap().pop()
}
