//! The executable under the names of the reference plugins, as links to it have them: what it says
//! of itself there, and which versions of the protocol each of them speaks.

use std::ffi::OsStr;
use std::path::Path;

use wharfinger_attach::names;
use wharfinger_cni::Version;

/// Our own name.
pub(crate) const OWN: &str = "wharfinger";

/// As callers read it, with the letter.
const RELEASE: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The release of the reference plugins whose configuration, files and answers we have under
/// their names. Callers ask for it to know what a plugin can do (nerdctl wants a `firewall` of
/// v1.1.0 or later), not to know who wrote it: that stands below.
const REFERENCE: &str = "v1.9.1";

const REMARK: &str = concat!("served by wharfinger v", env!("CARGO_PKG_VERSION"));

/// The reference plugin that this path is a name of.
pub(crate) fn called(path: Option<&OsStr>) -> Option<&'static str> {
    let name = Path::new(path?).file_name()?.to_str()?;
    names::all().find(|known| *known == name)
}

/// A run under a reference plugin's name: as there, the command line counts for nothing, but for
/// the daemon's of `dhcp`.
pub(crate) fn run(name: &'static str) -> u8 {
    let mut words = std::env::args_os().skip(1);
    if name == "dhcp" && words.next().is_some_and(|word| word == "daemon") {
        return crate::dhcp::daemon(words);
    }
    crate::as_plugin(name)
}

/// For the about line.
pub(crate) fn release(name: &str) -> &'static str {
    if name == OWN { RELEASE } else { REFERENCE }
}

/// The last line of the about text.
pub(crate) fn remark(name: &str) -> &'static str {
    if name == OWN { "" } else { REMARK }
}

/// The versions that the plugin of this name speaks: some came late, and a list of an earlier
/// version is refused there.
pub(crate) fn versions(name: &str) -> &'static [Version] {
    let first = match name {
        "bandwidth" => Version::V0_3_0,
        "vrf" => Version::V0_3_1,
        "firewall" => Version::V0_4_0,
        _ => Version::V0_1_0,
    };
    let from = Version::ALL.iter().position(|version| *version == first).unwrap_or_default();
    Version::ALL.get(from..).unwrap_or(&Version::ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_end_of_a_path() {
        let called = |path: &str| called(Some(OsStr::new(path)));
        assert_eq!(called("/opt/cni/bin/host-local"), Some("host-local"));
        assert_eq!(called("vrf"), Some("vrf"));
        assert_eq!(called("/opt/cni/bin/wharfinger"), None);
        assert_eq!(called("/opt/bridge/wharfinger"), None);
        assert_eq!(called("bridge-2"), None);
        assert_eq!(super::called(None), None);
        assert_eq!(names::all().count(), 18);
    }

    #[test]
    fn versions_are_the_references() {
        let oldest = |name| versions(name).first().map(|version| version.as_str());
        assert_eq!(oldest("bridge"), Some("0.1.0"));
        assert_eq!(oldest("bandwidth"), Some("0.3.0"));
        assert_eq!(oldest("vrf"), Some("0.3.1"));
        assert_eq!(oldest("firewall"), Some("0.4.0"));
        assert!(names::all().all(|name| versions(name).last() == Some(&Version::V1_1_0)));
    }
}
