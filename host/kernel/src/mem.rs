//! The double of the kernel for tests: namespaces, links, routes and rules as maps.
//!
//! It applies, verifies and undoes plans by the rules of [`Kernel`], and can be told to fail or
//! to stop at a step, as a killed process does. Clones share one state, like the processes of
//! a node. It models what the verbs rely on, not packets. Start reading at [`MemKernel`].

mod features;
mod space;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharfinger_plan::{
    Action, Answer, DeviceFile, LinkRef, Mac, Masquerade, Owner, Place, Plan, Query, Route,
    Routing, Rule,
};

use crate::{
    Association, AtPath, Cleared, Drift, Encryption, Error, ForwardDrop, Kernel, LinkFacts, Netns,
    PeerChange, Peers, Reference, Segment, Survey, Way, steps,
};
use space::{Done, State};

/// How a process ends in the middle of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The call answers an error, with nothing undone.
    Error,
    /// The call panics, with nothing undone.
    Panic,
}

/// What drives a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemDevice {
    /// The kernel, as a link of this name.
    Link(String),
    /// A program, by this driver of the kernel.
    Userspace(String),
}

/// A kernel in memory. Clones share its state.
#[derive(Debug, Clone, Default)]
pub struct MemKernel {
    state: Arc<Mutex<State>>,
    hooks: Arc<Mutex<Hooks>>,
}

/// What is to go wrong. Each hook is used up when it strikes.
#[derive(Debug, Default)]
struct Hooks {
    fail_at: Option<usize>,
    crash_at: Option<(usize, Crash)>,
    fail_undo_at: Option<usize>,
    crash_undo_at: Option<usize>,
    missing: Vec<String>,
    forward_drops: Vec<ForwardDrop>,
    cleared: Vec<Reference>,
}

/// The cookie of the host's namespace.
pub const HOST_COOKIE: u64 = 1;

impl MemKernel {
    /// A host with `lo` alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// A namespace at `path`. Another path with the same cookie is the same namespace; a path
    /// that had another one has this one now, and the other lives on.
    pub fn add_netns(&self, path: impl Into<PathBuf>, cookie: u64) {
        let mut state = self.state();
        state.paths.insert(path.into(), cookie);
        state.spaces.entry(cookie).or_default();
    }

    /// The namespace at `path` ends, at whatever paths it is, and its links with it.
    pub fn remove_netns(&self, path: impl AsRef<Path>) {
        self.state().end_namespace(path.as_ref());
    }

    /// `path` is gone; its namespace lives on, as when a process is still in it.
    pub fn remove_path(&self, path: impl AsRef<Path>) {
        self.state().paths.remove(path.as_ref());
    }

    /// A sysctl that namespaces have before anybody writes it; others are made by writing.
    pub fn set_sysctl(&self, cookie: u64, key: &str, value: &str) {
        self.state().space(cookie).sysctls.insert(key.to_owned(), value.to_owned());
    }

    /// The `step`-th step (from 0) of the next plan applied fails; what was done is undone.
    pub fn fail_at(&self, step: usize) {
        self.hooks().fail_at = Some(step);
    }

    /// The next plan applied stops after `steps` steps, with nothing undone. `steps` may be the
    /// plan's length: all is done, and nobody hears of it.
    pub fn crash_at(&self, steps: usize, how: Crash) {
        self.hooks().crash_at = Some((steps, how));
    }

    /// The `step`-th step (from 0) of the next plan undone stays, with an error.
    pub fn fail_undo_at(&self, step: usize) {
        self.hooks().fail_undo_at = Some(step);
    }

    /// The next undoing panics after `requests` requests (steps that need one, from the last).
    pub fn crash_undo_at(&self, requests: usize) {
        self.hooks().crash_undo_at = Some(requests);
    }

    /// What [`Kernel::missing`] answers from now on, of any plan that does something.
    pub fn set_missing(&self, missing: Vec<String>) {
        self.hooks().missing = missing;
    }

    /// What [`Kernel::forward_drops`] answers from now on.
    pub fn set_forward_drops(&self, drops: Vec<ForwardDrop>) {
        self.hooks().forward_drops = drops;
    }

    /// The attachments that [`Kernel::clear_reference`] was asked for, in order.
    pub fn cleared(&self) -> Vec<Reference> {
        self.hooks().cleared.clone()
    }

    /// A link of the namespace with this cookie.
    pub fn link(&self, cookie: u64, name: &str) -> Option<LinkFacts> {
        self.state().space(cookie).links.get(name).map(|link| link.facts.clone())
    }

    /// The links of a namespace, without `lo`.
    pub fn links_of(&self, cookie: u64) -> Vec<LinkFacts> {
        let mut state = self.state();
        let links = state.space(cookie).links.values();
        links.map(|link| link.facts.clone()).filter(|facts| facts.link.name != "lo").collect()
    }

    /// The routes of a namespace.
    pub fn routes_of(&self, cookie: u64) -> Vec<Route> {
        self.state().space(cookie).routes.clone()
    }

    /// The rules of a namespace.
    pub fn rules_of(&self, cookie: u64) -> Vec<Rule> {
        self.state().space(cookie).rules.clone()
    }

    /// What shapes a link, as text; and where what comes in by it is redirected to.
    pub fn traffic_of(&self, cookie: u64, name: &str) -> Vec<String> {
        let mut state = self.state();
        let Some(link) = state.space(cookie).links.get(name) else { return Vec::new() };
        let shape = link.shape.iter().map(ToString::to_string);
        shape.chain(link.redirect.iter().map(ToString::to_string)).collect()
    }

    /// A kernel parameter of a namespace.
    pub fn sysctl(&self, cookie: u64, key: &str) -> Option<String> {
        self.state().space(cookie).sysctls.get(key).cloned()
    }

    /// All masquerades.
    pub fn masquerades(&self) -> Vec<Masquerade> {
        self.state().masquerades.values().cloned().collect()
    }

    /// What of any attachment is there: links with an alias and masquerades, for people.
    pub fn leftovers(&self) -> Vec<String> {
        let mut state = self.state();
        let links = state.space(HOST_COOKIE).links.values().filter_map(|link| {
            Some(format!("link {} of {}", link.facts.link.name, link.facts.alias.as_ref()?))
        });
        let mut all: Vec<String> = links.collect();
        let rules = state.masquerades.values();
        all.extend(rules.map(|rule| format!("masquerade {} of {}", rule.address, rule.comment)));
        let of = |action: &Action| action.comment().unwrap_or_default().to_owned();
        all.extend(state.filter.iter().map(|action| format!("{action} of {}", of(action))));
        all
    }

    /// What the host knows of other nodes, by the VXLAN of this name.
    pub fn peers_of(&self, vxlan: &str) -> Peers {
        self.state().peers.get(vxlan).cloned().unwrap_or_default()
    }

    /// Changes a link behind the plans' back. A link that is not there stays so.
    pub fn change_link(&self, cookie: u64, name: &str, change: impl FnOnce(&mut LinkFacts)) {
        if let Some(link) = self.state().space(cookie).links.get_mut(name) {
            change(&mut link.facts);
        }
    }

    /// Somebody on the segments of links has this address.
    pub fn hold_address(&self, address: IpAddr, mac: Mac) {
        self.state().held.insert(address, mac);
    }

    /// The files that tell which devices attachments have.
    pub fn device_files(&self) -> Vec<DeviceFile> {
        self.state().files.iter().cloned().collect()
    }

    /// The device at a path of /sys, a PCI address or a device id.
    pub fn add_device(&self, key: &str, device: MemDevice) {
        self.state().devices.insert(key.to_owned(), device);
    }

    /// A route made by somebody else.
    pub fn add_route(&self, cookie: u64, route: Route) {
        self.state().space(cookie).routes.push(route);
    }

    /// A link made by somebody else, with no peer.
    pub fn add_link(&self, cookie: u64, facts: LinkFacts) {
        self.state().add_link(cookie, facts);
    }

    /// Removes a link, and its peer with it, behind the plans' back.
    pub fn delete_link(&self, cookie: u64, name: &str) {
        self.state().remove_link(cookie, name);
    }

    /// Removes the routes to a destination behind the plans' back.
    pub fn delete_route(&self, cookie: u64, destination: ipnet::IpNet) {
        self.state().space(cookie).routes.retain(|route| route.destination != destination);
    }

    /// Removes a masquerade behind the plans' back.
    pub fn delete_masquerade(&self, address: IpAddr) {
        self.state().masquerades.remove(&address);
    }

    /// What else than masquerades is in the tables of the packet filter.
    pub fn filter(&self) -> Vec<Action> {
        self.state().filter.clone()
    }

    /// Empties the tables of the packet filter behind the plans' back.
    pub fn flush_filter(&self) {
        let mut state = self.state();
        state.filter.clear();
        state.masquerades.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is to go wrong with the plan that is about to be applied.
    fn take_faults(&self, steps: usize) -> (Option<usize>, Option<(usize, Crash)>) {
        let mut hooks = self.hooks();
        let fail_at = hooks.fail_at.take_if(|at| *at < steps);
        (fail_at, hooks.crash_at.take_if(|(at, _)| *at <= steps))
    }

    fn undo_one(&self, plan: &Plan, action: &Action, netns: Option<u64>) -> Result<(), Error> {
        let number = plan.steps.iter().position(|step| &step.action == action);
        if number.is_some() && self.hooks().fail_undo_at.take_if(|at| Some(*at) == number).is_some()
        {
            return Err(refused("undo", action.to_string(), io::ErrorKind::Other.into()));
        }
        self.state().undo(action, netns);
        Ok(())
    }
}

impl Kernel for MemKernel {
    fn netns(&self, path: &Path) -> Result<AtPath, Error> {
        let cookie = self.state().paths.get(path).copied();
        Ok(cookie.map_or(AtPath::Gone, |cookie| AtPath::Netns(Netns { cookie, inside: None })))
    }

    fn host_cookie(&self) -> Result<u64, Error> {
        Ok(HOST_COOKIE)
    }

    fn links(
        &self,
        wanted: &[LinkRef],
        netns: Option<&Netns>,
    ) -> Result<Vec<Option<LinkFacts>>, Error> {
        let mut state = self.state();
        let one = |link: &LinkRef| match (link.place, netns) {
            (Place::Host, _) => state.facts(HOST_COOKIE, link),
            (Place::Container, Some(netns)) => state.facts(netns.cookie, link),
            (Place::Container, None) => None,
        };
        Ok(wanted.iter().map(one).collect())
    }

    fn routing(&self, netns: &Netns) -> Result<Routing, Error> {
        Ok(self.state().routing(netns.cookie))
    }

    fn ask(&self, query: &Query, netns: Option<&Netns>) -> Result<Option<Answer>, Error> {
        let mut state = self.state();
        let device = |state: &mut State, name: &str| {
            state.facts(HOST_COOKIE, &LinkRef::host(name)).map(Answer::Link)
        };
        Ok(match query {
            Query::DefaultRoute(place) => {
                let cookie = match place {
                    Place::Host => Some(HOST_COOKIE),
                    Place::Container => netns.map(|netns| netns.cookie),
                };
                let Some(cookie) = cookie else { return Ok(None) };
                let routes = state.space(cookie).routes.clone();
                let route = routes.iter().find(|route| route.destination.prefix_len() == 0);
                let link = route.map(|it| LinkRef { place: *place, name: it.link.name.clone() });
                link.and_then(|link| state.facts(cookie, &link)).map(Answer::Link)
            }
            Query::Mac(mac) => {
                let links = state.space(HOST_COOKIE).links.values();
                let mut same = links.map(|link| &link.facts).filter(|it| it.mac == Some(*mac));
                same.next().cloned().map(Answer::Link)
            }
            Query::Within(network) => {
                let links = state.space(HOST_COOKIE).links.values().map(|link| &link.facts);
                let has =
                    |it: &&LinkFacts| it.addresses.iter().any(|a| network.contains(&a.addr()));
                links.filter(has).min_by_key(|it| it.index).cloned().map(Answer::Link)
            }
            Query::SysPath(key) | Query::Pci(key) | Query::DeviceId(key) => {
                match state.devices.get(key).cloned() {
                    Some(MemDevice::Link(name)) => device(&mut state, &name),
                    Some(MemDevice::Userspace(driver)) => Some(Answer::Userspace(driver)),
                    None => None,
                }
            }
        })
    }

    fn apply(&self, plan: &Plan, netns: &Netns) -> Result<Vec<LinkFacts>, Error> {
        let (fail_at, crash) = self.take_faults(plan.steps.len());
        let mut made = Plan { format: plan.format, steps: Vec::new() };
        for (number, step) in plan.steps.iter().enumerate() {
            if let Some((_, how)) = crash.filter(|(at, _)| *at == number) {
                return Err(crashed(how));
            }
            let done = match fail_at {
                Some(at) if at == number => Err(refused(
                    "apply",
                    step.action.to_string(),
                    io::ErrorKind::PermissionDenied.into(),
                )),
                _ => self.state().apply(&step.action, netns.cookie),
            };
            match done {
                Ok(Done::Made) if step.owner == Owner::Attachment => made.steps.push(step.clone()),
                Ok(_) => {}
                Err(source) => {
                    let undoing = self.undo(&made, Some(netns));
                    return Err(Error::Step { step: number, source: Box::new(source), undoing });
                }
            }
        }
        if let Some((_, how)) = crash {
            return Err(crashed(how));
        }
        let wanted: Vec<LinkRef> = steps::links(plan).into_iter().cloned().collect();
        Ok(self.links(&wanted, Some(netns))?.into_iter().flatten().collect())
    }

    fn verify(&self, plan: &Plan, netns: &Netns) -> Result<Vec<Drift>, Error> {
        let mut state = self.state();
        let mut drifts = Vec::new();
        for (number, step) in plan.steps.iter().enumerate() {
            for found in state.differences(&step.action, netns.cookie) {
                drifts.push(Drift { step: number, object: steps::object(&step.action), found });
            }
        }
        Ok(drifts)
    }

    fn undo(&self, plan: &Plan, netns: Option<&Netns>) -> Vec<Error> {
        let crash = self.hooks().crash_undo_at.take();
        let cookie = netns.map(|netns| netns.cookie);
        let mut errors = Vec::new();
        for (number, step) in steps::to_undo(plan, netns.is_some()).into_iter().enumerate() {
            if crash == Some(number) {
                crashed(Crash::Panic);
            }
            errors.extend(self.undo_one(plan, &step.action, cookie).err());
        }
        errors
    }

    fn survey(&self) -> Result<Survey, Error> {
        let mut state = self.state();
        let links = state.space(HOST_COOKIE).links.values();
        let links = links.map(|link| link.facts.clone()).filter(|facts| facts.alias.is_some());
        let links = links.collect();
        let masquerades = state.masquerades.values().cloned().collect();
        Ok(Survey { links, masquerades, filter: state.filter.clone() })
    }

    fn seen(&self) -> Result<Survey, Error> {
        self.survey()
    }

    fn reload(&self, all: &[Action]) -> Result<(), Error> {
        self.flush_filter();
        let mut state = self.state();
        let of_filter = all.iter().filter(|action| action.comment().is_some());
        of_filter.map(|action| state.apply(action, HOST_COOKIE)).collect::<Result<Vec<_>, _>>()?;
        Ok(())
    }

    fn forward_drops(&self) -> Result<Vec<ForwardDrop>, Error> {
        Ok(self.hooks().forward_drops.clone())
    }

    fn clear_reference(&self, reference: &Reference) -> Cleared {
        self.hooks().cleared.push(reference.clone());
        Cleared::default()
    }

    fn resync_peers(&self, segment: &Segment, wanted: &Peers) -> Result<usize, Error> {
        let mut state = self.state();
        let known = state.peers(segment)?;
        let changes = known.towards(wanted);
        *known = wanted.clone();
        Ok(changes.len())
    }

    fn change_peers(&self, segment: &Segment, changes: &[PeerChange]) -> Result<(), Error> {
        let mut state = self.state();
        let known = state.peers(segment)?;
        for change in changes {
            known.apply(*change);
        }
        Ok(())
    }

    fn encryptions(&self) -> Result<Vec<Encryption>, Error> {
        Ok(self.state().encrypted.iter().copied().collect())
    }

    fn ways(&self) -> Result<Vec<Way>, Error> {
        Ok(self.state().associations.keys().copied().collect())
    }

    fn add_association(&self, wanted: &Association) -> Result<(), Error> {
        let before = self.state().associations.insert(wanted.way, wanted.key.clone());
        if before.is_none() {
            return Ok(());
        }
        let object = format!("association {}", wanted.way);
        Err(refused("add", object, io::ErrorKind::AlreadyExists.into()))
    }

    fn remove_way(&self, unwanted: &Way) -> Result<(), Error> {
        self.state().associations.remove(unwanted);
        Ok(())
    }

    fn missing(&self, plan: &Plan) -> Result<Vec<String>, Error> {
        let nothing = plan.steps.is_empty();
        Ok(if nothing { Vec::new() } else { self.hooks().missing.clone() })
    }
}

/// A process that ended here.
#[expect(clippy::panic, reason = "the double stands in for a process that is killed")]
fn crashed(how: Crash) -> Error {
    match how {
        Crash::Panic => panic!("crashed on request"),
        Crash::Error => {
            refused("crash", "on request".to_owned(), io::ErrorKind::Interrupted.into())
        }
    }
}

fn refused(operation: &'static str, object: String, source: io::Error) -> Error {
    Error::Refused { operation, object, source }
}

/// A name for each namespace: see [`MemKernel::add_netns`].
type Paths = BTreeMap<PathBuf, u64>;
