//! The keys of encrypted segments: which association each pair of nodes has in each direction, out of
//! what the store says. Pure; time and chance come from the caller.
//!
//! A secret of the whole cluster lasts an epoch. Three of them stand in the store: what was sent
//! with, what is sent with, and what will be; nodes take all three and send with the middle one, so
//! that one that is away for less than an epoch misses nothing. A key follows from the
//! secret, the sender's incarnation, both addresses and the port. An incarnation is chosen by chance at
//! each boot, and whenever a key would have to be used anew: AES-GCM must never see a key with a
//! number that it had before. Secrets and keys are in no text. Start reading at [`Tunnels`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wharfinger_plan::{Association, Encryption, KEY, Key, Way};

use super::keys;
use super::remote::{Guard, Put};

/// What was sent with, what is sent with, what will be.
const EPOCHS: usize = 3;
/// Bytes of a secret, and of SHA-256.
const SECRET: usize = 32;
/// What SHA-256 works on at once.
const BLOCK: usize = 64;

/// Bytes that nobody can guess.
pub type Random<'a> = &'a mut dyn FnMut() -> [u8; SECRET];

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    number: u64,
    /// Since when it stands, in seconds since the Unix epoch.
    since: u64,
    /// In hexadecimal.
    secret: String,
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", self.number)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Secrets {
    /// The oldest first.
    epochs: [Epoch; EPOCHS],
}

/// What a node says of itself, so that others can speak with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// 32 hexadecimal digits; never one that was before.
    pub incarnation: String,
    /// Its addresses of the underlay, and the ports of its segments.
    pub at: BTreeSet<Encryption>,
}

impl Ends {
    /// An incarnation that was never before.
    pub fn incarnation(random: Random<'_>) -> String {
        hex(&random()).chars().take(32).collect()
    }
}

/// What the store says of keys, as one node sees it.
#[derive(Debug)]
pub struct Tunnels {
    node: String,
    secrets: Option<Secrets>,
    /// The version of what the secrets are in.
    version: u64,
    own: Option<(u64, Ends)>,
    others: BTreeMap<String, Ends>,
}

/// The associations that a node is to have.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// By what it gets.
    pub taken: Vec<Association>,
    /// By what it sends.
    pub sent: Vec<Association>,
    /// The epoch that is sent with.
    pub epoch: u64,
}

impl Tunnels {
    /// Of the node of this name; nothing was heard yet.
    pub fn new(node: &str) -> Self {
        let others = BTreeMap::new();
        Self { node: node.to_owned(), secrets: None, version: 0, own: None, others }
    }

    /// The store says this now of a key; false: it is about something else. One that cannot be read
    /// counts as gone, and is named.
    pub fn put(&mut self, key: &str, version: u64, value: Option<&str>) -> Result<bool, String> {
        if key == keys::SECRETS {
            self.version = value.map_or(0, |_| version);
            self.secrets = value.and_then(|text| serde_json::from_str(text).ok());
            // Without a word of what it says.
            return if value.is_some() && self.secrets.is_none() {
                Err(format!(
                    "{key} is not as this program writes it: remove it, and keys are made anew"
                ))
            } else {
                Ok(true)
            };
        }
        let Some(name) = key.strip_prefix(keys::TUNNELS).and_then(keys::name) else {
            return Ok(false);
        };
        let ends: Option<Ends> = value.and_then(|text| serde_json::from_str(text).ok());
        let ends = ends.filter(|ends| unhex(&ends.incarnation).is_some_and(|it| it.len() == 16));
        let unreadable = value.is_some() && ends.is_none();
        match (name == self.node, ends) {
            (true, ends) => {
                let none = Ends { incarnation: String::new(), at: BTreeSet::new() };
                self.own = value.map(|_| (version, ends.unwrap_or(none)));
            }
            (false, Some(ends)) => drop(self.others.insert(name, ends)),
            (false, None) => drop(self.others.remove(&name)),
        }
        if unreadable { Err(format!("{key} cannot be read")) } else { Ok(true) }
    }

    /// What is to be written so that there are secrets, and new ones after `period` seconds.
    pub fn rotation(&self, now: u64, period: u64, random: Random<'_>) -> Option<(Guard, Put)> {
        let mut epoch = |number, since| Epoch { number, since, secret: hex(&random()) };
        let epochs = match &self.secrets {
            // Also in the place of what cannot be read, but not of its own accord.
            None if self.version == 0 => [1, 2, 3].map(|number| epoch(number, now)),
            None => return None,
            Some(Secrets { epochs: [_, sent, coming] }) => {
                if now < coming.since.saturating_add(period) {
                    return None;
                }
                let next = epoch(coming.number.saturating_add(1), now);
                [sent.clone(), coming.clone(), next]
            }
        };
        let value = serde_json::to_string(&Secrets { epochs }).ok();
        let guard = Guard { key: keys::SECRETS.to_owned(), version: self.version };
        Some((guard, Put { key: keys::SECRETS.to_owned(), value }))
    }

    /// What is to be written so that others know of this node.
    pub fn announcement(&self, ends: &Ends) -> Option<(Guard, Put)> {
        let ends = (!ends.at.is_empty()).then_some(ends);
        if self.own.as_ref().map(|(_, known)| known) == ends {
            return None;
        }
        let key = keys::tunnel(&self.node);
        let version = self.own.as_ref().map_or(0, |(version, _)| *version);
        let value = ends.and_then(|ends| serde_json::to_string(ends).ok());
        Some((Guard { key: key.clone(), version }, Put { key, value }))
    }

    /// Whether there is anything of this node in the store.
    pub fn is_announced(&self) -> bool {
        self.own.is_some()
    }

    /// The newest epoch.
    pub fn newest(&self) -> Option<u64> {
        self.secrets.as_ref().map(|Secrets { epochs: [_, _, coming] }| coming.number)
    }

    /// What the node is to have that says this of itself.
    pub fn wanted(&self, own: &Ends) -> Wanted {
        let Some(Secrets { epochs }) = &self.secrets else { return Wanted::default() };
        let [_, sent, _] = epochs;
        let mut wanted = Wanted { epoch: sent.number, ..Wanted::default() };
        for (ends, here) in
            self.others.values().flat_map(|ends| own.at.iter().map(move |it| (ends, it)))
        {
            let fits = |there: &&Encryption| {
                there.port == here.port
                    && there.local.is_ipv4() == here.local.is_ipv4()
                    && there.local != here.local
            };
            for there in ends.at.iter().filter(fits) {
                let (here, port, there) = (here.local, here.port, there.local);
                let taken = |epoch| association(epoch, &ends.incarnation, (there, here, port));
                wanted.taken.extend(epochs.iter().filter_map(taken));
                wanted.sent.extend(association(sent, &own.incarnation, (here, there, port)));
            }
        }
        wanted
    }
}

/// As HKDF expands (RFC 5869, section 2.3): 32 bytes of key, four of salt, four of SPI.
fn association(
    epoch: &Epoch,
    incarnation: &str,
    (from, to, port): (IpAddr, IpAddr, u16),
) -> Option<Association> {
    let secret = unhex(&epoch.secret).filter(|secret| secret.len() == SECRET)?;
    let mut about = b"wharfinger esp 1".to_vec();
    about.extend(epoch.number.to_be_bytes());
    about.extend(unhex(incarnation)?);
    for address in [from, to] {
        let octets = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        about.extend(octets);
    }
    about.extend(port.to_be_bytes());
    let first = hmac(&secret, &[&about, &[1]]);
    let second = hmac(&secret, &[&first, &about, &[2]]);
    let mut key = [0; KEY];
    let all = first.iter().chain(&second);
    key.iter_mut().zip(all).for_each(|(place, byte)| *place = *byte);
    let spi: [u8; 4] = second.get(4..8)?.try_into().ok()?;
    // The lowest are reserved.
    let spi = u32::from_be_bytes(spi) | 0x8000_0000;
    Some(Association { way: Way { from, to, port, spi }, key: Key(key) })
}

/// HMAC-SHA256 (RFC 2104) of parts in a row; the key is no longer than a block.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; SECRET] {
    let padded = |with: u8| {
        let mut block = [with; BLOCK];
        block.iter_mut().zip(key).for_each(|(place, byte)| *place ^= byte);
        block
    };
    let mut inner = Sha256::new_with_prefix(padded(0x36));
    for part in parts {
        inner.update(part);
    }
    let outer = Sha256::new_with_prefix(padded(0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: u64 = 86_400;

    /// Never the same twice.
    fn chance() -> impl FnMut() -> [u8; SECRET] {
        let mut count = 0;
        move || {
            count += 1;
            hmac(b"chance", &[&[count]])
        }
    }

    fn ends(number: u8, random: Random<'_>) -> Ends {
        let at = |local: String| Encryption { local: local.parse().unwrap(), port: 4790 };
        let at = [at(format!("10.0.0.{number}")), at(format!("fd10::{number}"))];
        Ends { incarnation: Ends::incarnation(random), at: at.into() }
    }

    /// What is to be written is written.
    fn write(all: &mut [Tunnels], version: u64, (guard, put): (Guard, Put)) {
        assert_eq!(guard.key, put.key);
        for one in all {
            assert_eq!(one.put(&put.key, version, put.value.as_deref()), Ok(true));
        }
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let told = hmac(&[0x0b; 20], &[b"Hi ", b"There"]);
        assert_eq!(hex(&told), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert_eq!(
            hex(&hmac(b"Jefe", &[b"what do ya want for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn what_one_sends_the_other_takes_through_all_epochs() {
        let mut random = chance();
        let own: Vec<Ends> = (1..=3).map(|number| ends(number, &mut random)).collect();
        let mut all: Vec<Tunnels> = (1..=3).map(|it| Tunnels::new(&format!("n{it}"))).collect();
        assert_eq!(all[0].wanted(&own[0]), Wanted::default(), "no secrets");
        let first = all[0].rotation(0, PERIOD, &mut random).unwrap();
        write(&mut all, 1, first);
        assert!(all[1].rotation(PERIOD - 1, PERIOD, &mut random).is_none());
        for (at, ends) in own.iter().enumerate() {
            let said = all[at].announcement(ends).unwrap();
            write(&mut all, 2, said);
            assert!(all[at].announcement(ends).is_none());
        }
        let mut before: Vec<Wanted> = Vec::new();
        let mut keys = BTreeSet::new();
        for round in 1..6 {
            let wanted: Vec<Wanted> =
                all.iter().zip(&own).map(|(it, ends)| it.wanted(ends)).collect();
            for (at, one) in wanted.iter().enumerate() {
                assert_eq!((one.sent.len(), one.taken.len()), (4, 12));
                for sent in &one.sent {
                    assert!(keys.insert(sent.key.0), "a key is used twice");
                    // Also by who did not hear of the last change yet.
                    let takes = |it: &Wanted| it.taken.contains(sent);
                    assert_eq!(wanted.iter().filter(|it| takes(it)).count(), 1);
                    assert!(before.is_empty() || before.iter().any(takes));
                }
                // And what others send who did not hear of it.
                let late = before
                    .iter()
                    .flat_map(|it| &it.sent)
                    .filter(|it| own[at].at.iter().any(|here| here.local == it.way.to));
                assert!(late.clone().all(|sent| one.taken.contains(sent)));
            }
            before = wanted;
            let next = all[0].rotation(round * PERIOD, PERIOD, &mut random).unwrap();
            assert_eq!(next.0.version, if round == 1 { 1 } else { 9 + round });
            write(&mut all, 10 + round, next);
        }
    }

    #[test]
    fn a_new_incarnation_has_new_keys_and_a_node_that_is_gone_has_none() {
        let mut random = chance();
        let mut one = Tunnels::new("n1");
        let first = one.rotation(0, PERIOD, &mut random).unwrap();
        write(std::slice::from_mut(&mut one), 1, first);
        let other = serde_json::to_string(&ends(2, &mut random)).unwrap();
        assert_eq!(one.put("overlay/node/n2", 2, Some(&other)), Ok(true));
        let (before, after) = (ends(1, &mut random), ends(1, &mut random));
        let (before, after) = (one.wanted(&before), one.wanted(&after));
        assert_eq!(before.taken, after.taken);
        for (a, b) in before.sent.iter().zip(&after.sent) {
            assert!(a.key != b.key && a.way.spi != b.way.spi);
        }
        assert_eq!(one.put("overlay/node/n2", 3, None), Ok(true));
        assert_eq!(one.put("overlay/network/pods", 3, None), Ok(false));
        let none = one.wanted(&ends(1, &mut random));
        assert!(none.sent.is_empty() && none.taken.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_named_without_what_it_says_and_no_key_is_shown() {
        let mut random = chance();
        let mut one = Tunnels::new("n1");
        let said = one.put("overlay/keys", 7, Some(r#"{"epochs":["hush"]}"#)).unwrap_err();
        assert!(said.contains("overlay/keys") && !said.contains("hush"));
        assert!(one.rotation(0, PERIOD, &mut random).is_none(), "a person decides");
        for wrong in ["{}", "x", r#"{"incarnation":"zz","at":[]}"#] {
            assert!(one.put("overlay/node/n2", 2, Some(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(one.put("overlay/keys", 8, None), Ok(true));
        let (guard, put) = one.rotation(0, PERIOD, &mut random).unwrap();
        let value = put.value.clone().unwrap();
        write(std::slice::from_mut(&mut one), 9, (guard, put));
        let other = serde_json::to_string(&ends(2, &mut random)).unwrap();
        one.put("overlay/node/n2", 2, Some(&other)).unwrap();
        let secrets: Secrets = serde_json::from_str(&value).unwrap();
        let shown = format!("{one:?} {:?}", one.wanted(&ends(1, &mut random)));
        assert!(secrets.epochs.iter().all(|epoch| !shown.contains(&epoch.secret)));
        assert!(!shown.contains("Key(["), "{shown}");
    }
}
