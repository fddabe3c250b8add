//! The guest's side: loads the component, gives up what the process may do, and answers calls until
//! nobody asks any more.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;

use super::confine;
use super::wire::{FromGuest, Start, ToGuest, Wire};
use crate::record::asked::Asked;
use crate::record::{Answer, Call, Import};
use crate::{
    Book, BookError, Error, HttpAnswer, HttpRequest, Ipam, IpamPlugin, Node, Plugin, Policy,
    PolicyPlugin, Runtimes, World, raw,
};

/// The host is trusted; its messages are as long as configurations are.
const LONGEST: usize = u32::MAX as usize;

/// Serves the host at the other end of `stream`. `code` is what the host checked, or compiled
/// itself: it runs as native code.
pub fn serve(stream: UnixStream, code: &File) -> io::Result<()> {
    let wire = Wire::new(stream, LONGEST);
    let Some(ToGuest::Start(start)) = wire.receive(None)? else { return Ok(()) };
    let ready = match load(&start, code) {
        Ok(ready) => ready,
        Err(what) => return wire.send(&FromGuest::Unloadable { what }),
    };
    wire.send(&FromGuest::Ready { remote: ready.remote() })?;
    while let Some(ToGuest::Call(asked)) = wire.receive(None)? {
        let mut book = Elsewhere { wire: &wire };
        let done = match ready.answer(&asked.node, asked.call, &mut book) {
            Ok(answer) => FromGuest::Done { answer, place: String::new() },
            Err(error) => FromGuest::Done {
                place: match &error {
                    Error::Limit { place, .. } => place.to_string(),
                    _ => String::new(),
                },
                answer: Answer::of(&Err::<(), _>(error), |()| Answer::Released(())),
            },
        };
        wire.send(&done)?;
    }
    Ok(())
}

fn load(start: &Start, code: &File) -> Result<Ready, String> {
    let code = raw::map(code, 0, start.code).map_err(|e| format!("map its code: {e}"))?;
    let runtimes = Runtimes::default();
    let Start { identity, limits, grants, .. } = start;
    let plugin = Plugin::load(&runtimes, identity, &code, limits, grants);
    let unloadable = |error| match error {
        Error::Unloadable { what, .. } => what,
        other => other.to_string(),
    };
    let plugin = plugin.map_err(unloadable)?;
    let ready = match start.wanted {
        World::Ipam => plugin.ipam().map(Ready::Ipam),
        World::Policy => plugin.policy().map(Ready::Policy),
    };
    let ready = ready.map_err(unloadable)?;
    confine::confine(limits, !grants.http.is_empty())
        .map_err(|what| format!("its process cannot be confined: {what}"))?;
    Ok(ready)
}

/// The component, loaded.
enum Ready {
    Ipam(IpamPlugin),
    Policy(PolicyPlugin),
}

impl Ready {
    fn remote(&self) -> bool {
        match self {
            Self::Ipam(plugin) => plugin.remote(),
            Self::Policy(_) => false,
        }
    }

    fn answer(&self, node: &Node, call: Call, book: &mut dyn Book) -> Result<Answer, Error> {
        match (self, call) {
            (Self::Ipam(plugin), Call::Validate { config }) => {
                plugin.validate(node, &config).map(Answer::Problems)
            }
            (Self::Policy(plugin), Call::Validate { config }) => {
                plugin.validate(node, &config).map(Answer::Problems)
            }
            (Self::Ipam(plugin), Call::Pools { config }) => {
                plugin.pools(node, &config).map(Answer::Pools)
            }
            (Self::Ipam(plugin), Call::Allocate { request }) => {
                plugin.allocate(node, &request, book).map(Answer::Lease)
            }
            (Self::Ipam(plugin), Call::Released { config, attachment, lease }) => plugin
                .released(node, &config, &attachment, lease.as_ref(), book)
                .map(Answer::Released),
            (Self::Policy(plugin), Call::Admit { request }) => {
                plugin.admit(node, &request, book).map(Answer::Verdict)
            }
            (Self::Policy(plugin), Call::Review { request, plan, result }) => {
                plugin.review(node, &request, &plan, &result, book).map(Answer::Verdict)
            }
            (_, call) => Err(Error::Unloadable {
                plugin: "(guest)".to_owned(),
                what: format!("{} is of the other world", call.export()),
            }),
        }
    }
}

/// The book, which is the host's.
struct Elsewhere<'a> {
    wire: &'a Wire,
}

impl Elsewhere<'_> {
    fn exchange(&self, message: &FromGuest) -> Result<ToGuest, BookError> {
        self.wire.send(message)?;
        self.wire.receive(None)?.ok_or_else(|| "the host has ended".into())
    }
}

impl Asked for Elsewhere<'_> {
    fn asked(&mut self, question: Import) -> Result<Import, BookError> {
        match self.exchange(&FromGuest::Asked(question))? {
            ToGuest::Answer(Import::Broken { why }) => Err(why.into()),
            ToGuest::Answer(answer) => Ok(answer),
            _ => Err("the host said something else".into()),
        }
    }

    fn size(&mut self) -> Result<u64, BookError> {
        match self.asked(Import::Size { answer: 0 })? {
            Import::Size { answer } => Ok(answer),
            _ => Err("the host said something else".into()),
        }
    }

    fn known(&mut self, request: &HttpRequest) -> Option<HttpAnswer> {
        match self.exchange(&FromGuest::Sends(request.clone())) {
            Ok(ToGuest::Known(answer)) => answer,
            _ => None,
        }
    }

    fn told(&mut self, what: Import) {
        // Whether the host is there shows at the next question.
        let _ = self.wire.send(&FromGuest::Told(what));
    }
}
