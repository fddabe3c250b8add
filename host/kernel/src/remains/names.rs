//! The names that the reference plugins give to what they make: prefixes and hashes, which are
//! never to change.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha512};

/// The iptables chain of a container's masquerade in a network.
pub(crate) fn masquerade_chain(network: &str, container: &str) -> String {
    hashed("CNI-", 28, &[network, container])
}

/// The iptables chain of a container's port mappings in a network.
pub(crate) fn dnat_chain(network: &str, container: &str) -> String {
    hashed("CNI-DN-", 28, &[network, container])
}

/// The same, of source NAT, which only old versions made.
pub(crate) fn snat_chain(network: &str, container: &str) -> String {
    hashed("CNI-SN-", 28, &[network, container])
}

/// The device that shapes what a container sends.
pub(crate) fn ifb(network: &str, container: &str) -> String {
    hashed("bwp", 15, &[network, container])
}

/// How the comments of an attachment's masquerade rules in nftables begin.
pub(crate) fn masquerade_comment(network: &str, container: &str, ifname: &str) -> String {
    let (network, attachment) =
        (hashed("", 16, &[network]), hashed("", 16, &[ifname, ":", container]));
    format!("{network}-{attachment}")
}

/// What chains and comments against MAC spoofing are told apart by.
pub(crate) fn spoof_id(container: &str, ifname: &str) -> String {
    format!("{container}-{ifname}")
}

/// A prefix and as much of the hash of these words, one behind the other, as makes this length.
fn hashed(prefix: &str, length: usize, words: &[&str]) -> String {
    let digest = Sha512::digest(words.concat());
    let mut name = prefix.to_owned();
    for octet in digest {
        let _ = write!(name, "{octet:02x}");
    }
    name.truncate(length);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_reference_makes() {
        // Seen on a machine.
        assert_eq!(dnat_chain("net", "abc"), "CNI-DN-3ce8a0924fdef86d56ad1");
        assert_eq!(masquerade_chain("net", "abc"), "CNI-3ce8a0924fdef86d56ad1df1");
        assert_eq!(ifb("net", "abc"), "bwp3ce8a0924fde");
        assert_eq!(masquerade_comment("net", "abc", "eth0").len(), 33);
    }
}
