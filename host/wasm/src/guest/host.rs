//! The host's side: a plugin whose calls are answered by its process.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use wharfinger_plan::Plan;

use super::talk::{GRACE, Nobody, Talk};
use super::wire::{FromGuest, Start, ToGuest, Wire};
use crate::raw::{self, Code};
use crate::record::{Answer, Call};
use crate::{
    Attachment, Book, Error, Grants, Ipam, Lease, Limits, Node, Policy, PolicyRequest, Pool,
    Problem, Request, Verdict, World, plugin,
};

/// Bytes of JSON for a byte of what a component says, at worst: an escaped control character.
const ESCAPED: usize = 6;
/// Bytes of a message beside what a component says.
const FRAME: usize = 64 << 10;

/// A plugin in a process of its own, which ends with it.
pub struct Guest {
    pub(super) identity: String,
    pub(super) shown: String,
    pub(super) limits: Limits,
    pub(super) pod: bool,
    pub(super) world: World,
    pub(super) remote: bool,
    pub(super) wire: Wire,
    pub(super) process: RefCell<Child>,
}

impl Guest {
    /// Starts the process, for a component of the world that is `wanted`. `command` is to come to
    /// [`serve`](super::serve) with its standard input and output; `identity` is the component's name and
    /// digest.
    pub fn start(
        mut command: Command,
        wanted: World,
        identity: &str,
        code: &Code,
        (limits, grants): (&Limits, &Grants),
    ) -> Result<Self, Error> {
        let failed = |what| Error::Unloadable { plugin: identity.to_owned(), what };
        let io = |error: io::Error| failed(format!("start its process: {error}"));
        let (ours, theirs) = UnixStream::pair().map_err(io)?;
        let file = code.file().map_err(io)?;
        raw::inherit_none().map_err(io)?;
        command.stdin(OwnedFd::from(theirs)).stdout(file).stderr(Stdio::null());
        let child = command.spawn().map_err(io)?;
        // It holds the process's end of the socket: nobody else's is to be open.
        drop(command);
        let most = limits.hostcall_bytes.max(limits.returned);
        let mut guest = Self {
            identity: identity.to_owned(),
            shown: plugin::shown(identity),
            limits: limits.clone(),
            pod: grants.pod,
            world: wanted,
            remote: false,
            wire: Wire::new(ours, most.saturating_mul(ESCAPED).saturating_add(FRAME)),
            process: RefCell::new(child),
        };
        let start = Start {
            wanted,
            identity: identity.to_owned(),
            code: code.bytes().len(),
            limits: limits.clone(),
            grants: grants.clone(),
        };
        guest.wire.send(&ToGuest::Start(start)).map_err(io)?;
        let until = Instant::now() + limits.longest() + GRACE;
        match guest.wire.receive(Some(until)).map_err(io)? {
            Some(FromGuest::Ready { remote }) => {
                guest.remote = remote;
                Ok(guest)
            }
            Some(FromGuest::Unloadable { what }) => Err(failed(what)),
            _ => Err(failed(format!("its process {}", guest.end()))),
        }
    }

    /// Ends the process; how it ended, if that was before.
    pub(super) fn end(&self) -> String {
        let mut process = self.process.borrow_mut();
        let before = process.try_wait();
        // One that ended already cannot be killed, and is waited for all the same.
        let _ = process.kill();
        let status = process.wait();
        match (before, status) {
            (Ok(Some(status)), _) | (_, Ok(status)) => format!("ended with {status}"),
            (_, Err(error)) => format!("is lost: {error}"),
        }
    }

    fn call(&self, node: &Node, call: &Call, book: &mut dyn Book) -> Result<Answer, Error> {
        Talk::new(self, call, book).run(node, call)
    }

    fn problems(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        let call = Call::Validate { config: config.to_owned() };
        match self.call(node, &call, &mut Nobody)? {
            Answer::Problems(problems) => Ok(problems),
            _ => Err(self.mixed("validate")),
        }
    }

    /// The arm is the call's own: [`super::gate::checked`] compared them.
    fn mixed(&self, call: &'static str) -> Error {
        let what = "it answered another call".to_owned();
        Error::BadAnswer { plugin: self.shown.clone(), call, what }
    }

    fn verdict(&self, node: &Node, call: &Call, book: &mut dyn Book) -> Result<Verdict, Error> {
        let export = call.export();
        match self.call(node, call, book)? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(self.mixed(export)),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end();
    }
}

impl Ipam for Guest {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        self.problems(node, config)
    }

    fn pools(&self, node: &Node, config: &str) -> Result<Vec<Pool>, Error> {
        let call = Call::Pools { config: config.to_owned() };
        match self.call(node, &call, &mut Nobody)? {
            Answer::Pools(pools) => Ok(pools),
            _ => Err(self.mixed("pools")),
        }
    }

    fn allocate(
        &self,
        node: &Node,
        request: &Request,
        book: &mut dyn Book,
    ) -> Result<Lease, Error> {
        match self.call(node, &Call::Allocate { request: request.clone() }, book)? {
            Answer::Lease(lease) => Ok(lease),
            _ => Err(self.mixed("allocate")),
        }
    }

    fn remote(&self) -> bool {
        self.remote
    }

    fn released(
        &self,
        node: &Node,
        config: &str,
        attachment: &Attachment,
        lease: Option<&Lease>,
        book: &mut dyn Book,
    ) -> Result<(), Error> {
        let call = Call::Released {
            config: config.to_owned(),
            attachment: attachment.clone(),
            lease: lease.cloned(),
        };
        self.call(node, &call, book).map(drop)
    }
}

impl Policy for Guest {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        self.problems(node, config)
    }

    fn admit(
        &self,
        node: &Node,
        request: &PolicyRequest,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        self.verdict(node, &Call::Admit { request: request.clone() }, book)
    }

    fn review(
        &self,
        node: &Node,
        request: &PolicyRequest,
        plan: &Plan,
        result: &str,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        let call = Call::Review {
            request: request.clone(),
            plan: plan.clone(),
            result: result.to_owned(),
        };
        self.verdict(node, &call, book)
    }
}
