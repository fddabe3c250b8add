//! The guest's end of the wire in somebody else's hands: whatever comes over it ends the call with an answer
//! that a component might have given, or with an error for people.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::host::Guest;
use super::talk::Talk;
use super::wire::Wire;
use crate::record::{Answer, Call};
use crate::{AddressRange, Book, BookError, Limits, Node, Refusal, Usage, Verdict, World};

/// Grants all that it is asked for, as long as it may be.
#[derive(Default)]
struct Generous {
    taken: Vec<IpAddr>,
    store: BTreeMap<String, String>,
    logged: Vec<String>,
}

impl Book for Generous {
    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, BookError> {
        self.taken.push(address);
        Ok(Ok(()))
    }

    fn take_free(
        &mut self,
        ranges: &[AddressRange],
        _: &[AddressRange],
        _: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, BookError> {
        let first = ranges.first().map(|(first, _)| *first);
        self.taken.extend(first);
        Ok(first)
    }

    fn remembered(&mut self, identity: &str) -> Result<Vec<IpAddr>, BookError> {
        if identity == "lost" { Err("the book is lost".into()) } else { Ok(Vec::new()) }
    }

    fn remember(&mut self, _: &str) -> Result<(), BookError> {
        Ok(())
    }

    fn store_get(&mut self, key: &str) -> Result<Option<String>, BookError> {
        Ok(self.store.get(key).cloned())
    }

    fn store_put(&mut self, key: &str, value: &str, _: bool) -> Result<(), BookError> {
        self.store.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn store_remove(&mut self, key: &str) -> Result<bool, BookError> {
        Ok(self.store.remove(key).is_some())
    }

    fn store_scan(
        &mut self,
        prefix: &str,
        _: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, BookError> {
        let mine = self.store.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(mine.take(limit as usize).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn store_count(&mut self, _: &str) -> Result<u64, BookError> {
        Ok(self.store.len() as u64)
    }

    fn store_size(&mut self) -> Result<u64, BookError> {
        Ok(self.store.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() as u64)
    }

    fn usage(&mut self, _: &[AddressRange]) -> Result<Usage, BookError> {
        Ok(Usage::default())
    }

    fn log(&mut self, _: crate::Level, message: &str) {
        self.logged.push(message.to_owned());
    }
}

/// What the other end says: a call, and messages, each JSON; or bytes as they are.
fn said(input: &[u8]) -> (Call, World, Vec<u8>) {
    let whole: Value = serde_json::from_slice(input).unwrap_or_default();
    let call = serde_json::from_value(whole["call"].clone());
    let call = call.unwrap_or_else(|_| Call::Pools { config: "{}".into() });
    let world = match &call {
        Call::Admit { .. } | Call::Review { .. } => World::Policy,
        _ => World::Ipam,
    };
    let Some(messages) = whole["says"].as_array() else { return (call, world, input.to_owned()) };
    let mut bytes = Vec::new();
    for message in messages {
        let text = message.to_string();
        bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend(text.bytes());
    }
    (call, world, bytes)
}

/// Its process has ended already: it is only asked how.
fn guest(world: World, wire: Wire) -> Guest {
    let process = Command::new("/bin/true").stdin(Stdio::null()).spawn().unwrap();
    Guest {
        identity: "p@sha256:00".into(),
        shown: "p".into(),
        limits: Limits::default(),
        pod: false,
        world,
        remote: false,
        wire,
        process: RefCell::new(process),
    }
}

#[test]
fn fuzz_guests() {
    let first = UnixStream::pair().unwrap().0;
    let guest = RefCell::new(guest(World::Ipam, Wire::new(first, 0)));
    wharfinger_fuzz::fuzz("guest", 800, |input| {
        let (call, world, bytes) = said(input);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut guest = guest.borrow_mut();
        guest.world = world;
        guest.wire = Wire::new(ours, 1 << 20);
        let mut book = Generous::default();
        let outcome = std::thread::scope(|scope| {
            let reader = theirs.try_clone().unwrap();
            scope.spawn(move || std::io::copy(&mut { reader }, &mut std::io::sink()));
            scope.spawn(move || {
                // Who does not listen to the end is no concern of ours.
                let _ = (&theirs).write_all(&bytes);
                let _ = theirs.shutdown(Shutdown::Write);
            });
            let outcome = Talk::new(&guest, &call, &mut book).run(&Node::default(), &call);
            // Nobody waits for more.
            let mut rest = Vec::new();
            let end = UnixStream::pair().unwrap().0;
            let stream = std::mem::replace(&mut guest.wire, Wire::new(end, 0)).into_stream();
            let _ = stream.shutdown(Shutdown::Both);
            let _ = (&stream).read_to_end(&mut rest);
            outcome
        });
        for line in &book.logged {
            shown(line);
        }
        match outcome {
            Ok(answer) => {
                fits(&call, &answer, &book.taken);
                format!("{answer:?}")
            }
            Err(error) => {
                let text = error.to_string();
                shown(&text);
                text
            }
        }
    });
}

/// What people are shown has no control characters, and an end.
fn shown(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.len() < 100_000, "{} bytes", text.len());
}

/// The answer is the call's, and has nothing that it did not take.
fn fits(call: &Call, answer: &Answer, taken: &[IpAddr]) {
    match (call, answer) {
        (Call::Validate { .. }, Answer::Problems(problems)) => {
            for problem in problems {
                shown(&problem.message);
            }
        }
        (Call::Pools { .. }, Answer::Pools(pools)) => {
            for pool in pools {
                shown(&pool.name);
                for (first, last) in &pool.ranges {
                    assert!(first.is_ipv4() == last.is_ipv4() && first <= last, "{pool:?}");
                }
            }
        }
        (Call::Allocate { request }, Answer::Lease(lease)) => {
            let given: Vec<IpAddr> = lease.addresses.iter().map(|a| a.address.addr()).collect();
            assert!(given.iter().all(|address| taken.contains(address)), "{given:?} of {taken:?}");
            assert!(request.wanted.iter().all(|wanted| given.contains(wanted)), "{given:?}");
        }
        (Call::Released { .. }, Answer::Released(())) => {}
        (Call::Admit { .. } | Call::Review { .. }, Answer::Verdict(verdict)) => {
            if let Verdict::Deny(reason) = verdict {
                shown(reason);
            }
        }
        _ => panic!("{answer:?} to {}", call.export()),
    }
}
