//! The client's side of a lease, from the first message to its end (RFC 2131, section 4.4).
//!
//! Two things move it: [`Client::tick`] when its time has come, and [`Client::heard`] when a packet
//! has. Each says what is to be done now. It never waits, and it never gives up: how long to go
//! on is for who owns it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::asked::option;
use crate::dice::Dice;
use crate::message::{Kind, Ours, Theirs};
use crate::{Asked, Hardware, Lease, packet};

/// How often an offer is asked for before others are looked for.
const REQUESTS: u32 = 3;
/// The least time between two messages that ask to extend a lease (RFC 2131, section 4.4.5).
const EXTEND_EVERY: u64 = 60_000;
/// How long an answer to such a message is waited for.
const ANSWER_WITHIN: u64 = 10_000;
/// After a refusal, before all begins anew.
const REFUSED_PAUSE: u64 = 1_000;

/// How long to wait for an answer before a message is sent again, in milliseconds: at first, and
/// at most. Each time it is twice as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resend {
    /// The first time.
    pub first: u64,
    /// At most.
    pub longest: u64,
}

impl Default for Resend {
    /// RFC 2131, section 4.1.
    fn default() -> Self {
        Self { first: 4_000, longest: 64_000 }
    }
}

/// A packet to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// To everybody on the link, where there is none.
    pub to: Option<Hardware>,
    /// An IPv4 packet.
    pub packet: Vec<u8>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// A packet is to be sent.
    Send(Outgoing),
    /// There is a lease: the first, or the one that there was with other times. Its address may
    /// be another than before.
    Bound(Lease),
    /// There is none any more: what came with it is not to be used. Another is looked for.
    Lost(Why),
}

/// Why there is no lease any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody extended it.
    Ended,
    /// The server says no.
    Refused,
}

/// How it went so far, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct So {
    /// Messages that look for a server.
    pub discovers: u32,
    /// Offers that came.
    pub offers: u32,
    /// Refusals that came.
    pub refusals: u32,
    /// What was wrong with the last answer that could not be used.
    pub unusable: Option<String>,
}

#[derive(Debug, Clone)]
enum Phase {
    /// A server is looked for.
    Selecting { tries: u32, next: u64 },
    /// This address is asked for; of this server, or of whoever knows of it.
    Requesting { address: Ipv4Addr, server: Option<Ipv4Addr>, tries: u32, next: u64 },
    /// There is a lease. `next`: when to do something about it; `sent`: when it was last asked to
    /// be extended.
    Holding { lease: Lease, next: u64, sent: Option<u64> },
}

/// One client.
#[derive(Debug, Clone)]
pub struct Client {
    asked: Asked,
    mac: Hardware,
    resend: Resend,
    dice: Dice,
    xid: u32,
    /// Since when this is being asked for.
    since: u64,
    /// When an address was last asked for by name.
    asked_at: u64,
    phase: Phase,
    so: So,
}

impl Client {
    /// Looks for a server, from `now` on. `seed` is to be a number that nobody knows.
    pub fn new(asked: Asked, mac: Hardware, seed: u64, now: u64) -> Self {
        let mut dice = Dice::new(seed);
        let xid = dice.id();
        let phase = Phase::Selecting { tries: 0, next: now };
        let (resend, so) = (Resend::default(), So::default());
        Self { asked, mac, resend, dice, xid, since: now, asked_at: now, phase, so }
    }

    /// With a lease that it had before.
    #[must_use]
    pub fn holding(mut self, lease: Lease) -> Self {
        let next = lease.times.map_or(u64::MAX, |times| times.renew);
        self.phase = Phase::Holding { lease, next, sent: None };
        self
    }

    /// With an address that it had before, whose lease is forgotten.
    #[must_use]
    pub fn wanting(mut self, address: Ipv4Addr) -> Self {
        let next = self.since;
        self.phase = Phase::Requesting { address, server: None, tries: 0, next };
        self
    }

    /// With other waits between messages.
    #[must_use]
    pub fn resending(mut self, resend: Resend) -> Self {
        self.resend = resend;
        self
    }

    /// The lease that there is.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.phase {
            Phase::Holding { lease, .. } => Some(lease),
            Phase::Selecting { .. } | Phase::Requesting { .. } => None,
        }
    }

    /// How it went so far.
    pub fn so(&self) -> &So {
        &self.so
    }

    /// When [`Client::tick`] is to be called.
    pub fn next(&self) -> u64 {
        match &self.phase {
            Phase::Selecting { next, .. }
            | Phase::Requesting { next, .. }
            | Phase::Holding { next, .. } => *next,
        }
    }

    /// Whether an answer may come now.
    pub fn listens(&self, now: u64) -> bool {
        match &self.phase {
            Phase::Selecting { tries, .. } => *tries > 0,
            Phase::Requesting { .. } => true,
            Phase::Holding { sent, .. } => {
                sent.is_some_and(|sent| now < sent.saturating_add(ANSWER_WITHIN))
            }
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: u64) -> Step {
        if now < self.next() {
            return Step::Nothing;
        }
        match self.phase.clone() {
            Phase::Selecting { tries, .. } => Step::Send(self.discover(now, tries)),
            Phase::Requesting { tries: REQUESTS.., .. } => self.begin(now, now),
            Phase::Requesting { address, server, tries, .. } => {
                Step::Send(self.request(now, address, server, tries))
            }
            Phase::Holding { lease, .. } if lease.has_ended(now) => {
                self.begin(now, now);
                Step::Lost(Why::Ended)
            }
            Phase::Holding { lease, .. } => self.extend(now, lease),
        }
    }

    /// Looks for a server at `next`, and has done nothing yet.
    fn begin(&mut self, now: u64, next: u64) -> Step {
        self.since = now;
        self.xid = self.dice.id();
        self.phase = Phase::Selecting { tries: 0, next };
        Step::Nothing
    }

    /// When to send again what was sent so often before.
    fn again(&mut self, now: u64, tries: u32) -> u64 {
        let delay = self.resend.first.saturating_mul(1 << tries.min(16));
        now.saturating_add(self.dice.about(delay.min(self.resend.longest)).max(1))
    }

    fn discover(&mut self, now: u64, tries: u32) -> Outgoing {
        let next = self.again(now, tries);
        self.phase = Phase::Selecting { tries: tries.saturating_add(1), next };
        self.so.discovers = self.so.discovers.saturating_add(1);
        self.message(Kind::Discover, now, BTreeMap::new()).for_all()
    }

    fn request(
        &mut self,
        now: u64,
        address: Ipv4Addr,
        server: Option<Ipv4Addr>,
        tries: u32,
    ) -> Outgoing {
        let next = self.again(now, tries);
        self.asked_at = now;
        self.phase = Phase::Requesting { address, server, tries: tries + 1, next };
        let mut options = named(option::REQUESTED_ADDRESS, address);
        if let Some(server) = server {
            options.extend(named(option::SERVER_ID, server));
        }
        self.message(Kind::Request, now, options).for_all()
    }

    /// Asks for more time: the server before T2, whoever answers after it.
    fn extend(&mut self, now: u64, lease: Lease) -> Step {
        let Some(times) = lease.times else { return Step::Nothing };
        if now < times.renew {
            return Step::Nothing;
        }
        let first = matches!(self.phase, Phase::Holding { sent: None, .. });
        if first {
            self.since = now;
        }
        self.xid = self.dice.id();
        let stage = if now < times.rebind { times.rebind } else { times.end };
        let half = stage.saturating_sub(now) / 2;
        let next = now.saturating_add(half.max(EXTEND_EVERY)).min(stage).max(now.saturating_add(1));
        let mut message = self.message(Kind::Request, now, BTreeMap::new());
        message.ours.has = lease.address.addr();
        // The answer comes to the address that we have.
        message.ours.broadcast = false;
        let outgoing = match lease.hardware {
            Some(hardware) if now < times.rebind => message.for_server(lease.server, hardware),
            _ => message.for_all(),
        };
        self.asked_at = now;
        self.phase = Phase::Holding { lease, next, sent: Some(now) };
        Step::Send(outgoing)
    }

    fn message(&self, kind: Kind, now: u64, options: BTreeMap<u8, Vec<u8>>) -> Envelope {
        let mut all = self.asked.options();
        all.extend(options);
        Envelope {
            ours: Ours {
                kind,
                xid: self.xid,
                secs: now.saturating_sub(self.since) / 1000,
                has: Ipv4Addr::UNSPECIFIED,
                broadcast: self.asked.broadcast,
                mac: self.mac,
                options: all,
            },
        }
    }

    /// Takes in a packet that came from `hardware`.
    pub fn heard(&mut self, now: u64, hardware: Option<Hardware>, bytes: &[u8]) -> Step {
        let Some(answer) = packet::unwrap(bytes).and_then(Theirs::parse) else {
            return Step::Nothing;
        };
        if answer.xid != self.xid || answer.mac != self.mac {
            return Step::Nothing;
        }
        match (self.phase.clone(), answer.kind) {
            (Phase::Selecting { tries: 1.., .. }, Kind::Offer) => {
                self.offered(now, hardware, &answer)
            }
            (Phase::Requesting { server, .. }, Kind::Ack) if is_of(&answer, server) => {
                self.bound(now, hardware, &answer)
            }
            (Phase::Requesting { server, .. }, Kind::Nak) if is_of(&answer, server) => {
                self.so.refusals = self.so.refusals.saturating_add(1);
                self.begin(now, now.saturating_add(REFUSED_PAUSE));
                // One that was had before, and is not to be used any more.
                if server.is_none() { Step::Lost(Why::Refused) } else { Step::Nothing }
            }
            (Phase::Holding { sent: Some(_), .. }, Kind::Ack) => self.bound(now, hardware, &answer),
            (Phase::Holding { sent: Some(_), .. }, Kind::Nak) => {
                self.so.refusals = self.so.refusals.saturating_add(1);
                self.begin(now, now.saturating_add(REFUSED_PAUSE));
                Step::Lost(Why::Refused)
            }
            _ => Step::Nothing,
        }
    }

    fn offered(&mut self, now: u64, hardware: Option<Hardware>, answer: &Theirs) -> Step {
        self.so.offers = self.so.offers.saturating_add(1);
        match Lease::read(answer, hardware, now) {
            Ok(lease) => {
                let (address, server) = (lease.address.addr(), Some(lease.server));
                Step::Send(self.request(now, address, server, 0))
            }
            Err(why) => {
                self.so.unusable = Some(why);
                Step::Nothing
            }
        }
    }

    /// A lease counts from when it was asked for, which is before the server wrote it down.
    fn bound(&mut self, now: u64, hardware: Option<Hardware>, answer: &Theirs) -> Step {
        match Lease::read(answer, hardware, self.asked_at) {
            Ok(lease) if lease.has_ended(now) => Step::Nothing,
            Ok(lease) => {
                let next = lease.times.map_or(u64::MAX, |times| times.renew);
                self.phase = Phase::Holding { lease: lease.clone(), next, sent: None };
                Step::Bound(lease)
            }
            Err(why) => {
                self.so.unusable = Some(why);
                Step::Nothing
            }
        }
    }

    /// The message that gives the lease back.
    pub fn release(&mut self, lease: &Lease) -> Outgoing {
        self.xid = self.dice.id();
        let mut message = self.farewell(Kind::Release);
        message.ours.has = lease.address.addr();
        message.ours.options.extend(named(option::SERVER_ID, lease.server));
        match lease.hardware {
            Some(hardware) => message.for_server(lease.server, hardware),
            None => message.for_all(),
        }
    }

    /// The message that says that somebody else has the address.
    pub fn decline(&mut self, lease: &Lease) -> Outgoing {
        self.xid = self.dice.id();
        let mut message = self.farewell(Kind::Decline);
        message.ours.options.extend(named(option::SERVER_ID, lease.server));
        message.ours.options.extend(named(option::REQUESTED_ADDRESS, lease.address.addr()));
        message.for_all()
    }

    /// Nothing is asked for any more.
    fn farewell(&self, kind: Kind) -> Envelope {
        let mut envelope = self.message(kind, self.since, BTreeMap::new());
        envelope.ours.options = self.asked.identity();
        envelope.ours.broadcast = false;
        envelope
    }
}

/// An answer of the server that was asked, where one was.
fn is_of(answer: &Theirs, server: Option<Ipv4Addr>) -> bool {
    server.is_none_or(|server| answer.address(option::SERVER_ID) == Some(server))
}

fn named(option: u8, address: Ipv4Addr) -> BTreeMap<u8, Vec<u8>> {
    BTreeMap::from([(option, address.octets().to_vec())])
}

/// A message that has no address on it yet.
struct Envelope {
    ours: Ours,
}

impl Envelope {
    fn for_all(self) -> Outgoing {
        let from = self.ours.has;
        let packet = packet::wrap(from, Ipv4Addr::BROADCAST, &self.ours.bytes());
        Outgoing { to: None, packet }
    }

    fn for_server(self, server: Ipv4Addr, hardware: Hardware) -> Outgoing {
        let from = self.ours.has;
        let packet = packet::wrap(from, server, &self.ours.bytes());
        Outgoing { to: Some(hardware), packet }
    }
}
