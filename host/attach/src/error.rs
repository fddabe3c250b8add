//! What a verb can fail with, and what of it the runtime is told.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use wharfinger_cni::conf::ConfError;
use wharfinger_cni::{AttachmentId, CniError, code};
use wharfinger_delegate::DelegateError;
use wharfinger_ledger::Usage;
use wharfinger_wasm::Reason;

use crate::chain;
use crate::dhcp::Unleased;

/// A verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration does not fit.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// A component found problems in its configuration: pointer and what is wrong, for each.
    #[error("{}", .0.join("; "))]
    Problems(Vec<String>),
    /// A driver's configuration does not fit.
    #[error(transparent)]
    Driver(#[from] wharfinger_drivers::Error),
    /// A driver cannot make a plan of what is there.
    #[error(transparent)]
    Plan(#[from] wharfinger_drivers::PlanError),
    /// A component failed.
    #[error(transparent)]
    Plugin(#[from] wharfinger_wasm::Error),
    /// A policy refused.
    #[error("policy {policy}: {reason}")]
    Denied {
        /// Name and digest.
        policy: String,
        /// In its own words.
        reason: String,
    },
    /// A policy changed what it may not.
    #[error("policy {policy} may not change {pointer}: {why}")]
    MayNot {
        /// Name and digest.
        policy: String,
        /// What it changed.
        pointer: String,
        /// Why not.
        why: String,
        /// What the operator would write to grant it, where that can be granted.
        grant: Option<String>,
    },
    /// What a policy made of the configuration does not fit.
    #[error("policy {policy} changed {}: {source}", pointers.join(", "))]
    Amended {
        /// Name and digest.
        policy: String,
        /// What it changed.
        pointers: Vec<String>,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The protocol's own reader refused a configuration.
    #[error(transparent)]
    Misread(CniError),
    /// The node's lists do not have what the configuration names.
    #[error("{name:?} at {pointer} is not allowed on this node: its setting allow.{setting} has {}",
        if allowed.is_empty() { "nothing" } else { allowed })]
    NotAllowed {
        /// The list.
        setting: &'static str,
        /// Where the configuration names it.
        pointer: String,
        /// What it names.
        name: String,
        /// What the list has.
        allowed: String,
    },
    /// Behind other plugins of a list, without their result.
    #[error("a plugin without \"driver\" stands behind others, and the call has no prevResult")]
    NoPrevResult,
    /// No address is left.
    #[error("{source} ({})", counts(usage))]
    Exhausted {
        /// The component's own words.
        source: wharfinger_wasm::Error,
        /// How full its ranges are.
        usage: Box<Usage>,
    },
    /// An address asked for by name is somebody's.
    #[error("{source}{}", holder.as_ref().map(|h| format!("; {h}")).unwrap_or_default())]
    Taken {
        /// The component's own words.
        source: wharfinger_wasm::Error,
        /// Who holds it.
        holder: Option<Box<Holder>>,
    },
    /// A port of the host is somebody's.
    #[error("{port} of the host is taken; {holder}")]
    PortTaken {
        /// Which.
        port: wharfinger_ledger::HostPort,
        /// Who has it.
        holder: Box<Holder>,
    },
    /// An address that is to be held is somebody's.
    #[error("{address} is taken: {holder} has it")]
    AddressHeld {
        /// Which.
        address: std::net::IpAddr,
        /// Who has it.
        holder: String,
    },
    /// The book cannot answer.
    #[error(transparent)]
    Ledger(#[from] wharfinger_ledger::Error),
    /// Others were faster each time.
    #[error("others changed the ledger {}", whenever(*waited))]
    Contended {
        /// For how long; zero: there was one attempt.
        waited: Duration,
    },
    /// Another process works on the attachment.
    #[error("{id} is being worked on by another process; waited for its lock until the deadline")]
    Locked {
        /// Which attachment.
        id: AttachmentId,
    },
    /// The lock could not be asked for.
    #[error("lock of {id}: {source}")]
    Lock {
        /// Which attachment.
        id: AttachmentId,
        /// Why.
        source: std::io::Error,
    },
    /// The attachment is there already.
    #[error("{id} is attached since {}; DEL it before another ADD", utc(*since))]
    Exists {
        /// Which attachment.
        id: AttachmentId,
        /// Seconds since the Unix epoch.
        since: u64,
    },
    /// There is no namespace where one is needed.
    #[error("{}", no_netns(path))]
    NoNetns {
        /// CNI_NETNS; empty where there was none.
        path: String,
    },
    /// CHECK: nothing is known of the attachment.
    #[error("{0} is not attached")]
    NotAttached(AttachmentId),
    /// CHECK: it is not as it was made.
    #[error("{}", .0.join("; "))]
    Drift(Vec<String>),
    /// What a network's attachments share is not as it was made.
    #[error("what its attachments share is not as it was made: {}", .0.join("; "))]
    Shared(Vec<String>),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] wharfinger_kernel::Error),
    /// The kernel lacks what the plan needs.
    #[error("this kernel cannot do it: {}", .0.join(", "))]
    Features(Vec<String>),
    /// A delegate failed.
    #[error(transparent)]
    Delegate(#[from] DelegateError),
    /// What a delegate printed is no result.
    #[error("{name} answered no result: {source}")]
    NoResult {
        /// The executable.
        name: String,
        /// What is wrong with it.
        source: CniError,
    },
    /// What was undone as far as it went, and what was not.
    #[error("{}", list(.0))]
    Several(Vec<Error>),
    /// Bad luck or a bug: the book lost the attachment while it was made.
    #[error("the ledger was replaced while {0} was attached; it was undone")]
    Lost(AttachmentId),
    /// A second ADD of an attachment whose address another plugin may be using.
    #[error("{id} holds {} in {directory} already: a second ADD without a DEL", list_of(addresses))]
    Reserved {
        /// Whose.
        id: AttachmentId,
        /// What it holds.
        addresses: Vec<std::net::IpAddr>,
        /// Where.
        directory: String,
    },
    /// GC: there was more to do than time for it.
    #[error("the deadline came before the end: {left} attachments are still to be undone")]
    Unfinished {
        /// How many.
        left: usize,
    },
    /// A notice that cannot be read any more.
    #[error("a notice of the outbox cannot be read: {0}")]
    Outbox(String),
    /// `explain`: only an ADD would tell.
    #[error("addresses come from {0}, which only an ADD asks")]
    Undecided(String),
    /// No lease was to be had.
    #[error("interface {ifname}: {why}")]
    Unleased {
        /// The container's interface.
        ifname: String,
        /// Why.
        why: Unleased,
    },
    /// The interface that addresses are asked for on is not there.
    #[error("the container has no interface {0} to ask a DHCP server on")]
    NoLink(String),
    /// A server gave an address that is somebody's.
    #[error("DHCP server {server} gave {address}, which {} holds on this node", holder)]
    LeaseTaken {
        /// Who gave it.
        server: std::net::Ipv4Addr,
        /// What it gave.
        address: std::net::Ipv4Addr,
        /// Who has it.
        holder: String,
    },
    /// CHECK: the attachment has no lease any more.
    #[error("{}", lease_over(id, *address))]
    LeaseOver {
        /// Which attachment.
        id: AttachmentId,
        /// The address whose lease has ended; none where it was lost before.
        address: Option<ipnet::Ipv4Net>,
    },
    /// STATUS: leases would end.
    #[error("nobody renews DHCP leases: {0}")]
    NoRenewer(String),
    /// A file that the configuration names.
    #[error("read {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// When they did.
fn whenever(waited: Duration) -> String {
    if waited.is_zero() {
        return "while this call worked with it".to_owned();
    }
    format!("each time before this call could, for {:.1} s", waited.as_secs_f64())
}

fn lease_over(id: &AttachmentId, address: Option<ipnet::Ipv4Net>) -> String {
    match address {
        Some(address) => format!("{id}: its DHCP lease of {address} has ended"),
        None => format!("{id} has no DHCP lease any more; a server is being looked for"),
    }
}

/// Who holds an address that was asked for by name.
#[derive(Debug)]
pub struct Holder {
    /// The attachment.
    pub id: AttachmentId,
    /// Seconds since the Unix epoch.
    pub since: u64,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is attached since {}, and lives", self.id, utc(self.since))
    }
}

impl Holder {
    /// The command that frees what it holds.
    fn remedy(&self) -> String {
        let AttachmentId { network, container, ifname } = &self.id;
        let ifname = chain::interface(ifname);
        format!("wharfinger del {network} --container {container} --ifname {ifname}")
    }
}

fn no_netns(path: &str) -> String {
    if path.is_empty() {
        return "no network namespace was given".to_owned();
    }
    format!("there is no network namespace at {path}")
}

/// The last second that RFC 3339 can write: the end of the year 9999.
const LAST: u64 = 253_402_300_799;

/// Seconds since the Unix epoch as people read them: 2026-01-31T12:00:00Z.
fn utc(seconds: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

fn counts(usage: &Usage) -> String {
    let Usage { total, held, cooling, remembered } = usage;
    format!("{total} addresses: {held} held, {cooling} resting, {remembered} remembered")
}

/// The longest piece of somebody's configuration or patch that an error repeats, in letters.
const SHOWN: usize = 120;

/// A stranger's text for one line: bounded, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    let mut shown: String = text.chars().take(SHOWN).map(clean).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

fn list_of(addresses: &[std::net::IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn list(errors: &[Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Error {
    /// The CNI error for the runtime. `network` is named in its one line.
    pub fn to_cni(&self, network: &str) -> CniError {
        if let Self::Delegate(DelegateError::Refused { error, .. }) = self {
            return CniError { msg: format!("network {network}: {self}"), ..error.clone() };
        }
        let error = CniError::new(self.code(), format!("network {network}: {self}"));
        let details = self.details();
        if details.is_empty() { error } else { error.with_json(&Value::Object(details)) }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Conf(_)
            | Self::NoPrevResult
            | Self::Problems(_)
            | Self::File { .. }
            | Self::Delegate(DelegateError::BadName(_)) => code::INVALID_CONFIG,
            Self::Driver(error) => CniError::from(error.clone()).code,
            Self::Plan(error) => CniError::from(error.clone()).code,
            Self::Plugin(error) => plugin_code(error),
            Self::Denied { .. } | Self::MayNot { .. } | Self::NotAllowed { .. } => code::DENIED,
            Self::Amended { source, .. } => source.code(),
            Self::Misread(error) => error.code,
            Self::Exhausted { .. } => code::EXHAUSTED,
            Self::Taken { .. }
            | Self::PortTaken { .. }
            | Self::AddressHeld { .. }
            | Self::LeaseTaken { .. } => code::CONFLICT,
            Self::Ledger(error) => ledger_code(error),
            Self::Outbox(_) => code::LEDGER,
            Self::Contended { .. }
            | Self::Locked { .. }
            | Self::Lost(_)
            | Self::Unfinished { .. } => code::TRY_AGAIN,
            Self::Lock { .. } => code::IO,
            Self::Exists { .. } | Self::Reserved { .. } => code::EXISTS,
            Self::NoNetns { .. } => code::INVALID_NETNS,
            Self::NotAttached(_) => code::UNKNOWN_CONTAINER,
            Self::Drift(_) | Self::Shared(_) | Self::LeaseOver { .. } => code::DRIFT,
            Self::Unleased { why: Unleased::Silence { .. }, .. } | Self::NoRenewer(_) => {
                code::TRY_AGAIN
            }
            Self::Unleased { why: Unleased::Link(_), .. }
            | Self::NoLink(_)
            | Self::Kernel(_)
            | Self::Features(_) => code::KERNEL,
            Self::Delegate(_) | Self::NoResult { .. } | Self::Undecided(_) => code::DELEGATE,
            Self::Several(errors) => errors.first().map_or(code::INTERNAL, Self::code),
        }
    }

    fn details(&self) -> Map<String, Value> {
        let mut details = Map::new();
        let causes: Vec<String> = causes(self);
        if !causes.is_empty() {
            details.insert("causes".into(), json!(causes));
        }
        if let Some(hint) = self.hint() {
            details.insert("hint".into(), json!(hint));
        }
        match self {
            Self::Exhausted { usage, .. } => {
                details.insert("usage".into(), json!(usage));
            }
            Self::Taken { holder: Some(holder), .. } | Self::PortTaken { holder, .. } => {
                details.insert("holder".into(), json!(holder.id));
            }
            Self::Plugin(wharfinger_wasm::Error::Failed { detail: Some(detail), .. }) => {
                details.insert("plugin".into(), json!(detail));
            }
            Self::Delegate(error) => {
                let said = error.said().map(|said| ("said".into(), json!(said)));
                details.extend(said);
            }
            Self::Drift(drifts) | Self::Shared(drifts) => {
                details.insert("drift".into(), json!(drifts));
            }
            Self::Several(errors) => {
                let each: Vec<_> = errors.iter().map(ToString::to_string).collect();
                details.insert("errors".into(), json!(each));
            }
            _ => {}
        }
        details
    }

    /// What to try.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Kernel(error) if error.errno() == Some(EPERM) => {
                "run it as root: it needs CAP_NET_ADMIN and CAP_SYS_ADMIN".into()
            }
            Self::Kernel(error) if error.squatter().is_some() => {
                "take the address from its holder, or out of the range (exclude); it rests now, and \
                 the next attachment gets another (\"probe\": \"none\" does not ask)"
                    .into()
            }
            Self::Delegate(DelegateError::NotFound { .. }) => {
                "put the executable there, or install a component of this name: \
                 `wharfinger plugin install`, where it is of an `ipam`"
                    .into()
            }
            Self::Exhausted { .. } => {
                "widen the ranges, or free attachments: `wharfinger ls` lists them".into()
            }
            Self::Taken { holder: Some(holder), .. } | Self::PortTaken { holder, .. } => {
                holder.remedy()
            }
            Self::MayNot { grant: Some(grant), .. }
            | Self::Plugin(wharfinger_wasm::Error::Refused { grant, .. }) => {
                format!("to grant it, write into the node's settings: {grant}")
            }
            Self::NoPrevResult => {
                "set \"driver\" (bridge, ptp, macvlan, ...), or put the plugin behind another".into()
            }
            Self::Contended { .. } => {
                "try again, with fewer at once, or with a longer `deadline`".into()
            }
            Self::Locked { .. } | Self::Lost(_) | Self::Unfinished { .. } => "try again".into(),
            Self::Exists { id, .. } => {
                let AttachmentId { network, container, ifname } = id;
                format!("wharfinger del {network} --container {container} --ifname {ifname}")
            }
            Self::Drift(_) => "DEL and ADD the attachment to have it anew; rules of the packet filter \
                               alone come back by `wharfinger reload`"
                .into(),
            Self::Shared(_) => "the next ADD to the network makes again what is missing, and says so where \
                                something else stands in its place; `wharfinger reload` makes rules of the \
                                packet filter"
                .into(),
            Self::LeaseOver { .. } => {
                "see to it that a DHCP server answers on that network, and that \
                 `wharfinger serve --dhcp` runs; or DEL and ADD the attachment"
                    .into()
            }
            Self::NoRenewer(_) => {
                "systemctl enable --now wharfinger-dhcp.socket, or run `wharfinger serve --dhcp`"
                    .into()
            }
            Self::Unleased { why: Unleased::Silence { .. }, .. } => {
                "see to it that a DHCP server answers on the network that the driver's bridge or \
                 master is on; a longer \"deadline\" in the node's settings waits longer"
                    .into()
            }
            Self::Ledger(error) => return ledger_hint(error).map(str::to_owned),
            _ => return None,
        })
    }
}

/// errno(3): the caller lacks a privilege.
const EPERM: i32 = 1;

fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

fn plugin_code(error: &wharfinger_wasm::Error) -> u32 {
    use wharfinger_wasm::Error as E;
    match error {
        E::Failed { reason: Reason::InvalidConfig, .. } => code::INVALID_CONFIG,
        E::Failed { reason: Reason::Exhausted, .. } => code::EXHAUSTED,
        E::Failed { reason: Reason::Conflict, .. } => code::CONFLICT,
        E::Failed { reason: Reason::TryAgain, .. } => code::TRY_AGAIN,
        E::Failed { reason: Reason::Other, .. } | E::Trapped { .. } | E::BadAnswer { .. } => {
            code::PLUGIN
        }
        E::Limit { .. } => code::LIMIT,
        E::Unloadable { .. } | E::Refused { .. } => code::PLUGIN,
        E::Book(_) => code::LEDGER,
    }
}

fn ledger_hint(error: &wharfinger_ledger::Error) -> Option<&'static str> {
    match error {
        wharfinger_ledger::Error::Denied { .. } => {
            Some("run it as root, with a run directory (WHARFINGER_RUN_DIR) that can be written")
        }
        wharfinger_ledger::Error::Overlap { .. } => {
            Some("change a range, or set \"domain\" in \"ipam\" where the address spaces differ")
        }
        _ => None,
    }
}

fn ledger_code(error: &wharfinger_ledger::Error) -> u32 {
    match error {
        wharfinger_ledger::Error::Overlap { .. } => code::INVALID_CONFIG,
        wharfinger_ledger::Error::Damaged { .. }
        | wharfinger_ledger::Error::Reservations { .. } => code::LEDGER,
        wharfinger_ledger::Error::Denied { .. } => code::IO,
        wharfinger_ledger::Error::Unavailable { .. } | wharfinger_ledger::Error::Busy { .. } => {
            code::TRY_AGAIN
        }
        wharfinger_ledger::Error::Misuse { .. } => code::INTERNAL,
    }
}

/// A component's failure, unless the book below it failed: then that.
/// Where its configuration is wrong, the pointer is made one of the whole by `place` before it.
pub(crate) fn plugin(error: wharfinger_wasm::Error, place: &str) -> Error {
    match error {
        wharfinger_wasm::Error::Book(inner) => match inner.downcast::<wharfinger_ledger::Error>() {
            Ok(ledger) => Error::Ledger(*ledger),
            Err(other) => Error::Plugin(wharfinger_wasm::Error::Book(other)),
        },
        // The component knows its own object; the pointer that people need starts at the top.
        wharfinger_wasm::Error::Failed {
            plugin,
            call,
            reason: Reason::InvalidConfig,
            message,
            detail,
        } if message.starts_with('/') => Error::Plugin(wharfinger_wasm::Error::Failed {
            plugin,
            call,
            reason: Reason::InvalidConfig,
            message: format!("{place}{message}"),
            detail,
        }),
        other => Error::Plugin(other),
    }
}

/// Whether no address was to be had: the one that was asked for, or any.
pub(crate) fn for_want_of_addresses(error: &Error) -> bool {
    match error {
        Error::Exhausted { .. } | Error::Taken { .. } => true,
        Error::Plugin(wharfinger_wasm::Error::Failed { reason, .. }) => {
            matches!(reason, Reason::Exhausted | Reason::Conflict)
        }
        _ => false,
    }
}
