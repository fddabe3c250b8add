//! The directory of the reference `host-local`: its files as that plugin writes them, what is in
//! them as that plugin reads it.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use wharfinger_ledger::reserved::{Reserved, Reserver};
use wharfinger_ledger::{Error, Range};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn range(first: &str, last: &str) -> Range {
    Range::new(ip(first), ip(last)).unwrap()
}

fn of(container: &str) -> Reserver {
    Reserver::new(container, "eth0")
}

fn open(dir: &Path) -> Reserved {
    Reserved::new(dir, "pods", Some(dir.join("index")), Duration::from_secs(10))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn files_are_the_references() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    let small = [range("10.1.0.1", "10.1.0.6")];
    let gateway = [range("10.1.0.1", "10.1.0.1")];
    let v6 = [range("fd00:9::2", "fd00:9::ffff")];
    assert_eq!(book.take_free(&of("c1"), 0, &small, &gateway).unwrap(), Some(ip("10.1.0.2")));
    assert_eq!(book.take_free(&of("c1"), 1, &v6, &[]).unwrap(), Some(ip("fd00:9::2")));
    let at = dir.path().join("pods");
    assert_eq!(fs::read(at.join("10.1.0.2")).unwrap(), b"c1\r\neth0");
    assert_eq!(fs::read(at.join("fd00:9::2")).unwrap(), b"c1\r\neth0");
    assert_eq!(fs::read(at.join("last_reserved_ip.0")).unwrap(), b"10.1.0.2");
    assert_eq!(fs::read(at.join("last_reserved_ip.1")).unwrap(), b"fd00:9::2");
    assert_eq!(fs::read(at.join("lock")).unwrap(), b"");
    let modes = ["10.1.0.2", "last_reserved_ip.0", "lock", "."].map(|name| mode(&at.join(name)));
    assert_eq!(modes, [0o600, 0o600, 0o750, 0o755]);
    let mut names: Vec<_> =
        fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["10.1.0.2", "fd00:9::2", "last_reserved_ip.0", "last_reserved_ip.1", "lock"],
        "nothing unfinished stays"
    );
}

#[test]
fn the_choice_goes_round_as_the_references() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    let two = [range("10.1.0.1", "10.1.0.3"), range("10.2.0.1", "10.2.0.2")];
    let gateways = [range("10.1.0.1", "10.1.0.1"), range("10.2.0.1", "10.2.0.1")];
    let next = |name: &str| book.take_free(&of(name), 0, &two, &gateways).unwrap();
    assert_eq!(next("a"), Some(ip("10.1.0.2")));
    assert_eq!(next("b"), Some(ip("10.1.0.3")));
    assert_eq!(open(dir.path()).release(&of("a")).unwrap(), [ip("10.1.0.2")]);
    assert_eq!(next("c"), Some(ip("10.2.0.2")), "what was given back has to wait its turn");
    assert_eq!(next("d"), Some(ip("10.1.0.2")), "and no longer");
    assert_eq!(next("e"), None);
    // One that is asked for moves the turn as well.
    let book = open(dir.path());
    assert_eq!(book.release(&of("b")).unwrap(), [ip("10.1.0.3")]);
    assert_eq!(book.release(&of("d")).unwrap(), [ip("10.1.0.2")]);
    assert_eq!(book.take(&of("f"), ip("10.1.0.2"), 0).unwrap(), Ok(()));
    assert_eq!(book.take(&of("g"), ip("10.1.0.2"), 0).unwrap(), Err(of("f")));
    assert_eq!(fs::read(dir.path().join("pods/last_reserved_ip.0")).unwrap(), b"10.1.0.2");
}

#[test]
fn defect_3_what_a_crash_left_empty_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    let one = [range("10.1.0.2", "10.1.0.3")];
    let at = dir.path().join("pods");
    fs::create_dir_all(&at).unwrap();
    fs::write(at.join("10.1.0.2"), "").unwrap();
    assert_eq!(book.take_free(&of("a"), 0, &one, &[]).unwrap(), Some(ip("10.1.0.2")));
    fs::write(at.join("10.1.0.3"), "").unwrap();
    assert_eq!(book.take(&of("b"), ip("10.1.0.3"), 0).unwrap(), Ok(()));
    assert_eq!(book.take_free(&of("c"), 0, &one, &[]).unwrap(), None);
    // Also where so many are taken that the directory was read.
    let many = [range("10.2.0.0", "10.2.0.63")];
    for last in 0..63 {
        fs::write(at.join(format!("10.2.0.{last}")), "x\r\neth0").unwrap();
    }
    fs::write(at.join("10.2.0.63"), "").unwrap();
    assert_eq!(book.take_free(&of("c"), 1, &many, &[]).unwrap(), Some(ip("10.2.0.63")));
    fs::write(at.join("10.1.0.9"), "").unwrap();
    let gone = book.collect(|held| held.reserver.container != "x").unwrap();
    assert_eq!(gone.len(), 64, "those of x, and the empty one");
}

#[test]
fn defect_8_a_lost_mark_costs_a_look_at_the_directory_and_not_a_try_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("pods");
    fs::create_dir_all(&at).unwrap();
    for number in 2..2002 {
        fs::write(at.join(format!("fd00::{number:x}")), format!("c{number}\r\neth0")).unwrap();
    }
    let wide = [range("fd00::2", "fd00::ffff:ffff:ffff:ffff")];
    let book = open(dir.path());
    assert_eq!(book.free(0, &wide, &[]).unwrap(), Some(ip("fd00::7d2")));
    assert_eq!(book.usage(&wide).unwrap().held, 2000);
}

#[test]
fn old_and_foreign_files_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("pods");
    fs::create_dir_all(at.join("sub")).unwrap();
    fs::write(at.join("10.1.0.2"), "c1").unwrap();
    fs::write(at.join("10.1.0.3"), "c1\r\neth0\n").unwrap();
    fs::write(at.join("sub/10.1.0.4"), "c1\r\neth0").unwrap();
    fs::write(at.join("README"), "c1\r\neth0").unwrap();
    let book = open(dir.path());
    let mut held = book.held(&of("c1")).unwrap();
    held.sort();
    assert_eq!(held, ["10.1.0.2", "10.1.0.3", "10.1.0.4"].map(ip));
    let mut gone = book.release(&of("c1")).unwrap();
    gone.sort();
    assert_eq!(gone, ["10.1.0.3", "10.1.0.4"].map(ip), "one of an old release waits");
    assert_eq!(book.release(&of("c1")).unwrap(), [ip("10.1.0.2")]);
    assert!(book.release(&of("c1")).unwrap().is_empty() && at.join("README").exists());
    assert!(open(&dir.path().join("nowhere")).release(&of("c1")).unwrap().is_empty());
    assert!(!dir.path().join("nowhere").exists(), "giving back makes nothing");
}

/// Whether each search has to read every file, or the index told.
#[test]
fn defect_2_the_index_is_believed_only_where_nobody_else_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let (book, at) = (open(dir.path()), dir.path().join("pods"));
    let wide = [range("10.1.0.2", "10.1.255.254")];
    for number in 0..20 {
        book.held(&of(&format!("c{number}"))).unwrap();
        book.take_free(&of(&format!("c{number}")), 0, &wide, &[]).unwrap().unwrap();
    }
    // What is behind the index's back and yet of the same time: only the index can have hidden it.
    let before = fs::metadata(&at).unwrap().modified().unwrap();
    fs::write(at.join("10.1.9.9"), "c3\r\neth0").unwrap();
    let file = fs::File::open(&at).unwrap();
    file.set_times(fs::FileTimes::new().set_modified(before)).unwrap();
    assert_eq!(book.held(&of("c3")).unwrap(), [ip("10.1.0.5")], "the index answered");
    // As the reference does it, the directory's time moves, and all is read.
    fs::write(at.join("10.1.9.8"), "c3\r\neth0").unwrap();
    let mut held = book.held(&of("c3")).unwrap();
    held.sort();
    assert_eq!(held, ["10.1.0.5", "10.1.9.8", "10.1.9.9"].map(ip));
    // A file that became another's is not given back with what the index says of it.
    fs::write(at.join("10.1.0.5"), "other\r\neth0").unwrap();
    assert_eq!(book.release(&of("c3")).unwrap().len(), 2);
    assert_eq!(book.owner(ip("10.1.0.5")).unwrap(), Some(of("other")));
    // Without an index it is the same, only slower; a broken one is no trouble either.
    fs::write(dir.path().join("index/stamp"), "nonsense").unwrap();
    assert_eq!(book.release(&of("c7")).unwrap().len(), 1);
    let without = Reserved::new(dir.path(), "pods", None, Duration::from_secs(1));
    assert_eq!(without.release(&of("c8")).unwrap().len(), 1);
    assert_eq!(book.release(&of("c8")).unwrap().len(), 0);
    assert_eq!(book.all().unwrap().len(), 20 - 3 + 1);
}

/// A full disk, as it was met: the address was given, and who has it could not be noted.
#[test]
fn an_index_that_could_not_be_written_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    book.take(&of("c1"), ip("10.1.0.2"), 0).unwrap().unwrap();
    assert_eq!(book.held(&of("c1")).unwrap(), [ip("10.1.0.2")], "and so there is an index");
    for bucket in 0..=0xff {
        // Neither there nor to be made.
        let _ = symlink("nowhere/at-all", dir.path().join(format!("index/{bucket:02x}")));
    }
    book.take(&of("c2"), ip("10.1.0.3"), 0).unwrap().unwrap();
    assert_eq!(book.release(&of("c2")).unwrap(), [ip("10.1.0.3")]);
    assert!(!dir.path().join("pods/10.1.0.3").exists());
}

#[test]
fn what_was_being_written_when_it_was_killed_goes_with_the_next_change() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    book.take(&of("c1"), ip("10.1.0.2"), 0).unwrap().unwrap();
    let unfinished = dir.path().join("pods/.unfinished");
    fs::write(&unfinished, "c2").unwrap();
    assert!(book.release(&of("c2")).unwrap().is_empty());
    assert!(!unfinished.exists());
    fs::write(&unfinished, "longer than what is written next").unwrap();
    book.take(&of("c2"), ip("10.1.0.3"), 0).unwrap().unwrap();
    assert_eq!(fs::read(dir.path().join("pods/10.1.0.3")).unwrap(), b"c2\r\neth0");
    assert!(!unfinished.exists());
}

#[test]
fn the_lock_is_flocks_and_is_waited_for_with_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let book = Reserved::new(dir.path(), "pods", None, Duration::from_millis(30));
    assert_eq!(book.take(&of("a"), ip("10.1.0.2"), 0).unwrap(), Ok(()));
    let lock = fs::File::open(dir.path().join("pods/lock")).unwrap();
    lock.lock().unwrap();
    let error = book.release(&of("a")).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
    drop(lock);
    assert_eq!(book.release(&of("a")).unwrap().len(), 1);
}

#[test]
fn many_at_once_get_one_each() {
    let dir = tempfile::tempdir().unwrap();
    let wide = [range("10.1.0.2", "10.1.0.201")];
    let given = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (dir, given, wide) = (dir.path(), &given, &wide);
            scope.spawn(move || {
                for number in 0..25 {
                    let id = of(&format!("c{thread}-{number}"));
                    assert!(open(dir).held(&id).unwrap().is_empty());
                    let address = open(dir).take_free(&id, 0, wide, &[]).unwrap().unwrap();
                    given.lock().unwrap().push(address);
                }
            });
        }
    });
    let mut given = given.into_inner().unwrap();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 200);
    let ids = (0..8).flat_map(|t| (0..25).map(move |n| of(&format!("c{t}-{n}"))));
    let gone: usize = ids.map(|id| open(dir.path()).release(&id).unwrap().len()).sum();
    assert_eq!(gone, 200, "each is found again");
}
