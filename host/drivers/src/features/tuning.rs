//! `tuning`: settings of the container's link, and kernel parameters of its namespace.
//!
//! Start reading at [`Tuning`].

use regex_lite::Regex;
use serde_json::Value;
use wharfinger_cni::args::{POD_ARGS, arg, args_cni, mac_field, not_empty, refuse_unknown_args};
use wharfinger_cni::conf::{ConfError, Field, Fields};
use wharfinger_cni::{Attach, AttachmentId, RuntimeConfig, Success};
use wharfinger_plan::{Action, Change, LinkRef, Mac, Place, Settings, Step, Sysctl};

use super::{Subject, refuse_near_misses};
use crate::{Error, Facts};

pub(crate) const KEYS: &[&str] =
    &["sysctl", "mac", "promisc", "mtu", "txQLen", "allmulti", "dataDir"];

/// Where the reference plugin keeps what was, unless `dataDir` says otherwise.
const DATA_DIR: &str = "/run/cni/tuning";
/// Stands for the interface's name in the key of a parameter.
const IFNAME: &str = "IFNAME";

/// The configuration of `tuning`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tuning {
    sysctls: Vec<Parameter>,
    mac: Option<Mac>,
    /// Switched on; it is never switched off.
    promisc: bool,
    mtu: Option<u32>,
    allmulti: Option<bool>,
    txqlen: Option<u32>,
}

/// A kernel parameter.
#[derive(Debug, Clone, PartialEq)]
struct Parameter {
    /// As written: `net.ipv4.conf.IFNAME.arp_filter`. Lists of what is allowed are about this.
    written: String,
    pointer: String,
    /// Below `/proc/sys`, with the interface's name.
    key: String,
    value: String,
}

impl Tuning {
    pub(crate) fn parse(fields: &Fields<'_>, call: &Attach) -> Result<Option<Self>, Error> {
        refuse_near_misses(fields, call, KEYS)?;
        refuse_unknown_args(&call.args, &[&["IP", "GATEWAY", "MAC"], POD_ARGS].concat())?;
        // The last of those that are there counts.
        let args = args_cni(&call.conf);
        let places = [Some(fields), args.as_ref()];
        let mut tuning = Self { mac: mac(fields, args.as_ref(), call)?, ..Self::default() };
        for place in places.into_iter().flatten() {
            tuning.read(place, &call.id.ifname)?;
        }
        let is_set = tuning != Self::default();
        Ok(is_set.then_some(tuning))
    }

    /// Takes over what stands in the configuration, or in `args.cni`.
    fn read(&mut self, fields: &Fields<'_>, ifname: &str) -> Result<(), ConfError> {
        for parameter in parameters(fields, ifname)? {
            self.sysctls.retain(|other| other.written != parameter.written);
            if let Some(other) = self.sysctls.iter().find(|other| other.key == parameter.key) {
                let key = &parameter.written;
                let allowed = format!("one spelling of a parameter: {:?} is it too", other.written);
                let found = format!("the key {key:?}");
                return Err(ConfError { pointer: parameter.pointer, found, allowed });
            }
            self.sysctls.push(parameter);
        }
        self.promisc = fields.bool("promisc")?.unwrap_or(self.promisc);
        self.mtu = match fields.get("mtu") {
            Some(_) => crate::read::mtu(fields)?,
            None => self.mtu,
        };
        self.allmulti = fields.bool("allmulti")?.or(self.allmulti);
        self.txqlen = fields.u32("txQLen")?.or(self.txqlen);
        Ok(())
    }

    /// The parameters that are asked for, as written.
    pub fn sysctls(&self) -> impl Iterator<Item = &str> {
        self.sysctls.iter().map(|parameter| parameter.written.as_str())
    }

    /// Whether all parameters are on a list of what is allowed, such as the text of
    /// `/etc/cni/tuning/allowlist.conf`: a line each, as a regular expression that is found
    /// anywhere in the parameter's name as written.
    pub fn check_allowed(&self, list: &str) -> Result<(), Error> {
        let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<Regex> = lines
            .map(|line| Regex::new(line).map_err(|error| bad_line(line, &error.to_string())))
            .collect::<Result<_, _>>()?;
        let refused = |it: &&Parameter| !lines.iter().any(|line| line.is_match(&it.written));
        match self.sysctls.iter().find(refused) {
            None => Ok(()),
            Some(Parameter { pointer, written, .. }) => Err(Error::Invalid(ConfError {
                pointer: pointer.clone(),
                found: format!("the parameter {written:?}"),
                allowed: format!("what /etc/cni/tuning/allowlist.conf has: {list:?}"),
            })),
        }
    }

    pub(crate) fn plan(&self, subject: &Subject<'_>, facts: &Facts) -> Vec<Step> {
        let sysctl = |parameter: &Parameter| {
            Step::owned(Action::Sysctl(Sysctl {
                place: Place::Container,
                key: parameter.key.clone(),
                value: parameter.value.clone(),
                optional: false,
            }))
        };
        let mut steps: Vec<Step> = self.sysctls.iter().map(sysctl).collect();
        let settings = self.settings(subject.inside, facts);
        if !settings.is_none() {
            steps.push(Step::owned(Action::Settings(settings)));
        }
        steps
    }

    /// With what the link has now, to be put back by a DEL; a link that our own driver is about to
    /// make has nothing yet, and goes itself.
    fn settings(&self, link: &LinkRef, facts: &Facts) -> Settings {
        let was = facts.get(link);
        Settings {
            link: link.clone(),
            mac: self.mac.map(|to| Change { to, was: was.and_then(|was| was.mac) }),
            mtu: self.mtu.map(|to| Change { to, was: was.map(|was| was.mtu) }),
            promisc: self.promisc.then(|| Change { to: true, was: was.map(|was| was.promisc) }),
            allmulti: self.allmulti.map(|to| Change { to, was: was.map(|was| was.allmulti) }),
            txqlen: self.txqlen.map(|to| Change { to, was: was.map(|was| was.txqlen) }),
        }
    }

    /// The answer has what the interface has now, so that a CHECK of who made it goes by that.
    pub(crate) fn amend(&self, subject: &Subject<'_>, result: &mut Success) {
        let name = &subject.inside.name;
        let own = result.interfaces.iter_mut().filter(|it| it.name == *name);
        for interface in own.filter(|it| !it.sandbox.is_empty()) {
            if let Some(mac) = self.mac {
                interface.mac = mac.to_string();
            }
            interface.mtu = interface.mtu.and(self.mtu).or(interface.mtu);
        }
    }
}

/// The key, CNI_ARGS, the capability, `args.cni`: the last of these that is there.
fn mac(
    fields: &Fields<'_>,
    args: Option<&Fields<'_>>,
    call: &Attach,
) -> Result<Option<Mac>, ConfError> {
    let field = |fields: &Fields<'_>| {
        let given = fields.get("mac").filter(not_empty);
        given.map(|field| mac_field(&field)).transpose()
    };
    let by_args = match arg(&call.args, "MAC") {
        Some(text) => {
            let value = Value::from(text);
            let pointer = "CNI_ARGS MAC".to_owned();
            Some(mac_field(&Field { value: &value, pointer })?)
        }
        None => None,
    };
    let low = field(fields)?;
    let runtime = RuntimeConfig::of(&call.conf)?.mac()?;
    let high = args.map(field).transpose()?.flatten();
    // What is no address was refused by now.
    Ok(high.or(runtime).or(by_args).or(low).and_then(|text| text.parse().ok()))
}

fn parameters(fields: &Fields<'_>, ifname: &str) -> Result<Vec<Parameter>, ConfError> {
    let Some(sysctl) = fields.object("sysctl")? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for written in sysctl.map().keys() {
        let pointer = sysctl.pointer_of(written);
        let value = sysctl.map().get(written).and_then(Value::as_str);
        let value = value.ok_or_else(|| sysctl.error(written, "a string"))?.to_owned();
        let key = path(written, ifname).ok_or_else(|| ConfError {
            pointer: pointer.clone(),
            found: format!("the parameter {written:?}"),
            allowed: "one of the namespace's own, which begin with \"net.\"".to_owned(),
        })?;
        all.push(Parameter { written: written.clone(), pointer, key, value });
    }
    Ok(all)
}

/// Below `/proc/sys`; none where it is not below `net` there.
fn path(written: &str, ifname: &str) -> Option<String> {
    // The name comes in last: it may have dots of its own.
    let path = written.replace('.', "/").replacen(IFNAME, ifname, 1);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let leads_out = parts.iter().any(|part| matches!(*part, "." | ".."));
    match parts.as_slice() {
        ["net", _, ..] if !leads_out => Some(parts.join("/")),
        _ => None,
    }
}

fn bad_line(line: &str, why: &str) -> Error {
    Error::Invalid(ConfError {
        pointer: "/etc/cni/tuning/allowlist.conf".to_owned(),
        found: format!("the line {line:?}"),
        allowed: format!("a regular expression: {why}"),
    })
}

/// Where the reference plugin keeps what was of an attachment's interface.
pub fn backup_of_reference(fields: &Fields<'_>, id: &AttachmentId) -> String {
    let dir = fields.str("dataDir").ok().flatten().filter(|dir| !dir.is_empty());
    let ifname = id.ifname.split(':').next().unwrap_or_default();
    format!("{}/{}_{ifname}.json", dir.unwrap_or(DATA_DIR), id.container)
}

/// What the reference plugin changed of a link, by the text of [`backup_of_reference`]: to be
/// undone by a DEL. None where the text is none of its, or has nothing to put back.
pub fn restored_from(text: &str, link: &LinkRef) -> Option<Step> {
    let value: Value = serde_json::from_str(text).ok()?;
    let fields = Fields::new(value.as_object()?, "");
    let number = |key| fields.u32(key).ok().flatten();
    let flag = |key| fields.bool(key).ok().flatten();
    let mac = fields.str("mac").ok().flatten().and_then(|text| text.parse::<Mac>().ok());
    let settings = Settings {
        link: link.clone(),
        mac: mac.map(back),
        mtu: number("mtu").filter(|mtu| *mtu != 0).map(back),
        promisc: flag("promisc").map(back),
        allmulti: flag("allmulti").map(back),
        txqlen: number("txQLen").map(back),
    };
    (!settings.is_none()).then(|| Step::owned(Action::Settings(settings)))
}

/// A change of which only the value before it is known.
fn back<T: Copy>(was: T) -> Change<T> {
    Change { to: was, was: Some(was) }
}
