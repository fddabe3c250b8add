//! The checks are checked first: a book as small as can be on the model's store, in which faults
//! are planted. What is sound passes; each fault is found.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use wharfinger_ledger::cluster::{Committed, Fault, Guard, Put, Remote};

use crate::check::{Act, Acts};
use crate::store::{Client, Faults, Planted, Store};
use crate::turns::Turns;

const WAIT: Duration = Duration::from_secs(2);

/// What the small book does that it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Careless {
    /// It says that it has an address of which it does not know whether it has.
    UnknownIsDone,
    /// It says that it did nothing where it does not know.
    UnknownIsNothing,
    /// It writes without a guard.
    NoGuard,
}

/// Takes an address, or says who has it.
fn take(remote: &Client, address: IpAddr, who: u64, careless: Option<Careless>) -> Option<Act> {
    let key = format!("address/{address}");
    loop {
        let found = remote.get(&[&key], WAIT).ok()?.pop();
        if let Some(held) = found {
            return Some(Act::Refused(held.value.parse().unwrap()));
        }
        let guard = Guard { key: key.clone(), version: 0 };
        let guards = if careless == Some(Careless::NoGuard) { vec![] } else { vec![guard] };
        let put = Put { key: key.clone(), value: Some(who.to_string()) };
        match remote.commit(&guards, &[put], WAIT) {
            Ok(Committed::Done(_)) => return Some(Act::Took(who)),
            Ok(Committed::Conflict) => {}
            Err(Fault::Unknown(_)) => {
                return match careless {
                    Some(Careless::UnknownIsDone) => Some(Act::Took(who)),
                    Some(Careless::UnknownIsNothing) => None,
                    _ => Some(Act::MayTake(who)),
                };
            }
            Err(_) => return None,
        }
    }
}

/// Gives it back if it has it; false: nobody knows.
fn let_go(remote: &Client, address: IpAddr, who: u64) -> bool {
    let key = format!("address/{address}");
    let Ok(mut found) = remote.get(&[&key], WAIT) else { return false };
    let Some(held) = found.pop().filter(|held| held.value == who.to_string()) else { return true };
    let guard = Guard { key: key.clone(), version: held.version };
    // A conflict: somebody else changed it, which only a late answer of our own can have done.
    matches!(remote.commit(&[guard], &[Put { key, value: None }], WAIT), Ok(Committed::Done(_)))
}

/// Twelve at once, of few addresses. What no order explains.
fn round(seed: u64, planted: Option<Planted>, careless: Option<Careless>) -> Result<u64, String> {
    let turns = Turns::new(seed);
    let faults = Faults { refused: 50, lost: 40, unanswered: 20, slow: 8, outages: 20_000 };
    let store = Store::new(&turns, faults, planted, crate::store::Writes::Whole);
    let acts = Acts::default();
    let clients: Vec<_> = (0..12).map(|number| store.client(number)).collect();
    turns.run(clients.len(), |me| {
        for turn in 0..12 {
            let who = (me * 100 + turn) as u64;
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(turns.draw(4)).unwrap()));
            let begun = acts.begin();
            match take(&clients[me], address, who, careless) {
                Some(Act::MayTake(who)) => acts.open(begun, address, Act::MayTake(who)),
                Some(act) => acts.end(begun, address, act),
                None => {}
            }
            turns.pause(turns.draw(30));
            let begun = acts.begin();
            if let_go(&clients[me], address, who) {
                acts.end(begun, address, Act::LetGo(who));
            } else {
                acts.open(begun, address, Act::LetGo(who));
            }
        }
    });
    assert!(acts.count() > 100 && store.counts().faults > 0, "{:?}", store.counts());
    acts.check().map(|()| turns.trace())
}

#[test]
fn a_sound_book_is_found_sound() {
    for seed in 0..100 {
        if let Err(why) = round(seed, None, None) {
            panic!("seed {seed}: {why}");
        }
    }
}

#[test]
fn a_run_is_the_same_again_from_its_seed() {
    for seed in 0..5 {
        assert_eq!(round(seed, None, None), round(seed, None, None));
    }
    assert_ne!(round(1, None, None), round(2, None, None));
}

#[test]
fn each_planted_fault_of_the_store_is_found() {
    for planted in [Planted::StaleReads, Planted::GuardsIgnored, Planted::LostWrites] {
        assert!((0..20).any(|seed| round(seed, Some(planted), None).is_err()), "{planted:?}");
    }
}

#[test]
fn each_planted_fault_of_the_book_is_found() {
    for careless in [Careless::UnknownIsDone, Careless::UnknownIsNothing, Careless::NoGuard] {
        assert!((0..20).any(|seed| round(seed, None, Some(careless)).is_err()), "{careless:?}");
    }
}
