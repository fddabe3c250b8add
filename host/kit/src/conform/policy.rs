//! What a policy owes its host.

mod calls;
mod count;
mod patch;

use serde_json::{Map, Value, json};
use wharfinger_plan::{Action, Address, LinkRef, Others, Owner, Plan, Step};
use wharfinger_wasm::{Policy, PolicyRequest, Sources};

use super::{CONFIG, Report, Settings, Slowest, Stop, fault, run};
use crate::sim::{About, Called, NETWORK, Said, Sim};

/// Makes every check.
pub fn policy(plugin: &dyn Policy, settings: &Settings) -> Report {
    let subject = Subject { plugin, settings, slowest: Slowest::default() };
    run(
        plugin.identity(),
        "policy",
        settings,
        &[
            (CONFIG, "takes the configuration it is tried with", &|| calls::config(&subject)),
            ("same-answer", "says to one request always the same", &|| calls::same(&subject)),
            ("reasons", "gives a reason where it refuses", &|| calls::reasons(&subject)),
            ("patches", "changes only what a policy may", &|| patch::patches(&subject)),
            ("repeats", "counts an attachment once, however often it is asked", &|| {
                count::repeats(&subject)
            }),
            ("crashes", "counts nothing that never landed", &|| count::crashes(&subject)),
            ("returns", "counts nothing that is gone", &|| count::returns(&subject)),
            ("bad-config", "refuses what is wrong, with a pointer", &|| calls::bad(&subject)),
            ("hostile-input", "survives strange pods and networks", &|| calls::hostile(&subject)),
            ("deadline", "is done in half its time", &|| subject.slowest.check(settings)),
        ],
    )
}

/// What a refusal says that gave no reason: the second are the engine's own words.
const NO_REASON: [&str; 2] = ["", "no reason given"];

/// A policy, and what is known of it.
struct Subject<'a> {
    plugin: &'a dyn Policy,
    settings: &'a Settings,
    slowest: Slowest,
}

impl Subject<'_> {
    fn sim(&self) -> Sim {
        Sim::new(self.settings.node(), &[])
    }

    /// What a pod with some of everything would bring.
    fn request(&self, pod: usize, life: usize) -> PolicyRequest {
        let runtime = json!({
            "portMappings": [{
                "hostPort": 20_000 + pod % 10_000, "containerPort": 80, "protocol": "tcp",
            }],
            "bandwidth": { "ingressRate": 1_000_000, "ingressBurst": 100_000 },
        });
        self.asking(pod, life, &Map::new(), &runtime)
    }

    /// The same with `more` in the network configuration, and another `runtimeConfig`.
    fn asking(
        &self,
        pod: usize,
        life: usize,
        more: &Map<String, Value>,
        runtime: &Value,
    ) -> PolicyRequest {
        let attachment = self.settings.attachment(pod, life);
        let mut network = json!({
            "cniVersion": "1.1.0", "name": NETWORK, "type": "wharfinger", "driver": "bridge",
            "bridge": "cni0", "isGateway": true, "ipMasq": true, "mtu": 1_500,
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": "10.1.0.0/16" }], [{ "subnet": "fd00:1::/64" }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        });
        if let Some(object) = network.as_object_mut() {
            object.extend(self.settings.network.clone());
            object.extend(more.clone());
        }
        let mut whole = network.as_object().cloned().unwrap_or_default();
        whole.insert("runtimeConfig".to_owned(), runtime.clone());
        let args: Map<String, Value> = attachment
            .args
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        PolicyRequest {
            attachment,
            config: self.settings.config.to_string(),
            network_config: Value::Object(whole).to_string(),
            written: Sources {
                network: network.to_string(),
                runtime: runtime.to_string(),
                pod: json!({ "CNI_ARGS": args, "args": {}, "annotations": {} }).to_string(),
            },
        }
    }

    /// What it says; anything but a verdict or a typed failure is a fault.
    fn ask(&self, sim: &Sim, request: &PolicyRequest, lands: bool) -> Result<Called<Said>, Stop> {
        let called = self.slowest.note(sim.admit(self.plugin, request, &about(), lands)?);
        match &called.answer {
            Err(error) if super::lacks_http(error) => super::needs_http(error),
            Err(error) if super::crashed(error) => fault(error.to_string()),
            Ok(said) if said.denied().is_some_and(|reason| NO_REASON.contains(&reason.trim())) => {
                fault(format!("it refused {} without a reason", request.attachment.id))
            }
            _ => Ok(called),
        }
    }

    /// Why it says no, by itself or by a failure; none where it says yes.
    fn no(&self, sim: &Sim, request: &PolicyRequest, lands: bool) -> Result<Option<String>, Stop> {
        Ok(match self.ask(sim, request, lands)?.answer {
            Ok(said) => said.denied().map(str::to_owned),
            Err(error) => Some(error.to_string()),
        })
    }
}

/// A plan with a step of some kinds, and its result.
fn about() -> About {
    let steps = vec![
        Step { owner: Owner::Attachment, action: Action::Up { link: LinkRef::container("eth0") } },
        Step { owner: Owner::Attachment, action: address() },
    ];
    let result = json!({
        "cniVersion": "1.1.0",
        "interfaces": [{ "name": "eth0", "sandbox": "/run/netns/test" }],
        "ips": [{ "interface": 0, "address": "10.1.0.7/16", "gateway": "10.1.0.1" }],
        "dns": { "nameservers": ["10.1.0.53"] },
    });
    About { plan: Plan::new(steps), result: result.to_string() }
}

fn address() -> Action {
    Action::Address(Address {
        link: LinkRef::container("eth0"),
        address: ipnet::IpNet::new_assert([10, 1, 0, 7].into(), 16),
        nodad: false,
        prefix_route: true,
        others: Others::Keep,
    })
}
