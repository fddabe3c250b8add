//! One request on its way from member to member, until one answers or the time is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wharfinger_ledger::cluster::Fault;

/// Whom to ask next and for how long, and what came of it so far.
#[derive(Debug)]
pub(crate) struct Tour {
    what: String,
    start: Instant,
    wait: Duration,
    /// The most that one member may take.
    most: Duration,
    order: Vec<usize>,
    at: usize,
    pause: Duration,
    said: BTreeMap<usize, String>,
    barred: usize,
}

impl Tour {
    /// `what` is done: "read 3 objects"; of so many members, from `first` on.
    pub(crate) fn new(what: String, wait: Duration, most: Duration) -> Self {
        Self {
            what,
            start: Instant::now(),
            wait,
            most,
            order: Vec::new(),
            at: 0,
            pause: Duration::from_millis(25),
            said: BTreeMap::new(),
            barred: 0,
        }
    }

    /// The members, in the order in which they are asked.
    pub(crate) fn among(mut self, count: usize, first: usize) -> Self {
        self.order = (0..count).map(|at| (first + at) % count).collect();
        self
    }

    pub(crate) fn left(&self) -> Duration {
        self.wait.saturating_sub(self.start.elapsed())
    }

    /// The next member, and its share of the time; None: it is over.
    pub(crate) async fn next(&mut self) -> Option<(usize, Duration)> {
        if self.at == self.order.len() {
            if self.barred == self.order.len() || self.left() <= self.pause {
                return None;
            }
            // All were asked: an election takes a moment.
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(Duration::from_millis(400));
            self.at = 0;
            self.barred = 0;
        }
        let member = *self.order.get(self.at)?;
        let others = u32::try_from(self.order.len() - self.at).unwrap_or(1);
        self.at += 1;
        let share = self.left() / others;
        (!share.is_zero()).then_some((member, share.min(self.most)))
    }

    /// Asks the same member again.
    pub(crate) fn again(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    pub(crate) fn note(&mut self, member: usize, said: String) {
        self.said.insert(member, said);
    }

    pub(crate) fn barred(&mut self, member: usize, said: String) {
        self.barred += 1;
        self.note(member, said);
    }

    /// Nobody answered, and nothing was written.
    pub(crate) fn fault(&self, urls: &[String]) -> Fault {
        let said: Vec<String> = self.order.iter().filter_map(|at| self.line(*at, urls)).collect();
        let what = &self.what;
        if self.barred > 0 && self.barred == self.order.len() {
            return Fault::Refused(format!(
                "{what}: etcd and this node do not trust each other: {}: see `ca`, `cert` and \
                 `key`, and the names in the member's certificate",
                said.join("; ")
            ));
        }
        Fault::Unavailable(format!(
            "{what}: no answer from etcd within {}: {}: see whether its members run and have a \
             leader (`etcdctl endpoint status`), and that this node reaches them",
            short(self.start.elapsed()),
            if said.is_empty() { "no time to ask".to_owned() } else { said.join("; ") },
        ))
    }

    /// It was sent to a member, and may have been carried out.
    pub(crate) fn unknown(&self, url: &str, said: &str) -> Fault {
        Fault::Unknown(format!(
            "{}: sent to {url}, and after {} it is not known whether it stands: {said}",
            self.what,
            short(self.start.elapsed())
        ))
    }

    /// It would be the same again.
    pub(crate) fn refused(&self, url: &str, said: &str) -> Fault {
        Fault::Refused(format!("{}: {url}: {said}", self.what))
    }

    fn line(&self, member: usize, urls: &[String]) -> Option<String> {
        Some(format!("{} ({})", urls.get(member)?, self.said.get(&member)?))
    }
}

/// To the millisecond.
pub(crate) fn short(time: Duration) -> String {
    format!("{:?}", Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

/// What is said of a member that let its share of the time go by.
pub(crate) fn silent(share: Duration) -> String {
    format!("no answer within {}", short(share))
}
