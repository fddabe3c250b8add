//! Making our tables anew from the steps of all attachments, in one transaction.

use wharfinger_plan::Action;

use super::wanted::{is_our_chain, is_our_set, wanted};
use super::{FAMILIES, TABLE, lay, parts};
use crate::nft::{self, Family, Transaction};
use crate::socket::{ENSURE, Refusal, Socket};
use crate::{Error, refused};

/// How often others may change the tables meanwhile.
const ATTEMPTS: u32 = 5;

/// Everything of ours goes and is made anew at once, so that no packet meets half of it. The
/// chains and sets of the administrator stay as they are, and so does a set of ours that he refers to.
pub(crate) fn reload(socket: &mut Socket, actions: &[&Action]) -> Result<(), Error> {
    let mut done = attempt(socket, actions, true);
    for _ in 0..ATTEMPTS {
        match done {
            // What was listed is gone by now, or is in use.
            Err(Refusal { errno: libc::ENOENT | libc::EBUSY, .. }) => {
                done = attempt(socket, actions, false);
            }
            _ => break,
        }
    }
    done.map_err(|refusal| refused("reload", "our tables of the packet filter", refusal))
}

/// What a table of ours has that is ours.
struct Table {
    family: Family,
    chains: Vec<String>,
    sets: Vec<String>,
}

fn attempt(socket: &mut Socket, actions: &[&Action], with_sets: bool) -> Result<(), Refusal> {
    let wanted = wanted(actions.iter().copied());
    let tables = tables(socket)?;
    if tables.is_empty() && wanted.elements.is_empty() {
        return Ok(());
    }
    let mut transaction = Transaction::new(socket, TABLE);
    for table in &tables {
        clear(&mut transaction, table, with_sets);
    }
    for part in &wanted.parts {
        lay::write_part(&mut transaction, &parts::shared(*part), ENSURE);
    }
    for group in &wanted.groups {
        lay::write_group(&mut transaction, group, ENSURE);
    }
    let mut elements: Vec<_> = wanted.elements.iter().collect();
    // What two attachments claim is the first one's, and no reason to have no rules at all: CHECK
    // tells the other.
    elements.dedup_by(|a, b| (a.family, &a.set, &a.key) == (b.family, &b.set, &b.key));
    transaction.elements(ENSURE, &elements);
    transaction.commit(socket)
}

/// A chain or set that is none of ours by its name is an administrator's, also where his last
/// attachment has gone.
fn tables(socket: &mut Socket) -> Result<Vec<Table>, Refusal> {
    let mut tables = Vec::new();
    for family in FAMILIES {
        if nft::has_table(socket, family, TABLE)? {
            let chains = nft::chains(socket, TABLE, family)?.into_iter();
            let ours = chains.filter(|(name, is_base)| *is_base || is_our_chain(name));
            let chains = ours.map(|(name, _)| name).collect();
            let mut sets = nft::sets(socket, TABLE, family)?;
            sets.retain(|name| is_our_set(name));
            tables.push(Table { family, chains, sets });
        }
    }
    Ok(tables)
}

/// Rules first, as they refer to sets and chains; then elements, as they may refer to chains.
fn clear(transaction: &mut Transaction<'_>, table: &Table, with_sets: bool) {
    let family = table.family;
    transaction.table(family);
    for chain in &table.chains {
        transaction.empty_chain(family, chain);
    }
    for set in &table.sets {
        transaction.empty_set(family, set);
    }
    for chain in &table.chains {
        transaction.remove_chain(family, chain);
    }
    for set in table.sets.iter().filter(|_| with_sets) {
        transaction.remove_set(family, set);
    }
}
