//! The packet filter: two tables of ours, in which an attachment is elements of sets that are
//! matched exactly.
//!
//! All that a plan wants of it is one transaction, whose cost does not depend on how many
//! attachments there are; removing names each element, and an element of another attachment is
//! never touched. What attachments share is made by whoever needs it first; a race for that is
//! lost without harm. Ranges of addresses and ports are rules of a chain that attachments of the
//! same configuration share. Start reading at [`add`]; `parts` has what all share, `wanted` what
//! a step is.

mod lay;
mod old;
mod parts;
mod rebuild;
mod survey;
mod udp;
mod wanted;
mod words;

use wharfinger_plan::{Action, PortMap};

pub(crate) use rebuild::reload;
pub(crate) use survey::{Surveyed, survey};
pub(crate) use udp::{forget, has_udp};
pub(crate) use wanted::is_our_chain;

use crate::nft::{self, Element, Family, Transaction};
use crate::socket::{MAKE, Refusal, Socket};
use crate::{Error, refused};
use parts::Part;
use wanted::{Group, Wanted, wanted};

const TABLE: &str = "wharfinger";
/// How often what all share may vanish between making it and using it.
const ATTEMPTS: u32 = 30;

/// Whether a step is one of the packet filter's.
pub(crate) fn is_of_filter(action: &Action) -> bool {
    action.comment().is_some()
}

/// The port map that a step is.
pub(crate) fn ports(action: &Action) -> Option<&PortMap> {
    match action {
        Action::PortMap(map) => Some(map),
        _ => None,
    }
}

/// Adds what these steps want; answers whether any of it was not there before.
pub(crate) fn add(socket: &mut Socket, actions: &[&Action]) -> Result<bool, Error> {
    let wanted = wanted(actions.iter().copied());
    let refuse = |refusal| refused("add", objects(actions), refusal);
    let too_long = |it: &Element| nft::comment::write(&it.comment).is_none();
    if wanted.elements.iter().any(too_long) {
        return Err(refuse(Refusal::of(libc::ENAMETOOLONG)));
    }
    let mut missing: Vec<&Element> = wanted.elements.iter().collect();
    let mut groups: Vec<&Group> = Vec::new();
    let mut done = insert(socket, &groups, &missing);
    let mut once = false;
    for _ in 0..ATTEMPTS {
        match &done {
            Err(Refusal { errno: libc::ENOENT, .. }) => {
                // Most often a group alone is not there, which went with its last member. What all
                // rely on is a dozen transactions, of milliseconds each.
                let groups_alone = !once && lay::has_sets(socket, &wanted).map_err(refuse)?;
                once = true;
                if !groups_alone {
                    lay::lay(socket, &wanted)
                        .map_err(|refusal| refused("prepare", objects(actions), refusal))?;
                }
            }
            // Other data under the same key is EBUSY.
            Err(Refusal { errno: libc::EEXIST | libc::EBUSY, .. }) => {
                missing = absent(socket, &wanted)?;
                if missing.is_empty() {
                    return Ok(false);
                }
            }
            _ => break,
        }
        groups = lay::missing_groups(socket, &wanted).map_err(refuse)?;
        done = insert(socket, &groups, &missing);
    }
    done.map(|()| !missing.is_empty()).map_err(refuse)
}

/// The elements, and the groups that they are the first members of, at once: a group that goes
/// with its last member cannot go in between.
fn insert(socket: &mut Socket, groups: &[&Group], elements: &[&Element]) -> Result<(), Refusal> {
    if elements.is_empty() {
        return Ok(());
    }
    let mut transaction = Transaction::new(socket, TABLE);
    for group in groups {
        lay::write_group(&mut transaction, group, MAKE);
    }
    transaction.elements(MAKE, elements);
    transaction.commit(socket)
}

/// The elements that are not there; one that is another's, or says something else, is an error.
fn absent<'a>(socket: &mut Socket, wanted: &'a Wanted) -> Result<Vec<&'a Element>, Error> {
    let mut absent = Vec::new();
    for element in &wanted.elements {
        match find(socket, element)? {
            None => absent.push(element),
            Some(found) => {
                if let Some((what, found, wanted)) = difference(&found, element) {
                    let object = survey::shown(element);
                    return Err(Error::Differs { object, what, found, wanted });
                }
            }
        }
    }
    Ok(absent)
}

fn find(socket: &mut Socket, wanted: &Element) -> Result<Option<Element>, Error> {
    nft::element(socket, TABLE, wanted)
        .map_err(|refusal| refused("look up", survey::shown(wanted), refusal))
}

/// What of an element is not as wanted: (what, found, wanted).
fn difference(found: &Element, wanted: &Element) -> Option<(&'static str, String, String)> {
    if found.comment != wanted.comment {
        return Some(("owner", found.comment.clone(), wanted.comment.clone()));
    }
    let data = |element| survey::shown_data(element);
    (found.data != wanted.data).then(|| ("target", data(found), data(wanted)))
}

/// Removes what is there of these steps and is their attachment's; what is gone is fine.
pub(crate) fn remove(socket: &mut Socket, actions: &[&Action]) -> Result<(), Error> {
    let wanted = wanted(actions.iter().copied());
    let refuse = |refusal| refused("remove", objects(actions), refusal);
    let mut done = Ok(());
    for _ in 0..ATTEMPTS {
        let mut ours = Vec::new();
        for element in &wanted.elements {
            let found = find(socket, element)?;
            ours.extend(found.filter(|found| found.comment == element.comment).map(|_| element));
        }
        if ours.is_empty() {
            done = Ok(());
            break;
        }
        let mut transaction = Transaction::new(socket, TABLE);
        transaction.remove_elements(&ours);
        done = transaction.commit(socket);
        if !matches!(done, Err(Refusal { errno: libc::ENOENT, .. })) {
            break;
        }
    }
    done.map_err(refuse)?;
    old::remove(socket, actions)?;
    lay::remove_groups(socket, &wanted).map_err(refuse)
}

/// What of a step is not as wanted, in words.
pub(crate) fn differences(socket: &mut Socket, action: &Action) -> Result<Vec<String>, Error> {
    let wanted = wanted([action]);
    if wanted.elements.is_empty() || old::has(socket, action)? {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    let mut found_any = false;
    for element in &wanted.elements {
        match find(socket, element)? {
            None => all.push(format!("{} is missing", survey::shown(element))),
            Some(found) => {
                found_any = true;
                all.extend(difference(&found, element).map(|(what, found, wanted)| {
                    format!("{what} of {} is {found}, not {wanted}", survey::shown(element))
                }));
            }
        }
    }
    if !found_any {
        all = vec!["is missing".to_owned()];
    }
    let broken = lay::broken(socket, &wanted);
    all.extend(broken.map_err(|refusal| refused("list", "rules of our tables", refusal))?);
    Ok(all)
}

/// What the kernel cannot do of what these steps need, for people; changes nothing.
pub(crate) fn missing(socket: &mut Socket, actions: &[&Action]) -> Vec<&'static str> {
    let wanted = wanted(actions.iter().copied());
    wanted
        .parts
        .iter()
        .filter(|part| !lay::is_possible(socket, **part))
        .copied()
        .map(words_for)
        .collect()
}

fn words_for(part: Part) -> &'static str {
    match part {
        Part::Masquerade => "nf_tables with nat and masquerade",
        Part::Ports => "nf_tables with nat, fib and connection tracking",
        Part::Forward | Part::Input => "nf_tables with connection tracking",
        Part::Guard => "nf_tables",
        Part::BridgeGuard | Part::Neighbours => "nf_tables for bridges",
    }
}

/// How people are told which steps are meant.
fn objects(actions: &[&Action]) -> String {
    let all: Vec<String> = actions.iter().map(|action| crate::steps::object(action)).collect();
    all.join(", ")
}

/// Our tables.
const FAMILIES: [Family; 2] = [Family::Inet, Family::Bridge];
