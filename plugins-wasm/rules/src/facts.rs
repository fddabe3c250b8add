//! What an attachment asks for, read out of its network configuration and arguments: only what
//! a rule looks at, and only then.
//!
//! All of it is a stranger's. Keys are read in any case, as plugins read them, at the top and
//! below `delegate`; what could be read in two ways, or not at all, is [`Unreadable`].

use std::cell::OnceCell;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use crate::json::{At, Unreadable};
use crate::net::{Net, address};
use crate::when::{Named, Number, Text};

/// Whose attachment it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// CNI's key.
    pub network: String,
    /// CNI's key.
    pub container: String,
    /// CNI's key.
    pub interface: String,
    /// The pod's namespace and name, where there is a pod.
    pub pod: Option<(String, String)>,
    /// `CNI_ARGS`, then the strings of args.cni; a name may come twice.
    pub args: Vec<(String, String)>,
}

/// What the cluster's API says of the pod, and of its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The pod's.
    pub labels: Vec<(String, String)>,
    /// The pod's.
    pub annotations: Vec<(String, String)>,
    /// Its namespace's.
    pub namespace_labels: Vec<(String, String)>,
    /// Its namespace's.
    pub namespace_annotations: Vec<(String, String)>,
}

/// Asks the cluster's API of the pod: why not, where it does not tell.
pub trait Api {
    /// Asked at most once a call.
    fn pod(&self) -> Result<Known, String>;
}

/// A port of the host led to the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// 0 is none.
    pub host_port: u64,
    /// The container's.
    pub container_port: u64,
    /// In lower case.
    pub protocol: String,
    /// 0.0.0.0 where every address is meant.
    pub host_ip: IpAddr,
}

impl Mapping {
    /// A step of a plan.
    pub fn of(host_port: u16, port: u16, protocol: &str, host_address: Option<&str>) -> Self {
        Self {
            host_port: host_port.into(),
            container_port: port.into(),
            protocol: protocol.to_ascii_lowercase(),
            host_ip: host_address.and_then(address).unwrap_or(ANYWHERE),
        }
    }
}

/// Every address of the host.
const ANYWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host_port, self.protocol)
    }
}

/// What a `match` is held against.
pub(crate) trait Values {
    fn texts(&self, text: Text) -> Result<Vec<String>, Unreadable>;
    fn named(&self, named: Named, name: &str) -> Result<Vec<String>, Unreadable>;
    fn numbers(&self, number: Number) -> Result<Vec<u64>, Unreadable>;
    fn addresses(&self) -> Result<Vec<Net>, Unreadable>;
    fn mappings(&self) -> Result<Vec<Mapping>, Unreadable>;
    fn routes(&self) -> Result<Vec<Net>, Unreadable>;
    /// The finished plan, once there is one.
    fn planned(&self) -> Option<&dyn Values>;
}

/// What an attachment asks for.
pub struct Facts<'a> {
    attachment: &'a Attachment,
    texts: [&'a str; 2],
    network: OnceCell<Option<Value>>,
    pod: OnceCell<Option<Value>>,
    plan: Option<&'a dyn Values>,
    api: &'a dyn Api,
    known: OnceCell<Result<Known, String>>,
    /// Addresses that this policy itself sets: nobody asked for them.
    own: &'a [IpAddr],
}

impl<'a> Facts<'a> {
    /// Of the network configuration and what the pod's author wrote, each as JSON text.
    pub fn new(
        attachment: &'a Attachment,
        network: &'a str,
        pod: &'a str,
        api: &'a dyn Api,
    ) -> Self {
        let (texts, plan) = ([network, pod], None);
        let (network, pod) = (OnceCell::new(), OnceCell::new());
        let known = OnceCell::new();
        Self { attachment, texts, network, pod, plan, api, known, own: &[] }
    }

    /// With the finished plan beside it.
    pub(crate) fn reviewed(self, plan: &'a dyn Values, own: &'a [IpAddr]) -> Self {
        Self { plan: Some(plan), own, ..self }
    }

    /// Whose it is.
    pub(crate) fn attachment(&self) -> &Attachment {
        self.attachment
    }

    /// The network configuration.
    pub(crate) fn network(&self) -> Result<At<'_>, Unreadable> {
        let [network, _] = self.texts;
        parsed(&self.network, network, "the network configuration")
    }

    /// What the pod's author wrote.
    fn pod(&self) -> Result<At<'_>, Unreadable> {
        let [_, pod] = self.texts;
        parsed(&self.pod, pod, "what the pod wrote")
    }

    /// What the API says of the pod; nothing of what is no pod's.
    fn known(&self) -> Result<Option<&Known>, Unreadable> {
        let Some((namespace, name)) = &self.attachment.pod else { return Ok(None) };
        match self.known.get_or_init(|| self.api.pod()) {
            Ok(known) => Ok(Some(known)),
            Err(why) => Err(Unreadable {
                place: format!("pod {namespace}/{name}"),
                what: format!("is not known to this policy: {why}").into(),
                of_api: true,
            }),
        }
    }

    /// What stands at any of these paths: at the top, and in the configuration of a delegate, or
    /// of each plugin of its list.
    fn found(&self, paths: &[&[&str]]) -> Result<Vec<At<'_>>, Unreadable> {
        let top = self.network()?;
        let plugins = top.path(&["delegate", "plugins"])?;
        let plugins = plugins.iter().flat_map(At::items);
        let mut found = Vec::new();
        for root in top.path(&["delegate"])?.into_iter().chain(plugins).chain([top]) {
            for path in paths {
                found.extend(root.path(path)?);
            }
        }
        Ok(found)
    }

    /// Values of `CNI_ARGS` (and strings of args.cni) by this name; empty is absent.
    fn args(&self, name: &'a str) -> impl Iterator<Item = &str> {
        let all = self.attachment.args.iter().filter(move |(key, _)| key == name);
        all.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn macs(&self) -> Result<Vec<String>, Unreadable> {
        let mut macs = Vec::new();
        for given in self.args("MAC") {
            macs.push(mac(given).ok_or_else(|| argument("MAC", "is not a MAC address"))?);
        }
        for at in self.found(&[&["runtimeConfig", "mac"], &["args", "cni", "mac"], &["mac"]])? {
            let text = at.text()?;
            if !text.is_empty() {
                macs.push(mac(text).ok_or_else(|| at.unreadable("is not a MAC address"))?);
            }
        }
        Ok(macs)
    }

    fn sysctls(&self) -> Result<Vec<String>, Unreadable> {
        let mut keys = Vec::new();
        let features = ["features", "tuning", "sysctl"];
        for at in self.found(&[&["sysctl"], &features, &["args", "cni", "sysctl"]])? {
            if !at.value.is_object() {
                return Err(at.unreadable("is not an object of kernel parameters"));
            }
            for (key, member) in at.members() {
                let key = sysctl(key);
                keys.push(key.ok_or_else(|| member.unreadable("is not a kernel parameter"))?);
            }
        }
        Ok(keys)
    }
}

fn parsed<'v>(
    cell: &'v OnceCell<Option<Value>>,
    text: &str,
    place: &str,
) -> Result<At<'v>, Unreadable> {
    let value = cell.get_or_init(|| serde_json::from_str(text).ok());
    let value = value.as_ref().filter(|value| value.is_object());
    value.map(At::root).ok_or_else(|| Unreadable::new(place.to_owned(), "is no object"))
}

fn argument(name: &str, what: &'static str) -> Unreadable {
    Unreadable::new(format!("CNI_ARGS {name}"), what)
}

impl Values for Facts<'_> {
    fn texts(&self, text: Text) -> Result<Vec<String>, Unreadable> {
        let of = self.attachment;
        let pod = of.pod.as_ref();
        Ok(match text {
            Text::Namespace => pod.map(|(namespace, _)| namespace.clone()).into_iter().collect(),
            Text::Pod => pod.map(|(_, name)| name.clone()).into_iter().collect(),
            Text::Network => vec![of.network.clone()],
            Text::Interface => vec![of.interface.clone()],
            Text::Mac => self.macs()?,
            Text::Sysctl => self.sysctls()?,
        })
    }

    fn named(&self, named: Named, name: &str) -> Result<Vec<String>, Unreadable> {
        let of = |known: fn(&Known) -> &Vec<(String, String)>| {
            let all = self.known()?.map(known).into_iter().flatten();
            let all = all.filter(|(key, _)| key == name).map(|(_, value)| value.clone());
            Ok(all.collect())
        };
        match named {
            Named::Args => {}
            Named::Annotations => {
                let all = self.pod()?.get("annotations");
                return Ok(all.and_then(|all| scalar(&all.get(name)?)).into_iter().collect());
            }
            Named::PodLabels => return of(|known| &known.labels),
            Named::PodAnnotations => return of(|known| &known.annotations),
            Named::NamespaceLabels => return of(|known| &known.namespace_labels),
            Named::NamespaceAnnotations => return of(|known| &known.namespace_annotations),
        }
        let all = self.attachment.args.iter().filter(|(key, _)| key == name);
        let mut all: Vec<String> = all.map(|(_, value)| value.clone()).collect();
        // Those of args.cni that are no strings.
        let other = self.pod()?.get("args").and_then(|args| args.get(name));
        all.extend(other.filter(|at| !at.value.is_string()).and_then(|at| scalar(&at)));
        Ok(all)
    }

    fn numbers(&self, number: Number) -> Result<Vec<u64>, Unreadable> {
        let key = match number {
            Number::HostPort => return Ok(host_ports(&self.mappings()?)),
            Number::IngressRate => "ingressRate",
            Number::EgressRate => "egressRate",
        };
        let paths: [&[&str]; 3] =
            [&["runtimeConfig", "bandwidth", key], &["features", "bandwidth", key], &[key]];
        let rates: Result<Vec<u64>, _> = self.found(&paths)?.iter().map(At::number).collect();
        // 0 is no limit.
        Ok(rates?.into_iter().filter(|rate| *rate != 0).collect())
    }

    fn addresses(&self) -> Result<Vec<Net>, Unreadable> {
        let mut all = Vec::new();
        for text in self.args("IP").flat_map(|list| list.split(',')) {
            all.push(bare(text.trim()).ok_or_else(|| argument("IP", "is not an address"))?);
        }
        for list in self.found(&[&["runtimeConfig", "ips"], &["args", "cni", "ips"]])? {
            for at in list.list()? {
                all.push(bare(at.text()?).ok_or_else(|| at.unreadable("is not an address"))?);
            }
        }
        Ok(all.into_iter().filter(|one| !self.own.contains(one)).map(Net::single).collect())
    }

    fn mappings(&self) -> Result<Vec<Mapping>, Unreadable> {
        let mut all = Vec::new();
        for list in self.found(&[&["runtimeConfig", "portMappings"]])? {
            for at in list.list()? {
                all.push(mapping(&at)?);
            }
        }
        all.retain(|one| one.host_port != 0);
        Ok(all)
    }

    fn routes(&self) -> Result<Vec<Net>, Unreadable> {
        let mut all = Vec::new();
        for list in self.found(&[&["ipam", "routes"], &["routes"]])? {
            all.extend(destinations(&list)?);
        }
        Ok(all)
    }

    fn planned(&self) -> Option<&dyn Values> {
        self.plan
    }
}

/// Ports of the host, as numbers.
pub(crate) fn host_ports(mappings: &[Mapping]) -> Vec<u64> {
    mappings.iter().map(|one| one.host_port).collect()
}

/// The `dst` of each route.
pub(crate) fn destinations(list: &At<'_>) -> Result<Vec<Net>, Unreadable> {
    let destination = |at: At<'_>| {
        let dst = at.folded("dst")?.ok_or_else(|| at.unreadable("has no dst"))?;
        Net::parse(dst.text()?).ok_or_else(|| dst.unreadable("is not a network"))
    };
    list.list()?.map(destination).collect()
}

/// An address, less any prefix length.
pub(crate) fn bare(text: &str) -> Option<IpAddr> {
    match text.split_once('/') {
        Some((start, _)) => Net::parse(text).and_then(|_| address(start)),
        None => address(text),
    }
}

/// One entry of `portMappings`.
pub(crate) fn mapping(at: &At<'_>) -> Result<Mapping, Unreadable> {
    let port = |name| -> Result<u64, Unreadable> {
        let Some(at) = at.folded(name)? else { return Ok(0) };
        let number = at.number()?;
        u16::try_from(number).map_err(|_| at.unreadable("is not a port"))?;
        Ok(number)
    };
    let text = |name| -> Result<Option<(At<'_>, String)>, Unreadable> {
        let Some(at) = at.folded(name)? else { return Ok(None) };
        let text = at.text()?.to_ascii_lowercase();
        Ok((!text.is_empty()).then_some((at, text)))
    };
    let host_ip = match text("hostIP")? {
        Some((at, text)) => address(&text).ok_or_else(|| at.unreadable("is not an address"))?,
        None => ANYWHERE,
    };
    Ok(Mapping {
        host_port: port("hostPort")?,
        container_port: port("containerPort")?,
        protocol: text("protocol")?.map_or_else(|| "tcp".to_owned(), |(_, text)| text),
        host_ip,
    })
}

/// Six bytes and more in hexadecimal, by colons, hyphens or in groups with dots: in lower case,
/// by colons.
fn mac(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    if digits.len() < 12 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.to_ascii_lowercase();
    let pairs: Vec<&str> = digits.as_bytes().chunks(2).map(utf8).collect();
    Some(pairs.join(":"))
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A kernel parameter with dots: `net.ipv4.ip_forward`. None where it climbs.
pub(crate) fn sysctl(key: &str) -> Option<String> {
    let climbs = key.split('/').any(|part| part == "." || part == "..");
    let parts: Vec<&str> = key.split(['.', '/']).filter(|part| !part.is_empty()).collect();
    (!climbs && !parts.is_empty()).then(|| parts.join("."))
}

/// A value as text; lists and objects as JSON.
fn scalar(at: &At<'_>) -> Option<String> {
    match at.value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
