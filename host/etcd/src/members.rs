//! The members of etcd: which one is connected to, and how a request is taken past those that are
//! down. etcd-client could balance over all of them itself, but not tell whether a request was
//! sent; and a member that hangs would have its share of all requests.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use etcd_client::{Channel, Client, Error, GetOptions, Txn, TxnResponse};
use tokio::time::timeout;
use wharfinger_ledger::cluster::Fault;

use crate::settings::{Invalid, Settings};
use crate::tour::{Attempt, Running, Step, Tour, silent};
use crate::verdict::{Verdict, causes, of_connecting};

/// So many members' time-outs one request takes at most, whatever is left of the call: an election
/// is over by then, and whoever waits behind it is told why nothing comes.
const PATIENCE: u32 = 4;

/// The largest answer that is taken: as many objects as are asked for at once, none above etcd's
/// own limit for one (1.5 MiB).
pub(crate) const LARGEST: usize = 512 << 20;

/// A member that answered within this is taken to be there, when a commit is to be sent.
const FRESH: Duration = Duration::from_secs(5);

/// All members, and the connection to one.
#[derive(Debug)]
pub(crate) struct Members {
    settings: Settings,
    pub(crate) urls: Vec<String>,
    pub(crate) prefix: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Who is asked first: chosen by chance, so that not all nodes ask one; then who answered.
    first: usize,
    link: Option<Link>,
}

/// A connection.
#[derive(Clone)]
struct Link {
    client: Client,
    member: usize,
    answered: Option<Instant>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("member", &self.member).finish_non_exhaustive()
    }
}

impl Members {
    pub(crate) fn new(settings: Settings) -> Result<Self, Invalid> {
        let (urls, prefix) = settings.check()?;
        let chance = RandomState::new().build_hasher().finish();
        let first = usize::try_from(chance % urls.len() as u64).unwrap_or(0);
        Ok(Self { settings, urls, prefix, state: Mutex::new(State { first, link: None }) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn url(&self, member: usize) -> &str {
        self.urls.get(member).map_or("", String::as_str)
    }

    pub(crate) fn tour(&self, what: String, wait: Duration) -> Tour {
        let most = self.settings.timeout.saturating_mul(PATIENCE);
        Tour::new(what, wait.min(most), self.urls.len(), self.settings.timeout / 8)
    }

    /// The connection to a member, made where there is none.
    async fn link(&self, member: usize) -> Result<Link, Verdict> {
        if let Some(link) = self.state().link.as_ref().filter(|link| link.member == member) {
            return Ok(link.clone());
        }
        let link = self.connect(member).await?;
        self.state().link = Some(link.clone());
        Ok(link)
    }

    async fn connect(&self, member: usize) -> Result<Link, Verdict> {
        let endpoint = self.settings.endpoint(self.url(member))?;
        let options = self.settings.options()?;
        let channel = endpoint.connect().await.map_err(|error| of_connecting(causes(&error)))?;
        // Where there are users, it authenticates here.
        let client = Client::from_channel(Channel::Tonic(channel), Some(options)).await?;
        // Without users nobody has said yet that we may: a handshake of TLS ends before the member
        // has looked at our certificate.
        let spoke = self.settings.user.is_some();
        Ok(Link { client, member, answered: spoke.then(Instant::now) })
    }

    /// It answered: it is asked first from now on.
    fn answered(&self, member: usize) {
        let mut state = self.state();
        state.first = member;
        if let Some(link) = state.link.as_mut().filter(|link| link.member == member) {
            link.answered = Some(Instant::now());
        }
    }

    /// The connection is of no use any more; who comes next is asked first.
    pub(crate) fn forget(&self, member: usize) {
        let mut state = self.state();
        if state.link.as_ref().is_some_and(|link| link.member == member) {
            state.link = None;
        }
        if state.first == member {
            state.first = (member + 1) % self.urls.len();
        }
    }

    /// What may be asked any number of times: of one member after the other.
    pub(crate) async fn ask<T, F>(
        &self,
        tour: &mut Tour,
        ask: impl Fn(Client) -> F + Sync,
    ) -> Result<(usize, T), Fault>
    where
        F: Future<Output = Result<T, Error>> + Send,
        T: Send,
    {
        let ask = &ask;
        tour.begin(self.state().first);
        let attempt = |member| async move { Ok(ask(self.link(member).await?.client).await?) };
        self.first(tour, attempt).await
    }

    /// The first of the members with whom this succeeds.
    async fn first<'a, T, F>(
        &'a self,
        tour: &mut Tour,
        attempt: impl Fn(usize) -> F,
    ) -> Result<(usize, T), Fault>
    where
        F: Future<Output = Result<T, Verdict>> + Send + 'a,
    {
        let most = self.settings.timeout;
        let attempt = |member| -> Attempt<'a, T> {
            let attempt = timeout(most, attempt(member));
            let late = move |_| Err(Verdict::Unsent(silent(most)));
            Box::pin(async move { attempt.await.unwrap_or_else(late) })
        };
        let mut running = Running::new();
        loop {
            match tour.step(&mut running, &attempt).await {
                Step::Answer(member, answer) => {
                    self.answered(member);
                    return Ok((member, answer));
                }
                Step::Failed(member, verdict) => self.pass(tour, member, verdict)?,
                Step::Over => {
                    running.members().for_each(|member| self.forget(member));
                    tour.silent(&running);
                    return Err(tour.fault(&self.urls));
                }
            }
        }
    }

    fn pass(&self, tour: &mut Tour, member: usize, verdict: Verdict) -> Result<(), Fault> {
        self.forget(member);
        tour.pass(member, self.url(member), verdict)
    }

    /// A transaction that writes: sent to one member that is there, and never again once it may
    /// have been taken up.
    pub(crate) async fn commit(&self, tour: &mut Tour, txn: Txn) -> Result<TxnResponse, Fault> {
        tour.begin(self.state().first);
        loop {
            let (member, link) = self.first(tour, |member| self.ready(member)).await?;
            let left = tour.left();
            let mut kv = link.client.kv_client().max_decoding_message_size(LARGEST);
            let lost = match timeout(left, kv.txn(txn.clone())).await {
                Ok(Ok(response)) => {
                    self.answered(member);
                    return Ok(response);
                }
                Ok(Err(error)) => match Verdict::from(error) {
                    Verdict::Lost(said) => said,
                    verdict => {
                        self.pass(tour, member, verdict)?;
                        continue;
                    }
                },
                Err(_) => silent(left),
            };
            self.forget(member);
            return Err(tour.unknown(self.url(member), &lost));
        }
    }

    /// A connection to a member that is there: one that hangs takes a commit, and lets us wait
    /// until the end, not knowing. So one that has not answered for a while is asked something
    /// first.
    async fn ready(&self, member: usize) -> Result<Link, Verdict> {
        let mut link = self.link(member).await?;
        if link.answered.is_none_or(|at| at.elapsed() > FRESH) {
            let options = GetOptions::new().with_keys_only();
            link.client.get(self.prefix.as_str(), Some(options)).await?;
            self.answered(member);
        }
        Ok(link)
    }
}
