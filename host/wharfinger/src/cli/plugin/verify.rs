//! `wharfinger plugin verify`: everything in the store against the lock file.

use serde_json::json;
use wharfinger_wasm::cache::Finding;

use crate::cli::Answer;
use crate::plugins::store;
use crate::program::Program;

/// Status 1 where anything is not as it should be, each named.
pub(super) fn run(program: &Program) -> Answer {
    let cache = match store::open(&program.paths.lib) {
        Ok(Some(cache)) => cache,
        Ok(None) => return Answer::new("nothing is installed\n", json!([])),
        // The first of its findings: without a lock file that is ours there are no others.
        Err(error) => {
            let finding = json!([{ "object": program.paths.lib, "what": error.to_string() }]);
            return Answer::new(format!("{error}\n"), finding).unless(true);
        }
    };
    let findings = cache.verify();
    if findings.is_empty() {
        let text = format!("{} installed, all as it should be\n", cache.pins().len());
        return Answer::new(text, json!([]));
    }
    let lines: Vec<String> =
        findings.iter().map(|finding| format!("{}: {}\n", finding.object, finding.what)).collect();
    let object = |finding: &Finding| json!({ "object": finding.object, "what": finding.what });
    let value = findings.iter().map(object).collect();
    Answer::new(lines.concat(), value).unless(true)
}
