//! Masquerade: one table of ours, in which each address is an element of an exact map.
//!
//! ```text
//! table inet wharfinger {
//!   map masq4 { type ipv4_addr : verdict; elements = { 10.1.0.5 comment "KEY" : jump masq-10.1.0.0-16 } }
//!   chain postrouting {
//!     type nat hook postrouting priority srcnat; policy accept;
//!     ip daddr 224.0.0.0/4 return
//!     ip6 daddr ff00::/8 return
//!     ip saddr vmap @masq4
//!     ip6 saddr vmap @masq6
//!   }
//!   chain masq-10.1.0.0-16 { ip daddr 10.1.0.0/16 return; masquerade }
//! }
//! ```
//!
//! An attachment is one element, so that adding one costs one transaction however many there
//! are, and removing it names it exactly. What all share is made by whoever needs it first; a
//! race for that is lost without harm. An element of another attachment is never touched.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use wharfinger_plan::Masquerade;

use crate::nft::{self, Element, Rule, Side, Transaction};
use crate::socket::{ENSURE, MAKE, Refusal, Socket};
use crate::{Error, refused};

const TABLE: &str = "wharfinger";
const MAP4: &str = "masq4";
const MAP6: &str = "masq6";
const POSTROUTING: &str = "postrouting";
const CHAIN_PREFIX: &str = "masq-";
/// How often what all share may vanish between making it and using it.
const ATTEMPTS: u32 = 5;

/// Adds the element; answers whether it was not there before.
pub(crate) fn add(socket: &mut Socket, wanted: &Masquerade) -> Result<bool, Error> {
    let element = to_element(wanted)
        .ok_or_else(|| refused("add", object(wanted), Refusal::of(libc::ENAMETOOLONG)))?;
    let mut done = insert(socket, &element);
    for _ in 0..ATTEMPTS {
        match &done {
            Err(Refusal { errno: libc::ENOENT, .. }) => {
                lay(socket, wanted.network).map_err(|e| refused("prepare", object(wanted), e))?;
                done = insert(socket, &element);
            }
            // The same element jumping elsewhere is EBUSY.
            Err(Refusal { errno: libc::EEXIST | libc::EBUSY, .. }) => {
                match find(socket, wanted.address)? {
                    Some(found) => return same(&found, wanted).map(|()| false),
                    None => done = insert(socket, &element),
                }
            }
            _ => break,
        }
    }
    done.map(|()| true).map_err(|refusal| refused("add", object(wanted), refusal))
}

/// Removes the element where it is this attachment's; one that is gone is fine.
pub(crate) fn remove(socket: &mut Socket, wanted: &Masquerade) -> Result<(), Error> {
    let found = find(socket, wanted.address)?;
    if found.is_none_or(|found| found.comment != wanted.comment) {
        return Ok(());
    }
    let mut transaction = Transaction::new(socket, TABLE);
    transaction.remove_element(map(wanted.address), wanted.address);
    match transaction.commit(socket) {
        Err(Refusal { errno: libc::ENOENT, .. }) => Ok(()),
        done => done.map_err(|refusal| refused("remove", object(wanted), refusal)),
    }
}

/// The masquerade of an address.
pub(crate) fn find(socket: &mut Socket, address: IpAddr) -> Result<Option<Masquerade>, Error> {
    let element = nft::element(socket, TABLE, map(address), address)
        .map_err(|refusal| refused("look up", format!("masquerade {address}"), refusal))?;
    Ok(element.as_ref().map(from_element))
}

/// A chain that an element relies on and that has not all of its rules, in words.
pub(crate) fn broken_chain(
    socket: &mut Socket,
    wanted: &Masquerade,
) -> Result<Option<String>, Error> {
    let own = chain_name(wanted.network);
    for (chain, expected) in [(POSTROUTING, 4), (own.as_str(), 2)] {
        let found = nft::count_rules(socket, TABLE, chain)
            .map_err(|refusal| refused("list", format!("rules of chain {chain}"), refusal))?;
        if found < expected {
            return Ok(Some(format!("chain {chain} has {found} rules, not {expected}")));
        }
    }
    Ok(None)
}

/// All masquerades.
pub(crate) fn all(socket: &mut Socket) -> Result<Vec<Masquerade>, Error> {
    let mut all = Vec::new();
    for map in [MAP4, MAP6] {
        let elements = nft::elements(socket, TABLE, map)
            .map_err(|refusal| refused("list", format!("map {map}"), refusal))?;
        all.extend(elements.iter().map(from_element));
    }
    Ok(all)
}

/// Whether the kernel can do it; changes nothing.
pub(crate) fn is_possible(socket: &mut Socket) -> bool {
    if nft::has_table(socket, TABLE).unwrap_or(false) {
        return true;
    }
    let mut transaction = Transaction::new(socket, TABLE);
    add_skeleton(&mut transaction, MAKE);
    transaction.chain(MAKE, "rehearsal");
    transaction.rule(MAKE, "rehearsal", &Rule::Masquerade);
    match transaction.rehearse(socket) {
        Ok(()) => true,
        // Somebody was faster.
        Err(refusal) => refusal.errno == libc::EEXIST,
    }
}

/// An error that names both owners, or both networks, where the two differ.
fn same(found: &Masquerade, wanted: &Masquerade) -> Result<(), Error> {
    let differs = |what, found: String, wanted_value: String| Error::Differs {
        object: object(wanted),
        what,
        found,
        wanted: wanted_value,
    };
    if found.comment != wanted.comment {
        return Err(differs("owner", found.comment.clone(), wanted.comment.clone()));
    }
    if found.network != wanted.network {
        let (found, wanted) = (found.network.to_string(), wanted.network.to_string());
        return Err(differs("network", found, wanted));
    }
    Ok(())
}

fn insert(socket: &mut Socket, element: &Element) -> Result<(), Refusal> {
    let mut transaction = Transaction::new(socket, TABLE);
    transaction.element(MAKE, map(element.address), element);
    transaction.commit(socket)
}

/// Makes what is not there yet of what all share: the skeleton, then the network's chain. Each
/// is one transaction that fails as a whole where another process was faster.
fn lay(socket: &mut Socket, network: IpNet) -> Result<(), Refusal> {
    let mut transaction = Transaction::new(socket, TABLE);
    add_skeleton(&mut transaction, MAKE);
    unless_there(transaction.commit(socket))?;
    let chain = chain_name(network);
    let mut transaction = Transaction::new(socket, TABLE);
    transaction.chain(MAKE, &chain);
    transaction.rule(ENSURE, &chain, &Rule::ReturnTo(network));
    transaction.rule(ENSURE, &chain, &Rule::Masquerade);
    unless_there(transaction.commit(socket))
}

fn add_skeleton(transaction: &mut Transaction<'_>, flags: u16) {
    transaction.table(flags);
    transaction.map(flags, MAP4, true, 1);
    transaction.map(flags, MAP6, false, 2);
    transaction.nat_chain(flags, POSTROUTING);
    for multicast in multicast() {
        transaction.rule(ENSURE, POSTROUTING, &Rule::ReturnTo(multicast));
    }
    for (is_v4, map) in [(true, MAP4), (false, MAP6)] {
        let rule = Rule::Map { side: Side::Source, is_v4, map };
        transaction.rule(ENSURE, POSTROUTING, &rule);
    }
}

fn unless_there(done: Result<(), Refusal>) -> Result<(), Refusal> {
    match done {
        Err(Refusal { errno: libc::EEXIST, .. }) => Ok(()),
        done => done,
    }
}

/// 224.0.0.0/4 and ff00::/8.
fn multicast() -> impl Iterator<Item = IpNet> {
    let v4 = IpNet::new(Ipv4Addr::new(224, 0, 0, 0).into(), 4);
    let v6 = IpNet::new(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).into(), 8);
    [v4, v6].into_iter().flatten()
}

fn map(address: IpAddr) -> &'static str {
    if address.is_ipv4() { MAP4 } else { MAP6 }
}

/// A network as the name of a chain. nft(8) takes no colons in names, so IPv6 has dots, and
/// all of its eight groups.
fn chain_name(network: IpNet) -> String {
    let prefix = network.prefix_len();
    match network.network() {
        IpAddr::V4(address) => format!("{CHAIN_PREFIX}{address}-{prefix}"),
        IpAddr::V6(address) => {
            let groups: Vec<String> =
                address.segments().iter().map(|group| format!("{group:x}")).collect();
            format!("{CHAIN_PREFIX}{}-{prefix}", groups.join("."))
        }
    }
}

/// The network that a chain is named after.
fn chain_network(name: &str) -> Option<IpNet> {
    let (address, prefix) = name.strip_prefix(CHAIN_PREFIX)?.rsplit_once('-')?;
    let v4 = address.parse::<Ipv4Addr>().map(IpAddr::V4);
    let v6 = || address.replace('.', ":").parse::<Ipv6Addr>().map(IpAddr::V6);
    IpNet::new(v4.or_else(|_| v6()).ok()?, prefix.parse().ok()?).ok()
}

fn to_element(wanted: &Masquerade) -> Option<Element> {
    Some(Element {
        address: wanted.address,
        chain: chain_name(wanted.network),
        userdata: userdata::write(&wanted.comment)?,
    })
}

/// What a foreign hand put there without a network or comment has none.
fn from_element(element: &Element) -> Masquerade {
    Masquerade {
        address: element.address,
        network: chain_network(&element.chain).unwrap_or_else(|| element.address.into()),
        comment: userdata::read(&element.userdata),
    }
}

/// The comment of an element, as nft(8) keeps and shows it: records of a kind, a length and
/// octets. It takes 127 octets as a comment; what is longer goes on in a record of our own.
mod userdata {
    /// NFTNL_UDATA_SET_ELEM_COMMENT.
    const COMMENT: u8 = 0;
    /// Passed over by nft(8), which knows the kinds below 3.
    const REST: u8 = 0xf7;
    /// Without the zero at its end.
    const LONGEST_COMMENT: usize = 127;
    /// Less than NFT_USERDATA_MAXLEN: the kernel counts an element's, and the count itself, in
    /// an octet; it refuses 255, and takes 256 for none.
    const LONGEST: usize = 254;

    /// `None` where it is too long for the kernel.
    pub(super) fn write(comment: &str) -> Option<Vec<u8>> {
        let cut = comment.floor_char_boundary(LONGEST_COMMENT);
        let (shown, rest) = comment.split_at(cut);
        let mut bytes = vec![COMMENT, u8::try_from(shown.len() + 1).ok()?];
        bytes.extend(shown.as_bytes());
        bytes.push(0);
        if !rest.is_empty() {
            bytes.extend([REST, u8::try_from(rest.len()).ok()?]);
            bytes.extend(rest.as_bytes());
        }
        (bytes.len() <= LONGEST).then_some(bytes)
    }

    pub(super) fn read(mut bytes: &[u8]) -> String {
        let (mut comment, mut rest) = (Vec::new(), Vec::new());
        while let [kind, length, behind @ ..] = bytes {
            let Some((content, next)) = behind.split_at_checked(usize::from(*length)) else {
                break;
            };
            match *kind {
                COMMENT => comment = content.strip_suffix(&[0]).unwrap_or(content).to_vec(),
                REST => rest = content.to_vec(),
                _ => {}
            }
            bytes = next;
        }
        comment.extend(rest);
        String::from_utf8_lossy(&comment).into_owned()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn comments_of_every_length_come_back() {
            for length in 0..=249 {
                let comment: String = ('a'..='z').cycle().take(length).collect();
                assert_eq!(read(&write(&comment).unwrap()), comment);
            }
            assert_eq!(write(&"a".repeat(250)), None);
            let wide = "ü".repeat(124);
            assert_eq!(read(&write(&wide).unwrap()), wide);
        }

        #[test]
        fn strange_octets_are_no_comment() {
            assert_eq!(read(&[]), "");
            assert_eq!(read(&[0]), "");
            assert_eq!(read(&[0, 200, 1]), "");
            assert_eq!(read(&[9, 1, 7, 0, 2, b'x', 0]), "x");
        }
    }
}

/// How people are told which masquerade is meant.
fn object(masquerade: &Masquerade) -> String {
    format!("masquerade {}", masquerade.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_tell_their_network() {
        for (network, name) in [
            ("10.1.0.0/16", "masq-10.1.0.0-16"),
            ("0.0.0.0/0", "masq-0.0.0.0-0"),
            ("fd00:1::/64", "masq-fd00.1.0.0.0.0.0.0-64"),
        ] {
            let network: IpNet = network.parse().unwrap();
            assert_eq!(chain_name(network), name);
            assert_eq!(chain_network(name), Some(network));
        }
        assert_eq!(chain_network("postrouting"), None);
        assert_eq!(chain_network("masq-10.1.0.0-99"), None);
    }
}
