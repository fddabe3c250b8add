//! The API server away, with the book in it: what runs goes on, what is deleted is gone from the node at
//! once and from the book later, and what is made is made later.

use std::time::{Duration, Instant};

use serde_json::Value;
use wharfinger_kube_lab::eventually;
use wharfinger_suite::{Kube, Pod, must};

/// The network of the pods, as an error names it, and the code that has runtimes try again.
#[track_caller]
fn is_tried_again(refused: Result<Value, Value>) {
    let Err(refused) = refused else { panic!("there is nobody to ask: {refused:?}") };
    assert_eq!(refused["code"], 11, "{refused}");
    let said = refused.to_string();
    assert!(said.contains("network pods") && said.contains("API server"), "{said}");
}

/// Kubelets hear nothing of pods in the API then: those that come and go are static ones.
pub(crate) fn a_minute_without_the_server(kube: &Kube) {
    kube.create(&[Pod::new("a", "n1"), Pod::new("b", "n2")]);
    kube.add_static(&Pod::new("gone", "n1"), "n1");
    let (a, b, gone) = (kube.running("a"), kube.running("b"), kube.running("gone-n1"));
    assert!(kube.left("n1").join("\n").contains(&gone[0]), "{gone:?}");
    must(kube.lab.server("stop"), "no server");
    let start = Instant::now();
    kube.add_static(&Pod::new("late", "n2"), "n2");
    kube.remove_static("gone", "n1");
    is_tried_again(kube.call("n2", "ADD", "hand"));
    // By an ADD, or by what STATUS said before there was one.
    let refused = || {
        let log = kube.lab.log("n2.kubelet");
        let why = |line: &&str| line.contains("late-n2") && line.contains("no answer from the API");
        anyhow::ensure!(log.lines().any(|line| why(&line)), "kubelet does not say why late waits");
        Ok(())
    };
    must(eventually(Duration::from_mins(1), refused), "late");
    let detached = || {
        let left = kube.left("n1").join("\n");
        anyhow::ensure!(!gone.iter().any(|address| left.contains(address)), "{left}");
        Ok(())
    };
    must(eventually(Duration::from_mins(1), detached), "gone");
    while start.elapsed() < Duration::from_mins(1) {
        kube.pings_from("n2", &b[0], &a[0]);
        kube.pings_from("n1", &a[1], &b[1]);
        std::thread::sleep(Duration::from_secs(1));
    }
    must(kube.lab.server("start"), "a server");
    let late = kube.running("late-n2");
    kube.pings("a", &late[0]);
    // What was released then, and nothing of who was refused.
    kube.holds(&[a, b, late].concat());
    kube.delete(&["a", "b"]);
    kube.remove_static("late", "n2");
    super::nothing_left(kube);
}

/// It takes what is sent, and answers nothing.
pub(crate) fn a_server_that_does_not_answer(kube: &Kube) {
    let one = must(kube.call("n1", "ADD", "one").map_err(|error| error.to_string()), "one");
    let one = wharfinger_suite::strings(&one, &["ips"], "address");
    must(kube.lab.server("pause"), "paused");
    is_tried_again(kube.call("n1", "ADD", "two"));
    must(kube.call("n1", "DEL", "one").map_err(|error| error.to_string()), "its DEL");
    let left = kube.left("n1");
    must(kube.lab.server("resume"), "resumed");
    assert!(one.len() == 2 && left.is_empty(), "{one:?} {left:?}");
    super::nothing_left(kube);
}
