//! TLS and users: what is right works, what is not is said.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use super::*;

fn secure() -> Cluster {
    let places = vec![Place::free().unwrap()];
    Cluster::start(Setup { places, tls: true, options: vec![] }).unwrap()
}

fn trusted(etcd: &Cluster) -> Settings {
    let certificates = etcd.certificates().unwrap();
    Settings {
        ca: Some(certificates.cert("ca")),
        cert: Some(certificates.cert("client")),
        key: Some(certificates.key("client")),
        ..settings(etcd.endpoints())
    }
}

#[track_caller]
fn refused(settings: Settings) -> String {
    let store = Etcd::new(settings).unwrap();
    let start = Instant::now();
    let read = match store.get(&["a"], WAIT) {
        Err(Fault::Refused(read)) => read,
        other => panic!("{other:?}"),
    };
    let write = store.commit(&[], &[put("a", "1")], WAIT);
    assert!(matches!(write, Err(Fault::Refused(_))), "{write:?}");
    assert!(start.elapsed() < WAIT, "it did not wait for what will not come");
    read
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn tls_with_certificates_of_both() {
    let etcd = secure();
    let good = trusted(&etcd);
    contract::contract(&Etcd::new(good.clone()).unwrap());
    let certificates = etcd.certificates().unwrap();
    let stranger = Settings { ca: Some(certificates.cert("stranger")), ..good.clone() };
    assert!(refused(stranger).contains("invalid peer certificate"));
    let nobody = Settings { cert: None, key: None, ..good.clone() };
    assert!(refused(nobody).contains("do not trust each other"));
    let impostor = Settings {
        cert: Some(certificates.cert("impostor")),
        key: Some(certificates.key("impostor")),
        ..good.clone()
    };
    assert!(refused(impostor).contains("do not trust each other"));
    let no_file = Settings { key: Some(PathBuf::from("/none.key")), ..good };
    assert!(refused(no_file).contains("key /none.key"));
    // No TLS where TLS is spoken.
    let plain = etcd.endpoints()[0].replace("https", "http");
    let store = Etcd::new(settings(vec![plain])).unwrap();
    let fault = store.get(&["a"], Duration::from_secs(1)).unwrap_err();
    assert!(matches!(fault, Fault::Unavailable(text) if text.contains("http://")));
}

fn password(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{text}").unwrap();
    file
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn users_and_what_they_may() {
    let options = vec!["--auth-token-ttl=1".into()];
    let setup = Setup { places: vec![Place::free().unwrap()], tls: false, options };
    let mut etcd = Cluster::start(setup).unwrap();
    let (right, wrong) = (password("right"), password("wrong"));
    let node = Settings {
        user: Some("node".into()),
        password_file: Some(right.path().to_owned()),
        ..settings(etcd.endpoints())
    };
    assert!(refused(node.clone()).contains("it has no users"));
    etcd.users("node", "right", "wharfinger/").unwrap();
    let store = Etcd::new(node.clone()).unwrap();
    contract::contract(&store);
    let wrong = Settings { password_file: Some(wrong.path().to_owned()), ..node.clone() };
    assert!(refused(wrong).contains("password_file"));
    assert!(refused(settings(etcd.endpoints())).contains("set `user`"));
    let elsewhere = Settings { prefix: "elsewhere".into(), ..node.clone() };
    assert!(refused(elsewhere).contains("grant-permission"));
    // Tokens are forgotten by a member that starts again, and end: we authenticate anew.
    etcd.kill(0);
    etcd.restart(0).unwrap();
    create(&store, "again", "1");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(one(&store, "again").unwrap().value, "1");
    std::thread::sleep(Duration::from_secs(3));
    create(&store, "and-again", "1");
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn a_full_disk_quota_is_said() {
    let options = vec!["--quota-backend-bytes=100000".into()];
    let setup = Setup { places: vec![Place::free().unwrap()], tls: false, options };
    let etcd = Cluster::start(setup).unwrap();
    let store = client(&etcd);
    let value = "v".repeat(50_000);
    let text =
        (0..5000).find_map(|at| match store.commit(&[], &[put(&format!("{at}"), &value)], WAIT) {
            Ok(_) => None,
            Err(Fault::Refused(text)) => Some(text),
            Err(other) => panic!("{other:?}"),
        });
    assert!(text.unwrap().contains("alarm disarm"));
    // It can still be read.
    assert!(one(&store, "0").is_some());
}
