//! The verbs where the book was lost, or says what is no longer so.

mod world;

use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use wharfinger_attach::{Error, Host, add, check, gc};
use wharfinger_cni::{Attach, AttachmentId, Node, Success, code};
use wharfinger_ledger::{
    Entry, Error as LedgerError, Ledger, MemLedger, Notice, Owner, Range, Record, Release, Scope,
    Session, Usage,
};
use world::{NETNS, World, bridge, call, call_of};

fn code_of(error: &Error) -> u32 {
    error.to_cni("pods").code
}

fn checked(world: &World, call: &Attach, previous: Success) -> Result<(), Error> {
    let call = Attach { prev_result: Some(previous), ..call.clone() };
    world.with(|host| check::check(host, &call))
}

#[test]
fn req_23_a_second_add_with_a_rebuilt_book_harms_nothing() {
    let mut world = World::new();
    let call = call("c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    world.lose_the_book();
    let error = world.add(&call).unwrap_err();
    assert_eq!(code_of(&error), code::EXISTS);
    assert!(world.kernel.link(100, "eth0").is_some());
    checked(&world, &call, success).unwrap();
}

#[test]
fn with_a_rebuilt_book_no_address_is_given_twice_and_del_leaves_nothing() {
    let mut world = World::new();
    let (first, second) = (call("c1", NETNS[0]), call("c2", NETNS[1]));
    let given = world.add(&first).unwrap().ips[0].address;
    world.lose_the_book();
    assert_ne!(world.add(&second).unwrap().ips[0].address, given);
    world.del(&first).unwrap();
    world.del(&second).unwrap();
    world.assert_empty();
}

#[test]
fn with_a_rebuilt_book_gc_sees_what_was_there_before() {
    let mut world = World::new();
    world.add(&call("c1", NETNS[0])).unwrap();
    world.lose_the_book();
    let node = Node { path: Vec::new(), conf: call("x", "").conf };
    world.with(|host| gc::gc(host, &node, &[])).unwrap();
    world.assert_empty();
}

/// Too long for an alias, which has the digest of the key.
fn long() -> Attach {
    call(&"c".repeat(200), NETNS[0])
}

#[test]
fn an_id_too_long_for_the_kernel_survives_the_loss_of_the_book() {
    let mut world = World::new();
    let success = world.add(&long()).unwrap();
    world.lose_the_book();
    let other = call("c2", NETNS[1]);
    assert_ne!(world.add(&other).unwrap().ips[0].address, success.ips[0].address);
    assert_eq!(code_of(&world.add(&long()).unwrap_err()), code::EXISTS);
    checked(&world, &long(), success).unwrap();
    world.del(&long()).unwrap();
    world.del(&other).unwrap();
    world.assert_empty();
}

#[test]
fn an_id_too_long_for_the_kernel_is_attached_anew_where_its_namespace_is_another() {
    let mut world = World::new();
    world.add(&long()).unwrap();
    world.lose_the_book();
    let mut again = long();
    again.netns = Some(NETNS[1].into());
    world.add(&again).unwrap();
    world.del(&again).unwrap();
    world.assert_empty();
}

#[test]
fn an_executable_is_asked_by_what_the_caller_says_where_the_book_has_forgotten() {
    let mut world = World::new();
    let answer = json!({ "cniVersion": "1.1.0", "ips": [{ "address": "10.9.0.5/16" }] });
    world.delegate_answer.replace(Some(answer));
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["ipam"] = json!({ "type": "other-ipam" });
    let call = call_of(&conf, "c1", NETNS[0]);
    world.add(&call).unwrap();
    world.lose_the_book();
    world.del(&call).unwrap();
    assert_eq!(*world.delegated.borrow(), ["other-ipam ADD", "other-ipam DEL"]);
    world.assert_empty();
}

/// A book that answers as if others had come in between.
struct Odd<'a> {
    book: &'a MemLedger,
    /// After so many reads of a record it cannot be read.
    reads: Cell<u32>,
    /// What it lists.
    list: Option<Vec<Entry>>,
}

impl Ledger for Odd<'_> {
    fn get(&self, id: &AttachmentId) -> Result<Option<Entry>, LedgerError> {
        let Some(left) = self.reads.get().checked_sub(1) else {
            return Err(LedgerError::Unavailable { path: "book".into(), what: "gone".into() });
        };
        self.reads.set(left);
        self.book.get(id)
    }
    fn list(&self, network: Option<&str>) -> Result<Vec<Entry>, LedgerError> {
        self.list.clone().map_or_else(|| self.book.list(network), Ok)
    }
    fn horizon(&self) -> Result<u64, LedgerError> {
        self.book.horizon()
    }
    fn session(&self, scope: Scope) -> Result<Box<dyn Session + '_>, LedgerError> {
        self.book.session(scope)
    }
    fn attached(
        &self,
        id: &AttachmentId,
        seq: u64,
        result: &serde_json::Value,
    ) -> Result<Release, LedgerError> {
        self.book.attached(id, seq, result)
    }
    fn amend(&self, record: &Record, seq: u64) -> Result<Release, LedgerError> {
        self.book.amend(record, seq)
    }
    fn release(
        &self,
        id: &AttachmentId,
        seq: u64,
        now: u64,
        cool: Duration,
    ) -> Result<Release, LedgerError> {
        self.book.release(id, seq, now, cool)
    }
    fn usage(&self, domain: &str, ranges: &[Range], now: u64) -> Result<Usage, LedgerError> {
        self.book.usage(domain, ranges, now)
    }
    fn writable(&self) -> Result<(), LedgerError> {
        self.book.writable()
    }
    fn post(&self, notice: &Notice) -> Result<u64, LedgerError> {
        self.book.post(notice)
    }
    fn post_lease(&self, number: u64, lease: &serde_json::Value) -> Result<(), LedgerError> {
        self.book.post_lease(number, lease)
    }
    fn delivered(&self, number: u64) -> Result<(), LedgerError> {
        self.book.delivered(number)
    }
    fn kept(&self, owner: &Owner) -> Result<Vec<(String, String)>, LedgerError> {
        self.book.kept(owner)
    }
    fn keep(&self, owner: &Owner, key: &str, value: Option<&str>) -> Result<(), LedgerError> {
        self.book.keep(owner, key, value)
    }
    fn outbox(&self, network: &str) -> Result<Vec<(u64, Notice)>, LedgerError> {
        self.book.outbox(network)
    }
}

#[test]
fn req_26_a_book_that_is_gone_when_the_kernel_is_done_undoes_the_add() {
    let world = World::new();
    let odd = Odd { book: &world.ledger, reads: Cell::new(1), list: None };
    let call = call("c1", NETNS[0]);
    let error = world.with(|host| add::add(&Host { ledger: &odd, ..*host }, &call)).err().unwrap();
    assert_eq!(code_of(&error), code::TRY_AGAIN, "{error}");
    assert_eq!(world.kernel.leftovers(), Vec::<String>::new());
    world.del(&call).unwrap();
    world.assert_empty();
}

/// What was seen dead may have been attached anew before it is undone.
#[test]
fn pain_b1_what_is_reclaimed_is_what_was_seen_dead() {
    let world = World::new();
    let at = |address: &str, container: &str, netns: &str| {
        let mut call = call_of(&bridge("10.1.0.5", "10.1.0.6"), container, netns);
        call.args = vec![("IP".into(), address.into())];
        call
    };
    world.add(&at("10.1.0.5", "c1", NETNS[0])).unwrap();
    let stale = world.with(|host| host.ledger.list(None)).unwrap();
    world.del(&at("10.1.0.5", "c1", NETNS[0])).unwrap();
    let second = at("10.1.0.6", "c1", NETNS[0]);
    world.add(&second).unwrap();
    let odd = Odd { book: &world.ledger, reads: Cell::new(99), list: Some(stale) };
    let wants = at("10.1.0.6", "c2", NETNS[1]);
    let error = world.with(|host| add::add(&Host { ledger: &odd, ..*host }, &wants)).err();
    assert_eq!(code_of(&error.unwrap()), code::CONFLICT);
    assert!(world.kernel.link(100, "eth0").is_some(), "the second attachment of c1 stands");
    let held: Vec<IpAddr> = world.addresses(&second.id);
    assert_eq!(held, ["10.1.0.6".parse::<IpAddr>().unwrap()]);
}

#[test]
fn pain_d4_a_missing_privilege_says_who_may() {
    let source = std::io::Error::from_raw_os_error(1);
    let refused =
        wharfinger_kernel::Error::Refused { operation: "list", object: "map masq4".into(), source };
    let told = Error::from(refused).to_cni("pods");
    assert!(told.details.contains("root"), "{}", told.details);
    let nowhere = Error::NoNetns { path: String::new() }.to_string();
    assert_eq!(nowhere, "no network namespace was given");
}
