//! One request on its way from member to member, until one answers or the time is over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use wharfinger_ledger::cluster::Fault;

use crate::verdict::Verdict;

/// An attempt at one member; to drop it gives it up.
pub(crate) type Attempt<'a, T> = Pin<Box<dyn Future<Output = Result<T, Verdict>> + Send + 'a>>;

/// Whom to ask next and when, and what came of it so far.
#[derive(Debug)]
pub(crate) struct Tour {
    what: String,
    start: Instant,
    wait: Duration,
    count: usize,
    /// A member that is silent for so long has another asked beside it.
    patience: Duration,
    /// Who is asked next, in this order.
    next: VecDeque<usize>,
    /// Who failed, and is asked again after a pause: an election takes a moment.
    failed: VecDeque<usize>,
    pause: Duration,
    said: BTreeMap<usize, String>,
    barred: BTreeSet<usize>,
    stale: bool,
}

/// What a step of a tour came to.
pub(crate) enum Step<T> {
    Answer(usize, T),
    Failed(usize, Verdict),
    /// The time is over, or nobody is left to ask.
    Over,
}

impl Tour {
    /// `what` is done, "read 3 objects", by one of so many members.
    pub(crate) fn new(what: String, wait: Duration, count: usize, patience: Duration) -> Self {
        Self {
            what,
            start: Instant::now(),
            wait,
            count,
            patience,
            next: VecDeque::new(),
            failed: VecDeque::new(),
            pause: Duration::from_millis(25),
            said: BTreeMap::new(),
            barred: BTreeSet::new(),
            stale: false,
        }
    }

    /// All members are asked (again), from this one on.
    pub(crate) fn begin(&mut self, first: usize) {
        self.next = (0..self.count).map(|at| (first + at) % self.count).collect();
        self.failed.clear();
    }

    pub(crate) fn left(&self) -> Duration {
        self.wait.saturating_sub(self.start.elapsed())
    }

    /// Until one of those that are asked answers or fails: the next is asked as soon as the last
    /// is silent for a while, and who is silent may still be the first to answer.
    pub(crate) async fn step<'a, T>(
        &mut self,
        running: &mut Running<'a, T>,
        attempt: &impl Fn(usize) -> Attempt<'a, T>,
    ) -> Step<T> {
        loop {
            if let Some(member) = self.next.pop_front() {
                running.0.push((member, attempt(member)));
            }
            let left = self.left();
            if left.is_zero() || self.barred.len() == self.count {
                return Step::Over;
            }
            let wait = self.until_the_next().unwrap_or(left).min(left);
            match timeout(wait, running.first()).await {
                Ok((member, Ok(answer))) => return Step::Answer(member, answer),
                Ok((member, Err(verdict))) => return Step::Failed(member, verdict),
                Err(_) if self.next.is_empty() => {
                    self.next.append(&mut self.failed);
                    self.pause = (self.pause * 2).min(Duration::from_millis(400));
                }
                Err(_) => {}
            }
        }
    }

    fn until_the_next(&self) -> Option<Duration> {
        match (self.next.is_empty(), self.failed.is_empty()) {
            (false, _) => Some(self.patience),
            (true, false) => Some(self.pause),
            (true, true) => None,
        }
    }

    /// A member failed: what is done about it, if it is not the end.
    pub(crate) fn pass(&mut self, member: usize, url: &str, verdict: Verdict) -> Result<(), Fault> {
        match verdict {
            Verdict::Stale(_) if !self.stale => {
                self.stale = true;
                self.next.push_front(member);
                return Ok(());
            }
            Verdict::Refused(said) | Verdict::Stale(said) => {
                return Err(Fault::Refused(format!("{}: {url}: {said}", self.what)));
            }
            Verdict::Barred(said) => {
                self.barred.insert(member);
                self.said.insert(member, said);
            }
            Verdict::Unsent(said) | Verdict::Lost(said) => {
                self.barred.remove(&member);
                self.said.insert(member, said);
            }
        }
        self.failed.push_back(member);
        Ok(())
    }

    /// These did not answer; what one said before says more.
    pub(crate) fn silent<T>(&mut self, running: &Running<'_, T>) {
        let text = silent(self.start.elapsed());
        for (member, _) in &running.0 {
            self.said.entry(*member).or_insert_with(|| text.clone());
        }
    }

    /// Nobody answered, and nothing was written.
    pub(crate) fn fault(&self, urls: &[String]) -> Fault {
        let lines = self.said.iter().filter_map(|(at, said)| Some((urls.get(*at)?, said)));
        let said: Vec<String> = lines.map(|(url, said)| format!("{url} ({said})")).collect();
        let what = &self.what;
        if self.barred.len() == self.count {
            return Fault::Refused(format!(
                "{what}: etcd and this node do not trust each other: {}: see `ca`, `cert` and \
                 `key`, and the names in the member's certificate",
                said.join("; ")
            ));
        }
        if let Some(no_time) = Fault::of_no_time(what, "etcd", self.wait) {
            return no_time;
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
}

/// Attempts that are under way.
pub(crate) struct Running<'a, T>(Vec<(usize, Attempt<'a, T>)>);

impl<T> Running<'_, T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(member, _)| *member)
    }

    /// The first that ends, which is then no longer among them.
    async fn first(&mut self) -> (usize, Result<T, Verdict>) {
        std::future::poll_fn(|context| {
            for at in 0..self.0.len() {
                let Some((member, attempt)) = self.0.get_mut(at) else { break };
                if let Poll::Ready(result) = attempt.as_mut().poll(context) {
                    let member = *member;
                    drop(self.0.swap_remove(at));
                    return Poll::Ready((member, result));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// To the millisecond.
fn short(time: Duration) -> String {
    format!("{:?}", Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

/// What is said of a member that let its time go by.
pub(crate) fn silent(time: Duration) -> String {
    format!("no answer within {}", short(time))
}
