//! `host-device`: a link of the host is lent to the container, and given back. A device that a
//! program drives by itself stays where it is, and only has its addresses decided.

use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, AttachmentId, Dns, Success};
use wharfinger_plan::{
    Action, Answer, Device, DeviceFile, Link, LinkFacts, LinkKind, LinkRef, Plan, Query, Step,
};

use crate::draft::Draft;
use crate::lease::Lease;
use crate::segment::{self, Probing};
use crate::wire::{self, Wire};
use crate::{Error, Facts, PlanError, read};

pub(crate) const KEYS: &[&str] = &["device", "hwaddr", "kernelpath", "pciBusID", "probe"];

/// The configuration of `host-device`; the keys are the reference plugin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDevice {
    /// The host's name of it: the first choice.
    name: Option<String>,
    /// By what else it is known, the first choice first.
    queries: Vec<Query>,
    /// Where the caller wants to find which device it is.
    file: Option<String>,
    probing: Probing,
    has_ipam: bool,
    dns: Option<Dns>,
}

impl HostDevice {
    pub(crate) fn parse(call: &Attach) -> Result<Self, Error> {
        let fields = &call.conf.fields();
        read::refuse_near_misses(call, KEYS)?;
        let name = text(fields, "device")?;
        if name.is_some_and(|name| !read::is_link_name(name)) {
            return Err(fields.error("device", read::LINK_NAME).into());
        }
        let queries = queries(fields)?;
        Ok(Self {
            name: name.map(str::to_owned),
            queries,
            file: device_file(fields)?,
            probing: Probing::parse(fields, call)?,
            has_ipam: read::has_ipam(fields)?,
            dns: read::dns(fields)?,
        })
    }

    pub(crate) fn has_ipam(&self) -> bool {
        self.has_ipam
    }

    pub(crate) fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        let own = LinkRef::container(&id.ifname);
        std::iter::once(own).chain(self.name.as_ref().map(LinkRef::host)).collect()
    }

    pub(crate) fn asks(&self) -> &[Query] {
        &self.queries
    }

    pub(crate) fn check_facts(&self, id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
        wire::absent(id, facts)?;
        if self.is_a_programs(facts) {
            return Ok(());
        }
        self.device(facts).map(drop)
    }

    pub(crate) fn plan(
        &self,
        id: &AttachmentId,
        domain: &str,
        answer: &Success,
        facts: &Facts,
    ) -> Result<Draft, PlanError> {
        let lease = if self.has_ipam { Lease::new(answer)? } else { Lease::default() };
        let lease = lease.with_dns(self.dns.as_ref());
        let wire = Wire::new(id, domain);
        if self.is_a_programs(facts) {
            let plan = Plan::new(self.told(facts).into_iter().collect());
            return Ok(Draft::new(plan, vec![wire.inside], lease));
        }
        let device = self.device(facts)?;
        wire::carries(Some(device.mtu), &lease)?;
        let from = Some(device.link.name.clone());
        let link = lent(id, Device { from, unrecorded: false });
        let mut steps = segment::steps(&wire, link, &lease, self.probing, None);
        steps.extend(self.told(facts));
        Ok(Draft::new(Plan::new(steps), vec![wire.inside], lease))
    }

    /// What gives it back where nothing but the configuration is known.
    pub(crate) fn leftovers(&self, id: &AttachmentId) -> Step {
        Step::owned(Action::Link(lent(id, Device { from: self.name.clone(), unrecorded: true })))
    }

    /// Whether a program drives it, not the kernel.
    fn is_a_programs(&self, facts: &Facts) -> bool {
        let answers = self.queries.iter().filter_map(|query| facts.answer(query));
        answers.into_iter().any(|answer| matches!(answer, Answer::Userspace(_)))
    }

    /// What tells the caller which device of PCI it is; of others there is nothing to tell.
    fn told(&self, facts: &Facts) -> Option<Step> {
        let path = self.file.clone()?;
        let first = |query| self.name.is_none() && self.queries.first() == Some(query);
        let programs = |query| matches!(facts.answer(query), Some(Answer::Userspace(_)));
        let pci = self.queries.iter().find_map(|query| match query {
            Query::Pci(pci) | Query::DeviceId(pci) if first(query) || programs(query) => Some(pci),
            _ => None,
        });
        let pci = pci.filter(|pci| is_pci_address(pci))?.clone();
        Some(Step::owned(Action::DeviceFile(DeviceFile { path, pci })))
    }

    fn device<'a>(&self, facts: &'a Facts) -> Result<&'a LinkFacts, PlanError> {
        if let Some(name) = &self.name {
            let none = || PlanError::NoDevice(format!("link {name}"));
            return facts.get(&LinkRef::host(name)).ok_or_else(none);
        }
        let Some(query) = self.queries.first() else {
            // The runtime may name it, at each ADD anew.
            return Err(PlanError::NoSelector);
        };
        facts.link(query).ok_or_else(|| PlanError::NoDevice(described(query)))
    }
}

fn lent(id: &AttachmentId, device: Device) -> Link {
    Link { alias: None, ..segment::link(id, LinkKind::Device(device), None, None) }
}

fn described(query: &Query) -> String {
    match query {
        Query::DefaultRoute(_) => "default route".to_owned(),
        Query::Mac(mac) => format!("link with the address {mac}"),
        Query::Within(network) => format!("link with an address in {network}"),
        Query::SysPath(path) => format!("link of {path}"),
        Query::Pci(address) => format!("link of the PCI device {address}"),
        Query::DeviceId(id) => format!("link of the device {id}"),
    }
}

fn text<'a>(fields: &Fields<'a>, key: &str) -> Result<Option<&'a str>, ConfError> {
    Ok(fields.str(key)?.filter(|text| !text.is_empty()))
}

/// The selectors beside the name. A device that the runtime chose stands in for `pciBusID`.
fn queries(fields: &Fields<'_>) -> Result<Vec<Query>, ConfError> {
    let mut queries = Vec::new();
    if let Some(mac) = text(fields, "hwaddr")? {
        let bad = |_| fields.error("hwaddr", "an address such as \"02:00:0a:01:00:05\"");
        queries.push(Query::Mac(mac.parse().map_err(bad)?));
    }
    if let Some(path) = text(fields, "kernelpath")? {
        let good = path.starts_with("/sys/devices/") && !path.split('/').any(|part| part == "..");
        if !good {
            return Err(fields.error("kernelpath", "a path below /sys/devices/"));
        }
        queries.push(Query::SysPath(path.to_owned()));
    }
    let chosen = match fields.object("runtimeConfig")? {
        Some(runtime) => device_name(&runtime, "deviceID")?.map(Query::DeviceId),
        None => None,
    };
    let named = device_name(fields, "pciBusID")?.map(Query::Pci);
    queries.extend(chosen.or(named));
    Ok(queries)
}

/// The folder in which files are that tell of devices, by either of its names.
const DEVICE_FILES: [&str; 2] =
    ["/var/run/k8s.cni.cncf.io/devinfo/cni/", "/run/k8s.cni.cncf.io/devinfo/cni/"];

/// Where the caller wants to find which device it is. Whoever wrote the configuration may have written
/// this as well: no other place of the host is written to for his sake.
fn device_file(fields: &Fields<'_>) -> Result<Option<String>, ConfError> {
    const KEY: &str = "CNIDeviceInfoFile";
    let Some(runtime) = fields.object("runtimeConfig")? else { return Ok(None) };
    let Some(path) = text(&runtime, KEY)? else { return Ok(None) };
    let name = DEVICE_FILES.iter().find_map(|folder| path.strip_prefix(folder));
    let good = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        name.bytes().all(plain) && (1..=200).contains(&name.len()) && !name.starts_with('.')
    };
    match name {
        Some(name) if good(name) => Ok(Some(path.to_owned())),
        _ => Err(runtime.error(KEY, "a file in /var/run/k8s.cni.cncf.io/devinfo/cni")),
    }
}

/// As `0000:00:1f.6`.
fn is_pci_address(text: &str) -> bool {
    const FORM: &[u8; 12] = b"xxxx:xx:xx.x";
    let fits = |(byte, form): (u8, &u8)| match form {
        b'x' => byte.is_ascii_hexdigit(),
        _ => byte == *form,
    };
    text.len() == FORM.len() && text.bytes().zip(FORM).all(fits)
}

/// One entry of a folder, and not another place.
fn device_name(fields: &Fields<'_>, key: &str) -> Result<Option<String>, ConfError> {
    let good = |name: &str| !name.contains('/') && name != "." && name != "..";
    match text(fields, key)? {
        Some(name) if good(name) => Ok(Some(name.to_owned())),
        Some(_) => Err(fields.error(key, "a device's address, such as \"0000:00:1f.6\"")),
        None => Ok(None),
    }
}
