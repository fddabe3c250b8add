//! What the first version of this executable left in the table: a map for each family, from
//! addresses to chains of their networks. It is found, checked and undone, and never made.

use wharfinger_plan::{Action, Masquerade};

use super::words::Key;
use super::{TABLE, survey};
use crate::nft::{self, Element, Family, Transaction};
use crate::socket::{Refusal, Socket};
use crate::{Error, refused};

pub(super) const MAPS: [&str; 2] = ["masq4", "masq6"];

fn element(masquerade: &Masquerade) -> Element {
    let [v4, v6] = MAPS;
    Element {
        family: Family::Inet,
        set: if masquerade.address.is_ipv4() { v4 } else { v6 }.to_owned(),
        key: Key::default().address(masquerade.address).done(),
        data: Vec::new(),
        comment: masquerade.comment.clone(),
    }
}

/// Whether the step stands there, and what it relies on as well.
pub(super) fn has(socket: &mut Socket, action: &Action) -> Result<bool, Error> {
    let Action::Masquerade(masquerade) = action else { return Ok(false) };
    let wanted = element(masquerade);
    let refuse = |refusal| refused("look up", survey::shown(&wanted), refusal);
    let found = nft::element(socket, TABLE, &wanted).map_err(refuse)?;
    let Some(found) = found.filter(|found| found.comment == wanted.comment) else {
        return Ok(false);
    };
    let own = String::from_utf8_lossy(&found.data).into_owned();
    for (chain, count) in [("postrouting", 4), (own.as_str(), 2)] {
        let rules = nft::rules(socket, TABLE, Family::Inet, Some(chain)).map_err(refuse)?;
        if rules.len() < count {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes what of these steps stands there and is their attachment's.
pub(super) fn remove(socket: &mut Socket, actions: &[&Action]) -> Result<(), Error> {
    for action in actions {
        let Action::Masquerade(masquerade) = action else { continue };
        let wanted = element(masquerade);
        let refuse = |refusal| refused("remove", survey::shown(&wanted), refusal);
        let found = nft::element(socket, TABLE, &wanted).map_err(refuse)?;
        if found.is_none_or(|found| found.comment != wanted.comment) {
            continue;
        }
        let mut transaction = Transaction::new(socket, TABLE);
        transaction.remove_elements(&[&wanted]);
        match transaction.commit(socket) {
            Err(Refusal { errno: libc::ENOENT, .. }) => {}
            done => done.map_err(refuse)?,
        }
    }
    Ok(())
}
