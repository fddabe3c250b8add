//! Verbs as spans of a trace, where the caller has one: a runtime that hands on `TRACEPARENT` sees in its
//! own trace what a verb did with its time. Off unless the node's file names a collector.
//!
//! A verb is never delayed by it, and never fails by it: after the reply one line is written to a file
//! of the run directory, which is memory and bounded, and nobody is spoken to. `wharfinger serve
//! --spans`, or the agent, sends what is there ([`send`]). Start at [`Traced`].

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::phases::Span;

/// What is to be sent, in the run directory.
const FILE: &str = "spans.jsonl";
/// What is being sent.
const SENDING: &str = "spans-sending.jsonl";
/// Who sends has it.
const LOCK: &str = "spans.lock";
/// Between two looks for more.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of what is to be sent: what comes beyond that is lost, as nobody fetches it.
const LIMIT: u64 = 1 << 20;
/// Bytes of one request.
const REQUEST: usize = 256 << 10;
/// For each step of sending.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose child a verb is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parent {
    trace: String,
    span: String,
}

impl Parent {
    /// Of `TRACEPARENT` (W3C Trace Context). None for what is none, and where the caller does not keep
    /// its trace.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version, trace, span, flags] =
            [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let is_hex = |text: &str, long: usize| {
            text.len() == long && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |text: &str, long| is_hex(text, long) && text.bytes().any(|b| b != b'0');
        // Later versions may have more at the end.
        let known = is_hex(version, 2) && version != "ff";
        let whole = version != "00" || parts.next().is_none();
        let good = known && whole && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2);
        let sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        (good && sampled).then(|| Self { trace: trace.to_owned(), span: span.to_owned() })
    }
}

/// A verb that ended.
#[derive(Debug)]
pub(crate) struct Traced {
    /// Its event.
    event: Value,
    began: Instant,
    ended: Instant,
    phases: Vec<Span>,
}

impl Traced {
    /// Of a verb that ends now.
    pub(crate) fn new(event: &Value, phases: Vec<Span>) -> Self {
        let ended = Instant::now();
        let took = event["milliseconds"].as_f64().unwrap_or_default();
        let took = Duration::try_from_secs_f64(took / 1e3).unwrap_or_default();
        let began = ended.checked_sub(took).unwrap_or(ended);
        Self { event: event.clone(), began, ended, phases }
    }

    /// What came after its event: the reply.
    pub(crate) fn goes_on(&mut self, phases: Vec<Span>) {
        self.phases.extend(phases);
        self.ended = Instant::now();
    }

    /// The verb and its phases, as OTLP has spans in JSON.
    fn spans(&self, parent: &Parent) -> Vec<Value> {
        let (wall, now) = (SystemTime::now(), Instant::now());
        let nanos = |at: Instant| {
            let at = wall.checked_sub(now.saturating_duration_since(at)).unwrap_or(wall);
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            since.as_nanos().to_string()
        };
        let own = id();
        let mut verb = json!({
            "traceId": parent.trace, "spanId": own, "parentSpanId": parent.span,
            "name": self.event["verb"], "kind": 2,
            "startTimeUnixNano": nanos(self.began), "endTimeUnixNano": nanos(self.ended),
            "attributes": self.attributes(),
        });
        verb["status"] = match self.event.get("error") {
            Some(error) => json!({ "code": 2, "message": error }),
            None => json!({ "code": 1 }),
        };
        let child = |span: &Span| {
            let what = span.what.as_ref().map(|what| attribute("cni.plugin.call", &json!(what)));
            json!({
                "traceId": parent.trace, "spanId": id(), "parentSpanId": own,
                "name": span.phase.name(), "kind": 1,
                "startTimeUnixNano": nanos(span.began), "endTimeUnixNano": nanos(span.ended),
                "attributes": what.into_iter().collect::<Vec<_>>(),
            })
        };
        let children: Vec<Value> = self.phases.iter().map(child).collect();
        [vec![verb], children].concat()
    }

    fn attributes(&self) -> Vec<Value> {
        let keys = [
            ("verb", "cni.command"),
            ("network", "cni.network"),
            ("container", "container.id"),
            ("ifname", "cni.ifname"),
            ("code", "cni.code"),
        ];
        let known = keys.iter().filter_map(|(key, name)| Some((name, self.event.get(key)?)));
        known.map(|(name, value)| attribute(name, value)).collect()
    }
}

fn attribute(name: &str, value: &Value) -> Value {
    match value.as_str() {
        Some(text) => json!({ "key": name, "value": { "stringValue": text } }),
        // OTLP has whole numbers as texts.
        None => json!({ "key": name, "value": { "intValue": value.to_string() } }),
    }
}

/// A span's: nobody guesses anything by it, so it need not be secret.
fn id() -> String {
    let number = RandomState::new().build_hasher().finish().max(1);
    format!("{number:016x}")
}

/// Keeps spans until they are sent, as far as that can be done.
pub(crate) fn keep(run: &Path, parent: &Parent, verbs: &[Traced]) {
    let spans: Vec<Value> = verbs.iter().flat_map(|verb| verb.spans(parent)).collect();
    let path = run.join(FILE);
    if spans.is_empty() || fs::metadata(&path).is_ok_and(|meta| meta.len() > LIMIT) {
        return;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    // One write, so that lines of two processes do not mix.
    let line = format!("{}\n", Value::Array(spans));
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// Sends what there is, and goes on until `ends` says so, which waits for so long. Says what is wrong
/// once.
pub(crate) fn send_on(run: &Path, to: SocketAddr, node: &str, ends: &dyn Fn(Duration) -> bool) {
    let mut trouble = None;
    while !ends(PAUSE) {
        let now = send(run, to, node).err().map(|error| format!("{error:#}"));
        if now != trouble {
            let text = now.as_deref().unwrap_or("spans are sent again");
            // Nobody listens: no reason to fail.
            let _ = writeln!(io::stderr(), "wharfinger: {text}");
            trouble = now;
        }
    }
}

/// Sends what is there, and what could not be sent before; how many spans that was. What the collector
/// does not understand is dropped; what it has no time for now stays.
pub(crate) fn send(run: &Path, to: SocketAddr, node: &str) -> Result<usize> {
    // Two would send the same.
    let lock = fs::File::create(run.join(LOCK)).with_context(|| format!("lock {LOCK}"))?;
    if lock.try_lock().is_err() {
        return Ok(0);
    }
    let sending = run.join(SENDING);
    if !sending.exists() {
        match fs::rename(run.join(FILE), &sending) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            renamed => renamed.with_context(|| format!("take {FILE}"))?,
        }
    }
    let text = fs::read(&sending).with_context(|| format!("read {SENDING}"))?;
    let (mut spans, mut bytes, mut sent) = (Vec::new(), 0, 0);
    for line in text.split(|byte| *byte == b'\n') {
        // Half a line is of somebody who was killed.
        let Ok(Value::Array(more)) = serde_json::from_slice(line) else { continue };
        spans.extend(more);
        bytes += line.len();
        if bytes > REQUEST {
            sent += request(to, node, &spans)?;
            (spans, bytes) = (Vec::new(), 0);
        }
    }
    sent += request(to, node, &spans)?;
    fs::remove_file(&sending).with_context(|| format!("remove {SENDING}"))?;
    Ok(sent)
}

fn request(to: SocketAddr, node: &str, spans: &[Value]) -> Result<usize> {
    let count = spans.len();
    if count == 0 {
        return Ok(0);
    }
    let resource = [
        attribute("service.name", &json!("wharfinger")),
        attribute("service.version", &json!(env!("CARGO_PKG_VERSION"))),
        attribute("host.name", &json!(node)),
    ];
    let body = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "wharfinger" }, "spans": spans }],
    }] });
    let status = post(to, &body.to_string()).with_context(|| format!("send spans to {to}"))?;
    match status {
        200..=299 => Ok(count),
        // It would never take them.
        400..=499 if status != 429 => Ok(0),
        _ => bail!("send spans to {to}: it answers with status {status}"),
    }
}

/// The status that a collector answers with (OTLP over HTTP).
fn post(to: SocketAddr, body: &str) -> Result<u16> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut first = [0; 12];
    stream.read_exact(&mut first)?;
    let first = String::from_utf8_lossy(&first);
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    status.and_then(|status| status.parse().ok()).context("the answer is no HTTP")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_what_is_a_trace_that_is_kept_counts() {
        assert!(Parent::parse(PARENT).is_some());
        assert!(Parent::parse(&PARENT.replacen("00", "01", 1)).is_some(), "a later version");
        assert!(Parent::parse(&format!("01{}-more", &PARENT[2..])).is_some());
        let zero = "0".repeat(32);
        for bad in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &format!("{PARENT}-more"),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replace("-01", "-00"),
            &PARENT.replace("-01", "-0"),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zero),
            &PARENT.replace("00f067aa0ba902b7", &zero[..16]),
            &PARENT.replace("00f067aa0ba902b7", "00f067aa0ba902b"),
        ] {
            assert_eq!(Parent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_nothing_fails_where_nothing_can_be() -> Result<()> {
        let parent = Parent::parse(PARENT).context("a parent")?;
        let event = json!({ "verb": "ADD", "network": "n", "milliseconds": 2.0, "code": 100 });
        let verbs = [Traced::new(&event, Vec::new())];
        keep(Path::new("/proc/nonexistent"), &parent, &verbs);
        let dir = tempfile::tempdir()?;
        for _ in 0..4000 {
            keep(dir.path(), &parent, &verbs);
        }
        let long = fs::metadata(dir.path().join(FILE))?.len();
        assert!((LIMIT..LIMIT + 1024).contains(&long), "{long}");
        Ok(())
    }

    #[test]
    fn what_cannot_be_sent_stays() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        assert_eq!(send(dir.path(), nobody, "n")?, 0, "nothing is there");
        let parent = Parent::parse(PARENT).context("a parent")?;
        keep(dir.path(), &parent, &[Traced::new(&json!({ "verb": "ADD" }), Vec::new())]);
        assert!(send(dir.path(), nobody, "n").is_err());
        assert!(send(dir.path(), nobody, "n").is_err(), "it is still to be sent");
        Ok(())
    }
}
