//! A fuzzer inside the tests, for a stable compiler: seeds from `tests/corpus/fuzz`, changed at random, are
//! given to a parser, which must neither panic nor hang. What it says of an input stands in for coverage:
//! inputs about which something new is said are changed further.
//!
//! A run of the tests takes a fixed number of rounds from a fixed seed, so that it says the same each
//! time; `cargo xtask fuzz --minutes N` goes on for that long from another seed. What is found is written
//! into the corpus, where it stays as a seed once it is mended: each run tries all seeds first. Start
//! reading at [`fuzz`].
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails is a test, and what it says is seen with --nocapture"
)]

mod dice;
mod mutate;

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Once;
use std::time::{Duration, Instant};
use std::{env, fs, process};

pub use dice::Dice;
pub use mutate::mutate;

/// How long to go on, instead of a number of rounds.
const SECONDS: &str = "WHARFINGER_FUZZ_SECONDS";
/// The longest that one input may take, on however slow a machine.
const HANGS: Duration = Duration::from_secs(30);
/// So many inputs are kept to be changed further.
const POOL: usize = 1000;

thread_local! {
    /// Something panicked since this was reset, caught or not.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Tries a target with its seeds, and then with what becomes of them: `rounds` of that, or for as long as
/// was asked for. It returns what is to be said of an input in a few words.
///
/// # Panics
/// Where the target does, on an input that is in the corpus then.
pub fn fuzz(name: &str, rounds: usize, target: impl Fn(&[u8]) -> String) {
    listen();
    let mut pool = seeds(name);
    assert!(!pool.is_empty(), "no seeds in {}", folder(name).display());
    let mut said = HashSet::new();
    for seed in &pool {
        said.insert(shape(&once(name, seed, &target)));
    }
    let end = env::var(SECONDS).ok().map(|seconds| {
        Instant::now() + Duration::from_secs(seconds.parse().expect("a number of seconds"))
    });
    let mut dice = Dice::new(if end.is_some() { u64::from(process::id()) << 20 } else { 1 });
    let mut tried = 0_usize;
    while end.map_or(tried < rounds, |end| Instant::now() < end) {
        let input = mutate(&mut dice, &pool);
        tried += 1;
        if said.insert(shape(&once(name, &input, &target))) && pool.len() < POOL {
            pool.push(input);
        }
    }
    println!("{name}: {tried} inputs, {} things said of them", said.len());
}

/// One input; what was said of it.
fn once(name: &str, input: &[u8], target: &impl Fn(&[u8]) -> String) -> String {
    PANICKED.set(false);
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    if begun.elapsed() > HANGS {
        found(name, input, "takes too long");
    }
    match outcome {
        Ok(said) if !PANICKED.get() => said,
        _ => found(name, input, "panics"),
    }
}

/// Keeps what was found, and fails.
fn found(name: &str, input: &[u8], what: &str) -> ! {
    let digest = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = folder(name).join(format!("found-{digest:016x}"));
    fs::write(&path, input).expect("written into the corpus");
    panic!("{name} {what} on {}: mend it, and leave the file there", path.display());
}

/// What was said without numbers and names that come from the input: what is left is where it was said.
fn shape(said: &str) -> String {
    let mut quoted = false;
    let kept = said.chars().filter(|letter| {
        quoted ^= *letter == '"';
        !quoted && !letter.is_ascii_digit()
    });
    kept.take(120).collect()
}

/// Panics that somebody catches count as well.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |what| {
            PANICKED.set(true);
            before(what);
        }));
    });
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus/fuzz").join(name)
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder(name))
        .map(|entries| entries.map(|entry| entry.expect("an entry").path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a seed")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_is_found_also_where_it_is_caught() {
        listen();
        for caught in [false, true] {
            PANICKED.set(false);
            let outcome = catch_unwind(|| {
                let inner = catch_unwind(|| panic!("planted"));
                assert!(caught, "not caught: {inner:?}");
            });
            assert!(PANICKED.get() && outcome.is_ok() == caught);
        }
    }

    #[test]
    fn one_seed_leads_to_the_same_inputs() {
        let pool = [br#"{"a": [1, "b"], "c": {"d": null}}"#.to_vec(), b"CNI".to_vec()];
        let inputs = |seed| {
            let mut dice = Dice::new(seed);
            (0..200).map(|_| mutate(&mut dice, &pool)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        let different: HashSet<_> = inputs(1).into_iter().collect();
        assert!(different.len() > 150, "{}", different.len());
        assert!(
            different
                .iter()
                .any(|input| serde_json::from_slice::<serde_json::Value>(input).is_ok())
        );
        assert!(different.iter().any(|input| std::str::from_utf8(input).is_err()));
    }

    #[test]
    fn what_is_said_is_known_by_where_it_was_said() {
        assert_eq!(shape("at /ips/3: found \"x 5\" there"), shape("at /ips/17: found \"é\" there"));
        assert_ne!(shape("at /ips"), shape("at /routes"));
    }
}
