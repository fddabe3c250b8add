//! Plugins that ask an outside system: told of each attachment's end, whatever happens between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_attach::{Error, Host, add, gc};
use wharfinger_cni::{Attach, AttachmentId, Node, ValidAttachment};
use wharfinger_ledger::{
    Entry, Error as LedgerError, Ledger, Notice, Owner, Range, Record, Release, Scope, Session,
    Usage,
};
use wharfinger_wasm::Reason;
use world::{NETNS, TestPolicy, World, bridge, call_of};

fn outside() -> Value {
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["ipam"]["type"] = json!("outside");
    conf
}

fn call(container: &str, netns: &str) -> Attach {
    call_of(&outside(), container, netns)
}

fn released(world: &World) -> Vec<(String, bool)> {
    world.engine.outside.released.borrow().clone()
}

fn waiting(world: &World) -> usize {
    world.ledger.outbox("pods").unwrap().len()
}

fn collect(world: &World) {
    let node = Node { path: Vec::new(), conf: call("x", "").conf };
    world.with(|host| gc::gc(host, &node, &[])).unwrap();
}

#[test]
fn the_outside_is_told_with_the_lease_once_the_book_is_closed() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.add(&call).unwrap();
    assert_eq!(waiting(&world), 1, "written down while it lives");
    world.del(&call).unwrap();
    assert_eq!(released(&world), [("c1".to_owned(), true)]);
    assert_eq!(waiting(&world), 0);
    world.del(&call).unwrap();
    assert_eq!(released(&world).len(), 1, "once");
    world.assert_empty();
}

#[test]
fn a_server_that_is_down_fails_no_del_and_is_told_later() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.add(&call).unwrap();
    world.engine.outside.down.set(true);
    world.heard.0.borrow_mut().clear();
    world.del(&call).unwrap();
    world.assert_empty();
    assert_eq!(waiting(&world), 1);
    let heard = world.heard.0.borrow().clone();
    assert!(heard[1].contains("does not answer") && heard[1].contains("passed: true"), "{heard:?}");
    collect(&world);
    assert_eq!(waiting(&world), 1);
    world.engine.outside.down.set(false);
    collect(&world);
    assert_eq!((waiting(&world), released(&world)), (0, vec![("c1".to_owned(), true)]));
}

#[test]
fn the_next_add_and_the_next_del_of_the_network_tell_too() {
    for retry in ["add", "del", "del of nobody"] {
        let world = World::new();
        let (first, second) = (call("c1", NETNS[0]), call("c2", NETNS[1]));
        world.add(&first).unwrap();
        world.add(&second).unwrap();
        world.engine.outside.down.set(true);
        world.del(&first).unwrap();
        world.engine.outside.down.set(false);
        match retry {
            "add" => drop(world.add(&call("c3", NETNS[2])).unwrap()),
            "del" => world.del(&second).unwrap(),
            _ => world.del(&call("c9", "")).unwrap(),
        }
        assert!(released(&world).contains(&("c1".to_owned(), true)), "{retry}");
        assert!(world.engine.outside.holds.borrow().contains("c2") != (retry == "del"));
    }
}

#[test]
fn an_add_that_comes_to_nothing_is_told_without_a_lease() {
    let world = World::new();
    world.engine.fails.replace(Some((Reason::Other, "no".into())));
    world.add(&call("c1", NETNS[0])).unwrap_err();
    assert_eq!((waiting(&world), released(&world)), (0, vec![("c1".to_owned(), false)]));
    assert!(world.engine.outside.holds.borrow().is_empty());
    // A review that refuses comes after the outside has given.
    let mut world = World::new();
    let policy =
        TestPolicy::new("no").review(|_, _, _, _| Ok(wharfinger_wasm::Verdict::Deny("no".into())));
    world.engine.policies.insert("no", policy);
    let mut conf = outside();
    conf["policies"] = json!([{ "plugin": "no" }]);
    world.add(&call_of(&conf, "c1", NETNS[0])).unwrap_err();
    assert_eq!((waiting(&world), released(&world)), (0, vec![("c1".to_owned(), false)]));
    // A kernel that refuses comes after the book has it.
    let world = World::new();
    world.kernel.fail_at(1);
    world.add(&call("c1", NETNS[0])).unwrap_err();
    assert_eq!((waiting(&world), released(&world)), (0, vec![("c1".to_owned(), true)]));
    world.assert_empty();
}

#[test]
fn what_is_in_the_outbox_outlives_a_reboot() {
    let mut world = World::new();
    world.add(&call("c1", NETNS[0])).unwrap();
    world.ledger = world.ledger.rebooted(5).unwrap();
    world.kernel.remove_netns(NETNS[0]);
    assert_eq!(waiting(&world), 1);
    // The runtime ends the pods of before: there is no record.
    world.del(&call("c1", "")).unwrap();
    assert_eq!((waiting(&world), released(&world)), (0, vec![("c1".to_owned(), true)]));
}

#[test]
fn one_that_is_being_worked_on_or_lives_is_not_told_of() {
    let world = World::new();
    world.add(&call("c1", NETNS[0])).unwrap();
    world.del(&call("c9", "")).unwrap();
    collect_but(&world, 1..2);
    assert_eq!(released(&world), [], "it lives");
    world.engine.outside.down.set(true);
    world.del(&call("c1", NETNS[0])).unwrap();
    world.engine.outside.down.set(false);
    let id = call("c1", "").id;
    let hold = world.with(|host| host.node.try_lock(&id)).unwrap().unwrap();
    collect(&world);
    assert_eq!(released(&world), [], "somebody works on it");
    drop(hold);
    collect(&world);
    assert_eq!(released(&world).len(), 1);
}

/// A GC that lists these containers.
fn collect_but(world: &World, living: std::ops::Range<u32>) {
    let node = Node { path: Vec::new(), conf: call("x", "").conf };
    let valid = |n: u32| ValidAttachment { container: format!("c{n}"), ifname: "eth0".into() };
    let valid: Vec<ValidAttachment> = living.map(valid).collect();
    world.with(|host| gc::gc(host, &node, &valid)).unwrap();
}

/// A notice that was left behind, of a container without a record.
fn post(world: &World, container: &str, plugin: &str) {
    let id = AttachmentId { container: container.to_owned(), ..call("x", "").id };
    let attachment = json!({ "id": id, "pod": null, "args": [] });
    let (plugin, config) = (plugin.to_owned(), "{}".to_owned());
    world.ledger.post(&Notice { id, plugin, config, attachment, lease: None }).unwrap();
}

#[test]
fn one_verb_tells_of_some_and_stops_at_the_first_that_fails() {
    let world = World::new();
    (0..20).for_each(|n| post(&world, &format!("old{n}"), "outside"));
    world.del(&call("c9", "")).unwrap();
    assert_eq!(waiting(&world), 12);
    world.engine.outside.down.set(true);
    world.heard.0.borrow_mut().clear();
    world.del(&call("c9", "")).unwrap();
    assert_eq!(world.heard.0.borrow().len(), 2, "one question, one answer");
    world.engine.outside.down.set(false);
    world.machine.late.set(true);
    world.del(&call("c9", "")).unwrap();
    assert_eq!(waiting(&world), 12, "the deadline has passed");
}

#[test]
fn those_that_live_do_not_keep_others_from_being_told_of() {
    let world = World::new();
    let mut conf = outside();
    conf["ipam"]["last"] = json!("10.1.0.99");
    (0..9).for_each(|n| {
        world.add(&call_of(&conf, &format!("c{n}"), NETNS[0])).unwrap();
        world.kernel.delete_link(100, "eth0");
    });
    post(&world, "old", "outside");
    world.del(&call("nobody", "")).unwrap();
    assert_eq!((waiting(&world), released(&world)), (9, vec![("old".to_owned(), false)]));
    post(&world, "older", "outside");
    collect_but(&world, 0..9);
    assert_eq!(waiting(&world), 9);
}

#[test]
fn a_plugin_that_is_gone_keeps_no_other_from_being_told() {
    let world = World::new();
    (0..9).for_each(|n| post(&world, &format!("old{n}"), "gone"));
    post(&world, "old", "outside");
    world.heard.0.borrow_mut().clear();
    world.del(&call("nobody", "")).unwrap();
    assert_eq!(released(&world), [("old".to_owned(), false)]);
    let heard = world.heard.0.borrow().clone();
    assert_eq!(heard.iter().filter(|line| line.starts_with("gone")).count(), 1, "{heard:?}");
}

/// A book under which the process dies at its `left`-th change.
struct Dying<'a> {
    book: &'a dyn Ledger,
    left: Cell<u32>,
}

impl Dying<'_> {
    fn step(&self) -> Result<(), LedgerError> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or(0));
        let dead = || LedgerError::Unavailable { path: "book".into(), what: "killed".into() };
        left.map(drop).ok_or_else(dead)
    }
}

impl Ledger for Dying<'_> {
    fn get(&self, id: &AttachmentId) -> Result<Option<Entry>, LedgerError> {
        self.step()?;
        self.book.get(id)
    }
    fn list(&self, network: Option<&str>) -> Result<Vec<Entry>, LedgerError> {
        self.step()?;
        self.book.list(network)
    }
    fn horizon(&self) -> Result<u64, LedgerError> {
        self.step()?;
        self.book.horizon()
    }
    fn session(&self, scope: Scope) -> Result<Box<dyn Session + '_>, LedgerError> {
        self.step()?;
        self.book.session(scope)
    }
    fn attached(
        &self,
        id: &AttachmentId,
        seq: u64,
        result: &Value,
    ) -> Result<Release, LedgerError> {
        self.step()?;
        self.book.attached(id, seq, result)
    }
    fn amend(&self, record: &Record, seq: u64) -> Result<Release, LedgerError> {
        self.step()?;
        self.book.amend(record, seq)
    }
    fn release(
        &self,
        id: &AttachmentId,
        seq: u64,
        now: u64,
        cool: Duration,
    ) -> Result<Release, LedgerError> {
        self.step()?;
        self.book.release(id, seq, now, cool)
    }
    fn usage(&self, domain: &str, ranges: &[Range], now: u64) -> Result<Usage, LedgerError> {
        self.book.usage(domain, ranges, now)
    }
    fn writable(&self) -> Result<(), LedgerError> {
        self.book.writable()
    }
    fn post(&self, notice: &Notice) -> Result<u64, LedgerError> {
        self.step()?;
        self.book.post(notice)
    }
    fn post_lease(&self, number: u64, lease: &Value) -> Result<(), LedgerError> {
        self.step()?;
        self.book.post_lease(number, lease)
    }
    fn delivered(&self, number: u64) -> Result<(), LedgerError> {
        self.step()?;
        self.book.delivered(number)
    }
    fn kept(&self, owner: &Owner) -> Result<Vec<(String, String)>, LedgerError> {
        self.step()?;
        self.book.kept(owner)
    }
    fn keep(&self, owner: &Owner, key: &str, value: Option<&str>) -> Result<(), LedgerError> {
        self.step()?;
        self.book.keep(owner, key, value)
    }
    fn outbox(&self, network: &str) -> Result<Vec<(u64, Notice)>, LedgerError> {
        self.step()?;
        self.book.outbox(network)
    }
}

/// Runs a verb with a book that ends after each number of steps, until it ends by itself; after
/// each, as after kill -9, DEL and GC bring the outside up to date.
fn killed_at_every_step(verb: impl Fn(&Host, &Attach) -> Result<(), Error>, attached: bool) {
    for steps in 0..64 {
        let world = World::new();
        let call = call("c1", NETNS[0]);
        if attached {
            world.add(&call).unwrap();
        }
        let done = world.with(|host| {
            let dying = Dying { book: host.ledger, left: Cell::new(steps) };
            verb(&Host { ledger: &dying, ..*host }, &call)
        });
        let told = done.is_ok();
        world.del(&call).unwrap();
        collect(&world);
        assert_eq!(waiting(&world), 0, "after {steps} steps");
        let holds = world.engine.outside.holds.borrow().clone();
        assert!(holds.is_empty(), "after {steps} steps the outside still has {holds:?}");
        world.assert_empty();
        if told && steps > 12 {
            return;
        }
    }
    panic!("it never came to an end");
}

#[test]
fn an_add_killed_at_any_step_of_the_book_is_told_of_in_the_end() {
    let verb = |host: &Host, call: &Attach| {
        let added = add::add(host, call)?;
        add::finish(host, call, &added, true)
    };
    killed_at_every_step(verb, false);
}

#[test]
fn a_del_killed_at_any_step_of_the_book_is_told_of_in_the_end() {
    killed_at_every_step(wharfinger_attach::del::del, true);
}
