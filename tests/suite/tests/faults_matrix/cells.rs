//! What is tried: verbs and faults.

use std::fmt;

/// The verbs, a boot's first ADD apart: it makes what all share.
pub(crate) const VERBS: [Verb; 6] =
    [Verb::First, Verb::Add, Verb::Check, Verb::Del, Verb::Gc, Verb::Status];

/// A verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// The first ADD of a boot.
    First,
    Add,
    Check,
    Del,
    Gc,
    Status,
}

impl Verb {
    /// As `CNI_COMMAND` has it.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::First | Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
            Self::Gc => "GC",
            Self::Status => "STATUS",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::First { "first ADD" } else { self.command() })
    }
}

/// What the network is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A bridge of ours, both families, masquerade, addresses by an installed component.
    Own,
    /// The same without a component to install, on a machine that nothing was attached to in this boot.
    Fresh,
    /// As the first, where a verb may take four seconds.
    Hurried,
    /// Around another plugin, which keeps addresses in files.
    Around,
}

/// How the book, or compiled code, is harmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    Removed,
    Emptied,
    Cut,
    Overwritten,
    /// Its beginning and its length stay.
    Within,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// At a system call, by the tool `inject`: the deed.
    At(&'static str),
    /// The namespace is removed before a system call.
    NamespaceGoes,
    /// Killed, and then the machine is started anew.
    KilledThenReboot,
    /// The machine was started anew before the call.
    Reboot,
    /// Nobody reads the reply, or it cannot be written.
    ReplyLost,
    /// Another call is stopped at a step, and stays.
    Held,
    /// Another call is stopped while it writes the book, for a second.
    Slow,
    Book,
    Code,
    ConfCut,
    SettingsCut,
    /// The clock is wrong, from the beginning or from the middle on.
    Clock,
}

impl Fault {
    /// Whether it strikes at a step; otherwise around the whole call.
    pub(crate) fn at_steps(self) -> bool {
        matches!(self, Self::At(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::At("kill") => "kill -9",
            Self::At("ENOSPC+") => "ENOSPC on",
            Self::At("refuse") => "netlink refuses",
            Self::At(deed) => deed,
            Self::NamespaceGoes => "the namespace vanishes, before or amid it",
            Self::KilledThenReboot => "kill -9, then a reboot",
            Self::Reboot => "a reboot before it, the run directory empty or kept",
            Self::ReplyLost => "the reply is lost: closed, full",
            Self::Held => "another call is stopped for good, at each of its steps",
            Self::Slow => "another call holds the ledger for a second",
            Self::Book => "the ledger removed, emptied, cut, overwritten, damaged within",
            Self::Code => "compiled code removed, emptied, cut, overwritten, damaged within",
            Self::ConfCut => "the configuration cut short",
            Self::SettingsCut => "the node's settings cut short",
            Self::Clock => "the clock jumps by 400 days, either way",
        })
    }
}

/// A verb under a fault.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) verb: Verb,
    pub(crate) kind: Kind,
    pub(crate) fault: Fault,
}

/// At a system call, in the order of the table's columns.
pub(crate) const AT_STEPS: [Fault; 7] = [
    Fault::At("kill"),
    Fault::At("ENOSPC"),
    Fault::At("ENOSPC+"),
    Fault::At("EIO"),
    Fault::At("EMFILE"),
    Fault::At("ENOMEM"),
    Fault::At("refuse"),
];

/// Around the whole call, in the order of the table's rows.
pub(crate) const AROUND: [Fault; 11] = [
    Fault::NamespaceGoes,
    Fault::KilledThenReboot,
    Fault::Reboot,
    Fault::ReplyLost,
    Fault::Held,
    Fault::Slow,
    Fault::Book,
    Fault::Code,
    Fault::ConfCut,
    Fault::SettingsCut,
    Fault::Clock,
];

/// All of them; where `WHARFINGER_FAULT` is set, those of a fault or verb with that in its name.
pub(crate) fn all() -> Vec<Cell> {
    let mut all = Vec::new();
    for fault in AT_STEPS {
        for verb in VERBS {
            let shares = [Fault::At("kill"), Fault::At("ENOSPC")].contains(&fault);
            let kind = if verb == Verb::First { Kind::Fresh } else { Kind::Own };
            if shares || verb != Verb::First {
                all.push(Cell { verb, kind, fault });
            }
            let delegates =
                [Fault::At("kill"), Fault::At("EIO"), Fault::At("EMFILE")].contains(&fault);
            if delegates && [Verb::Add, Verb::Check, Verb::Del].contains(&verb) {
                all.push(Cell { verb, kind: Kind::Around, fault });
            }
        }
    }
    for fault in AROUND {
        let verbs = VERBS.into_iter().filter(|verb| *verb != Verb::First);
        let kind = if fault == Fault::Held { Kind::Hurried } else { Kind::Own };
        all.extend(verbs.filter(|verb| fits(fault, *verb)).map(|verb| Cell { verb, kind, fault }));
    }
    if let Ok(wanted) = std::env::var("WHARFINGER_FAULT") {
        all.retain(|cell| {
            format!("{} {} {:?}", cell.fault, cell.verb, cell.kind).contains(&wanted)
        });
    }
    all
}

/// A verb that asks nothing of it is left out.
pub(crate) fn fits(fault: Fault, verb: Verb) -> bool {
    match fault {
        Fault::NamespaceGoes => !matches!(verb, Verb::Status),
        Fault::Code => matches!(verb, Verb::Add | Verb::Status),
        Fault::KilledThenReboot => matches!(verb, Verb::Add | Verb::Del | Verb::Gc),
        _ => true,
    }
}
