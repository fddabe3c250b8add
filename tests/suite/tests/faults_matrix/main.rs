//! Every verb, at each of its steps, under every fault: the same things hold after each.
//!
//! A cell is a verb under a fault; its points are the system calls at which the fault strikes, or the ways
//! in which it comes. After each: no address has two owners, a living container keeps what it has, one JSON
//! object was written by whoever lived to write it, in time; and once DEL was called (and called again), or
//! GC, all is as it was before. CI tries some points of each cell, of every step at least one;
//! `cargo xtask test --long` tries all. What was tried is printed, and stands in `docs/faults.md`, which is
//! compared; `WHARFINGER_GOLDEN=update` with `WHARFINGER_TEST_LONG=1` writes it.
//!
//! Start reading at [`cells`], then [`trial`].
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test, and its table is printed"
)]

mod cells;
mod ground;
mod strike;
mod table;
mod trial;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cells::Cell;
use table::Table;
use trial::Grounds;

/// All points of each cell, not some.
pub(crate) fn long() -> bool {
    std::env::var_os("WHARFINGER_TEST_LONG").is_some()
}

/// Tries cells until there are no more.
fn work(cells: &[Cell], next: &AtomicUsize, table: &Mutex<Table>) {
    let mut grounds = Grounds::default();
    while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
        let begun = std::time::Instant::now();
        let tried = trial::cell(&mut grounds, cell);
        println!(
            "{} under {}: {} points, {:?}",
            cell.verb,
            cell.fault,
            tried.len(),
            begun.elapsed()
        );
        let mut table = table.lock().expect("no other failed");
        for (step, outcome) in tried {
            table.note(cell, &step, &outcome);
        }
    }
}

#[test]
#[ignore = "needs root: ring faults"]
fn pain_a1_pain_a4_pain_b3_pain_c1_pain_c7_every_step_of_every_verb_withstands_every_fault() {
    let cells = cells::all();
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Table::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| work(&cells, &next, &table));
        }
    });
    let table = table.into_inner().expect("no worker failed");
    println!("{table}");
    if std::env::var_os("WHARFINGER_FAULT").is_none() {
        table.compare();
    }
}
