//! IPsec between nodes, by netlink (linux/xfrm.h): policies that let nothing pass in clear, and the
//! associations that let it pass encrypted: ESP in transport mode, AES-256-GCM, with sequence numbers
//! of 64 bits.
//!
//! It works in the namespace of the calling thread, which is the host's. Keys come from elsewhere
//! and are in no text. Ours are known by `reqid`, which has the port in it. Start reading at
//! [`ensure`].

use std::net::IpAddr;

use wharfinger_plan::{Association, Encryption, Key, Way};

use crate::nft::attrs::Attrs;
use crate::socket::{Attributes, CHANGE, MAKE, Refusal, Socket};
use crate::{Error, refused};

const NEW_STATE: u16 = 0x10;
const DELETE_STATE: u16 = 0x11;
const GET_STATE: u16 = 0x12;
const NEW_POLICY: u16 = 0x13;
const GET_POLICY: u16 = 0x15;
const TEMPLATES: u16 = 5;
const AEAD: u16 = 18;
const REPLAY: u16 = 23;
const UDP: u8 = 17;
const ESP: u8 = 50;
const TRANSPORT: u8 = 0;
/// Sequence numbers of 64 bits, so that they never end.
const ESN: u8 = 128;
/// So many packets may come out of order: queues and processors deal them.
const WINDOW: u32 = 1024;
const CIPHER: &str = "rfc4106(gcm(aes))";
/// "WH", before the port.
const OURS: u32 = 0x5748_0000;
/// Where what a state says begins: behind its selector.
const STATE: usize = 224;
const POLICY: usize = 168;

#[derive(Clone, Copy)]
enum Direction {
    In,
    Out,
}

impl Direction {
    const BOTH: [Self; 2] = [Self::In, Self::Out];

    fn number(self) -> u8 {
        match self {
            Self::In => 0,
            Self::Out => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// Both policies are there; answers whether either was not.
pub(crate) fn ensure(wanted: Encryption) -> Result<bool, Error> {
    let mut socket = open()?;
    let mut made = false;
    for direction in Direction::BOTH {
        let object = || format!("policy {}: {wanted}", direction.name());
        match look(&mut socket, wanted, direction)? {
            Some(true) => continue,
            Some(false) => {
                return Err(Error::Differs {
                    object: object(),
                    what: "what it demands",
                    found: "something else".to_owned(),
                    wanted: "ESP".to_owned(),
                });
            }
            None => {}
        }
        if let (false, Some(words)) = (made, missing(wanted)?) {
            return Err(refused("add", object(), Refusal::told(libc::EOPNOTSUPP, &words)));
        }
        let write = |bytes: &mut Vec<u8>| policy(bytes, wanted, direction);
        match socket.change(NEW_POLICY, MAKE, write) {
            Ok(()) => made = true,
            // Another process was faster.
            Err(Refusal { errno: libc::EEXIST, .. }) => {}
            Err(refusal) => return Err(refused("add", object(), refusal)),
        }
    }
    Ok(made)
}

/// What of it is not so.
pub(crate) fn differences(wanted: Encryption) -> Result<Vec<String>, Error> {
    let mut socket = open()?;
    let mut all = Vec::new();
    for direction in Direction::BOTH {
        let name = direction.name();
        match look(&mut socket, wanted, direction)? {
            Some(true) => {}
            Some(false) => all.push(format!("the policy {name} demands something else")),
            None => all.push(format!("the policy {name} is missing: it may pass in clear")),
        }
    }
    Ok(all)
}

/// What the kernel lacks, for people. An association of nobody is made and removed: modules are
/// loaded by that.
pub(crate) fn missing(wanted: Encryption) -> Result<Option<String>, Error> {
    let Ok(mut socket) = Socket::xfrm() else {
        let words =
            "the kernel has no IPsec (CONFIG_XFRM_USER, CONFIG_INET_ESP, CONFIG_CRYPTO_GCM)";
        return Ok(Some(words.to_owned()));
    };
    // Addresses of nobody (RFC 5737, RFC 3849).
    let (from, to, esp): (IpAddr, IpAddr, _) = if wanted.local.is_ipv4() {
        ([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), "CONFIG_INET_ESP")
    } else {
        let nobody = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        (nobody(1), nobody(2), "CONFIG_INET6_ESP")
    };
    let way = Way { from, to, port: 0, spi: OURS | std::process::id() & 0xffff };
    let tried = Association { way, key: Key([0; wharfinger_plan::KEY]) };
    let done = socket.change(NEW_STATE, MAKE, |bytes| state(bytes, &tried));
    let _ = socket.change(DELETE_STATE, CHANGE, |bytes| state_id(bytes, &way));
    match done {
        Ok(()) | Err(Refusal { errno: libc::EEXIST, .. }) => Ok(None),
        Err(Refusal { errno: libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT, .. }) => {
            Ok(Some(format!("the kernel has no ESP ({esp})")))
        }
        Err(Refusal { errno: libc::ENOSYS | libc::ENOENT, .. }) => Ok(Some(format!(
            "the kernel has no {CIPHER} (CONFIG_CRYPTO_GCM, CONFIG_CRYPTO_AES, CONFIG_CRYPTO_SEQIV)"
        ))),
        Err(refusal) => Err(refused("try", "an association of IPsec", refusal)),
    }
}

/// What must not pass in clear, as policies of ours say.
pub(crate) fn encryptions() -> Result<Vec<Encryption>, Error> {
    let Ok(mut socket) = Socket::xfrm() else { return Ok(Vec::new()) };
    let found = socket.dump(GET_POLICY, |_| {}, read_policy);
    found.map_err(|refusal| refused("list", "policies of IPsec", refusal))
}

/// Of those for what leaves, what it is for, where it is ours.
fn read_policy(payload: &[u8]) -> Option<Encryption> {
    const DIRECTION: usize = 160;
    let port = u16::from_be_bytes(payload.get(32..34)?.try_into().ok()?);
    let family = u16::from_ne_bytes(payload.get(40..42)?.try_into().ok()?);
    let local = read_address(payload, 16, family)?;
    let encryption = Encryption { local, port };
    let leaves = payload.get(DIRECTION) == Some(&Direction::Out.number());
    (leaves && demands(payload, encryption)).then_some(encryption)
}

fn read_address(bytes: &[u8], at: usize, family: u16) -> Option<IpAddr> {
    if i32::from(family) == libc::AF_INET {
        let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        return Some(octets.into());
    }
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(octets.into())
}

/// The associations that are ours.
pub(crate) fn ways() -> Result<Vec<Way>, Error> {
    // A kernel without IPsec has none.
    let Ok(mut socket) = Socket::xfrm() else { return Ok(Vec::new()) };
    let found = socket.dump(GET_STATE, |_| {}, read_state);
    found.map_err(|refusal| refused("list", "associations of IPsec", refusal))
}

/// Puts one there that is not there yet.
pub(crate) fn add(wanted: &Association) -> Result<(), Error> {
    let done = open()?.change(NEW_STATE, MAKE, |bytes| state(bytes, wanted));
    done.map_err(|refusal| refused("add", format!("association {}", wanted.way), refusal))
}

/// Removes one.
pub(crate) fn remove(unwanted: &Way) -> Result<(), Error> {
    match open()?.change(DELETE_STATE, CHANGE, |bytes| state_id(bytes, unwanted)) {
        Ok(()) | Err(Refusal { errno: libc::ESRCH, .. }) => Ok(()),
        Err(refusal) => Err(refused("remove", format!("association {unwanted}"), refusal)),
    }
}

fn open() -> Result<Socket, Error> {
    Socket::xfrm().map_err(|error| refused("open", "the kernel's IPsec (CONFIG_XFRM_USER)", error))
}

/// Whether the policy is there, and demands what it is to demand.
fn look(
    socket: &mut Socket,
    wanted: Encryption,
    direction: Direction,
) -> Result<Option<bool>, Error> {
    let write = |bytes: &mut Vec<u8>| {
        policy_selector(bytes, wanted, direction);
        bytes.extend([0; 4]);
        bytes.extend([direction.number(), 0, 0, 0]);
    };
    match socket.get(GET_POLICY, write, |payload| demands(payload, wanted)) {
        Ok(demands) => Ok(Some(demands)),
        Err(Refusal { errno: libc::ENOENT, .. }) => Ok(None),
        Err(refusal) => Err(refused("look up", format!("policy of {wanted}"), refusal)),
    }
}

fn demands(payload: &[u8], wanted: Encryption) -> bool {
    const ACTION: usize = 161;
    let attributes = payload.get(POLICY..).unwrap_or_default();
    let mut found = Attributes(attributes).filter(|(kind, _)| *kind == TEMPLATES);
    let mut made = Vec::new();
    template(&mut made, wanted);
    // All but what the kernel fills in behind `optional`.
    let same = |found: &[u8]| found.get(..51) == made.get(..51);
    payload.get(ACTION) == Some(&0) && found.next().is_some_and(|(_, found)| same(found))
}

fn policy(bytes: &mut Vec<u8>, wanted: Encryption, direction: Direction) {
    policy_selector(bytes, wanted, direction);
    lifetimes(bytes);
    // Before those of others, which might let it pass in clear.
    bytes.extend(1_u32.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([direction.number(), 0, 0, 0]);
    bytes.extend([0; 4]);
    let mut demanded = Vec::new();
    template(&mut demanded, wanted);
    Attrs(bytes).bytes(TEMPLATES, &demanded);
}

/// What others send to our port, and what we send to theirs.
fn policy_selector(bytes: &mut Vec<u8>, wanted: Encryption, direction: Direction) {
    let any = if wanted.local.is_ipv4() { [0; 4].into() } else { IpAddr::from([0_u8; 16]) };
    let whole = if wanted.local.is_ipv4() { 32 } else { 128 };
    let (to, from, lengths) = match direction {
        Direction::In => (wanted.local, any, [whole, 0]),
        Direction::Out => (any, wanted.local, [0, whole]),
    };
    selector(bytes, (to, from), lengths, (UDP, wanted.port));
}

fn selector(
    bytes: &mut Vec<u8>,
    (to, from): (IpAddr, IpAddr),
    lengths: [u8; 2],
    (protocol, port): (u8, u16),
) {
    address(bytes, to);
    address(bytes, from);
    bytes.extend(port.to_be_bytes());
    bytes.extend(if port == 0 { [0; 2] } else { [0xff; 2] });
    bytes.extend([0; 4]);
    bytes.extend(family(to).to_ne_bytes());
    bytes.extend(lengths);
    bytes.extend([protocol, 0, 0, 0]);
    bytes.extend([0; 8]);
}

/// ESP with whoever the packet is for, and not in clear where there is none.
fn template(bytes: &mut Vec<u8>, wanted: Encryption) {
    bytes.extend([0; 16 + 4]);
    bytes.extend([ESP, 0, 0, 0]);
    bytes.extend(family(wanted.local).to_ne_bytes());
    bytes.extend([0; 2 + 16]);
    bytes.extend(reqid(wanted.port).to_ne_bytes());
    // Mode, share, optional.
    bytes.extend([TRANSPORT, 0, 0, 0]);
    bytes.extend([0xff; 12]);
}

fn state(bytes: &mut Vec<u8>, wanted: &Association) {
    let Association { way, key } = wanted;
    selector(bytes, (any_of(way.to), any_of(way.to)), [0; 2], (0, 0));
    address(bytes, way.to);
    bytes.extend(way.spi.to_be_bytes());
    bytes.extend([ESP, 0, 0, 0]);
    address(bytes, way.from);
    lifetimes(bytes);
    // Statistics, and a number of key managers.
    bytes.extend([0; 12 + 4]);
    bytes.extend(reqid(way.port).to_ne_bytes());
    bytes.extend(family(way.to).to_ne_bytes());
    bytes.extend([TRANSPORT, 0, ESN]);
    bytes.extend([0; 7]);
    let mut attributes = Attrs(bytes);
    let mut cipher = CIPHER.as_bytes().to_vec();
    cipher.resize(64, 0);
    let bits = u32::try_from(key.0.len() * 8).unwrap_or_default();
    cipher.extend(bits.to_ne_bytes());
    cipher.extend(128_u32.to_ne_bytes());
    cipher.extend(key.0);
    attributes.bytes(AEAD, &cipher);
    let mut replay = Vec::new();
    for number in [WINDOW / 32, 0, 0, 0, 0, WINDOW] {
        replay.extend(number.to_ne_bytes());
    }
    replay.resize(replay.len() + WINDOW as usize / 8, 0);
    attributes.bytes(REPLAY, &replay);
}

fn state_id(bytes: &mut Vec<u8>, way: &Way) {
    address(bytes, way.to);
    bytes.extend(way.spi.to_be_bytes());
    bytes.extend(family(way.to).to_ne_bytes());
    bytes.extend([ESP, 0]);
}

/// Its way, where it is ours.
fn read_state(payload: &[u8]) -> Option<Way> {
    let state = payload.get(..STATE)?;
    let number = |at: usize| state.get(at..at + 4)?.try_into().ok();
    let reqid = u32::from_ne_bytes(number(208)?);
    let port = u16::try_from(reqid ^ OURS).ok()?;
    let family = u16::from_ne_bytes(state.get(212..214)?.try_into().ok()?);
    let address = |at: usize| read_address(state, at, family);
    let spi = u32::from_be_bytes(number(72)?);
    Some(Way { from: address(80)?, to: address(56)?, port, spi })
}

/// None of bytes, packets or seconds ends it; nothing was counted yet.
fn lifetimes(bytes: &mut Vec<u8>) {
    bytes.extend([0xff; 4 * 8]);
    bytes.extend([0; 4 * 8 + 32]);
}

fn reqid(port: u16) -> u32 {
    OURS | u32::from(port)
}

fn any_of(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { [0; 4].into() } else { IpAddr::from([0_u8; 16]) }
}

fn family(address: IpAddr) -> u16 {
    crate::address::family(address).into()
}

/// In the room of either family.
fn address(bytes: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            bytes.extend(address.octets());
            bytes.extend([0; 12]);
        }
        IpAddr::V6(address) => bytes.extend(address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_long_as_the_kernel_has_them_and_read_back() {
        for (from, to) in [("10.0.0.1", "10.0.0.2"), ("fd10::1", "fd10::2")] {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            let way = Way { from, to, port: 4790, spi: 0x0102_0304 };
            let mut bytes = Vec::new();
            state(&mut bytes, &Association { way, key: Key([7; wharfinger_plan::KEY]) });
            assert_eq!(read_state(&bytes), Some(way));
            let kinds: Vec<_> =
                Attributes(&bytes[STATE..]).map(|(kind, it)| (kind, it.len())).collect();
            assert_eq!(kinds, [(AEAD, 64 + 8 + 36), (REPLAY, 24 + 128)]);
            for cut in 0..STATE {
                assert_eq!(read_state(&bytes[..cut]), None);
            }
            let encryption = Encryption { local: from, port: 4790 };
            let mut bytes = Vec::new();
            policy(&mut bytes, encryption, Direction::Out);
            assert_eq!(bytes.len(), POLICY + 4 + 64);
            assert!(demands(&bytes, encryption));
            assert_eq!(read_policy(&bytes), Some(encryption));
            assert!(!demands(&bytes, Encryption { port: 4789, ..encryption }));
            for cut in 0..bytes.len() {
                assert_eq!(read_policy(&bytes[..cut]), None);
            }
            let mut bytes = Vec::new();
            state_id(&mut bytes, &way);
            assert_eq!(bytes.len(), 24);
        }
    }
}
