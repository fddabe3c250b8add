//! The API server, as its synchronous callers see it: a thread of its own speaks to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use wharfinger_ledger::cluster::Fault;
use wharfinger_speaker::Speaker;

use crate::exchange::{Ask, Link};
use crate::expiry::{self, Expiry};
use crate::settings::{Invalid, Settings};
use crate::target::Login;
use crate::verdict::{Said, Verdict};

/// So many time-outs one request takes at most, whatever is left of the call: whoever waits behind
/// it is told why nothing comes.
const PATIENCE: u32 = 4;

/// Between two attempts: doubled each time, up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(800)];

/// The API server. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Kube(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Arc<Api>,
    speaker: Speaker,
}

impl Kube {
    /// Nothing is done yet, but to look at the settings.
    pub fn new(settings: Settings) -> Result<Self, Invalid> {
        if settings.timeout.is_zero() {
            return Err(Invalid("the timeout is zero".to_owned()));
        }
        let api = Arc::new(Api { settings, idle: Mutex::new(None) });
        Ok(Self(Arc::new(Inner { api, speaker: Speaker::new("Kubernetes") })))
    }

    /// What of the credentials ends first, as they are now; none where nothing of them does.
    pub fn expires(&self) -> Result<Option<Expiry>, Invalid> {
        let Login { target, token } = self.0.api.settings.login()?;
        let token = token.as_deref().and_then(expiry::of_token);
        let certificate = target.certificate().and_then(|der| Expiry::of_certificate(&der));
        Ok([token, certificate].into_iter().flatten().min_by_key(|expiry| expiry.until))
    }

    pub(crate) fn api(&self) -> Arc<Api> {
        Arc::clone(&self.0.api)
    }

    /// Runs it on the thread that keeps the connection up, and waits.
    pub(crate) fn run<T>(
        &self,
        what: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
    {
        self.0.speaker.run(what)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The settings, and the connection that is idle.
#[derive(Debug)]
pub(crate) struct Api {
    settings: Settings,
    idle: Mutex<Option<Link>>,
}

/// The time that a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    wait: Duration,
}

impl Clock {
    pub(crate) fn left(&self) -> Duration {
        self.wait.saturating_sub(self.start.elapsed())
    }

    /// To the millisecond.
    fn passed(&self) -> String {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        format!("{:?}", Duration::from_millis(millis))
    }
}

impl Api {
    pub(crate) fn clock(&self, wait: Duration) -> Clock {
        let most = self.settings.timeout.saturating_mul(PATIENCE);
        Clock { start: Instant::now(), wait: wait.min(most) }
    }

    /// Asks until there is an answer. `what` is done, "read block a"; what may have been carried
    /// out, and must not be twice, is not asked again.
    pub(crate) async fn ask(&self, what: &str, ask: &Ask, clock: Clock) -> Result<Said, Fault> {
        let (mut pause, mut fresh) = (PAUSES[0], false);
        loop {
            let verdict = match self.attempt(ask, clock).await {
                Ok(said) => return Ok(said),
                Err(verdict) => verdict,
            };
            let (said, wanted) = match verdict {
                Verdict::Refused(said) => return Err(self.refused(what, &said)),
                Verdict::Stranger(_) if !std::mem::replace(&mut fresh, true) => continue,
                Verdict::Stranger(said) => {
                    let said = format!(
                        "{said}: it does not take our credentials: see whether the token or \
                         certificate ended, and whether its service account is there"
                    );
                    return Err(self.refused(what, &said));
                }
                Verdict::Lost(said) if !ask.is_read() => {
                    return Err(self.unknown(what, clock, &said));
                }
                Verdict::Lost(said) => (said, None),
                Verdict::Unsent(said, wanted) => (said, wanted),
            };
            let next = wanted.unwrap_or(pause);
            if clock.left() <= next {
                return Err(self.unavailable(what, clock, &said));
            }
            tokio::time::sleep(next).await;
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    async fn attempt(&self, ask: &Ask, clock: Clock) -> Result<Said, Verdict> {
        let login = self.login()?;
        let mut link = self.link(&login, clock).await?;
        // What writes is waited for as long as there is time: its outcome is wanted.
        let most = if ask.is_read() { self.settings.timeout } else { clock.left() };
        let most = most.min(clock.left());
        let answer = match timeout(most, link.exchange(ask, &login)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Verdict::Lost(format!("no answer within {most:?}"))),
        };
        let said = answer.read();
        // Who was not known may be by a new handshake.
        if !matches!(said, Err(Verdict::Stranger(_))) {
            *lock(&self.idle) = Some(link);
        }
        said
    }

    pub(crate) fn login(&self) -> Result<Login, Verdict> {
        self.settings.login().map_err(|error| Verdict::Refused(error.to_string()))
    }

    /// The idle connection, or a new one.
    async fn link(&self, login: &Login, clock: Clock) -> Result<Link, Verdict> {
        let idle = lock(&self.idle).take().filter(|link| link.target == login.target);
        if let Some(mut link) = idle
            && link.is_open().await
        {
            return Ok(link);
        }
        self.connect(login, clock).await
    }

    /// A new connection.
    pub(crate) async fn connect(&self, login: &Login, clock: Clock) -> Result<Link, Verdict> {
        let most = self.settings.timeout.min(clock.left());
        let late = |_| Verdict::Unsent(format!("no connection within {most:?}"), None);
        timeout(most, Link::open(&login.target)).await.map_err(late)?
    }

    fn server(&self) -> String {
        self.settings.login().map_or_else(|_| "the API server".to_owned(), |it| it.target.url())
    }

    pub(crate) fn refused(&self, what: &str, said: &str) -> Fault {
        Fault::Refused(format!("{what}: {}: {said}", self.server()))
    }

    fn unavailable(&self, what: &str, clock: Clock, said: &str) -> Fault {
        let no_time = Fault::of_no_time(what, "the API server", clock.wait);
        no_time.unwrap_or_else(|| {
            Fault::Unavailable(format!(
                "{what}: no answer from the API server within {}: {} ({said}): see whether it \
                 runs, and that this node reaches it",
                clock.passed(),
                self.server(),
            ))
        })
    }

    fn unknown(&self, what: &str, clock: Clock, said: &str) -> Fault {
        Fault::Unknown(format!(
            "{what}: sent to {}, and after {} it is not known whether it stands: {said}",
            self.server(),
            clock.passed(),
        ))
    }
}
