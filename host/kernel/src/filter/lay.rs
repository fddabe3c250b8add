//! Making what attachments share, looking whether it is whole, and removing it with its last
//! member.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::{self, Part, Shared};
use super::wanted::{Group, Wanted};
use super::{FAMILIES, TABLE};
use crate::nft::{self, Chain, Family, Transaction};
use crate::socket::{ENSURE, MAKE, Refusal, Socket};

/// Makes what is not there yet of what all attachments rely on.
pub(super) fn lay(socket: &mut Socket, wanted: &Wanted) -> Result<(), Refusal> {
    wanted.parts.iter().try_for_each(|part| lay_part(socket, &parts::shared(*part)))
}

/// Whether the sets are there that all attachments rely on: if so then most often all is.
pub(super) fn has_sets(socket: &mut Socket, wanted: &Wanted) -> Result<bool, Refusal> {
    let mut there = BTreeSet::new();
    for family in FAMILIES {
        there.extend(nft::sets(socket, TABLE, family)?.into_iter().map(|name| (family, name)));
    }
    let mut shared = wanted.parts.iter().flat_map(|part| parts::shared(*part).sets);
    Ok(!there.is_empty() && shared.all(|set| there.contains(&(set.family, set.name))))
}

/// The groups that are not there.
pub(super) fn missing_groups<'a>(
    socket: &mut Socket,
    wanted: &'a Wanted,
) -> Result<Vec<&'a Group>, Refusal> {
    let there = nft::sets(socket, TABLE, Family::Inet)?;
    let is_missing = |group: &&Group| group.sets.iter().any(|set| !there.contains(&set.name));
    Ok(wanted.groups.iter().filter(is_missing).collect())
}

/// One transaction, that fails as a whole where any chain is there: then another process was
/// faster, or somebody removed a part of it, and each chain is made for itself.
fn lay_part(socket: &mut Socket, shared: &Shared) -> Result<(), Refusal> {
    let mut transaction = Transaction::new(socket, TABLE);
    write_part(&mut transaction, shared, MAKE);
    match transaction.commit(socket) {
        Err(Refusal { errno: libc::EEXIST, .. }) => {}
        done => return done,
    }
    let mut transaction = Transaction::new(socket, TABLE);
    write_sets(&mut transaction, shared);
    transaction.commit(socket)?;
    for chain in &shared.chains {
        let mut transaction = Transaction::new(socket, TABLE);
        write_chain(&mut transaction, chain, MAKE);
        unless_there(transaction.commit(socket))?;
    }
    Ok(())
}

pub(super) fn write_part(transaction: &mut Transaction<'_>, shared: &Shared, flags: u16) {
    write_sets(transaction, shared);
    for chain in &shared.chains {
        let is_administrators = chain.name == parts::ADMIN;
        write_chain(transaction, chain, if is_administrators { ENSURE } else { flags });
    }
}

fn write_sets(transaction: &mut Transaction<'_>, shared: &Shared) {
    let families = shared.sets.iter().map(|set| set.family);
    let mut families: Vec<Family> =
        families.chain(shared.chains.iter().map(|chain| chain.family)).collect();
    families.sort_unstable();
    families.dedup();
    for family in families {
        transaction.table(family);
    }
    for set in &shared.sets {
        transaction.set(ENSURE, set);
    }
}

fn write_chain(transaction: &mut Transaction<'_>, chain: &Chain, flags: u16) {
    transaction.chain(flags, chain);
    for rule in &chain.rules {
        transaction.rule(chain.family, &chain.name, rule, false);
    }
}

/// The sets are what two processes race for.
pub(super) fn write_group(transaction: &mut Transaction<'_>, group: &Group, flags: u16) {
    for set in &group.sets {
        transaction.set(flags, set);
    }
    if let Some(chain) = &group.chain {
        // A chain without rules is the administrator's.
        write_chain(transaction, chain, ENSURE);
    }
    for (chain, rule, first) in &group.calls {
        transaction.rule(Family::Inet, chain, rule, *first);
    }
    let elements: Vec<_> = group.elements.iter().collect();
    transaction.elements(ENSURE, &elements);
}

fn unless_there(done: Result<(), Refusal>) -> Result<(), Refusal> {
    match done {
        Err(Refusal { errno: libc::EEXIST, .. }) => Ok(()),
        done => done,
    }
}

/// Removes each group that goes and has no members. Should one come in between, the kernel refuses
/// to remove a set that has elements, and so does not remove the rest either; only, a transaction
/// that is refused costs milliseconds, so that it is looked first.
pub(super) fn remove_groups(socket: &mut Socket, wanted: &Wanted) -> Result<(), Refusal> {
    for group in wanted.groups.iter().filter(|group| group.goes) {
        let mut has_members = false;
        for set in &group.sets {
            has_members |= nft::has_elements(socket, TABLE, set.family, &set.name)?;
        }
        if has_members {
            continue;
        }
        match remove_group(socket, group) {
            Err(Refusal { errno: libc::EBUSY | libc::ENOENT, .. }) => {}
            done => done?,
        }
    }
    Ok(())
}

fn remove_group(socket: &mut Socket, group: &Group) -> Result<(), Refusal> {
    let mut calls = Vec::new();
    for (chain, rule, _) in &group.calls {
        let found = nft::rules(socket, TABLE, Family::Inet, Some(chain))?.into_iter();
        calls.extend(found.filter(|found| found.comment == rule.comment));
    }
    let mut transaction = Transaction::new(socket, TABLE);
    for found in &calls {
        transaction.remove_rule(Family::Inet, &found.chain, found.handle);
    }
    if let Some(chain) = group.chain.as_ref().filter(|chain| !chain.rules.is_empty()) {
        transaction.empty_chain(chain.family, &chain.name);
        transaction.remove_chain(chain.family, &chain.name);
    }
    let elements: Vec<_> = group.elements.iter().collect();
    transaction.remove_elements(&elements);
    for set in &group.sets {
        transaction.remove_empty_set(set.family, &set.name);
    }
    transaction.commit(socket)
}

/// Each rule of what these steps rely on that is not there, in words.
pub(super) fn broken(socket: &mut Socket, wanted: &Wanted) -> Result<Vec<String>, Refusal> {
    let mut expected: BTreeMap<(Family, String), Vec<String>> = BTreeMap::new();
    let mut expect = |family, chain: &str, comment: &str| {
        let rules = expected.entry((family, chain.to_owned())).or_default();
        rules.push(comment.to_owned());
    };
    let shared: Vec<Shared> = wanted.parts.iter().map(|part| parts::shared(*part)).collect();
    let chains = shared.iter().flat_map(|shared| &shared.chains);
    for chain in chains.chain(wanted.groups.iter().filter_map(|group| group.chain.as_ref())) {
        for rule in &chain.rules {
            expect(chain.family, &chain.name, &rule.comment);
        }
    }
    for (chain, rule, _) in wanted.groups.iter().flat_map(|group| &group.calls) {
        expect(Family::Inet, chain, &rule.comment);
    }
    let mut all = Vec::new();
    for ((family, chain), expected) in expected {
        let found = nft::rules(socket, TABLE, family, Some(&chain))?;
        if found.is_empty() {
            all.push(format!("chain {chain} is missing, or has no rules"));
            continue;
        }
        let is_missing = |wanted: &&String| !found.iter().any(|rule| rule.comment == **wanted);
        let missing = expected.iter().filter(is_missing);
        all.extend(missing.map(|rule| format!("rule {rule:?} of chain {chain} is missing")));
    }
    for element in wanted.groups.iter().flat_map(|group| &group.elements) {
        if nft::element(socket, TABLE, element)?.is_none() {
            all.push(format!("{} is missing", super::survey::shown(element)));
        }
    }
    Ok(all)
}

/// Whether the kernel can do it.
pub(super) fn is_possible(socket: &mut Socket, part: Part) -> bool {
    let mut transaction = Transaction::new(socket, TABLE);
    write_part(&mut transaction, &parts::shared(part), ENSURE);
    transaction.rehearse(socket).is_ok()
}
