//! Which place the executable stands in, and whom to ask for addresses.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use wharfinger_cni::NetConf;
use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_ledger::reserved::DATA_DIR;

use crate::names::{self, Kind};
use crate::{Engine, Error, Host, dhcp, network};

/// The `type` under which the executable has its own configuration.
pub const OUR_TYPE: &str = "wharfinger";

/// How long a released address rests where `coolDown` says nothing.
pub const COOL_DOWN: Duration = Duration::from_mins(1);

/// The address space of attachments that hold no address of ours.
pub(crate) const CHAINED: &str = "chained";

/// Where in a configuration the executable stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Our type with a driver: we make the interface.
    Main {
        /// `driver`.
        driver: String,
    },
    /// Another plugin makes the interface, and asks us for addresses.
    Ipam,
    /// Behind other plugins of a list: features and policies on what those made.
    Chained,
    /// Around other plugins, which `delegate` has.
    Wrapper,
}

/// The `ipam` object, as far as the host itself reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct IpamConf {
    /// Who decides.
    pub source: Source,
    /// The whole object.
    pub object: Map<String, Value>,
    /// `coolDown`, in seconds: how long a released address rests.
    pub cool_down: Duration,
    /// `statusWhenFull` is `ok`: an exhausted range does not make STATUS fail.
    pub ok_when_full: bool,
    /// `domain`: the address space, where the default does not fit.
    pub domain: Option<String>,
    /// Who holds what is given.
    pub store: Store,
    /// `dataDir` under our own type: where the reference held this network's addresses before.
    pub import: Option<PathBuf>,
}

/// Who holds addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// The ledger.
    Ledger,
    /// Directories of the reference `host-local`, one a network, in this one.
    Directory(PathBuf),
}

/// Who decides on addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A component of this name.
    Component(String),
    /// An executable of CNI_PATH of this name.
    Executable(String),
    /// A DHCP server, which the host itself asks.
    Dhcp,
}

/// Tells where in `conf` we stand (design, "The one executable, in each place it can stand").
pub fn place(conf: &NetConf) -> Result<Place, Error> {
    let fields = conf.fields();
    match names::kind(&conf.called) {
        Some(Kind::Main) => return Ok(Place::Main { driver: conf.called.clone() }),
        Some(Kind::Ipam) => return Ok(Place::Ipam),
        Some(Kind::Chained) => return Ok(Place::Chained),
        None => {}
    }
    if conf.plugin_type == OUR_TYPE {
        return match fields.str("driver")? {
            Some(_) if fields.get("delegate").is_some() => {
                Err(fields.error("delegate", "nothing beside \"driver\": one of both").into())
            }
            Some(driver) => Ok(Place::Main { driver: driver.to_owned() }),
            None => chained(&fields),
        };
    }
    let ipam_type = fields.object("ipam")?.and_then(|ipam| ipam.str("type").ok().flatten());
    if ipam_type == Some(OUR_TYPE) {
        return Ok(Place::Ipam);
    }
    Err(fields
        .error("type", "wharfinger, or another plugin with wharfinger as its ipam.type")
        .into())
}

/// Without a driver we stand behind other plugins, or around some. There are no addresses then: to
/// ignore that some are asked for would be to leave the container without.
fn chained(fields: &Fields<'_>) -> Result<Place, Error> {
    let addresses = fields.object("ipam")?.and_then(|ipam| ipam.get("type"));
    if let Some(name) = addresses {
        return Err(name.error("nothing: without a driver there are no addresses").into());
    }
    Ok(if fields.get("delegate").is_some() { Place::Wrapper } else { Place::Chained })
}

/// The reference plugin that keeps addresses in a directory.
pub(crate) const HOST_LOCAL: &str = "host-local";

/// Reads the `ipam` object; `None` where there is none, or it has no `type`: no addresses. `path`
/// is CNI_PATH, where executables are.
pub fn ipam(conf: &NetConf, host: &Host, path: &[PathBuf]) -> Result<Option<IpamConf>, Error> {
    let fields = conf.fields();
    let ipam = fields.object("ipam")?;
    let called = names::kind(&conf.called);
    let (ipam, source) = match (ipam, called) {
        (Some(ipam), Some(Kind::Ipam)) => {
            let source = source(&ipam, &conf.called, host.engine)?;
            (ipam, source)
        }
        (None, Some(Kind::Ipam)) => return Err(fields.error("ipam", "an object").into()),
        (None, _) => return Ok(None),
        (Some(ipam), called) => {
            let Some(name) = ipam.str("type")?.filter(|name| !name.is_empty()) else {
                return Ok(None);
            };
            // As there, what stands in CNI_PATH comes first; that it is ourselves costs no process.
            let foreign = called.is_some() && name != OUR_TYPE && host.node.foreign(name, path);
            let source = if foreign {
                Source::Executable(name.to_owned())
            } else {
                source(&ipam, name, host.engine)?
            };
            (ipam, source)
        }
    };
    let own = called.is_none() || ipam.str("type")?.is_some_and(|name| name == OUR_TYPE);
    if own && !host.ledger.shared() {
        refuse_shared(&ipam)?;
    }
    let store = match &source {
        Source::Component(name) if !own && name == HOST_LOCAL => Store::Directory(data_dir(&ipam)?),
        _ => Store::Ledger,
    };
    let import = match (&source, ipam.str("dataDir")?.filter(|path| !path.is_empty())) {
        (Source::Component(name), Some(path)) if own && name == HOST_LOCAL => {
            Some(PathBuf::from(path))
        }
        _ => None,
    };
    Ok(Some(IpamConf {
        import,
        source,
        object: ipam.map().clone(),
        cool_down: cool_down(&ipam)?,
        ok_when_full: ok_when_full(&ipam)?,
        domain: domain(&ipam)?,
        store,
    }))
}

/// Where the reference keeps its directories.
fn data_dir(ipam: &Fields<'_>) -> Result<PathBuf, ConfError> {
    let given = ipam.str("dataDir")?.filter(|path| !path.is_empty());
    Ok(PathBuf::from(given.unwrap_or(DATA_DIR)))
}

impl IpamConf {
    /// Whether a directory holds what is given.
    pub(crate) fn in_directory(&self) -> bool {
        matches!(self.store, Store::Directory(_))
    }

    /// Where it is said who decides.
    pub(crate) fn pointer(&self) -> &'static str {
        let name = Fields::new(&self.object, "/ipam").str("type").ok().flatten();
        if name == Some(OUR_TYPE) { "/ipam/plugin" } else { "/ipam/type" }
    }
}

fn source(ipam: &Fields<'_>, name: &str, engine: &dyn Engine) -> Result<Source, ConfError> {
    let component = |name: &str| is_file(name) || engine.knows(name);
    if name == dhcp::NAME {
        return Ok(Source::Dhcp);
    }
    if name == OUR_TYPE {
        return match ipam.str("plugin")? {
            Some(dhcp::NAME) => Ok(Source::Dhcp),
            Some(plugin) if component(plugin) => Ok(Source::Component(plugin.to_owned())),
            _ => Err(ipam.error("plugin", "the name of a component, such as host-local, or dhcp")),
        };
    }
    Ok(if component(name) {
        Source::Component(name.to_owned())
    } else {
        Source::Executable(name.to_owned())
    })
}

/// `shared` says that several nodes use the ranges. Of one node's book each would give out the same
/// addresses.
fn refuse_shared(ipam: &Fields<'_>) -> Result<(), ConfError> {
    if ipam.bool("shared")? != Some(true) {
        return Ok(());
    }
    let allowed = "false: the ledger of each node knows its own addresses alone, and all nodes would \
                   give out the same ones; give each node ranges of its own, or all of them one \
                   ledger (`ledger = \"etcd\"`)";
    Err(ipam.error("shared", allowed))
}

/// A component may be named by its path; an executable of CNI_PATH never is.
fn is_file(name: &str) -> bool {
    let path = std::path::Path::new(name);
    path.is_absolute() && path.extension().is_some_and(|extension| extension == "wasm")
}

fn cool_down(ipam: &Fields<'_>) -> Result<Duration, ConfError> {
    Ok(ipam.u32("coolDown")?.map_or(COOL_DOWN, |seconds| Duration::from_secs(seconds.into())))
}

fn ok_when_full(ipam: &Fields<'_>) -> Result<bool, ConfError> {
    match ipam.str("statusWhenFull")? {
        None | Some("unavailable") => Ok(false),
        Some("ok") => Ok(true),
        Some(_) => Err(ipam.error("statusWhenFull", "ok or unavailable")),
    }
}

/// One word, as it stands in a link's alias.
fn domain(ipam: &Fields<'_>) -> Result<Option<String>, ConfError> {
    let good = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
    };
    match ipam.str("domain")? {
        None => Ok(None),
        Some(text) if good(text) => Ok(Some(text.to_owned())),
        Some(_) => Err(ipam.error("domain", "1 to 64 letters, digits, '.', '_', ':' or '-'")),
    }
}

/// The address space of a network whose interface another plugin makes: the host's where that
/// routes, otherwise the bridge's or the master's.
pub fn foreign_domain(conf: &NetConf) -> Result<String, ConfError> {
    let fields = conf.fields();
    if let Some(master) = fields.str("master")?.filter(|name| !name.is_empty()) {
        // Each tag is a segment.
        let tag = fields.u32("vlanId")?.filter(|_| conf.plugin_type == "vlan");
        let tag = tag.map(|tag| format!(".{tag}")).unwrap_or_default();
        return Ok(format!("master:{master}{tag}"));
    }
    let gateway = fields.bool("isGateway")?.unwrap_or(false)
        || fields.bool("isDefaultGateway")?.unwrap_or(false);
    if conf.plugin_type == "bridge" && !gateway {
        let bridge = fields.str("bridge")?.filter(|name| !name.is_empty()).unwrap_or("cni0");
        return Ok(format!("bridge:{bridge}"));
    }
    Ok("host".to_owned())
}

/// Whether a configuration of ours with a driver is one that an ADD would take, as far as driver
/// and features tell.
pub fn readable(conf: &NetConf) -> Result<(), Error> {
    let driver = conf.fields().str("driver")?.unwrap_or_default();
    let call = network::pretended(conf, "eth0", "none");
    wharfinger_drivers::Conf::parse(driver, &call)?;
    wharfinger_drivers::features::Feature::all(&call)?;
    Ok(())
}

/// The address space of a network of ours, or of one that asks us for addresses.
pub fn domain_of(conf: &NetConf) -> Result<String, Error> {
    let set = match conf.fields().object("ipam")? {
        Some(ipam) => domain(&ipam)?,
        None => None,
    };
    match (set, place(conf)?) {
        (Some(domain), _) => Ok(domain),
        (None, Place::Main { driver }) => {
            let call = network::pretended(conf, "eth0", "none");
            Ok(wharfinger_drivers::Conf::parse(&driver, &call)?.domain())
        }
        (None, Place::Ipam) => Ok(foreign_domain(conf)?),
        (None, Place::Chained | Place::Wrapper) => Ok(CHAINED.to_owned()),
    }
}
