//! Renews leases: one process, one thread, as many leases as there are.
//!
//! The book has them; what this process knows beside it is only what is under way, so that it may
//! be killed at any moment and started again. A lease has a socket of its own only while an answer
//! to it may come. Start reading at [`serve`].

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags};
use serde_json::json;
use wharfinger_attach::dhcp::On;
use wharfinger_attach::dhcp::keep::{self, Kept, Told};
use wharfinger_attach::{Error, Host};
use wharfinger_cni::AttachmentId;
use wharfinger_dhcp::{Client, Lease, Step, Why};
use wharfinger_kernel::Packets;

use super::{Flags, client, now, send, socket, take, wait};
use crate::events;
use crate::program::Program;

/// How often the book is looked at even if nobody comes, in milliseconds.
const LOOK_EVERY: u64 = 30_000;
/// When to try again what could not be done now.
const SOON: u64 = 500;
/// When to try again where the container's side does not work, or a lease was refused by us.
const LATER: u64 = 30_000;
/// How often those are looked at who wait because so many ask.
const QUEUE: u64 = 50;
/// How long a socket is open before it is asked whether it is still needed.
const LISTEN: u64 = 10_000;
/// How many ask at the same time: each has a socket open.
const AT_ONCE: usize = 256;

/// Renews leases until the process is killed, which it may be at any time.
pub(crate) fn serve(program: &Program, flags: &Flags) -> Result<()> {
    let run = &program.paths.run;
    let path = flags.socket.clone().unwrap_or_else(|| socket::default(run));
    let listener = socket::listen(&flags.on_host(&path))?;
    let _lock = alone(program)?;
    flags.keep(run)?;
    if let Some(path) = &flags.pid_file {
        let id = std::process::id().to_string();
        std::fs::write(path, id).with_context(|| path.display().to_string())?;
    }
    let mut renewer = Renewer { program, flags, watched: BTreeMap::new(), seen: None, look: 0 };
    loop {
        renewer.turn(&listener)?;
    }
}

/// Two would ask for the same leases.
fn alone(program: &Program) -> Result<File> {
    let path = program.paths.run.join("dhcp.lock");
    std::fs::create_dir_all(&program.paths.run)?;
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => bail!("{}: another process renews leases on this node", path.display()),
    }
}

struct Renewer<'a> {
    program: &'a Program,
    flags: &'a Flags,
    watched: BTreeMap<AttachmentId, Watched>,
    /// Up to where the book was seen.
    seen: Option<u64>,
    /// When to look at it next.
    look: u64,
}

/// One lease.
struct Watched {
    kept: Kept,
    /// When something is to be done.
    due: u64,
    /// While something is asked of a server.
    asking: Option<Asking>,
    /// What is still to be told to the book.
    news: Option<News>,
}

struct Asking {
    client: Client,
    packets: Packets,
}

#[derive(Debug, Clone)]
enum News {
    Bound(Lease),
    Lost(Why),
}

impl Watched {
    fn new(kept: Kept, now: u64) -> Self {
        let due = match &kept.lease {
            Some(Lease { times: Some(times), .. }) => times.renew,
            Some(_) => u64::MAX,
            None => now,
        };
        Self { kept, due, asking: None, news: None }
    }

    /// Whether the book has something else than what this is about.
    fn is_other_than(&self, kept: &Kept) -> bool {
        self.kept.cookie != kept.cookie
            || self.kept.asked != kept.asked
            || self.news.is_none() && (self.kept.lease != kept.lease || self.kept.had != kept.had)
    }

    /// Stops asking for a while, but not past the lease's end.
    fn rest(&mut self) {
        self.asking = None;
        let end = self.kept.lease.as_ref().and_then(|lease| lease.times).map(|times| times.end);
        let later = now().saturating_add(LATER);
        self.due = end.filter(|end| *end > now()).map_or(later, |end| end.min(later));
    }
}

impl Renewer<'_> {
    fn turn(&mut self, listener: &UnixListener) -> Result<()> {
        if now() >= self.look {
            self.look_at_the_book();
        }
        let due: Vec<AttachmentId> = self.due();
        for id in due {
            self.act(&id);
        }
        self.program.close_ledger();
        self.listen(listener)
    }

    /// A book that cannot be read now is read later.
    fn look_at_the_book(&mut self) {
        self.look = now().saturating_add(LOOK_EVERY);
        let seen = self.seen;
        let found = self.program.verb(|host| {
            let horizon = host.ledger.horizon()?;
            let unchanged = seen == Some(horizon);
            Ok((horizon, if unchanged { None } else { Some(keep::leases(host)?) }))
        });
        match found {
            Ok((_, None)) => {}
            Ok((horizon, Some(leases))) => {
                self.seen = Some(horizon);
                self.compare(leases);
            }
            Err(error) => say(&format!("the ledger: {error}")),
        }
    }

    fn compare(&mut self, leases: Vec<Kept>) {
        let mut before = std::mem::take(&mut self.watched);
        for kept in leases {
            let id = kept.id.clone();
            let watched = match before.remove(&id) {
                Some(known) if !known.is_other_than(&kept) => known,
                _ => Watched::new(kept, now()),
            };
            self.watched.insert(id, watched);
        }
    }

    /// What is to be done now; of those who would begin to ask, not all at once.
    fn due(&self) -> Vec<AttachmentId> {
        let now = now();
        let asking = self.watched.values().filter(|watched| watched.asking.is_some()).count();
        let mut free = AT_ONCE.saturating_sub(asking);
        let mut due = Vec::new();
        for (id, watched) in self.watched.iter().filter(|(_, watched)| watched.due <= now) {
            if watched.asking.is_none() && watched.news.is_none() {
                if free == 0 {
                    continue;
                }
                free -= 1;
            }
            due.push(id.clone());
        }
        due
    }

    fn act(&mut self, id: &AttachmentId) {
        let Some(mut watched) = self.watched.remove(id) else { return };
        if self.move_on(&mut watched) {
            self.watched.insert(id.clone(), watched);
        }
    }

    /// Does what is due for one lease; whether it is to be watched any longer.
    fn move_on(&self, watched: &mut Watched) -> bool {
        if watched.news.is_some() {
            return self.tell(watched);
        }
        if watched.asking.is_none() {
            match self.ask(&watched.kept) {
                Ok(Some(asking)) => watched.asking = Some(asking),
                // Its container is gone; a DEL or GC will come.
                Ok(None) => return false,
                Err(error) => {
                    say(&format!("{}: {error}", watched.kept.id));
                    watched.due = now().saturating_add(LATER);
                    return true;
                }
            }
        }
        let Some(asking) = &mut watched.asking else { return true };
        let step = asking.client.tick(now());
        self.step(watched, step)
    }

    fn step(&self, watched: &mut Watched, step: Step) -> bool {
        match step {
            Step::Send(outgoing) => {
                let sent = watched.asking.as_ref().map(|a| send(&a.packets, &outgoing));
                if let Some(Err(error)) = sent {
                    say(&format!("{}: send: {error}", watched.kept.id));
                    // The link may be down, or gone: its socket is no good any more.
                    watched.rest();
                    return true;
                }
            }
            Step::Bound(lease) => {
                watched.news = Some(News::Bound(lease));
                return self.tell(watched);
            }
            Step::Lost(why) => {
                watched.news = Some(News::Lost(why));
                return self.tell(watched);
            }
            Step::Nothing => {}
        }
        if let Some(asking) = &watched.asking {
            let (now, next) = (now(), asking.client.next());
            watched.due = next;
            if asking.client.listens(now) {
                // Then it is seen whether an answer may still come.
                watched.due = next.min(now.saturating_add(LISTEN));
            } else if next > now {
                watched.asking = None;
            }
        }
        true
    }

    /// Begins to ask; none where there is no container any more.
    fn ask(&self, kept: &Kept) -> Result<Option<Asking>, Error> {
        self.with(|host| {
            let Some((netns, link)) = keep::link(host, kept, &self.flags.prefix)? else {
                return Ok(None);
            };
            let packets = netns.packets(link.index)?;
            let mut asked = self.flags.asked(kept.asked.clone());
            asked.broadcast |= link.kind == "ipvlan";
            let on = On { netns: &netns, link: &link };
            let client = client(on, asked, now()).resending(self.flags.resend);
            let client = match (kept.lease.clone(), kept.had) {
                (Some(lease), _) => client.holding(lease),
                (None, Some(address)) => client.wanting(address),
                (None, None) => client,
            };
            Ok(Some(Asking { client, packets }))
        })
    }

    /// Tells the book; whether the lease is to be watched any longer.
    fn tell(&self, watched: &mut Watched) -> bool {
        let Some(news) = watched.news.clone() else { return true };
        let (id, prefix) = (&watched.kept.id, &self.flags.prefix);
        let told = self.with(|host| match &news {
            News::Bound(lease) => keep::bound(host, id, lease, prefix),
            News::Lost(_) => keep::lost(host, id, prefix),
        });
        match told {
            Ok(Told::Busy) => watched.due = now().saturating_add(SOON),
            Ok(Told::Gone) => return false,
            Ok(Told::Done) => self.done(watched, news),
            Err(error) => self.failed(watched, &news, &error),
        }
        true
    }

    fn done(&self, watched: &mut Watched, news: News) {
        watched.news = None;
        match news {
            News::Bound(lease) => {
                let before = watched.kept.known();
                if before != Some(lease.address.addr()) {
                    let what = json!({ "before": before, "now": lease.address });
                    self.note(&watched.kept.id, "lease changed", what);
                }
                let kept = Kept { lease: Some(lease), had: None, ..watched.kept.clone() };
                *watched = Watched::new(kept, now());
            }
            News::Lost(why) => {
                let before = watched.kept.known();
                (watched.kept.lease, watched.kept.had) = (None, None);
                let what = json!({ "address": before, "why": format!("{why:?}") });
                self.note(&watched.kept.id, "lease lost", what);
                watched.due = watched.asking.as_ref().map_or_else(now, |a| a.client.next());
            }
        }
    }

    /// What could not be written down is tried again; but a lease that could not be used was
    /// given back, and is asked for anew, later.
    fn failed(&self, watched: &mut Watched, news: &News, error: &Error) {
        say(&format!("{}: {error}", watched.kept.id));
        let known = watched.kept.known();
        match news {
            News::Bound(lease) if known != Some(lease.address.addr()) => {
                let what = json!({ "address": lease.address, "error": error.to_string() });
                self.note(&watched.kept.id, "lease not used", what);
                (watched.kept.lease, watched.kept.had) = (None, None);
                watched.news = None;
                watched.asking = None;
                watched.due = now().saturating_add(LATER);
            }
            _ => watched.due = now().saturating_add(SOON),
        }
    }

    fn with<T>(&self, verb: impl Fn(&Host) -> Result<T, Error>) -> Result<T, Error> {
        self.program.verb(verb)
    }

    fn note(&self, id: &AttachmentId, event: &str, mut what: serde_json::Value) {
        what["network"] = json!(id.network);
        what["container"] = json!(id.container);
        what["ifname"] = json!(id.ifname);
        say(&format!("{id}: {event}: {what}"));
        events::happened(&self.program.paths.run, event, &what);
    }

    /// How long nothing is due.
    fn within(&self) -> u64 {
        let now = now();
        let next = self.watched.values().map(|watched| watched.due).min().unwrap_or(u64::MAX);
        // Those that are due already wait until others are done.
        let next = if next <= now { now.saturating_add(QUEUE) } else { next };
        next.min(self.look).saturating_sub(now).max(1)
    }

    /// Waits for what comes, or is due.
    fn listen(&mut self, listener: &UnixListener) -> Result<()> {
        let within = self.within();
        let listening = self.watched.iter().filter_map(|(id, watched)| {
            Some((id.clone(), &watched.asking.as_ref().filter(|_| watched.news.is_none())?.packets))
        });
        let (asking, packets): (Vec<AttachmentId>, Vec<&Packets>) = listening.unzip();
        let mut fds = vec![PollFd::new(listener, PollFlags::IN)];
        fds.extend(packets.into_iter().map(|packets| PollFd::new(packets, PollFlags::IN)));
        wait(&mut fds, within)?;
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let mut heard = fds.iter().map(ready);
        let called = heard.next().unwrap_or_default();
        let heard: Vec<AttachmentId> =
            asking.into_iter().zip(heard).filter(|(_, ready)| *ready).map(|(id, _)| id).collect();
        drop(fds);
        for id in heard {
            self.hear(&id);
        }
        if called {
            while listener.accept().is_ok() {}
            self.look = 0;
        }
        Ok(())
    }

    fn hear(&mut self, id: &AttachmentId) {
        let Some(mut watched) = self.watched.remove(id) else { return };
        let step = match &mut watched.asking {
            Some(asking) if watched.news.is_none() => take(&mut asking.client, &asking.packets),
            _ => Ok(Step::Nothing),
        };
        let goes_on = match step {
            Ok(Step::Nothing) => true,
            Ok(step) => self.step(&mut watched, step),
            Err(error) => {
                say(&format!("{id}: hear: {error}"));
                watched.rest();
                true
            }
        };
        if goes_on {
            self.watched.insert(id.clone(), watched);
        }
    }
}

/// To people, by way of the service manager.
fn say(text: &str) {
    // Nobody listens: no reason to stop.
    let _ = writeln!(std::io::stderr(), "{text}");
}
