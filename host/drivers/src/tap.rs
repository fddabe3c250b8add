//! `tap`: the other end of the container's link is a program, such as a virtual machine's monitor.

use wharfinger_cni::{Attach, AttachmentId, Dns, Success};
use wharfinger_plan::{Action, Link, LinkKind, LinkRef, Mac, Plan, Port, Step, Tap as Kind};

use crate::draft::Draft;
use crate::lease::Lease;
use crate::read::Mtu;
use crate::segment;
use crate::wire::{self, Wire};
use crate::{Error, Facts, PlanError, names, read};

pub(crate) const KEYS: &[&str] =
    &["multiQueue", "mtu", "mtuFrom", "mac", "owner", "group", "selinuxContext", "bridge"];

/// The configuration of `tap`; the keys are the reference plugin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tap {
    kind: Kind,
    mtu: Mtu,
    mac: Option<Mac>,
    bridge: Option<String>,
    has_ipam: bool,
    dns: Option<Dns>,
}

impl Tap {
    pub(crate) fn parse(call: &Attach) -> Result<Self, Error> {
        let fields = &call.conf.fields();
        read::refuse_near_misses(call, KEYS)?;
        let bridge = fields.str("bridge")?.filter(|name| !name.is_empty());
        if bridge.is_some_and(|name| !read::is_link_name(name)) {
            return Err(fields.error("bridge", read::LINK_NAME).into());
        }
        let context = fields.str("selinuxContext")?.filter(|context| !context.is_empty());
        let kind = Kind {
            multi_queue: read::switch(fields, "multiQueue")?,
            uid: fields.u32("owner")?,
            gid: fields.u32("group")?,
            selinux_context: context.map(str::to_owned),
        };
        Ok(Self {
            kind,
            mtu: Mtu::parse(fields)?,
            mac: read::mac_or_key(call)?,
            bridge: bridge.map(str::to_owned),
            has_ipam: read::has_ipam(fields)?,
            dns: read::dns(fields)?,
        })
    }

    pub(crate) fn has_ipam(&self) -> bool {
        self.has_ipam
    }

    pub(crate) fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        let bridge = self.bridge.as_ref().map(LinkRef::container);
        let own = LinkRef::container(&id.ifname);
        [Some(own), bridge, self.mtu.observes()].into_iter().flatten().collect()
    }

    pub(crate) fn check_facts(&self, id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
        wire::absent(id, facts)?;
        self.mtu.of(facts)?;
        let Some(bridge) = self.bridge.as_ref().map(LinkRef::container) else { return Ok(()) };
        match facts.get(&bridge) {
            Some(found) if found.kind == "bridge" => Ok(()),
            Some(found) => {
                let found = found.kind.clone();
                Err(PlanError::NotABridge { name: bridge.to_string(), found })
            }
            None => Err(PlanError::NoMaster { name: self.bridge.clone(), place: bridge.place }),
        }
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
        let mtu = self.mtu.of(facts)?;
        wire::carries(mtu, &lease)?;
        let wire = Wire::new(id, domain);
        let mac = self.mac.unwrap_or_else(|| names::container_mac(id));
        let port = self.bridge.clone().map(|bridge| Port { bridge, ..Port::default() });
        let kind = LinkKind::Tap(self.kind.clone());
        let link = Link { port, ..segment::link(id, kind, mtu, Some(mac)) };
        let mut steps = vec![Step::owned(Action::Link(link))];
        if self.has_ipam {
            steps.extend(wire.container_sysctls(&lease, false));
            steps.extend(wire.addresses(&lease, false, true));
        }
        steps.push(wire.up());
        steps.extend(wire.routes(&lease));
        Ok(Draft::new(Plan::new(steps), vec![wire.inside], lease))
    }
}
