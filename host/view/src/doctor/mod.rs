//! What on a node keeps attachments from working, or will: facts in, findings out.
//!
//! A finding says what, where, and what to do. Start reading at [`findings`]; [`facts`] is what the
//! executable gathers, [`Kind`] all that can be found. Each kind has its fixture in `tests/doctor.rs`.

mod book;
mod directories;
pub mod facts;
mod host;
mod ranges;
mod udev;

pub use facts::Facts;
pub use ranges::overlaps;

use serde::Serialize;

use crate::plain;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Good to know: no trouble by itself.
    Notice,
    /// Will be trouble, or is for some.
    Warning,
    /// Keeps attachments from working.
    Error,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// All that can be found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// In the order in which they are told.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As machines read it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// The kernel is older than the oldest that is supported.
    OldKernel = "old-kernel",
    /// A network in use needs what the kernel has not.
    MissingFeature = "missing-feature",
    /// An ADD to a network would fail.
    Network = "network",
    /// The configuration directory cannot be read.
    ConfDirectory = "conf-directory",
    /// No file in it is a network.
    NoNetwork = "no-network",
    /// A file in it cannot be read as a network.
    BrokenFile = "broken-file",
    /// A network of ours is behind another file.
    ShadowedFile = "shadowed-file",
    /// Two files have a network of one name.
    DoubledName = "doubled-name",
    /// Which file each runtime takes.
    Picked = "picked",
    /// A version of the protocol that is not spoken here.
    Version = "version",
    /// A type that no executable provides.
    NoExecutable = "no-executable",
    /// A type whose file cannot be run.
    NotExecutable = "not-executable",
    /// Who provides a type.
    Provider = "provider",
    /// Copies of the executable that differ.
    OtherVersion = "other-version",
    /// A file or directory that others may write.
    Permissions = "permissions",
    /// The node's settings cannot be read.
    Settings = "settings",
    /// The ledger cannot be opened or written.
    Ledger = "ledger",
    /// A ledger was set aside.
    SetAside = "set-aside",
    /// The store of components is not as its lock file says.
    Store = "store",
    /// Little room where state is kept.
    Room = "room",
    /// What an installation left behind.
    Leftover = "leftover",
    /// Packets are not forwarded.
    Forwarding = "forwarding",
    /// Packets that come another way than they would go are dropped.
    ReversePath = "reverse-path",
    /// A chain of somebody else's drops what is forwarded.
    ForwardDrop = "forward-drop",
    /// Two networks share addresses.
    Overlap = "overlap",
    /// A network's addresses are also elsewhere.
    RouteConflict = "route-conflict",
    /// An attachment in the ledger is dead.
    DeadAttachment = "dead-attachment",
    /// A living attachment is not as it was made.
    Drift = "drift",
    /// A certificate of the cluster's store ends soon, or is of no use.
    Certificate = "certificate",
    /// A link or rule bears the name of an attachment that the ledger does not know.
    Orphan = "orphan",
    /// An address is reserved for nobody.
    LeakedAddress = "leaked-address",
    /// A namespace is nobody's.
    LeakedNamespace = "leaked-namespace",
    /// A manager of networks configures a link of ours.
    Manager = "manager",
    /// A file gives our links other MAC addresses.
    LinkFile = "link-file",
    /// A rule of udev does something to links of ours.
    UdevRule = "udev-rule",
    /// firewalld runs, and a network lets it decide.
    Firewalld = "firewalld",
    /// Something could not be looked at.
    Unseen = "unseen",
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    #[serde(rename = "finding")]
    pub kind: Kind,
    /// How much it matters.
    pub level: Level,
    /// Where: "chain ip filter FORWARD".
    pub object: String,
    /// What is so.
    pub what: String,
    /// What to do.
    #[serde(rename = "do")]
    pub cure: String,
}

impl Finding {
    fn new(
        (kind, level): (Kind, Level),
        object: impl Into<String>,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { kind, level, object: object.into(), what: what.into(), cure: cure.into() }
    }

    /// For people: what, and on the next line what to do.
    pub fn text(&self) -> String {
        let level = match self.level {
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let head = shortened(&plain(&format!("{level}: {}: {}", self.object, self.what)));
        if self.cure.is_empty() { head } else { format!("{head}\n  {}", plain(&self.cure)) }
    }
}

/// All that these facts show, the worst first.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = host::findings(facts);
    all.extend(directories::findings(facts));
    all.extend(book::findings(facts));
    all.extend(ranges::findings(facts));
    all.extend(facts.unseen.iter().map(|(what, why)| {
        let cure = "run it as root, and see what keeps it from being read";
        Finding::new((Kind::Unseen, Level::Warning), what, why, cure)
    }));
    all.sort_by(|a, b| b.level.cmp(&a.level).then(a.kind.cmp(&b.kind)));
    all
}

/// Runtimes' long numbers, as much of each as is enough to find it.
fn shortened(text: &str) -> String {
    const LONG: usize = 64;
    let is_digit = |letter: char| letter.is_ascii_hexdigit();
    let mut short = String::new();
    for part in text.split_inclusive(|letter| !is_digit(letter)) {
        let digits = part.trim_end_matches(|letter| !is_digit(letter)).len();
        let (number, rest) = part.split_at(digits);
        short += number.get(..12).filter(|_| digits == LONG).unwrap_or(number);
        short += rest;
    }
    short
}

/// Up to so many of them by name, and how many more.
fn some<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
