//! Links that are known by something else than their names.

use std::path::Path;

use wharfinger_plan::{Answer, LinkRef, Place, Query};

use crate::link::{self, Found};
use crate::session::{Session, facts};
use crate::{Error, address, refused, route};

/// Drivers of the kernel that leave a device to a program.
const USERSPACE: &[&str] = &["vfio-pci", "uio_pci_generic", "igb_uio"];

/// See [`crate::Kernel::ask`].
pub(crate) fn ask(session: &mut Session<'_>, query: &Query) -> Result<Option<Answer>, Error> {
    match query {
        Query::DefaultRoute(place) => default_route(session, *place),
        Query::Mac(mac) => {
            let refused = |refusal| refused("list", "links", refusal);
            let all = link::all(session.route(Place::Host)?).map_err(refused)?;
            let mut same = all.into_iter().filter(|found| found.mac == Some(*mac));
            // What stands on a device has its address too; the device itself has no kind.
            let first = same.next();
            let device = first.iter().cloned().chain(same).find(|found| found.kind.is_empty());
            described(session, Place::Host, device.or(first))
        }
        Query::Within(network) => {
            let refused = |refusal| refused("list", format!("addresses in {network}"), refusal);
            let socket = session.route(Place::Host)?;
            let all = address::all(socket, None).map_err(refused)?;
            let within = all.iter().filter(|found| network.contains(&found.address.addr()));
            let Some(index) = within.map(|found| found.index).min() else { return Ok(None) };
            let found = link::at(socket, index).map_err(refused)?;
            described(session, Place::Host, found)
        }
        Query::SysPath(path) => named(session, link_in(Path::new(path))),
        Query::Pci(address) => pci(session, Path::new("/sys/bus/pci/devices"), address),
        Query::DeviceId(id) => device_id(session, id),
    }
}

fn default_route(session: &mut Session<'_>, place: Place) -> Result<Option<Answer>, Error> {
    let socket = session.route(place)?;
    let refused = |refusal| refused("look up", "the default route", refusal);
    let Some(index) = route::default_link(socket).map_err(refused)? else { return Ok(None) };
    let found = link::at(socket, index).map_err(refused)?;
    described(session, place, found)
}

fn described(
    session: &mut Session<'_>,
    place: Place,
    found: Option<Found>,
) -> Result<Option<Answer>, Error> {
    let Some(found) = found else { return Ok(None) };
    let link = LinkRef { place, name: found.name.clone() };
    let addresses = session.addresses(&link, found.index)?;
    Ok(Some(Answer::Link(facts(link, found, addresses))))
}

/// What is known of the host's link of this name.
fn named(session: &mut Session<'_>, name: Option<String>) -> Result<Option<Answer>, Error> {
    let Some(name) = name else { return Ok(None) };
    Ok(session.facts(&LinkRef::host(name))?.map(Answer::Link))
}

fn pci(session: &mut Session<'_>, devices: &Path, address: &str) -> Result<Option<Answer>, Error> {
    let device = devices.join(address);
    if let Some(driver) = userspace_driver(&device) {
        return Ok(Some(Answer::Userspace(driver)));
    }
    named(session, link_in(&device).or_else(|| link_in_virtio(&device)))
}

fn device_id(session: &mut Session<'_>, id: &str) -> Result<Option<Answer>, Error> {
    let devices = Path::new("/sys/bus/pci/devices");
    if devices.join(id).exists() {
        return pci(session, devices, id);
    }
    named(session, link_in(&Path::new("/sys/bus/auxiliary/devices").join(id)))
}

fn userspace_driver(device: &Path) -> Option<String> {
    let driver = std::fs::read_link(device.join("driver")).ok()?;
    let name = driver.file_name()?.to_str()?.to_owned();
    USERSPACE.contains(&&*name).then_some(name)
}

/// The first link of a device.
fn link_in(device: &Path) -> Option<String> {
    let mut names = names(&device.join("net"));
    names.sort();
    names.into_iter().next()
}

/// A virtio device has its link a folder further down.
fn link_in_virtio(device: &Path) -> Option<String> {
    let folders = names(device).into_iter().filter(|name| name.starts_with("virtio"));
    folders.map(|name| link_in(&device.join(name))).find(Option::is_some).flatten()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_devices_are_where_sysfs_has_them() {
        let sys = tempfile::tempdir().unwrap();
        let folder = |path: &str| {
            let path = sys.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        folder("plain/net/ens5");
        folder("virtio/virtio3/net/ens6");
        folder("drivers/vfio-pci");
        folder("drivers/ixgbe");
        let [bound, driven] = ["bound", "driven"].map(folder);
        std::os::unix::fs::symlink("../drivers/vfio-pci", bound.join("driver")).unwrap();
        std::os::unix::fs::symlink("../drivers/ixgbe", driven.join("driver")).unwrap();
        let at = |name: &str| sys.path().join(name);
        assert_eq!(link_in(&at("plain")).as_deref(), Some("ens5"));
        assert_eq!(link_in(&at("virtio")), None);
        assert_eq!(link_in_virtio(&at("virtio")).as_deref(), Some("ens6"));
        assert_eq!(link_in(&at("none")), None);
        assert_eq!(userspace_driver(&bound).as_deref(), Some("vfio-pci"));
        assert_eq!(userspace_driver(&driven), None);
        assert_eq!(userspace_driver(&at("plain")), None);
    }
}
