//! Quotas: what a policy counts and enters is of one transaction with the attachment itself, so
//! that two at once cannot both be the last.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::sync::{Barrier, Mutex};
use std::time::Duration;

use serde_json::json;
use wharfinger_attach::{Error, Host, add, del};
use wharfinger_cni::{Attach, code};
use wharfinger_ledger::{Ledger, MemLedger, Opened, Options, Owner, Scope, SqliteLedger};
use wharfinger_wasm::{Error as PluginError, Verdict};
use world::{NETNS, TestPolicy, World, bridge, call_of};

/// Who counts first and enters then; between both it waits for the others at `meet`, once.
fn world(most: u64, meet: &'static Barrier, turns: &'static Mutex<u32>) -> World {
    let mut world = World::new();
    let policy = TestPolicy::new("quota").admit(move |request, book| {
        let count = book.store_count("pod/").map_err(PluginError::Book)?;
        let first = {
            let mut turns = turns.lock().unwrap();
            *turns += 1;
            *turns <= 2
        };
        if first {
            meet.wait();
        }
        if count >= most {
            return Ok(Verdict::Deny(format!("quota of {most} is used up")));
        }
        let key = format!("pod/{}", request.attachment.id.container);
        book.store_put(&key, "1", true).map_err(PluginError::Book)?;
        Ok(Verdict::Allow)
    });
    world.engine.policies.insert("quota", policy);
    world
}

fn call(container: &str, netns: &str) -> Attach {
    let mut conf = bridge("10.1.0.2", "10.1.0.99");
    conf["policies"] = json!([{ "plugin": "quota" }]);
    call_of(&conf, container, netns)
}

fn count(ledger: &dyn Ledger) -> u64 {
    let scope = Scope { id: call("x", "").id, domain: "host".into(), now: 0 };
    let owner = Owner::of_network("pods", "quota");
    ledger.session(scope).unwrap().store_count(&owner, "pod/").unwrap()
}

fn attach(world: &World, ledger: &dyn Ledger, call: &Attach) -> Result<(), Error> {
    world.with(|host| {
        let host = Host { ledger, ..*host };
        let added = add::add(&host, call)?;
        add::finish(&host, call, &added, true)
    })
}

/// Both have counted before either enters.
fn two_at_once(ledger: &(dyn Ledger + Sync)) {
    let meet: &'static Barrier = Box::leak(Box::new(Barrier::new(2)));
    let turns: &'static Mutex<u32> = Box::leak(Box::new(Mutex::new(0)));
    let results: Vec<_> = std::thread::scope(|scope| {
        let run = |n: usize| {
            scope.spawn(move || {
                let world = world(1, meet, turns);
                let done = attach(&world, ledger, &call(&format!("c{n}"), NETNS[n]));
                let links = world.kernel.leftovers();
                (done.map_err(|error| error.to_cni("pods").code), links.is_empty())
            })
        };
        let threads = [run(0), run(1)];
        threads.map(|thread| thread.join().unwrap()).to_vec()
    });
    let passed = results.iter().filter(|(done, _)| done.is_ok()).count();
    assert_eq!(passed, 1, "{results:?}");
    let (refused, nothing) = results.iter().find(|(done, _)| done.is_err()).unwrap();
    assert_eq!((refused, *nothing), (&Err(code::DENIED), true));
    assert_eq!(ledger.list(None).unwrap().len(), 1);
    assert_eq!(count(ledger), 1);
    // What the one held goes with it, and another has room.
    let left = ledger.list(None).unwrap().remove(0).record.id;
    let world = world(1, meet, turns);
    let left = call(&left.container, "");
    world.with(|host| del::del(&Host { ledger, ..*host }, &left)).unwrap();
    assert_eq!(count(ledger), 0);
    attach(&world, ledger, &call("c9", NETNS[2])).unwrap();
    assert_eq!(count(ledger), 1);
}

#[test]
fn two_adds_at_once_cannot_both_pass_a_quota_of_one() {
    two_at_once(&MemLedger::new());
}

fn on_disk(dir: &std::path::Path) -> SqliteLedger {
    let (path, lasting) = (dir.join("run/ledger.db"), dir.join("lib/lasting.db"));
    let options = Options { path, lasting, wait: Duration::from_secs(30) };
    match SqliteLedger::open(options).unwrap() {
        Opened::Book(book) => book,
        Opened::Fresh(fresh) => fresh.rebuild(&[], 0).unwrap().ledger,
        Opened::Damaged(damaged) => panic!("{}", damaged.error()),
    }
}

#[test]
fn two_adds_at_once_cannot_both_pass_a_quota_of_one_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    two_at_once(&on_disk(dir.path()));
}

/// A crowd, each with a connection of its own, as processes have.
#[test]
fn of_a_crowd_exactly_the_quota_passes() {
    let dir = tempfile::tempdir().unwrap();
    drop(on_disk(dir.path()));
    let meet: &'static Barrier = Box::leak(Box::new(Barrier::new(2)));
    let turns: &'static Mutex<u32> = Box::leak(Box::new(Mutex::new(2)));
    let passed: usize = std::thread::scope(|scope| {
        let run = |n: usize| {
            let dir = dir.path();
            scope.spawn(move || {
                let (world, ledger) = (world(5, meet, turns), on_disk(dir));
                usize::from(attach(&world, &ledger, &call(&format!("c{n}"), NETNS[n % 4])).is_ok())
            })
        };
        let threads: Vec<_> = (0..12).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 5);
    assert_eq!(count(&on_disk(dir.path())), 5);
}
