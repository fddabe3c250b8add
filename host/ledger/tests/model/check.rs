//! Who holds which address, as those saw it who asked: a history, and whether some order of it
//! explains all answers (linearizability), by the checker of Wing, Gong and Lowe in `todc-utils`.
//! Each address is an object of its own, so each is checked by itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Mutex;

use todc_utils::{Action, History, Specification, WGLChecker};

/// An attachment, as no other is in a run.
pub(crate) type Who = u64;

/// What somebody did, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It took the address, and was told so.
    Took(Who),
    /// It may have taken the address, now or later, or never will.
    MayTake(Who),
    /// It was told that this one holds the address.
    Refused(Who),
    /// It held the address for a moment, or has it no longer.
    LetGo(Who),
    /// It was told that nobody holds it.
    Free,
}

/// What an address is: somebody's, or nobody's.
struct Holder;

impl Specification for Holder {
    type State = Option<Who>;
    type Operation = Act;

    fn init() -> Self::State {
        None
    }

    fn apply(act: &Act, state: &Self::State) -> (bool, Self::State) {
        let holds = |who| *state == Some(who);
        match *act {
            Act::Took(who) => (state.is_none() || holds(who), Some(who)),
            Act::MayTake(who) => (true, state.or(Some(who))),
            Act::Refused(who) => (holds(who), *state),
            Act::LetGo(who) => (true, state.filter(|holder| *holder != who)),
            Act::Free => (state.is_none(), *state),
        }
    }
}

/// An act with the moments between which it took effect.
#[derive(Debug, Clone, Copy)]
struct Noted {
    act: Act,
    from: u64,
    /// None: at any time since, or never.
    to: Option<u64>,
}

/// All that was done.
#[derive(Default)]
pub(crate) struct Acts {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    clock: u64,
    acts: BTreeMap<IpAddr, Vec<Noted>>,
}

/// An act that is under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun(u64);

impl Acts {
    /// The moment of a call.
    pub(crate) fn begin(&self) -> Begun {
        Begun(self.inner.lock().unwrap().tick())
    }

    /// It ended just now.
    pub(crate) fn end(&self, begun: Begun, address: IpAddr, act: Act) {
        let mut inner = self.inner.lock().unwrap();
        let to = Some(inner.tick());
        inner.acts.entry(address).or_default().push(Noted { act, from: begun.0, to });
    }

    /// Nobody knows when it ends, or whether.
    pub(crate) fn open(&self, begun: Begun, address: IpAddr, act: Act) {
        let noted = Noted { act, from: begun.0, to: None };
        self.inner.lock().unwrap().acts.entry(address).or_default().push(noted);
    }

    pub(crate) fn count(&self) -> usize {
        self.inner.lock().unwrap().acts.values().map(Vec::len).sum()
    }

    /// What no order explains, for a person.
    pub(crate) fn check(&self) -> Result<(), String> {
        let inner = self.inner.lock().unwrap();
        let wrong = inner.acts.iter().find(|(_, acts)| !linearizable(acts));
        wrong.map_or(Ok(()), |(address, acts)| Err(told(*address, acts)))
    }
}

impl Inner {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

fn linearizable(acts: &[Noted]) -> bool {
    let mut moments: Vec<(u64, usize, Action<Act>)> = Vec::new();
    for (number, noted) in acts.iter().enumerate() {
        moments.push((noted.from, number, Action::Call(noted.act)));
        moments.push((noted.to.unwrap_or(u64::MAX), number, Action::Response(noted.act)));
    }
    moments.sort_by_key(|(at, number, _)| (*at, *number));
    let actions = moments.into_iter().map(|(_, number, action)| (number, action)).collect();
    WGLChecker::<Holder>::is_linearizable(History::from_actions(actions))
}

fn told(address: IpAddr, acts: &[Noted]) -> String {
    let mut sorted = acts.to_vec();
    sorted.sort_by_key(|noted| noted.from);
    let mut text = format!("{address}: no order explains this\n");
    for Noted { act, from, to } in sorted {
        let to = to.map_or("open".to_owned(), |to| to.to_string());
        writeln!(text, "  {from:>6} .. {to:>6}  {act:?}").unwrap();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(acts: &[(u64, Option<u64>, Act)]) -> bool {
        let noted =
            |(from, to, act): &(u64, Option<u64>, Act)| Noted { act: *act, from: *from, to: *to };
        linearizable(&acts.iter().map(noted).collect::<Vec<_>>())
    }

    #[test]
    fn what_can_be_explained_is() {
        use Act::*;
        assert!(checked(&[(1, Some(2), Took(1)), (3, Some(4), LetGo(1)), (5, Some(6), Took(2))]));
        assert!(checked(&[(1, Some(4), Took(1)), (2, Some(3), Free)]), "before it");
        assert!(checked(&[(1, None, MayTake(1)), (2, Some(3), Took(2))]), "never, or later");
        assert!(checked(&[(1, None, MayTake(1)), (2, Some(3), Refused(1))]), "already");
        assert!(checked(&[(1, Some(2), Took(1)), (3, None, LetGo(1)), (4, Some(5), Refused(1))]));
        assert!(checked(&[(1, Some(9), Took(2)), (2, Some(3), Took(1)), (4, Some(8), LetGo(1))]));
    }

    #[test]
    fn what_cannot_be_explained_is_found() {
        use Act::*;
        assert!(!checked(&[(1, Some(2), Took(1)), (3, Some(4), Took(2))]), "twice");
        assert!(!checked(&[(1, Some(2), Took(1)), (3, Some(4), Free)]), "a stale read");
        assert!(!checked(&[
            (1, Some(2), Took(1)),
            (3, Some(4), LetGo(1)),
            (5, Some(6), Refused(1)),
        ]));
        assert!(
            !checked(&[(1, Some(2), Refused(1)), (3, None, MayTake(1))]),
            "before it was asked"
        );
        assert!(!checked(&[
            (1, None, MayTake(1)),
            (2, Some(3), Refused(1)),
            (4, Some(5), Took(2)),
        ]));
    }
}
