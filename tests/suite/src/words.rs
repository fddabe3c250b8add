//! What tests of all kinds say: that something must be, or is to come about.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// What was to be; a test without it has failed.
#[track_caller]
pub fn must<T, E: Display>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:#}"),
    }
}

/// Waits until it is so: what happens elsewhere has its own time.
#[track_caller]
pub fn eventually(what: &str, so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    while !so() {
        assert!(Instant::now() < until, "not within 90 seconds: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// For who reads of the failure.
#[expect(clippy::print_stdout, reason = "the output of a test that failed")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}
