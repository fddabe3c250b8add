//! What nodes of an encrypted segment say to each other, as data.
//!
//! A plan has no keys: it says what must not leave or come in clear ([`Encryption`]), and the
//! associations that let it through are put there by somebody else ([`Association`]). Never written
//! anywhere with its key, and shown without it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What this node's address sends to a UDP port, and gets at it, is encrypted, or is dropped: also
/// where nobody gave keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Encryption {
    /// The node's address on the underlay.
    pub local: IpAddr,
    /// The UDP port of all nodes, which is that of encrypted segments alone.
    #[serde(rename = "dstport")]
    pub port: u16,
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "encrypt udp port {} of {}", self.port, self.local)
    }
}

/// One direction between two nodes, without its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Way {
    /// Who sends.
    pub from: IpAddr,
    /// Who gets it.
    pub to: IpAddr,
    /// The UDP port that it is for.
    pub port: u16,
    /// By which who gets it knows the key.
    pub spi: u32,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} port {} spi {:#010x}", self.from, self.to, self.port, self.spi)
    }
}

/// How many bytes a key has: AES-256, and a salt of four (RFC 4106).
pub const KEY: usize = 36;

/// A key, which is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; KEY]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// One direction between two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// Between whom.
    pub way: Way,
    /// With what. No two senders may ever have the same, nor one of them after it began anew.
    pub key: Key,
}
