//! Rates, and settings of a link that is there: what `bandwidth` and `tuning` want of the kernel.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{LinkRef, Mac};

/// What leaves by a link is held to a rate: as `tbf`, or as `htb` where some is spared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Which link. Whatever else shapes it is an error, or, of these two kinds, replaced.
    pub link: LinkRef,
    /// Bytes a second.
    pub rate: u64,
    /// Bytes that may leave at once.
    pub burst: u32,
    /// Bytes that may wait; what is beyond is dropped.
    pub limit: u32,
    /// What is not held.
    #[serde(default, skip_serializing_if = "Sparing::is_none")]
    pub sparing: Sparing,
}

/// What comes in by a link leaves by another one, where it can be held to a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// Which link. It has no other use for what comes in, such as `clsact`.
    pub link: LinkRef,
    /// The other one, in the same namespace.
    pub to: String,
    /// What stays.
    #[serde(default, skip_serializing_if = "Sparing::is_none")]
    pub sparing: Sparing,
}

/// Which packets go free, by the address of the container's peer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sparing {
    /// Which address of a packet is the peer's.
    #[serde(default)]
    pub peer: PeerIs,
    /// To these networks, or from them, it goes free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unshaped: Vec<IpNet>,
    /// Where there are any, all else goes free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shaped: Vec<IpNet>,
}

impl Sparing {
    /// Nothing goes free.
    pub fn is_none(&self) -> bool {
        self.unshaped.is_empty() && self.shaped.is_empty()
    }
}

/// Which address of a packet is that of the container's peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerIs {
    /// Of what leaves the container.
    #[default]
    Destination,
    /// Of what goes to the container.
    Source,
}

/// Settings of a link that is there, whoever made it. Undoing puts back what was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Which link.
    pub link: LinkRef,
    /// Its link-layer address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Change<Mac>>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Change<u32>>,
    /// Promiscuous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promisc: Option<Change<bool>>,
    /// Hears all multicast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allmulti: Option<Change<bool>>,
    /// Packets that may wait to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txqlen: Option<Change<u32>>,
}

/// A setting's new value, and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<T> {
    /// What it is to be.
    pub to: T,
    /// What it was; none where nobody knows, or nobody needs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<T>,
}

impl<T> Change<T> {
    /// The change back, where it is known to what.
    pub fn back(self) -> Option<Self> {
        self.was.map(|to| Self { to, was: None })
    }
}

impl Settings {
    /// None of them.
    pub fn none(link: LinkRef) -> Self {
        Self { link, mac: None, mtu: None, promisc: None, allmulti: None, txqlen: None }
    }

    /// Nothing is to be set.
    pub fn is_none(&self) -> bool {
        *self == Self::none(self.link.clone())
    }

    /// What puts back what was.
    #[must_use]
    pub fn back(&self) -> Self {
        Self {
            link: self.link.clone(),
            mac: self.mac.and_then(Change::back),
            mtu: self.mtu.and_then(Change::back),
            promisc: self.promisc.and_then(Change::back),
            allmulti: self.allmulti.and_then(Change::back),
            txqlen: self.txqlen.and_then(Change::back),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.sparing.is_none() { "tbf" } else { "htb" };
        let Self { link, rate, burst, limit, sparing } = self;
        write!(
            f,
            "qdisc dev {} root {kind} rate {rate}bps burst {burst} limit {limit}{sparing}",
            link.name
        )
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "qdisc dev {} ingress redirect dev {}{}", self.link.name, self.to, self.sparing)
    }
}

impl fmt::Display for Sparing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = match self.peer {
            PeerIs::Destination => "dst",
            PeerIs::Source => "src",
        };
        for network in &self.unshaped {
            write!(f, " not {peer} {network}")?;
        }
        for network in &self.shaped {
            write!(f, " {peer} {network}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.link.name)?;
        change(f, "address", self.mac)?;
        change(f, "mtu", self.mtu)?;
        change(f, "promisc", self.promisc)?;
        change(f, "allmulti", self.allmulti)?;
        change(f, "txqueuelen", self.txqlen)
    }
}

fn change<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    change: Option<Change<T>>,
) -> fmt::Result {
    match change {
        Some(Change { to, was: Some(was) }) => write!(f, " {what} {to} (was {was})"),
        Some(Change { to, was: None }) => write!(f, " {what} {to}"),
        None => Ok(()),
    }
}
