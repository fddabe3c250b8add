//! The reference plugins under whose names the executable serves, and what each is.

/// What a reference plugin is, for the verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It makes an interface: one of our drivers.
    Main,
    /// It gives addresses, to another plugin.
    Ipam,
    /// It stands behind others: one of our features.
    Chained,
}

/// Those that make an interface.
pub const MAIN: &[&str] =
    &["bridge", "ptp", "macvlan", "ipvlan", "vlan", "host-device", "dummy", "tap", "loopback"];

/// Those that give addresses.
pub const IPAM: &[&str] = &["host-local", "static", "dhcp"];

/// Those that stand behind others.
pub const CHAINED: &[&str] = &["portmap", "bandwidth", "firewall", "tuning", "sbr", "vrf"];

/// The plugin of this name; none for our own.
pub fn kind(name: &str) -> Option<Kind> {
    [(MAIN, Kind::Main), (IPAM, Kind::Ipam), (CHAINED, Kind::Chained)]
        .into_iter()
        .find(|(names, _)| names.contains(&name))
        .map(|(_, kind)| kind)
}

/// All names.
pub fn all() -> impl Iterator<Item = &'static str> {
    [MAIN, IPAM, CHAINED].into_iter().flatten().copied()
}
