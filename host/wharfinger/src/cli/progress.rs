//! How far long work is: one line on a terminal, drawn anew as it goes on, and gone at the end. Where
//! nobody looks, nothing is written. It never delays or fails the work.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The line is not drawn more often: a terminal far away is slow.
const PAUSE: Duration = Duration::from_millis(50);
/// Goes to the line's begin, and clears it.
const CLEAR: &str = "\r\u{1b}[K";

/// See the module. All clones draw the same line.
#[derive(Clone, Default)]
pub(crate) struct Progress(Option<Rc<RefCell<Line>>>);

#[derive(Default)]
struct Line {
    drawn: Option<Instant>,
}

impl Progress {
    /// Shows something only where `on` is so.
    pub(crate) fn new(on: bool) -> Self {
        Self(on.then(Rc::default))
    }

    /// `12 of 40 attachments`.
    pub(crate) fn at(&self, done: usize, all: usize, of: &str) {
        self.draw(&|| format!("{done} of {all} {of}"));
    }

    /// What is being done, where there is nothing to count.
    pub(crate) fn stage(&self, what: &str) {
        self.draw(&|| format!("{what} ..."));
    }

    /// Takes the line away, so that something else can be written.
    pub(crate) fn clear(&self) {
        let Some(line) = &self.0 else { return };
        if line.borrow_mut().drawn.take().is_some() {
            put(CLEAR);
        }
    }

    fn draw(&self, text: &dyn Fn() -> String) {
        let Some(line) = &self.0 else { return };
        let mut line = line.borrow_mut();
        if line.drawn.is_none_or(|drawn| drawn.elapsed() >= PAUSE) {
            line.drawn = Some(Instant::now());
            put(&format!("{CLEAR}{}", text()));
        }
    }
}

fn put(text: &str) {
    let mut to = std::io::stderr();
    // A terminal that is gone is no reason to fail.
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
