//! Against a NetBox of a few lines: what it is asked, and what comes of its answers.

use std::cell::RefCell;
use std::rc::Rc;

use wharfinger_sdk::http::{Request as Asked, Response};
use wharfinger_sdk::serde_json::{Value, from_slice, json};
use wharfinger_sdk::testing::Host;

use super::*;

/// Description and last octet of each entry; its id is the octet.
type Entries = Rc<RefCell<Vec<(String, u8)>>>;

fn config() -> Value {
    json!({
        "url": "https://netbox.example", "token": "t0ken", "prefix": 7,
        "subnet": {"subnet": "10.1.0.0/29"}, "secrets": ["/token"], "type": "netbox"
    })
}

fn container(name: &str) -> Attachment {
    Attachment::new("pods", name, "eth0")
}

fn entry((description, octet): &(String, u8)) -> Value {
    json!({"id": octet, "address": format!("10.1.0.{octet}/29"), "description": description})
}

fn answer(entries: &Entries, asked: &Asked) -> Response {
    let mut entries = entries.borrow_mut();
    assert!(asked.headers.contains(&("authorization".to_owned(), "Token t0ken".to_owned())));
    let path = asked.url.strip_prefix("https://netbox.example/api/ipam/").unwrap();
    match asked.method.as_str() {
        "GET" => {
            assert!(path.starts_with("ip-addresses/?description=pods%2F"), "{path}");
            let results: Vec<Value> = entries.iter().map(entry).collect();
            Response::of(200, &json!({"next": null, "results": results}))
        }
        "POST" => {
            assert_eq!(path, "prefixes/7/available-ips/");
            let body: Value = from_slice(&asked.body).unwrap();
            let free = (2..7).find(|octet| entries.iter().all(|(_, taken)| taken != octet));
            let Some(octet) = free else {
                return Response::of(409, &json!({"detail": "insufficient"}));
            };
            let made = (body["description"].as_str().unwrap().to_owned(), octet);
            entries.push(made.clone());
            Response::of(201, &entry(&made))
        }
        _ => {
            let before = entries.len();
            entries.retain(|(_, octet)| path != format!("ip-addresses/{octet}/"));
            Response::of(if entries.len() < before { 204 } else { 404 }, &Value::Null)
        }
    }
}

fn netbox() -> (Host, Entries) {
    let (mut host, entries) = (Host::new(), Entries::default());
    let theirs = Rc::clone(&entries);
    host.web(move |asked| Ok(answer(&theirs, asked)));
    (host, entries)
}

#[test]
fn asked_twice_netbox_has_one_entry_and_the_lease_is_the_same() {
    let (mut host, entries) = netbox();
    let first = host.add::<Netbox>(&config(), &container("a")).unwrap();
    assert_eq!(first.addresses[0].address.to_string(), "10.1.0.2/29");
    assert_eq!(host.add::<Netbox>(&config(), &container("a")).unwrap(), first);
    host.add::<Netbox>(&config(), &container("b")).unwrap();
    let descriptions: Vec<String> = entries.borrow().iter().map(|(d, _)| d.clone()).collect();
    assert_eq!(descriptions, ["pods/a/eth0", "pods/b/eth0"]);
}

#[test]
fn what_is_released_is_deleted_once_and_again_is_no_failure() {
    let (mut host, entries) = netbox();
    let lease = host.add::<Netbox>(&config(), &container("a")).unwrap();
    host.add::<Netbox>(&config(), &container("b")).unwrap();
    host.del(&container("a"));
    host.released::<Netbox>(&config(), &container("a"), Some(&lease)).unwrap();
    host.released::<Netbox>(&config(), &container("a"), None).unwrap();
    assert_eq!(entries.borrow().len(), 1);
}

#[test]
fn a_prefix_that_is_full_is_exhausted() {
    let (mut host, _) = netbox();
    for name in ["a", "b", "c", "d", "e"] {
        host.add::<Netbox>(&config(), &container(name)).unwrap();
    }
    let full = host.add::<Netbox>(&config(), &container("f")).unwrap_err();
    assert_eq!(full.reason, Reason::Exhausted);
}

#[test]
fn without_an_answer_it_is_to_try_again_and_nothing_is_taken() {
    let mut host = Host::new();
    host.web(|_| Err("connection refused".to_owned()));
    let failed = host.add::<Netbox>(&config(), &container("a")).unwrap_err();
    assert_eq!(failed.reason, Reason::TryAgain);
    assert_eq!(
        failed.message,
        "NetBox gives no answer: GET https://netbox.example/api/ipam/ip-addresses/: \
         connection refused"
    );
    assert!(host.holds(&container("a")).is_empty());
    let failed = host.released::<Netbox>(&config(), &container("a"), None).unwrap_err();
    assert_eq!(failed.reason, Reason::TryAgain);
}

#[test]
fn each_answer_has_its_reason() {
    for (status, reason) in [
        (401, Reason::InvalidConfig),
        (403, Reason::InvalidConfig),
        (400, Reason::Other),
        (429, Reason::TryAgain),
        (503, Reason::TryAgain),
    ] {
        let mut host = Host::new();
        host.web(move |_| Ok(Response::of(status, &json!({"detail": "no"}))));
        let failed = host.add::<Netbox>(&config(), &container("a")).unwrap_err();
        assert_eq!(failed.reason, reason, "{status}");
        assert!(!failed.message.contains("t0ken"), "{}", failed.message);
    }
}

#[test]
fn an_address_that_the_host_has_given_otherwise_is_refused() {
    let (mut host, _) = netbox();
    host.reserve("10.1.0.2".parse().unwrap(), "a printer");
    let failed = host.add::<Netbox>(&config(), &container("a")).unwrap_err();
    assert_eq!(failed.message, "NetBox's address: 10.1.0.2 is reserved: a printer");
}

#[test]
fn what_is_wrong_is_named() {
    let mut bad = config();
    bad["url"] = json!("netbox.example/");
    bad["token"] = json!("");
    let pointers: Vec<String> =
        Host::new().problems::<Netbox>(&bad).into_iter().map(|p| p.pointer).collect();
    assert_eq!(pointers, ["/url", "/token"]);
}
