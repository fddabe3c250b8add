//! Side by side: the reference plugins, and ours under their names, do the same in like namespaces,
//! and what can be seen of it is compared.
//!
//! A [`Case`] is a scenario that runs once on each [`Side`]. A side writes down what it sees: what
//! the plugins answered, and what is there afterwards, by names that are alike on both sides. The
//! two accounts are compared place by place; where they differ, the case must name the
//! difference, by its id in `docs/reference-differences.md`, and each difference that it names must
//! show. Start reading at [`run`].

mod compare;
mod look;
mod pod;
mod traffic;

use std::fmt::Write as _;

use serde_json::{Map, Value};

pub use compare::{Differs, differs};
pub use pod::Pod;
pub use traffic::{Proto, Who, inside, inside_at};

use crate::{Netns, Subject, World};
use look::Names;

/// A scenario.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Plugin, and key or situation.
    pub name: &'static str,
    /// Whether it needs what only the lab's kernel has.
    pub lab: bool,
    /// What may, and must, differ.
    pub differs: &'static [Differs],
    /// What happens.
    pub run: fn(&mut Side),
}

/// A case for any kernel.
pub const fn case(name: &'static str, differs: &'static [Differs], run: fn(&mut Side)) -> Case {
    Case { name, lab: false, differs, run }
}

/// A case for the lab's kernel.
pub const fn lab(name: &'static str, differs: &'static [Differs], run: fn(&mut Side)) -> Case {
    Case { name, lab: true, differs, run }
}

/// One of the two machines: a host, its pods, and what was seen of them.
#[derive(Debug)]
pub struct Side {
    /// The name of the case.
    pub case: &'static str,
    /// The machine.
    pub world: World,
    names: Names,
    seen: Map<String, Value>,
    outside: Option<Netns>,
}

impl Side {
    #[track_caller]
    fn new(subject: Subject, case: &'static str) -> Self {
        let world = World::of(subject);
        Self { case, world, names: Names::default(), seen: Map::new(), outside: None }
    }

    /// The plugin that the case is about: what stands before the colon of its name.
    pub fn plugin(&self) -> &'static str {
        self.case.split(':').next().unwrap_or_default()
    }

    /// Writes down what was seen, by a name that is used once.
    #[track_caller]
    pub fn tell(&mut self, what: &str, value: impl Into<Value>) {
        let mut value = value.into();
        self.names.apply(&self.world, &mut value);
        let before = self.seen.insert(what.to_owned(), value);
        assert!(before.is_none(), "{what} is told twice");
    }

    /// A machine beyond the host. It knows the way to no pod, so what it answers was translated.
    #[track_caller]
    pub fn outside(&mut self) -> &Netns {
        if self.outside.is_none() {
            let wan = Netns::new("wan");
            let host = &self.world.host;
            host.ip(&format!("link add wan0 type veth peer name wan0 netns {}", wan.name()));
            let sides = [
                (host, "203.0.113.1/24", "2001:db8::1/64"),
                (&wan, "203.0.113.2/24", "2001:db8::2/64"),
            ];
            for (side, v4, v6) in sides {
                side.ip(&format!("address add {v4} dev wan0"));
                side.ip(&format!("address add {v6} dev wan0 nodad"));
                side.ip("link set wan0 up");
            }
            self.outside = Some(wan);
        }
        match &self.outside {
            Some(wan) => wan,
            None => unreachable!(),
        }
    }
}

/// Which sides there are: the reference, and ours under its names. To try the cases themselves
/// `WHARFINGER_SIDE=reference` compares the reference with itself; `WHARFINGER_SIDE=type` compares
/// ours under its own type.
fn sides() -> [Subject; 2] {
    let ours = match std::env::var("WHARFINGER_SIDE").as_deref() {
        Ok("reference") => Subject::Reference,
        Ok("type") => Subject::Ours,
        _ => Subject::Named,
    };
    [Subject::Reference, ours]
}

/// Runs those cases that are for this kernel; fails with all that was wrong. `common` is what
/// may differ in any of them, and on an ordinary kernel must in at least one.
#[track_caller]
pub fn run(cases: &[Case], common: &[&[Differs]]) {
    let common = &common.concat();
    let lab = std::env::var_os("IN_LAB").is_some();
    let only = std::env::var("WHARFINGER_CASE").ok();
    let mine =
        |case: &&Case| case.lab == lab && only.as_ref().is_none_or(|o| case.name.contains(o));
    let mut wrong = String::new();
    let mut shown = Vec::new();
    let mut ran = 0;
    for case in cases.iter().filter(mine) {
        ran += 1;
        match run_one(case, common) {
            Ok(ids) => shown.extend(ids),
            Err(text) => {
                let _ = writeln!(wrong, "\n== {} ==\n{text}", case.name);
            }
        }
    }
    let all = ran > 0 && !lab && only.is_none();
    for unseen in common.iter().filter(|d| all && !shown.contains(&d.id)) {
        let _ = writeln!(wrong, "\nno case shows {} ({})", unseen.id, unseen.at);
    }
    assert!(wrong.is_empty(), "{ran} cases, of which not alike:\n{wrong}");
}

/// The ids of the common differences that it shows, or what is wrong.
fn run_one(case: &Case, common: &[Differs]) -> Result<Vec<&'static str>, String> {
    let [theirs, ours] = std::thread::scope(|scope| {
        let started = sides().map(|subject| {
            scope.spawn(move || {
                let mut side = Side::new(subject, case.name);
                (case.run)(&mut side);
                Value::Object(side.seen)
            })
        });
        started.map(std::thread::ScopedJoinHandle::join)
    });
    let failed = |who: &str, why: &(dyn std::any::Any + Send)| {
        let text = why.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| why.downcast_ref::<&str>().copied()).unwrap_or("?");
        format!("{who}: {text}")
    };
    match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => compare::compare(&theirs, &ours, case.differs, common),
        (Err(why), _) => Err(failed("the reference's side", &*why)),
        (_, Err(why)) => Err(failed("our side", &*why)),
    }
}
