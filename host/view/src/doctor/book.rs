//! State: who may write it, whether it can be read, and what is nobody's.

use super::facts::Owned;
use super::{Facts, Finding, Kind, Level, some};

/// Less room than this, and than a twentieth, is little.
const LITTLE: u64 = 64 << 20;

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all: Vec<Finding> = facts.owned.iter().filter_map(permissions).collect();
    all.extend(broken(facts));
    all.extend(facts.room.iter().filter_map(room));
    all.extend(leaks(facts));
    all
}

fn permissions(owned: &Owned) -> Option<Finding> {
    let Owned { path, mode, uid, wanted } = owned;
    let what = if *uid != *wanted && *uid != 0 {
        format!("belongs to user {uid}, who decides with it what root does")
    } else if mode & 0o022 != 0 {
        format!("can be written by others (mode {:o})", mode & 0o7777)
    } else {
        return None;
    };
    let cure = format!("chown {wanted} {path}; chmod go-w {path}");
    Some(Finding::new((Kind::Permissions, Level::Error), path, what, cure))
}

/// Without the picture of the place, which on one line is none: lines that begin with a bar, or with a number
/// before it.
fn unpictured(text: &str) -> String {
    let words = |line: &&str| {
        let after =
            line.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == ' ');
        !after.is_empty() && !after.starts_with('|')
    };
    text.lines().filter(words).collect::<Vec<_>>().join(": ")
}

fn broken(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    if let Some(why) = &facts.settings {
        let cure = "mend it: until then every verb but DEL is refused";
        let why = unpictured(why);
        all.push(Finding::new((Kind::Settings, Level::Error), "settings of the node", why, cure));
    }
    if let Some(why) = &facts.ledger {
        let cure = "where it is denied or read-only, see to it that root can write its directory; where it \
                    is full or busy, make room and see who holds it; a damaged one is set aside and made anew \
                    by the next verb";
        all.push(Finding::new((Kind::Ledger, Level::Error), "ledger", why, cure));
    }
    for (useless, what) in &facts.certificates {
        let level = if *useless { Level::Error } else { Level::Warning };
        let cure = "put a new one in its place: it is read anew for each call";
        all.push(Finding::new((Kind::Certificate, level), "certificate", what, cure));
    }
    for file in &facts.set_aside {
        let what = "is a ledger that was damaged and set aside; a new one was made from what lived";
        let cure =
            "`wharfinger events` says when and why; remove it once nobody wants to look at it";
        all.push(Finding::new((Kind::SetAside, Level::Warning), file, what, cure));
    }
    for (object, what) in &facts.store {
        let cure = "`wharfinger plugin verify`; install the component again, or `wharfinger plugin recompile`";
        all.push(Finding::new((Kind::Store, Level::Error), object, what, cure));
    }
    all
}

fn room((path, free, whole): &(String, u64, u64)) -> Option<Finding> {
    (*free < LITTLE && *free < whole / 20).then(|| {
        let what = format!("has {} KiB left of {}", free >> 10, whole >> 10);
        let cure = "make room: an ADD that cannot be written down fails";
        Finding::new((Kind::Room, Level::Warning), path, what, cure)
    })
}

fn leaks(facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    let level = Level::Warning;
    if !facts.dead.is_empty() {
        let what = format!("{} in the ledger are dead: {}", facts.dead.len(), listed(&facts.dead));
        let cure = "`wharfinger sweep` undoes what is left of them; the runtime's GC would too";
        all.push(Finding::new((Kind::DeadAttachment, level), "attachments", what, cure));
    }
    if !facts.drifted.is_empty() {
        let each: Vec<String> =
            facts.drifted.iter().map(|(id, what)| format!("{id} ({what})")).collect();
        let what = format!("{} are not as they were made: {}", each.len(), listed(&each));
        let cure = "`wharfinger reload` makes rules of the packet filter anew; what else it is, \
                    `wharfinger show CONTAINER` says: DEL and ADD it";
        all.push(Finding::new((Kind::Drift, Level::Error), "attachments", what, cure));
    }
    for (id, by) in &facts.orphans {
        let what = format!("{by} bears its name, and the ledger does not know it");
        let (network, rest) = id.split_once('/').unwrap_or((id, ""));
        let (container, ifname) = rest.split_once('/').unwrap_or((rest, "eth0"));
        let cure = format!(
            "`wharfinger del {network} --container {container} --ifname {ifname}` takes it away"
        );
        all.push(Finding::new((Kind::Orphan, level), format!("attachment {id}"), what, cure));
    }
    if !facts.reserved.is_empty() {
        let files: Vec<String> = facts
            .reserved
            .iter()
            .map(|(file, container)| format!("{file} ({container})"))
            .collect();
        let what =
            format!("{} are for containers that nobody knows: {}", files.len(), listed(&files));
        let cure =
            "GC of the network frees them; by hand, remove the files while no container starts";
        all.push(Finding::new((Kind::LeakedAddress, level), "reservations", what, cure));
    }
    if !facts.namespaces.is_empty() {
        let count = facts.namespaces.len();
        let what =
            format!("{count} have no process and no attachment: {}", listed(&facts.namespaces));
        let cure = "`ip netns del NAME`, once the runtime does not know them either";
        let kind = (Kind::LeakedNamespace, Level::Notice);
        all.push(Finding::new(kind, "namespaces", what, cure));
    }
    all
}

fn listed(names: &[String]) -> String {
    some(names.iter().map(String::as_str))
}
