//! `wharfinger plugin verify`: everything in the store against the lock file.

use anyhow::Result;

use crate::cli::print;
use crate::plugins::store;
use crate::program::Program;

/// Status 1 where anything is not as it should be, each named.
pub(super) fn run(program: &Program) -> Result<u8> {
    let cache = match store::open(&program.paths.lib) {
        Ok(Some(cache)) => cache,
        Ok(None) => return print("nothing is installed\n"),
        // The first of its findings: without a lock file that is ours there are no others.
        Err(error) => return print(&format!("{error}\n")).map(|_| 1),
    };
    let findings = cache.verify();
    if findings.is_empty() {
        return print(&format!("{} installed, all as it should be\n", cache.pins().len()));
    }
    let lines: Vec<String> =
        findings.iter().map(|finding| format!("{}: {}\n", finding.object, finding.what)).collect();
    print(&lines.concat()).map(|_| 1)
}
