//! What changes below a prefix, from a revision on, without a gap: a stream that is lost is
//! opened again, at another member, where it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use etcd_client::{
    Client, Error, EventType, GetOptions, ResponseHeader, WatchOptions, WatchResponse, WatchStream,
};
use tokio::time::timeout;
use wharfinger_ledger::cluster::{Fault, Object};

use crate::book::{end, object};
use crate::etcd::Etcd;
use crate::members::Members;

/// The largest message: etcd splits what is larger than two requests (1.5 MiB each, by default).
const LARGEST: usize = 64 << 20;

/// Before a stream that ended is opened again.
const PAUSE: Duration = Duration::from_millis(50);

/// One change of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its key.
    pub key: String,
    /// The version that this gave it, or the revision that removed it.
    pub version: u64,
    /// None: it was removed.
    pub value: Option<String>,
}

/// What a wait came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// In the order in which they happened, each once.
    Events(Vec<Event>),
    /// Nothing happened within the wait.
    Nothing,
    /// Events are lost, for this reason: list anew, and watch from there with a new [`Watch`].
    Resync(String),
}

/// See [`Etcd::watch`]. It holds no more than one message of etcd; what is not asked for waits
/// there.
#[derive(Debug)]
pub struct Watch {
    etcd: Etcd,
    place: Place,
    stream: Option<Stream>,
}

#[derive(Debug)]
struct Stream {
    member: usize,
    messages: WatchStream,
}

/// How far it came.
#[derive(Debug, Clone)]
struct Place {
    prefix: String,
    /// All up to this revision was seen.
    done: i64,
    /// Of the revision `part.0` these keys: etcd may split one over messages.
    part: (i64, Vec<Vec<u8>>),
    /// Which etcd it is.
    cluster: Option<u64>,
}

impl Etcd {
    /// What is written or removed below `prefix` in versions above `after`: `upto` of a listing.
    /// Nothing is done before [`Watch::next`].
    pub fn watch(&self, prefix: &str, after: u64) -> Watch {
        let prefix = format!("{}{prefix}", self.members().prefix);
        let done = i64::try_from(after).unwrap_or(i64::MAX - 1);
        let place = Place { prefix, done, part: (0, Vec::new()), cluster: None };
        Watch { etcd: self.clone(), place, stream: None }
    }
}

impl Watch {
    /// Waits for what happens next. An error is one of reaching etcd: nothing is lost by it, and
    /// the next call goes on.
    pub fn next(&mut self, wait: Duration) -> Result<Seen, Fault> {
        let (members, place) = (self.etcd.members(), self.place.clone());
        let stream = self.stream.take();
        let (stream, place, seen) = self.etcd.run(async move {
            let mut watching = Watching { members, place, stream, until: Instant::now() + wait };
            let seen = watching.next().await;
            Ok((watching.stream, watching.place, seen))
        })?;
        self.stream = stream;
        self.place = place;
        seen
    }
}

/// One wait, on the thread of etcd.
struct Watching {
    members: Arc<Members>,
    place: Place,
    stream: Option<Stream>,
    until: Instant,
}

/// A stream and the etcd that it is of; or why events are lost.
type Opened = Result<(WatchStream, u64), String>;

impl Watching {
    async fn next(&mut self) -> Result<Seen, Fault> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let Some(stream) = &mut self.stream else {
                match self.open(left).await? {
                    Some(resync) => return Ok(resync),
                    None => continue,
                }
            };
            let member = stream.member;
            match timeout(left, stream.messages.message()).await {
                Err(_) => return Ok(Seen::Nothing),
                Ok(Ok(Some(message))) => {
                    if let Some(seen) = self.message(member, &message).await? {
                        return Ok(seen);
                    }
                }
                Ok(Ok(None) | Err(_)) => self.lose(member).await,
            }
        }
    }

    /// The stream ended: it is opened again, on a connection that is made anew; not at once, lest
    /// a member that ends each one is asked without a pause.
    async fn lose(&mut self, member: usize) {
        self.stream = None;
        self.members.forget(member);
        tokio::time::sleep(PAUSE).await;
    }

    async fn open(&mut self, wait: Duration) -> Result<Option<Seen>, Fault> {
        let what = format!("watch {} of the cluster's book", self.place.prefix);
        let mut tour = self.members.tour(what, wait);
        let place = self.place.clone();
        let (member, opened) = self.members.ask(&mut tour, |client| open(client, &place)).await?;
        match opened {
            Err(why) => Ok(Some(Seen::Resync(why))),
            Ok((messages, cluster)) => {
                self.place.cluster = Some(cluster);
                self.stream = Some(Stream { member, messages });
                Ok(None)
            }
        }
    }

    /// None: it says nothing that the caller must know.
    async fn message(
        &mut self,
        member: usize,
        message: &WatchResponse,
    ) -> Result<Option<Seen>, Fault> {
        if message.compact_revision() > 0 {
            self.stream = None;
            return Ok(Some(forgotten(self.place.done, message.compact_revision())));
        }
        if message.canceled() {
            let why = message.cancel_reason().to_owned();
            self.lose(member).await;
            let denied = format!("watch {}: etcd refuses: {why}", self.place.prefix);
            return if why.contains("permission denied") {
                Err(Fault::Refused(denied))
            } else {
                Ok(None)
            };
        }
        if message.created() {
            return Ok(None);
        }
        if message.events().is_empty() {
            // All up to here was sent.
            let revision = message.header().map_or(0, ResponseHeader::revision);
            self.place.done = self.place.done.max(revision);
            return Ok(None);
        }
        let seen = match self.place.take(&self.members.prefix, message) {
            Ok(events) => (!events.is_empty()).then_some(Seen::Events(events)),
            // The listing says the same, until the key is removed.
            Err(foreign) => {
                self.stream = None;
                Some(Seen::Resync(foreign.to_string()))
            }
        };
        Ok(seen)
    }
}

impl Place {
    /// The events that were not seen yet, which now are.
    fn take(&mut self, prefix: &str, message: &WatchResponse) -> Result<Vec<Event>, Fault> {
        let mut events = Vec::new();
        for event in message.events() {
            let Some(pair) = event.kv() else { continue };
            if !self.is_new(pair.mod_revision(), pair.key()) {
                continue;
            }
            let removed = event.event_type() == EventType::Delete;
            let Object { key, version, value } = object(prefix, pair)?;
            events.push(Event { key, version, value: (!removed).then_some(value) });
        }
        Ok(events)
    }

    fn is_new(&mut self, revision: i64, key: &[u8]) -> bool {
        if revision <= self.done {
            return false;
        }
        if revision != self.part.0 {
            self.done = revision - 1;
            self.part = (revision, Vec::new());
        }
        let new = !self.part.1.iter().any(|seen| seen == key);
        if new {
            self.part.1.push(key.to_vec());
        }
        new
    }
}

async fn open(client: Client, place: &Place) -> Result<Opened, Error> {
    // A member that hangs, or is behind, is found out here: a stream would wait with it.
    let options = GetOptions::new().with_keys_only();
    let probe = client.kv_client().get(place.prefix.as_str(), Some(options)).await?;
    let header = probe.header();
    let revision = header.map_or(0, ResponseHeader::revision);
    let cluster = header.map_or(0, ResponseHeader::cluster_id);
    if revision < place.done || place.cluster.is_some_and(|known| known != cluster) {
        return Ok(Err(format!(
            "etcd is at revision {revision}, and {} was seen: it is another etcd, or was restored \
             from a backup",
            place.done
        )));
    }
    let options = WatchOptions::new()
        .with_range(end(&place.prefix))
        .with_start_revision(place.done.saturating_add(1))
        .with_progress_notify()
        .with_fragment();
    let mut watch = client.watch_client().max_decoding_message_size(LARGEST);
    Ok(Ok((watch.watch(place.prefix.as_str(), Some(options)).await?, cluster)))
}

fn forgotten(done: i64, compacted: i64) -> Seen {
    Seen::Resync(format!("etcd forgot what was after revision {done}: it keeps {compacted} on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_comes_in_parts_is_seen_once() {
        let mut place =
            Place { prefix: "p/".into(), done: 5, part: (0, Vec::new()), cluster: None };
        assert!(!place.is_new(5, b"a"));
        assert!(place.is_new(7, b"a"));
        // The stream was lost here; it is opened after 6.
        assert_eq!(place.done, 6);
        assert!(!place.is_new(7, b"a"));
        assert!(place.is_new(7, b"b"));
        assert!(place.is_new(8, b"a"));
        assert_eq!(place.done, 7);
        assert!(!place.is_new(7, b"c"));
    }
}
