//! Checks of single calls.

use std::net::IpAddr;

use serde_json::Value;
use wharfinger_wasm::{Error, Reason, Request};

use super::{Subject, addresses, first, must_refuse, passed, reason, spelled};
use crate::conform::mutate::{self, Wrong};
use crate::conform::{Checked, Stop, crashed, fault, good_problem, idle};

/// Attachments that a check makes.
const SOME: usize = 20;
/// No range of anybody's: RFC 5737, RFC 3849.
const NOWHERE: [&str; 2] = ["192.0.2.77", "2001:db8:ffff::77"];

pub(super) fn config(subject: &Subject<'_>) -> Checked {
    let node = subject.settings.node();
    let problems = match subject.plugin.validate(&node, &subject.config) {
        Ok(problems) => problems,
        Err(error) => return fault(format!("validate: {error}")),
    };
    if problems.is_empty() {
        // Some problems show only where an address is asked for.
        return match subject.crash(&subject.sim(), &subject.request(0, 0))?.answer {
            Err(Error::Failed { reason: Reason::InvalidConfig, message, .. }) => {
                idle(format!("it needs a configuration, give one: {message}"))
            }
            Err(error) => fault(format!("the first ADD failed: {error}")),
            Ok(lease) => passed(format!("the first ADD gets {}", spelled(&addresses(&lease)))),
        };
    }
    for problem in &problems {
        good_problem(&subject.config, problem).map_err(Stop::Fault)?;
    }
    let lines: Vec<String> =
        problems.iter().map(|p| format!("{}: {}", p.pointer, p.message)).collect();
    idle(format!("it needs another configuration than {}: {}", subject.config, lines.join("; ")))
}

pub(super) fn pools(subject: &Subject<'_>) -> Checked {
    match &subject.pools {
        Ok(pools) if pools.iter().any(|pool| pool.name.is_empty()) => fault("a pool has no name"),
        Ok(pools) if pools.is_empty() => passed("none: STATUS cannot tell how full it is"),
        Ok(pools) => {
            let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
            passed(names.join("; "))
        }
        Err(error) if reason(error) == Some(Reason::InvalidConfig) => idle(error.to_string()),
        Err(error) => fault(error.to_string()),
    }
}

pub(super) fn lease(subject: &Subject<'_>) -> Checked {
    first(subject)?;
    let sim = subject.sim();
    for pod in 0..SOME {
        let given = addresses(&subject.given(&sim, &subject.request(pod, 0))?);
        let astray = given.iter().find(|address| !subject.within(**address));
        if let Some(address) = astray.filter(|_| !subject.ranges().is_empty()) {
            return fault(format!("it gave {address}, which lies in none of its pools"));
        }
    }
    passed(format!("{SOME} leases"))
}

pub(super) fn same(subject: &Subject<'_>) -> Checked {
    first(subject)?;
    let sim = subject.sim();
    for pod in 0..SOME {
        let request = subject.request(pod, 0);
        let (one, two) = (subject.crash(&sim, &request)?, subject.crash(&sim, &request)?);
        if let (Ok(one), Ok(two)) = (&one.answer, &two.answer)
            && one != two
        {
            let (one, two) = (spelled(&addresses(one)), spelled(&addresses(two)));
            return fault(format!(
                "asked twice with the ledger unchanged: first {one}, then {two}"
            ));
        }
        if one.imports != two.imports || one.answer.is_ok() != two.answer.is_ok() {
            let id = request.attachment.id;
            return fault(format!("asked twice for {id}, it asked its host for different things"));
        }
        subject.given(&sim, &request)?;
    }
    passed("")
}

pub(super) fn again(subject: &Subject<'_>) -> Checked {
    first(subject)?;
    let mut sim = subject.sim();
    let mut given = Vec::new();
    for pod in 0..SOME {
        given.push(subject.given(&sim, &subject.request(pod, 0))?);
    }
    sim.node.now += 60;
    for (pod, lease) in given.iter().enumerate() {
        let now = subject.given(&sim, &subject.request(pod, 0))?;
        if addresses(&now) != addresses(lease) {
            let (before, now) = (spelled(&addresses(lease)), spelled(&addresses(&now)));
            return fault(format!(
                "an attachment that holds {before} was asked again, and got {now}"
            ));
        }
    }
    passed("")
}

fn asking(subject: &Subject<'_>, pod: usize, wanted: &[IpAddr]) -> Request {
    Request { wanted: wanted.to_vec(), ..subject.request(pod, 0) }
}

pub(super) fn wanted(subject: &Subject<'_>) -> Checked {
    let lease = first(subject)?;
    let (sim, free) = (subject.sim(), addresses(&lease));
    if free.is_empty() {
        return idle("it gives no addresses");
    }
    if let Err(error) = subject.crash(&sim, &asking(subject, 1, &free))?.answer {
        must_refuse(&Err(error), Reason::Conflict, "asked for a free address by name")?;
        return passed("it refuses every address asked for by name");
    }
    subject.given(&sim, &asking(subject, 1, &free))?;
    let held = subject.crash(&sim, &asking(subject, 2, &free))?;
    must_refuse(&held.answer, Reason::Conflict, "asked for an address that another holds")?;
    for nowhere in NOWHERE.iter().filter_map(|text| text.parse::<IpAddr>().ok()) {
        let ours = free.iter().any(|address| address.is_ipv4() == nowhere.is_ipv4());
        if ours && !subject.within(nowhere) && !subject.ranges().is_empty() {
            let strange = subject.crash(&sim, &asking(subject, 2, &[nowhere]))?;
            let when = format!("asked for {nowhere}, which lies in none of its pools");
            must_refuse(&strange.answer, Reason::Conflict, &when)?;
        }
    }
    gateway(subject, &lease)?;
    both(subject, &free)?;
    passed("granted where free, refused where held or elsewhere")
}

/// The gateway is nobody's address.
fn gateway(subject: &Subject<'_>, lease: &wharfinger_wasm::Lease) -> Result<(), Stop> {
    for gateway in lease.addresses.iter().filter_map(|leased| leased.gateway) {
        let called = subject.crash(&subject.sim(), &asking(subject, 3, &[gateway]))?;
        if called.answer.is_ok() {
            return fault(format!("it gave {gateway}, its own gateway, to who asked for it"));
        }
    }
    Ok(())
}

/// Who asks for an address of one family still gets the other.
fn both(subject: &Subject<'_>, free: &[IpAddr]) -> Result<(), Stop> {
    for address in free.iter().filter(|_| free.len() > 1) {
        let called = subject.crash(&subject.sim(), &asking(subject, 4, &[*address]))?;
        if let Ok(lease) = called.answer
            && lease.addresses.len() < free.len()
        {
            let given = spelled(&addresses(&lease));
            return fault(format!("asked for {address} by name, it gave {given} alone"));
        }
    }
    Ok(())
}

pub(super) fn bad(subject: &Subject<'_>) -> Checked {
    mutate::tried(&subject.settings.config, |wrong| refuses(subject, wrong))
}

fn refuses(subject: &Subject<'_>, wrong: &Wrong) -> Result<bool, Stop> {
    let Wrong { what, text, .. } = wrong;
    let problems = subject.plugin.validate(&subject.settings.node(), text);
    let problems = mutate::problems(wrong, problems)?;
    let asked: Value = serde_json::from_str(text).unwrap_or_default();
    let request = Request { config: text.clone(), ..subject.request_with(0, 0, &asked) };
    if let Err(error) = subject.plugin.pools(&subject.settings.node(), text)
        && crashed(&error)
    {
        return fault(format!("{what}: {error}"));
    }
    // Its ranges, if it has any, are not ours.
    let sim = crate::sim::Sim::new(subject.settings.node(), &[]);
    match subject.slowest.note(sim.crash(subject.plugin, &request)?).answer {
        Ok(_) if !problems.is_empty() => {
            fault(format!("{what}: validate finds fault with it, and allocate does not"))
        }
        Ok(_) => Ok(false),
        Err(error) if crashed(&error) => fault(format!("{what}: {error}")),
        Err(Error::Failed { reason: Reason::InvalidConfig, message, detail, .. }) => {
            let pointer = message.contains('/') || detail.is_some_and(|text| text.contains('/'));
            // The whole configuration has the empty pointer.
            let root =
                !asked.is_object() || asked.as_object().is_some_and(serde_json::Map::is_empty);
            if problems.is_empty() && !pointer && !root {
                return fault(format!("{what}: it was refused without a pointer: {message}"));
            }
            Ok(true)
        }
        Err(_) => Ok(!problems.is_empty()),
    }
}

pub(super) fn hostile(subject: &Subject<'_>) -> Checked {
    first(subject)?;
    let sim = subject.sim();
    let strange = strange(&subject.request(0, 0));
    for (what, request) in &strange {
        let called = subject.slowest.note(sim.crash(subject.plugin, request)?);
        if let Err(error) = called.answer
            && crashed(&error)
        {
            return fault(format!("{what}: {error}"));
        }
    }
    passed(format!("{} requests", strange.len()))
}

/// What a runtime, or who writes a pod, may send.
fn strange(good: &Request) -> Vec<(&'static str, Request)> {
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    // As long as a name of DNS may be.
    let long = "x".repeat(253);
    vec![
        ("no pod", with(&|r| r.attachment.pod = None)),
        ("no arguments", with(&|r| r.attachment.args.clear())),
        (
            "an argument twice, and empty",
            with(&|r| r.attachment.args = vec![pair("", ""), pair("IP", ""), pair("IP", "x")]),
        ),
        (
            "1,000 arguments",
            with(&|r| r.attachment.args = vec![pair("K8S_POD_NAME", &long[..50]); 1_000]),
        ),
        (
            "a pod with a strange name",
            with(&|r| {
                if let Some(pod) = &mut r.attachment.pod {
                    "\u{202e}/../\u{0}\n'\";--".clone_into(&mut pod.name);
                    pod.namespace.clone_from(&long);
                    pod.uid = None;
                }
            }),
        ),
        ("a container with a long name", with(&|r| r.attachment.id.container.clone_from(&long))),
        ("a network that is no object", with(&|r| "[]".clone_into(&mut r.network_config))),
        ("a network that is no JSON", with(&|r| "{".clone_into(&mut r.network_config))),
        (
            "a network with a strange runtimeConfig",
            with(&|r| {
                r#"{"name": 7, "ipam": [], "args": {"cni": 7}, "runtimeConfig": {"ips": 7, "ipRanges": "x"}}"#
                .clone_into(&mut r.network_config);
            }),
        ),
    ]
}
