//! Members that are started, lost and found again.

use wharfinger_etcd_server::{Cluster, Place, Setup};

#[test]
#[ignore = "needs etcd: ring cluster"]
fn three_members_outlive_one_and_keep_what_was_written() {
    let mut etcd = Cluster::three().unwrap();
    let leader = etcd.leader().unwrap();
    etcd.ctl(&["put", "a", "1"]).unwrap();
    etcd.kill(leader);
    assert_ne!(etcd.leader().unwrap(), leader);
    etcd.ctl(&["put", "b", "2"]).unwrap();
    etcd.restart(leader).unwrap();
    assert_eq!(etcd.ctl_at(leader, &["get", "b", "--print-value-only"]).unwrap(), "2\n");
    etcd.pause(leader).unwrap();
    etcd.resume(leader).unwrap();
    etcd.compact().unwrap();
    let old = etcd.ctl(&["get", "a", "--rev=2"]).unwrap_err().to_string();
    assert!(old.contains("compacted"), "{old}");
    etcd.stop(leader);
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn tls_and_users_are_asked_for() {
    let setup = Setup { places: vec![Place::free().unwrap()], tls: true, options: vec![] };
    let mut etcd = Cluster::start(setup).unwrap();
    assert!(etcd.endpoints()[0].starts_with("https://"));
    etcd.users("node", "pass", "wharfinger/").unwrap();
    etcd.ctl(&["put", "anything", "1"]).unwrap();
    etcd.restart(0).unwrap();
    assert_eq!(etcd.ctl(&["get", "anything", "--print-value-only"]).unwrap(), "1\n");
}
