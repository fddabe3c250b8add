//! `firewall`: what is forwarded from and to the container passes, and who of this host may not
//! reach it.
//!
//! The keys are the reference plugin's. Whatever its back end, our own tables have it, and other
//! people's chains where these drop what is forwarded.

use wharfinger_cni::Attach;
use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_plan::{Action, Forward, IngressPolicy, Isolation, Step};

use super::{Subject, refuse_near_misses};
use crate::{Error, PlanError, names};

pub(crate) const KEYS: &[&str] =
    &["backend", "iptablesAdminChainName", "firewalldZone", "ingressPolicy"];
/// As long as iptables lets a chain's name be.
const LONGEST_CHAIN: usize = 28;

/// The configuration of `firewall`.
#[derive(Debug, Clone, PartialEq)]
pub struct Firewall {
    admin_chain: Option<String>,
    zone: Option<String>,
    policy: Option<IngressPolicy>,
}

impl Firewall {
    pub(crate) fn parse(fields: &Fields<'_>, call: &Attach) -> Result<Option<Self>, Error> {
        refuse_near_misses(fields, call, KEYS)?;
        // Every back end is served alike; the reference takes any word.
        let _ = fields.str("backend")?;
        let set = |key| fields.str(key).map(|it| it.filter(|it| !it.is_empty()).map(str::to_owned));
        Ok(Some(Self {
            admin_chain: admin_chain(fields)?,
            zone: set("firewalldZone")?,
            policy: policy(fields)?,
        }))
    }

    pub(crate) fn plan(&self, subject: &Subject<'_>) -> Result<Vec<Step>, PlanError> {
        let addresses: Vec<_> = subject.addresses().iter().map(ipnet::IpNet::addr).collect();
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let comment = names::key(subject.id);
        let forward = Forward {
            addresses: addresses.clone(),
            admin_chain: self.admin_chain.clone(),
            zone: self.zone.clone(),
            comment: comment.clone(),
        };
        let mut actions = vec![Action::Forward(forward)];
        if let Some(policy) = self.policy {
            let (bridge, port) = neighbourhood(subject, policy)?;
            let isolation = Isolation { bridge, port, addresses, policy, comment };
            actions.push(Action::Isolation(isolation));
        }
        Ok(actions.into_iter().map(Step::owned).collect())
    }
}

/// The bridge and the port of it; a link of its own is a bridge of one.
fn neighbourhood(
    subject: &Subject<'_>,
    policy: IngressPolicy,
) -> Result<(String, Option<String>), PlanError> {
    let port = subject.host.map(|link| link.name.clone());
    match (subject.bridge, port) {
        (Some(bridge), port) => Ok((bridge.name.clone(), port)),
        (None, Some(link)) => Ok((link, None)),
        (None, None) => Err(PlanError::Unfit {
            feature: "firewall",
            what: format!(
                "ingressPolicy {policy} needs a bridge or a veth of the host: the host does not \
                 see what reaches {} otherwise; take the key out",
                subject.inside
            ),
        }),
    }
}

fn policy(fields: &Fields<'_>) -> Result<Option<IngressPolicy>, ConfError> {
    match fields.str("ingressPolicy")? {
        None | Some("" | "open") => Ok(None),
        Some("same-bridge") => Ok(Some(IngressPolicy::SameBridge)),
        Some("isolated") => Ok(Some(IngressPolicy::Isolated)),
        Some(_) => Err(fields.error("ingressPolicy", "\"open\", \"same-bridge\" or \"isolated\"")),
    }
}

fn admin_chain(fields: &Fields<'_>) -> Result<Option<String>, ConfError> {
    let key = "iptablesAdminChainName";
    let Some(name) = fields.str(key)?.filter(|name| !name.is_empty()) else { return Ok(None) };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.bytes().all(is_plain) || name.starts_with('-') || name.len() > LONGEST_CHAIN {
        let allowed = "a chain's name: at most 28 letters, digits and -_., no - in front";
        return Err(fields.error(key, allowed));
    }
    Ok(Some(name.to_owned()))
}
