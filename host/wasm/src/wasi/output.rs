//! Standard output and error: each line is one of the operator's log, counted as such.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::Level;
use crate::journal::{Journal, Stop};

/// Bytes that one write may bring.
const WRITE: usize = 64 << 10;
/// A line that is longer is cut into several.
const LINE: usize = 4 << 10;

/// One of the two.
#[derive(Clone)]
pub(crate) struct Output {
    level: Level,
    journal: Journal,
    pending: Arc<Mutex<Vec<u8>>>,
}

impl Output {
    pub(crate) fn stdout(journal: Journal) -> Self {
        Self { level: Level::Info, journal, pending: Arc::default() }
    }

    /// What is written there is at least worth a look.
    pub(crate) fn stderr(journal: Journal) -> Self {
        Self { level: Level::Warn, journal, pending: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) -> Result<(), Stop> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if *byte != b'\n' {
                pending.push(*byte);
            }
            if *byte == b'\n' || pending.len() >= LINE {
                self.say(&std::mem::take(&mut *pending))?;
            }
        }
        Ok(())
    }

    /// Logs a line that was not ended.
    pub(crate) fn finish(&self) -> Result<(), Stop> {
        let rest =
            std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if rest.is_empty() { Ok(()) } else { self.say(&rest) }
    }

    fn say(&self, line: &[u8]) -> Result<(), Stop> {
        self.journal.log(self.level, &String::from_utf8_lossy(line))
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: hyper::body::Bytes) -> StreamResult<()> {
        self.take(&bytes).map_err(|stop| StreamError::Trap(stop.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE)
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.take(bytes).map(|()| bytes.len()).map_err(std::io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
