//! A book that was truncated, overwritten, deleted, replaced; a disk that is full or read-only: a
//! typed error, and never an address given twice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use common::*;
use wharfinger_ledger::{
    Claim, Commit, Error, Ledger, Opened, Options, Record, Release, SqliteLedger,
};

const NOW: u64 = 1_700_000_000;

fn pool() -> [wharfinger_ledger::Range; 1] {
    [range("10.0.0.0-10.0.0.255")]
}

/// A book with forty attachments, some of whose addresses follow each other and some not, as a
/// file; and what the node would be found to have.
fn sample(dir: &Path) -> (Vec<u8>, Vec<Record>) {
    let book = open(dir);
    for n in 0..60 {
        add_from(&book, &id(&n.to_string()), &pool(), NOW).unwrap();
    }
    for n in (0..60).step_by(3) {
        del(&book, &id(&n.to_string()), NOW, if n % 2 == 0 { COOL } else { Duration::ZERO });
    }
    let living = book.list(None).unwrap().into_iter().map(|entry| entry.record).collect();
    drop(book);
    (fs::read(options(dir).path).unwrap(), living)
}

/// Damage anywhere else than in the book's content is a failure.
fn is_damage(error: &Error) -> bool {
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    true
}

/// An ADD as the verbs do it: a book that turns out damaged is set aside and rebuilt from what
/// lives. How often that was.
fn add_recovering(dir: &Path, living: &[Record]) -> (IpAddr, usize) {
    for rebuilt in 0..4 {
        let book = recover(dir, living, NOW);
        let add = || -> Result<IpAddr, Error> {
            let id = id("new");
            loop {
                let mut session = book.session(scope(&id, NOW))?;
                session.pools(&pool())?;
                let found = session.take_free(&pool(), &[], None)?.unwrap();
                if let Commit::Done(_) = session.commit(&record(&id, &[found]))? {
                    return Ok(found);
                }
            }
        };
        match add() {
            Ok(address) => return (address, rebuilt),
            Err(error) if is_damage(&error) => drop(book.set_aside().unwrap()),
            Err(_) => {}
        }
    }
    panic!("it is damaged again and again");
}

/// Puts these bytes in the place of the book; then an ADD, and DELs of what lives.
fn survive(bytes: &[u8], living: &[Record], what: &str) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("run/boot")).unwrap();
    fs::write(options(dir.path()).path, bytes).unwrap();
    let (given, _) = add_recovering(dir.path(), living);
    let holds = |record: &&Record| record.addresses.contains(&given);
    assert_eq!(living.iter().find(holds), None, "{what}: {given} was given twice");
    let mut book = recover(dir.path(), living, NOW);
    for record in living.iter().step_by(4) {
        let deleted = loop {
            let entry = book.get(&record.id);
            let freed = entry.and_then(|entry| {
                let seq = entry.map_or(0, |entry| entry.seq);
                book.release(&record.id, seq, NOW, COOL)
            });
            match freed {
                Ok(freed) => break freed,
                Err(error) if is_damage(&error) => drop(book.set_aside().unwrap()),
                Err(_) => {}
            }
            book = recover(dir.path(), living, NOW);
        };
        assert_ne!(deleted, Release::Stale, "{what}");
    }
}

#[test]
fn a_book_cut_short_anywhere_gives_no_address_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, living) = sample(dir.path());
    let lengths = (0..whole.len()).step_by(2_048).chain([1, 15, 16, 99, 100, whole.len() - 1]);
    for length in lengths {
        survive(&whole[..length], &living, &format!("cut to {length}"));
    }
}

/// A number that looks random and is the same each time.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
}

#[test]
fn a_book_overwritten_anywhere_gives_no_address_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, living) = sample(dir.path());
    for (seed, at) in (0..whole.len()).step_by(512).enumerate() {
        let mut bytes = whole.clone();
        let fill: Vec<u8> = match seed % 3 {
            0 => vec![0; 512],
            _ => noise(seed as u64).take(512).collect(),
        };
        bytes[at..at + 512].copy_from_slice(&fill);
        survive(&bytes, &living, &format!("512 bytes at {at}"));
    }
    survive(&vec![0; whole.len()], &living, "all zero");
    survive(&noise(1).take(whole.len()).collect::<Vec<_>>(), &living, "all noise");
    survive(b"{\"not\": \"a database\"}", &living, "a text");
}

#[test]
fn a_book_with_one_wrong_byte_gives_no_address_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, living) = sample(dir.path());
    let mut places = noise(77);
    for turn in 0..100_u8 {
        let place = places.by_ref().take(3).fold(0, |sum, byte| sum * 256 + usize::from(byte));
        let mut bytes = whole.clone();
        bytes[place % whole.len()] ^= 1 << (turn % 8);
        survive(&bytes, &living, &format!("byte {}", place % whole.len()));
    }
}

fn damaged(options: Options) -> String {
    match SqliteLedger::open(options).unwrap() {
        Opened::Damaged(damaged) => damaged.error().to_string(),
        other => panic!("{other:?}"),
    }
}

fn change(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn what_is_no_book_of_ours_is_named_and_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let says = |sql: &str, what: &str| {
        drop(open(dir.path()));
        change(&options.path, sql);
        let said = damaged(options.clone());
        assert!(said.contains(what), "{said}");
        assert!(said.contains("ledger.db"), "{said}");
        drop(open(dir.path()));
    };
    says("PRAGMA application_id = 7", "of application 0x7");
    says("PRAGMA user_version = 9", "its format is 9, this version knows 4");
    says("PRAGMA user_version = 0", "its format is 0");
    says("DROP TABLE run", "10 tables of 11");
    fs::write(&options.path, "").unwrap();
    assert!(damaged(options.clone()).contains("empty"));
    drop(open(dir.path()));
    let aside = |n: u32| dir.path().join(format!("run/boot/ledger.db.damaged-{n}")).exists();
    assert_eq!([1, 2, 3, 4, 5, 6].map(aside), [true, true, true, true, true, false]);
}

#[test]
fn a_column_that_is_missing_shows_at_the_first_call_that_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    change(&options(dir.path()).path, "ALTER TABLE attachment RENAME COLUMN seq TO number");
    let error = open(dir.path()).get(&id("a")).unwrap_err();
    assert!(is_damage(&error) && error.to_string().contains("no such column: seq"), "{error}");
}

/// Runs and addresses are checked against each other.
#[test]
fn a_book_that_contradicts_itself_is_damaged() {
    for (sql, how) in [
        ("DELETE FROM run", "in no run"),
        ("DELETE FROM address", "in a run"),
        ("DELETE FROM attachment", ""),
        ("UPDATE attachment SET body = '{}'", "missing field"),
        ("UPDATE attachment SET container = 'x'", "another's"),
        ("UPDATE address SET address = x'04'", ""),
        ("DELETE FROM meta", ""),
    ] {
        let dir = tempfile::tempdir().unwrap();
        add_named(&open(dir.path()), &id("a"), ip("10.0.0.0"), NOW);
        change(&options(dir.path()).path, sql);
        let book = open(dir.path());
        let b = id("b");
        let add = |id| {
            let mut session = book.session(scope(id, NOW))?;
            session.take_free(&pool(), &[], None)?;
            let granted = session.take(ip("10.0.0.0"))?.is_ok();
            let addresses = if granted { &[ip("10.0.0.0")][..] } else { &[] };
            session.commit(&record(id, addresses))
        };
        let tried = book.list(None).map(drop).and_then(|()| add(&b).map(drop));
        let error = tried.unwrap_err();
        assert!(is_damage(&error) && error.to_string().contains(how), "{sql}: {error}");
    }
}

/// Many find the same damage: one sets aside, one rebuilds, and nobody moves away the new book.
#[test]
fn many_processes_recover_one_damaged_book() {
    let dir = tempfile::tempdir().unwrap();
    let (_, living) = sample(dir.path());
    fs::write(options(dir.path()).path, "garbage, and more of it").unwrap();
    std::thread::scope(|scope| {
        for n in 0..32 {
            let (dir, living) = (dir.path(), &living);
            scope.spawn(move || {
                let book = recover(dir, living, NOW);
                add_from(&book, &id(&format!("new-{n}")), &pool(), NOW).unwrap();
            });
        }
    });
    let book = open(dir.path());
    assert_eq!(book.list(None).unwrap().len(), living.len() + 32);
    assert_eq!(book.usage(DOMAIN, &pool(), NOW).unwrap().held, living.len() as u128 + 32);
    let aside = fs::read_dir(dir.path().join("run/boot")).unwrap();
    let names = aside.map(|file| file.unwrap().file_name().into_string().unwrap());
    let aside: Vec<_> = names.filter(|name| name.contains("damaged")).collect();
    assert_eq!(aside, ["ledger.db.damaged-1"]);
    drop(book);
    audit(dir.path());
}

#[test]
fn a_book_deleted_in_use_takes_no_commit() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    let mut writer = session(&book, &id("a"), NOW);
    writer.take(ip("10.0.0.1")).unwrap().unwrap();
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    let error = writer.commit(&record(&id("a"), &[ip("10.0.0.1")])).unwrap_err();
    assert!(matches!(&error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("removed while in use"), "{error}");
    book.writable().unwrap_err();
    assert!(matches!(SqliteLedger::open(options(dir.path())).unwrap(), Opened::Fresh(_)));
}

#[test]
fn a_book_replaced_in_use_is_a_conflict_and_then_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    add_named(&book, &id("old"), ip("10.0.0.9"), NOW);
    let mut writer = session(&book, &id("a"), NOW);
    writer.take(ip("10.0.0.1")).unwrap().unwrap();
    drop(open(dir.path()).set_aside().unwrap());
    let found = [record(&id("living"), &[ip("10.0.0.1")])];
    let other = recover(dir.path(), &found, NOW);
    let late = writer.commit(&record(&id("a"), &[ip("10.0.0.1")])).unwrap();
    assert_eq!(late, Commit::Conflict);
    session(&book, &id("a"), NOW).take(ip("10.0.0.1")).unwrap().unwrap_err();
    add_named(&book, &id("a"), ip("10.0.0.2"), NOW);
    assert_eq!(other.list(None).unwrap(), book.list(None).unwrap());
    assert_eq!(book.get(&id("old")).unwrap(), None);
    drop((book, other));
    audit(dir.path());
}

/// What a process leaves that is killed while it begins a book, and a log without its database.
#[test]
fn leftovers_beside_the_book_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    add_named(&book, &id("a"), ip("10.0.0.1"), NOW);
    let path = options(dir.path()).path;
    let beside = |suffix: &str| path.with_file_name(format!("ledger.db{suffix}"));
    // As one sees it in the middle of a write.
    let wal = fs::read(beside("-wal")).unwrap();
    assert!(!wal.is_empty());
    drop(book);
    fs::remove_file(&path).unwrap();
    fs::write(beside("-wal"), wal).unwrap();
    for suffix in ["-shm", ".new", ".new-wal", ".new-journal"] {
        fs::write(beside(suffix), "half").unwrap();
    }
    let book = recover(dir.path(), &[], NOW);
    assert!(book.list(None).unwrap().is_empty());
    add_named(&book, &id("b"), ip("10.0.0.1"), NOW);
    drop(book);
    audit(dir.path());
}

/// What lives keeps its address through a loss of the book, and two claims of one are told.
#[test]
fn a_rebuilt_book_has_what_lives_and_tells_of_double_claims() {
    let dir = tempfile::tempdir().unwrap();
    let Opened::Fresh(fresh) = SqliteLedger::open(options(dir.path())).unwrap() else { panic!() };
    let a = record(&id("a"), &[ip("10.0.0.1"), ip("fd00::1")]);
    let a = Record { ports: vec![port("tcp/80")], ..a };
    let b = record(&id("b"), &[ip("10.0.0.1"), ip("10.0.0.2")]);
    let b = Record { ports: vec![port("tcp/80@10.0.0.1"), port("tcp/81")], ..b };
    let rebuilt = fresh.rebuild(&[a.clone(), b.clone()], NOW).unwrap();
    let doubled = [Claim::Address(ip("10.0.0.1")), Claim::Port(port("tcp/80@10.0.0.1"))];
    assert_eq!(rebuilt.doubled, doubled.map(|claim| (id("b"), claim)));
    assert!(rebuilt.lost.is_none());
    let book = rebuilt.ledger;
    assert_eq!(entry(&book, &id("a")).record, a);
    assert_eq!(entry(&book, &id("b")).record, b);
    assert!(entry(&book, &id("a")).seq > 1 << 32, "above those of the book that was lost");
    del(&book, &id("b"), NOW, Duration::ZERO);
    let holder = session(&book, &id("c"), NOW).claim(&port("tcp/80@10.0.0.1")).unwrap();
    assert_eq!(holder.unwrap_err().id, id("a"));
    session(&book, &id("c"), NOW).claim(&port("tcp/81")).unwrap().unwrap();
    let all = [range("10.0.0.1-10.0.0.2")];
    assert_eq!(book.usage(DOMAIN, &all, NOW).unwrap().held, 1);
    assert_eq!(add_from(&book, &id("c"), &all, NOW), Some(ip("10.0.0.2")));
}

#[test]
fn files_are_their_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    let mut writer = session(&book, &id("a"), NOW);
    writer.store_put(&own(), "k", "v", false);
    seq_of(writer.commit(&record(&id("a"), &[])));
    let mode =
        |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
    for path in ["run", "run/boot", "lib"] {
        assert_eq!(mode(path), 0o700, "{path}");
    }
    for path in ["", "-wal", "-shm", ".lock"].map(|suffix| format!("run/boot/ledger.db{suffix}")) {
        assert_eq!(mode(&path), 0o600, "{path}");
    }
    assert_eq!(mode("lib/lasting.db"), 0o600);
}

#[test]
fn a_locked_book_is_waited_for_until_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let patient = open(dir.path());
    let wait = Duration::from_millis(60);
    let hasty = Options { wait, ..options(dir.path()) };
    let Opened::Book(hasty) = SqliteLedger::open(hasty).unwrap() else { panic!() };
    let other = rusqlite::Connection::open(options(dir.path()).path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let error = hasty.writable().unwrap_err();
    assert!(matches!(&error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("begin writing: database is locked"), "{error}");
    assert!(began.elapsed() >= wait);
    hasty.list(None).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| add_named(&patient, &id("a"), ip("10.0.0.1"), NOW));
        std::thread::sleep(Duration::from_millis(30));
        other.execute_batch("ROLLBACK").unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("run"), "a file").unwrap();
    let error = SqliteLedger::open(options(dir.path())).unwrap_err();
    assert!(matches!(&error, Error::Denied { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("ledger.db") && text.contains("Not a directory"), "{text}");
}

/// Keeps an address for an identity.
fn remember(book: &SqliteLedger, name: &str, address: &str) -> Result<Commit, Error> {
    let mut session = session(book, &id(name), NOW);
    session.take(ip(address)).unwrap().unwrap();
    session.remember(name);
    session.store_put(&own(), name, address, false);
    session.commit(&record(&id(name), &[ip(address)]))
}

#[test]
fn the_lasting_half_is_opened_only_where_it_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    add_from(&book, &id("a"), &pool(), NOW).unwrap();
    let mut reader = session(&book, &id("b"), NOW);
    assert!(reader.remembered("x").unwrap().is_empty());
    assert!(!reader.store_remove(&own(), "k").unwrap());
    reader.store_put(&own(), "k", "v", true);
    seq_of(reader.commit(&record(&id("b"), &[])));
    assert!(!dir.path().join("lib").exists());
}

/// While a boot lasts, its mirror makes up for a lasting half that was lost; at a boot it is set
/// aside and told of.
#[test]
fn a_lasting_half_that_is_lost_is_written_anew_or_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    seq_of(remember(&book, "a", "10.0.0.1"));
    let lasting = options(dir.path()).lasting;
    fs::remove_file(&lasting).unwrap();
    seq_of(remember(&book, "b", "10.0.0.2"));
    fs::write(&lasting, "garbage").unwrap();
    seq_of(remember(&book, "c", "10.0.0.3"));
    assert!(lasting.with_file_name("lasting.db.damaged-1").exists());
    drop(book);
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    let book = open(dir.path());
    let names = |book: &SqliteLedger| -> Vec<String> {
        book.identities().unwrap().into_iter().map(|known| known.identity).collect()
    };
    assert_eq!(names(&book), ["a", "b", "c"]);
    assert_eq!(session(&book, &id("x"), NOW).store_scan(&own(), "", None, 9).unwrap().len(), 3);
    drop(book);
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    fs::write(&lasting, "garbage").unwrap();
    let Opened::Fresh(fresh) = SqliteLedger::open(options(dir.path())).unwrap() else { panic!() };
    let rebuilt = fresh.rebuild(&[], NOW).unwrap();
    let lost = rebuilt.lost.unwrap().to_string();
    assert!(lost.contains("lasting.db is damaged"), "{lost}");
    assert!(names(&rebuilt.ledger).is_empty());
    seq_of(remember(&rebuilt.ledger, "d", "10.0.0.4"));
}

/// A process was killed after the lasting half was written, before the book was: the next write
/// finds the mirror old, renews it, and runs again.
#[test]
fn a_mirror_that_is_behind_is_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    seq_of(remember(&book, "a", "10.0.0.1"));
    // Another book on the same lasting half stands for the write that was lost.
    let other = Options { path: dir.path().join("run/other/ledger.db"), ..options(dir.path()) };
    let Opened::Fresh(fresh) = SqliteLedger::open(other).unwrap() else { panic!() };
    let other = fresh.rebuild(&[], NOW).unwrap().ledger;
    seq_of(remember(&other, "b", "10.0.0.2"));
    assert!(session(&book, &id("x"), NOW).remembered("b").unwrap().is_empty());
    assert_eq!(remember(&book, "c", "10.0.0.3").unwrap(), Commit::Conflict);
    assert_eq!(session(&book, &id("x"), NOW).remembered("b").unwrap(), [ip("10.0.0.2")]);
    seq_of(remember(&book, "c", "10.0.0.3"));
    assert!(book.forget("pods", "b").unwrap());
    assert!(other.forget("pods", "a").unwrap());
    drop((book, other));
    audit(dir.path());
}

/// A small file system of its own.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], dir.path());
        Self(dir)
    }
}

fn mount(args: &[&str], dir: &Path) {
    let done = std::process::Command::new("mount").args(args).arg(dir).status().unwrap();
    assert!(done.success(), "mount needs root");
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

/// A4: a full disk is said to be one, changes nothing, and passes.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a4_a_full_disk_is_an_error_and_leaves_the_book_whole() {
    let place = Mount::new();
    let dir = place.0.path();
    let book = open(dir);
    add_named(&book, &id("a"), ip("10.0.0.200"), NOW);
    let ballast = dir.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let error = loop {
        let mut session = session(&book, &id("big"), NOW);
        let found = session.take_free(&pool(), &[], None).unwrap().unwrap();
        let big = serde_json::json!("x".repeat(100_000));
        let record = Record { conf: big, ..record(&id("big"), &[found]) };
        match session.commit(&record) {
            Err(error) => break error,
            Ok(done) => assert!(matches!(done, Commit::Done(_))),
        }
    };
    assert!(matches!(&error, Error::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(book.list(None).unwrap().len(), 1);
    // A book cannot be begun there either, and nothing half-made is left in its place.
    let elsewhere = Options { path: dir.join("run/two/ledger.db"), ..options(dir) };
    if let Opened::Fresh(fresh) = SqliteLedger::open(elsewhere.clone()).unwrap() {
        let error = fresh.rebuild(&[], NOW).unwrap_err();
        assert!(matches!(&error, Error::Unavailable { .. }), "{error}");
        assert!(!elsewhere.path.exists());
    }
    drop(file);
    fs::remove_file(&ballast).unwrap();
    add_named(&book, &id("b"), ip("10.0.0.201"), NOW);
    del(&book, &id("a"), NOW, COOL);
    drop(book);
    audit(dir);
}

/// A4: so is a read-only one.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a4_a_read_only_disk_is_an_error() {
    let place = Mount::new();
    let dir = place.0.path();
    add_named(&open(dir), &id("a"), ip("10.0.0.1"), NOW);
    mount(&["-o", "remount,ro"], dir);
    let error = match SqliteLedger::open(options(dir)) {
        Ok(Opened::Book(book)) => book.writable().unwrap_err(),
        Ok(other) => panic!("{other:?}"),
        Err(error) => error,
    };
    assert!(matches!(&error, Error::Denied { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("read-only"), "{error}");
    mount(&["-o", "remount,rw"], dir);
    assert_eq!(open(dir).list(None).unwrap().len(), 1);
}

/// Reading the file at an offset is all that is done to it: it is not mapped, so that one that
/// is cut short under an open book is an error and no signal.
#[test]
fn a_book_cut_short_in_use_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let (_, living) = sample(dir.path());
    let book = open(dir.path());
    book.writable().unwrap();
    let file = fs::OpenOptions::new().write(true).open(options(dir.path()).path).unwrap();
    file.set_len(4096).unwrap();
    file.write_all_at(&[7; 100], 2000).unwrap();
    drop(book);
    let (given, _) = add_recovering(dir.path(), &living);
    assert!(living.iter().all(|record| !record.addresses.contains(&given)));
}
