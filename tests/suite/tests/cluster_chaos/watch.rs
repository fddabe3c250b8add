//! Who looks on from outside: at the addresses that the kernel has in each container's namespace,
//! and at what the machines were told.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

/// What it knows.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Paths of the namespaces of containers that there are. Each is attached once in its life.
    places: Mutex<Vec<String>>,
    /// Who has an address for certain: from the end of the ADD to the start of what takes it.
    told: Mutex<BTreeMap<Ipv4Addr, String>>,
    looks: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

impl Watch {
    /// A container begins.
    pub(crate) fn begins(&self, path: &str) {
        lock(&self.places).push(path.to_owned());
    }

    /// It is about to go.
    pub(crate) fn ends(&self, path: &str) {
        lock(&self.places).retain(|known| known != path);
    }

    /// An ADD said that this one has the address.
    pub(crate) fn given(&self, address: Ipv4Addr, who: &str) {
        let before = lock(&self.told).insert(address, who.to_owned());
        assert!(before.is_none(), "{address} was given to {who}, and {before:?} has it");
    }

    /// A DEL begins, or what is like one.
    pub(crate) fn taken(&self, address: Ipv4Addr) {
        lock(&self.told).remove(&address);
    }

    /// How often all was looked at.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// Looks at all, again and again. Leaves its thread in some namespace.
    pub(crate) fn look_until(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.look();
            self.looks.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// At each namespace in turn. Where an address was seen before, that place is looked at again:
    /// who has it still had it all the time, and so while the second had it.
    fn look(&self) {
        let places = lock(&self.places).clone();
        let mut seen: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
        for place in &places {
            for address in addresses(place) {
                let Some(other) = seen.insert(address, place) else { continue };
                let twice = addresses(other).contains(&address);
                assert!(!twice, "{address} is at {place} and at {other} at once");
            }
        }
    }
}

/// The addresses of containers' networks in a namespace; none where it is gone.
pub(crate) fn addresses(path: &str) -> Vec<Ipv4Addr> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    // A file that is no namespace yet, or no more.
    if setns(file, CloneFlags::CLONE_NEWNET).is_err() {
        return Vec::new();
    }
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let ip = |one: nix::ifaddrs::InterfaceAddress| Some(one.address?.as_sockaddr_in()?.ip());
    all.filter_map(ip).filter(|ip| ip.octets()[0] == 10).collect()
}
