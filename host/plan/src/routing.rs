//! Rules, VRFs, and what is observed of a namespace's routing: what `sbr` and `vrf` want.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{LinkRef, Place, Route};

/// The table that routes are in where nothing else is said.
pub const MAIN_TABLE: u32 = 254;

/// What comes from an address is routed by a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// In which namespace.
    pub place: Place,
    /// The address.
    pub from: IpAddr,
    /// The table's number.
    pub table: u32,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule from {} lookup {}", self.from, self.table)
    }
}

/// A link belongs to a VRF. It keeps its addresses, and its routes, which are the VRF's then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which link.
    pub link: LinkRef,
    /// The VRF, in the same namespace.
    pub vrf: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {} vrf {}", self.link.name, self.vrf)
    }
}

/// How a namespace routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// Of all tables but that of own addresses, each with its table. Those that lead to no single
    /// link are left out.
    pub routes: Vec<Route>,
    /// The tables that rules lead to.
    pub ruled: Vec<u32>,
    /// The VRFs and their tables.
    pub vrfs: Vec<(String, u32)>,
}

impl Routing {
    /// Whether a route, a rule or a VRF uses the table.
    pub fn uses(&self, table: u32) -> bool {
        self.ruled.contains(&table)
            || self.routes.iter().any(|route| route.table == Some(table))
            || self.vrfs.iter().any(|(_, of)| *of == table)
    }
}
