//! One line of JSON for each verb, in the run directory. Writing it never fails a verb.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};
use wharfinger_cni::{AttachmentId, CniError};

/// The file's name in the run directory; with `.1` at its end the one before.
pub(crate) const FILE: &str = "events.jsonl";

/// Two files of this size at most: the run directory is memory.
const LIMIT: u64 = 2 << 20;

/// A verb that has begun.
pub(crate) struct Event<'a> {
    verb: &'a str,
    network: &'a str,
    attachment: Option<&'a AttachmentId>,
    began: Instant,
}

impl<'a> Event<'a> {
    pub(crate) fn attachment(verb: &'a str, id: &'a AttachmentId) -> Self {
        Self { verb, network: &id.network, attachment: Some(id), began: Instant::now() }
    }

    pub(crate) fn network(verb: &'a str, network: &'a str) -> Self {
        Self { verb, network, attachment: None, began: Instant::now() }
    }

    /// The line for a verb that ended, well or with an error.
    pub(crate) fn ended(&self, error: Option<&CniError>) -> Value {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut line = json!({
            "time": since.as_secs_f64(),
            "verb": self.verb,
            "network": self.network,
            "milliseconds": self.began.elapsed().as_secs_f64() * 1e3,
        });
        if let Some(id) = self.attachment {
            line["container"] = json!(id.container);
            line["ifname"] = json!(id.ifname);
        }
        if let Some(error) = error {
            line["code"] = json!(error.code);
            line["error"] = json!(error.msg);
        }
        line
    }
}

/// What happened beside the verbs: somebody may want to know of it.
pub(crate) fn happened(run: &Path, event: &str, what: &Value) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    append(run, &json!({ "time": since.as_secs_f64(), "event": event, "what": what }));
}

/// What [`happened`] says of an attachment that was undone by others than its own DEL.
pub(crate) const DETACHED: &str = "detached";

/// Says so.
pub(crate) fn detached(run: &Path, id: &AttachmentId, why: &str) {
    let AttachmentId { network, container, ifname } = id;
    let what = json!({ "network": network, "container": container, "ifname": ifname, "why": why });
    happened(run, DETACHED, &what);
}

/// Appends a line, as far as that can be done.
pub(crate) fn append(run: &Path, line: &Value) {
    let path = run.join(FILE);
    let _ = std::fs::create_dir_all(run);
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > LIMIT) {
        let _ = std::fs::rename(&path, run.join(format!("{FILE}.1")));
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    // One write for the whole line, so that lines of two processes do not mix.
    let _ = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_failed() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let id = AttachmentId { network: "n".into(), container: "c".into(), ifname: "e".into() };
        let error = CniError::new(100, "full");
        append(dir.path(), &Event::attachment("ADD", &id).ended(Some(&error)));
        append(dir.path(), &Event::network("GC", "n").ended(None));
        let text = std::fs::read_to_string(dir.path().join(FILE))?;
        let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        assert_eq!(lines[0]["code"], 100);
        assert_eq!(lines[0]["container"], "c");
        assert_eq!(lines[1]["verb"], "GC");
        assert!(lines[1].get("code").is_none());
        Ok(())
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_no_failure() {
        append(Path::new("/proc/nonexistent"), &json!({}));
    }
}
