//! What both sides say: JSON after its length, four bytes, the least one first.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::record::{Answer, Call, Import};
use crate::{Grants, HttpAnswer, HttpRequest, Limits, Node, World};

/// To the guest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToGuest {
    /// The first of all.
    Start(Start),
    /// Do this.
    Call(Box<Asking>),
    /// What it asked for, with the answer.
    Answer(Import),
    /// The answer to a request that is known already.
    Known(Option<HttpAnswer>),
}

/// Whom to be.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) wanted: World,
    pub(super) identity: String,
    /// Bytes of compiled code, from the start of its file.
    pub(super) code: usize,
    pub(super) limits: Limits,
    pub(super) grants: Grants,
}

/// A call, and what it may read of the node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asking {
    pub(super) node: Node,
    pub(super) call: Call,
}

/// From the guest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromGuest {
    /// The component is loaded, and the process confined.
    Ready { remote: bool },
    /// It is not.
    Unloadable { what: String },
    /// A question, with a blank for the answer.
    Asked(Import),
    /// Is the answer to this known already?
    Sends(HttpRequest),
    /// What nobody answers.
    Told(Import),
    /// The call has ended; for a limit, in which functions.
    Done { answer: Answer, place: String },
}

/// One end. A message may be this long.
#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    longest: usize,
}

impl Wire {
    pub(super) fn new(stream: UnixStream, longest: usize) -> Self {
        Self { stream, longest }
    }

    #[cfg(test)]
    pub(super) fn into_stream(self) -> UnixStream {
        self.stream
    }

    pub(super) fn send(&self, message: &impl Serialize) -> io::Result<()> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, message)?;
        let length = u32::try_from(bytes.len() - 4).map_err(|_| too_long())?;
        if let Some(start) = bytes.first_chunk_mut() {
            *start = length.to_le_bytes();
        }
        (&self.stream).write_all(&bytes)
    }

    /// The next message, by this time; none where the other side has ended.
    pub(super) fn receive<T: DeserializeOwned>(
        &self,
        until: Option<Instant>,
    ) -> io::Result<Option<T>> {
        let mut length = [0; 4];
        if !self.fill(&mut length, until)? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > self.longest {
            return Err(too_long());
        }
        let mut bytes = vec![0; length];
        if !self.fill(&mut bytes, until)? {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    /// Whether all of it came.
    fn fill(&self, mut into: &mut [u8], until: Option<Instant>) -> io::Result<bool> {
        while !into.is_empty() {
            if let Some(until) = until {
                let left = until.saturating_duration_since(Instant::now());
                self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            }
            match (&self.stream).read(into) {
                Ok(0) => return Ok(false),
                Ok(count) => into = into.get_mut(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(longest: usize) -> (Wire, Wire) {
        let (one, other) = UnixStream::pair().unwrap();
        (Wire::new(one, longest), Wire::new(other, longest))
    }

    #[test]
    fn what_is_sent_comes_whole() {
        let (one, other) = pair(1 << 20);
        let text = "x".repeat(200_000);
        std::thread::scope(|scope| {
            scope.spawn(|| one.send(&text).unwrap());
            assert_eq!(other.receive::<String>(None).unwrap().unwrap(), text);
        });
        drop(one);
        assert!(other.receive::<String>(None).unwrap().is_none());
    }

    #[test]
    fn what_is_too_long_cut_off_or_late_is_an_error_or_an_end() {
        let (one, other) = pair(10);
        one.send(&"longer than ten").unwrap();
        let error = other.receive::<String>(None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let (one, other) = pair(10);
        (&one.stream).write_all(&[9, 0, 0, 0, b'"']).unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        let error = other.receive::<String>(Some(soon)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(one);
        assert!(other.receive::<String>(None).unwrap().is_none());
    }
}
