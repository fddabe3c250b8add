//! Checks of single calls.

use serde_json::{Map, Value, json};
use wharfinger_wasm::{Error, PolicyRequest, Reason};

use super::{Subject, about};
use crate::conform::mutate::{self, Wrong};
use crate::conform::{Checked, Stop, crashed, fault, good_problem, idle};

/// Pods that a check asks about.
const SOME: usize = 20;

pub(super) fn config(subject: &Subject<'_>) -> Checked {
    let (node, config) = (subject.settings.node(), subject.settings.config.to_string());
    let problems = subject.plugin.validate(&node, &config);
    let problems = problems.or_else(|error| fault(format!("validate: {error}")))?;
    for problem in &problems {
        good_problem(&config, problem).map_err(Stop::Fault)?;
    }
    if !problems.is_empty() {
        let lines: Vec<String> =
            problems.iter().map(|p| format!("{}: {}", p.pointer, p.message)).collect();
        return idle(format!("it needs another configuration than {config}: {}", lines.join("; ")));
    }
    Ok(match subject.no(&subject.sim(), &subject.request(0, 0), false)? {
        Some(why) => format!("the first pod is refused: {why}"),
        None => "the first pod is admitted".to_owned(),
    })
}

pub(super) fn same(subject: &Subject<'_>) -> Checked {
    let sim = subject.sim();
    for pod in 0..SOME {
        let request = subject.request(pod, 0);
        let (one, two) = (subject.ask(&sim, &request, false)?, subject.ask(&sim, &request, false)?);
        if let (Ok(one), Ok(two)) = (&one.answer, &two.answer)
            && one != two
        {
            return fault(format!("asked twice with its store unchanged: {one:?}, then {two:?}"));
        }
        if one.imports != two.imports || one.answer.is_ok() != two.answer.is_ok() {
            let id = request.attachment.id;
            return fault(format!(
                "asked twice about {id}, it asked its host for different things"
            ));
        }
        subject.ask(&sim, &request, true)?;
    }
    Ok(String::new())
}

pub(super) fn reasons(subject: &Subject<'_>) -> Checked {
    let (mut asked, mut reasons) = (0, Vec::new());
    for request in varied(subject) {
        asked += 1;
        reasons.extend(subject.no(&subject.sim(), &request, false)?);
    }
    match reasons.first() {
        None => idle(format!("it refused none of {asked} requests")),
        Some(reason) => Ok(format!("{} of {asked} refused: {reason}", reasons.len())),
    }
}

/// Requests of many kinds, each well-formed.
pub(super) fn varied(subject: &Subject<'_>) -> Vec<PolicyRequest> {
    let object = |value: Value| value.as_object().cloned().unwrap_or_default();
    let networks = [
        Map::new(),
        object(json!({ "mtu": 9_000 })),
        object(json!({ "ipam": {} })),
        object(json!({ "driver": "ptp" })),
        object(json!({ "mac": "02:00:00:00:00:07" })),
        object(json!({ "sysctl": { "net.ipv4.conf.all.forwarding": "1" } })),
        object(json!({ "delegate": { "type": "macvlan", "master": "eth0" } })),
    ];
    let runtimes = [
        json!({}),
        json!({ "portMappings": [{ "hostPort": 22, "containerPort": 22, "protocol": "tcp" }] }),
        json!({ "bandwidth": { "egressRate": 1_000_000_000_000_u64, "egressBurst": 1_000 } }),
        json!({ "ips": ["10.1.0.9/16", "fd00:1::9"], "mac": "02:00:00:00:00:09" }),
    ];
    let pods = [(0, "kube-system", "node-agent"), (1, "team-a", "web-0"), (2, "", "")];
    let mut all: Vec<PolicyRequest> = (0..3).map(|pod| subject.request(pod, 0)).collect();
    for (number, namespace, name) in pods {
        for network in &networks {
            for runtime in &runtimes {
                let mut request = subject.asking(number, 0, network, runtime);
                if let Some(pod) = &mut request.attachment.pod {
                    namespace.clone_into(&mut pod.namespace);
                    name.clone_into(&mut pod.name);
                }
                all.push(request);
            }
        }
    }
    all
}

pub(super) fn bad(subject: &Subject<'_>) -> Checked {
    mutate::tried(&subject.settings.config, |wrong| refuses(subject, wrong))
}

/// What a policy does with a configuration that it cannot read: it must not admit by it.
fn refuses(subject: &Subject<'_>, wrong: &Wrong) -> Result<bool, Stop> {
    let Wrong { what, text, .. } = wrong;
    let problems = subject.plugin.validate(&subject.settings.node(), text);
    let problems = mutate::problems(wrong, problems)?;
    let request = PolicyRequest { config: text.clone(), ..subject.request(0, 0) };
    let called = subject.sim().admit(subject.plugin, &request, &about(), false)?;
    match subject.slowest.note(called).answer {
        Ok(said) if !problems.is_empty() && said.denied().is_none() => {
            fault(format!("{what}: validate finds fault with it, and admit lets the pod in"))
        }
        Ok(_) => Ok(!problems.is_empty()),
        Err(error) if crashed(&error) => fault(format!("{what}: {error}")),
        Err(Error::Failed { reason: Reason::InvalidConfig, message, .. })
            if problems.is_empty() =>
        {
            fault(format!("{what}: admit refuses it ({message}), validate finds nothing"))
        }
        Err(_) => Ok(true),
    }
}

pub(super) fn hostile(subject: &Subject<'_>) -> Checked {
    let sim = subject.sim();
    let strange = strange(&subject.request(0, 0));
    for (what, request) in &strange {
        let called = sim.admit(subject.plugin, request, &about(), false)?;
        if let Err(error) = subject.slowest.note(called).answer
            && crashed(&error)
        {
            return fault(format!("{what}: {error}"));
        }
    }
    Ok(format!("{} requests", strange.len()))
}

/// What a tenant, or who writes a pod, may send: the host has parsed it as an object with a name,
/// and no more.
fn strange(good: &PolicyRequest) -> Vec<(String, PolicyRequest)> {
    let mut all = Vec::new();
    let documents = [
        ("a list", "[]".to_owned()),
        ("no JSON", "{".to_owned()),
        ("nothing", String::new()),
        ("lists, 2,000 deep", format!(r#"{{"a":{}{}}}"#, "[".repeat(2_000), "]".repeat(2_000))),
        ("200,000 letters", json!({ "name": "pods", "x": "x".repeat(200_000) }).to_string()),
        ("a key twice", r#"{"name":"pods","mtu":1,"mtu":9000,"MTU":"x"}"#.to_owned()),
        ("other kinds", OTHER_KINDS.to_owned()),
        ("huge numbers", HUGE_NUMBERS.to_owned()),
    ];
    for (what, text) in documents {
        let mut request = good.clone();
        request.network_config.clone_from(&text);
        request.written.network.clone_from(&text);
        all.push((format!("a network configuration of {what}"), request));
        let mut request = good.clone();
        request.written.runtime.clone_from(&text);
        request.written.pod = text;
        all.push((format!("a runtime and a pod of {what}"), request));
    }
    let mut nobody = good.clone();
    nobody.attachment.pod = None;
    nobody.attachment.args.clear();
    all.push(("no pod".to_owned(), nobody));
    let mut strange = good.clone();
    if let Some(pod) = &mut strange.attachment.pod {
        "\u{202e}/../\u{0}\n*?[a".clone_into(&mut pod.name);
        // As long as a name of DNS may be.
        pod.namespace = "x".repeat(253);
    }
    all.push(("a pod with a strange name".to_owned(), strange));
    all
}

const OTHER_KINDS: &str = r#"{"name":7,"type":[],"driver":null,"mtu":"big","ipam":"host-local",
    "runtimeConfig":{"portMappings":{"hostPort":"80"},"bandwidth":[1],"ips":"10.1.0.9"},
    "args":{"cni":7},"delegate":7,"sysctl":[1],"policies":{},"prevResult":"x","dns":7}"#;
const HUGE_NUMBERS: &str = r#"{"name":"pods","mtu":1e400,"ipam":{"ranges":[[{"subnet":-1}]]},
    "runtimeConfig":{"portMappings":[{"hostPort":-1,"containerPort":99999999999999999999}],
    "bandwidth":{"ingressRate":-1.5,"egressRate":18446744073709551616}}}"#;
