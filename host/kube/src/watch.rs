//! What changes in a collection, from a version on, without a gap: a stream that is lost is opened
//! again where it ended.

use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;
use wharfinger_ledger::cluster::Fault;

use crate::exchange::{Ask, Link, whole};
use crate::kube::{Clock, Kube};
use crate::objects::version_of;
use crate::verdict::{Said, Verdict, says};

/// The longest line: an object is at most etcd's largest (1.5 MiB), written as JSON.
const LARGEST: usize = 8 << 20;

/// The server ends a stream after so many seconds: one whose other end vanished without a word is
/// not believed for longer.
const STREAM: u64 = 60;

/// Before a stream that ended is opened again.
const PAUSE: Duration = Duration::from_millis(100);

/// One change of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The version that this gave it, or at which it was removed.
    pub version: u64,
    /// As it is now, or was last.
    pub object: Value,
    /// It was removed.
    pub removed: bool,
}

/// What a wait came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// In the order in which they happened, each once.
    Events(Vec<Event>),
    /// Nothing happened within the wait.
    Nothing,
    /// Events are lost, for this reason: list anew, and watch from there with a new [`Watch`].
    Resync(String),
}

/// See [`Kube::watch`].
#[derive(Debug)]
pub struct Watch {
    kube: Kube,
    path: String,
    /// All up to this version was seen.
    done: u64,
    stream: Option<Stream>,
}

struct Stream {
    body: Incoming,
    /// What came of a line that is not whole.
    begun: Vec<u8>,
    opened: Instant,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("opened", &self.opened).finish_non_exhaustive()
    }
}

impl Kube {
    /// What changes in the collection at this path in versions above `after`: that of a listing.
    /// Nothing is done before [`Watch::next`].
    pub fn watch(&self, path: &str, after: u64) -> Watch {
        Watch { kube: self.clone(), path: path.to_owned(), done: after, stream: None }
    }
}

impl Kube {
    /// Waits for the first of these to which something happens: which, and what; none: nothing
    /// happened within the wait.
    pub(crate) fn first_of(
        &self,
        watches: &mut [Watch],
        wait: Duration,
    ) -> Result<Option<(usize, Seen)>, Fault> {
        let until = Instant::now() + wait;
        let mut all: Vec<Watching> = watches.iter_mut().map(|one| one.begin(until)).collect();
        let (all, first) = self.run(async move {
            let first = first(&mut all).await;
            Ok((all, first))
        })?;
        watches.iter_mut().zip(all).for_each(|(one, watching)| one.end(watching));
        match first {
            Some((at, seen)) => seen.map(|seen| Some((at, seen))),
            None => Ok(None),
        }
    }
}

/// The first that ends with more than nothing. Those that are given up go on where they were.
async fn first(all: &mut [Watching]) -> Option<(usize, Result<Seen, Fault>)> {
    type Wait<'a> = Pin<Box<dyn Future<Output = Result<Seen, Fault>> + Send + 'a>>;
    let mut waits: Vec<Option<Wait<'_>>> = Vec::new();
    for watching in all {
        waits.push(Some(Box::pin(watching.next())));
    }
    std::future::poll_fn(|context| {
        for (at, wait) in waits.iter_mut().enumerate() {
            let Some(future) = wait else { continue };
            match future.as_mut().poll(context) {
                Poll::Pending => {}
                Poll::Ready(Ok(Seen::Nothing)) => *wait = None,
                Poll::Ready(seen) => return Poll::Ready(Some((at, seen))),
            }
        }
        if waits.iter().all(Option::is_none) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

impl Watch {
    /// Up to which version all was seen.
    pub fn upto(&self) -> u64 {
        self.done
    }

    /// Waits for what happens next. An error is one of reaching the server: nothing is lost by it,
    /// and the next call goes on.
    pub fn next(&mut self, wait: Duration) -> Result<Seen, Fault> {
        let mut watching = self.begin(Instant::now() + wait);
        let (watching, seen) = self.kube.run(async move {
            let seen = watching.next().await;
            Ok((watching, seen))
        })?;
        self.end(watching);
        seen
    }

    fn begin(&mut self, until: Instant) -> Watching {
        let (kube, path) = (self.kube.clone(), self.path.clone());
        Watching { kube, path, done: self.done, stream: self.stream.take(), until }
    }

    fn end(&mut self, watching: Watching) {
        (self.stream, self.done) = (watching.stream, watching.done);
    }
}

/// One wait, on the thread.
struct Watching {
    kube: Kube,
    path: String,
    done: u64,
    stream: Option<Stream>,
    until: Instant,
}

impl Watching {
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    async fn next(&mut self) -> Result<Seen, Fault> {
        loop {
            let left = self.left();
            let Some(stream) = &mut self.stream else {
                match self.open().await? {
                    Some(resync) => return Ok(resync),
                    None => continue,
                }
            };
            if stream.opened.elapsed() > Duration::from_secs(STREAM + STREAM / 4) {
                self.stream = None;
                continue;
            }
            match timeout(left, stream.lines()).await {
                Err(_) => return Ok(Seen::Nothing),
                Ok(Some(lines)) => {
                    if let Some(seen) = self.lines(&lines)? {
                        return Ok(seen);
                    }
                }
                Ok(None) => {
                    self.stream = None;
                    tokio::time::sleep(PAUSE).await;
                }
            }
            if self.left().is_zero() {
                return Ok(Seen::Nothing);
            }
        }
    }

    /// The server answers at once where there is nothing to tell, too.
    async fn open(&mut self) -> Result<Option<Seen>, Fault> {
        let api = self.kube.api();
        let (path, done) = (&self.path, self.done);
        let ask = Ask::get(format!(
            "{path}?watch=1&allowWatchBookmarks=true&resourceVersion={done}&timeoutSeconds={STREAM}"
        ));
        // A wait that is short must not keep it from being opened ever.
        let clock = api.clock(self.left().max(Duration::from_secs(1)));
        let what = format!("watch {path}");
        let said = match self.connect(&ask, clock).await {
            Ok(None) => return Ok(None),
            Ok(Some(said)) => said,
            Err(Verdict::Refused(said) | Verdict::Stranger(said)) => {
                return Err(api.refused(&what, &said));
            }
            Err(Verdict::Unsent(said, _) | Verdict::Lost(said)) => {
                return Err(Fault::Unavailable(format!("{what}: {said}")));
            }
        };
        match said {
            Said::Gone(why) => Ok(Some(Seen::Resync(why))),
            other => Err(api.refused(&what, &format!("{other:?}"))),
        }
    }

    async fn connect(&mut self, ask: &Ask, clock: Clock) -> Result<Option<Said>, Verdict> {
        let api = self.kube.api();
        let login = api.login()?;
        let mut link: Link = api.connect(&login, clock).await?;
        let late = |_| Verdict::Lost("no answer in time".to_owned());
        let response = timeout(clock.left(), link.send(ask, &login)).await.map_err(late)??;
        if !response.status().is_success() {
            let answer = timeout(clock.left(), whole(response)).await.map_err(late)??;
            return answer.read().map(Some);
        }
        let (body, opened) = (response.into_body(), Instant::now());
        self.stream = Some(Stream { body, begun: Vec::new(), opened });
        Ok(None)
    }

    /// None: they say nothing that the caller must know.
    fn lines(&mut self, lines: &[Vec<u8>]) -> Result<Option<Seen>, Fault> {
        let mut events = Vec::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let Ok(mut said) = serde_json::from_slice::<Value>(line) else {
                self.stream = None;
                break;
            };
            let object = said.get_mut("object").map(Value::take).unwrap_or_default();
            let kind = said.get("type").and_then(Value::as_str).unwrap_or_default();
            if kind == "ERROR" {
                self.stream = None;
                if let Some(why) = gone(&object) {
                    // What came before it is in the listing as well.
                    return Ok(Some(Seen::Resync(why)));
                }
                break;
            }
            let version = version_of(&object)?;
            if version <= self.done {
                continue;
            }
            self.done = version;
            if kind != "BOOKMARK" {
                events.push(Event { version, object, removed: kind == "DELETED" });
            }
        }
        Ok((!events.is_empty()).then_some(Seen::Events(events)))
    }
}

/// Why a watch cannot go on from where it is.
fn gone(status: &Value) -> Option<String> {
    let code = status.get("code").and_then(Value::as_u64);
    let text = status.get("message").and_then(Value::as_str).unwrap_or("it is too old");
    (code == Some(410) || says(status, "ResourceVersionTooLarge")).then(|| text.to_owned())
}

impl Stream {
    /// Whole lines, at least one; none: it ended. To be given up at any time.
    async fn lines(&mut self) -> Option<Vec<Vec<u8>>> {
        loop {
            let frame = self.body.frame().await?.ok()?;
            let Ok(data) = frame.into_data() else { continue };
            self.begun.extend_from_slice(&data);
            if let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') {
                let rest = self.begun.split_off(end + 1);
                let whole = std::mem::replace(&mut self.begun, rest);
                return Some(whole.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect());
            }
            if self.begun.len() > LARGEST {
                return None;
            }
        }
    }
}
