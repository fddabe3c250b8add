//! Binds the logic to the contract: text in, text out, nothing decided here.

use crate::config::{self, Config};
use crate::decide;
use crate::facts::{self, Facts, Mapping};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod contract {
    wit_bindgen::generate!({
        path: "../../wit/0.3.0",
        world: "policy-plugin",
        generate_all,
    });
}
use contract::exports::wharfinger::plugin::policy::{Guest, Request, Verdict};
use contract::wharfinger::plugin::plan::{Direction, Step};
use contract::wharfinger::plugin::types::{Attachment, Failure, Pair, Problem, Reason};
use contract::wharfinger::plugin::workload::{self, Absence};
use contract::wharfinger::plugin::{logger, store};

struct Plugin;
contract::export!(Plugin with_types_in contract);

impl Guest for Plugin {
    fn validate(config: String) -> Vec<Problem> {
        let problem = |p: config::Problem| Problem { pointer: p.pointer, message: p.message };
        config::parse(&config).err().unwrap_or_default().into_iter().map(problem).collect()
    }

    fn admit(request: Request) -> Result<Verdict, Failure> {
        let config = read(&request.config)?;
        let attachment = attachment(request.attachment);
        let facts = Facts::new(&attachment, &request.network_config, &request.written.pod, &Host);
        let verdict = decide::admit(config, &facts, &mut Host);
        verdict.map(answer).map_err(|message| failure(Reason::Other, message, None))
    }

    fn review(request: Request, steps: Vec<Step>, result: String) -> Result<Verdict, Failure> {
        let config = read(&request.config)?;
        let attachment = attachment(request.attachment);
        let facts = Facts::new(&attachment, &request.network_config, &request.written.pod, &Host);
        let mut plan = plan(steps);
        plan.result = serde_json::from_str(&result).map_err(|error| {
            failure(Reason::Other, format!("the result is not JSON: {error}"), None)
        })?;
        Ok(answer(decide::review(&config, facts, &plan, &mut Host)))
    }
}

/// The first problem leads; all of them are the detail.
fn read(config: &str) -> Result<Config, Failure> {
    config::parse(config).map_err(|problems| {
        let lines: Vec<String> =
            problems.iter().map(|p| format!("{}: {}", p.pointer, p.message)).collect();
        let message = lines.first().cloned().unwrap_or_default();
        failure(Reason::InvalidConfig, message, (lines.len() > 1).then(|| lines.join("\n")))
    })
}

fn failure(reason: Reason, message: String, detail: Option<String>) -> Failure {
    Failure { reason, message, detail }
}

fn answer(verdict: decide::Verdict) -> Verdict {
    match verdict {
        decide::Verdict::Allow => Verdict::Allow,
        decide::Verdict::Deny(reason) => Verdict::Deny(reason),
        decide::Verdict::Amend(patch) => Verdict::Amend(patch.to_string()),
    }
}

fn attachment(given: Attachment) -> facts::Attachment {
    facts::Attachment {
        network: given.id.network,
        container: given.id.container,
        interface: given.id.ifname,
        pod: given.pod.map(|pod| (pod.namespace, pod.name)),
        args: given.args.into_iter().map(|pair| (pair.name, pair.value)).collect(),
    }
}

fn plan(steps: Vec<Step>) -> crate::plan::Plan {
    let mut plan = crate::plan::Plan::default();
    for step in steps {
        match step {
            Step::Route(step) => plan.routes.push(step.route.destination),
            Step::Sysctl(step) => plan.sysctls.push(step.key),
            Step::Shaping(step) => match step.direction {
                Direction::Ingress => plan.ingress.push(step.rate),
                Direction::Egress => plan.egress.push(step.rate),
            },
            Step::Forward(step) => plan.forwards.push(Mapping::of(
                step.host_port,
                step.port,
                &step.protocol,
                step.host_address.as_deref(),
            )),
            Step::Link(_) | Step::Address(_) | Step::Firewall(_) | Step::Other(_) => {}
        }
    }
    plan
}

/// The host, as the logic asks it.
struct Host;

impl facts::Api for Host {
    fn pod(&self) -> Result<facts::Known, String> {
        let pairs = |all: Vec<Pair>| all.into_iter().map(|p| (p.name, p.value)).collect();
        let known = workload::pod().map_err(|absence| match absence {
            Absence::NotThere(why) | Absence::Stale(why) | Absence::Unreachable(why) => why,
        });
        // Where that is passed over, the log tells it.
        let known = known.inspect_err(|why| logger::log(logger::Level::Warn, why))?;
        Ok(facts::Known {
            labels: pairs(known.of_pod.labels),
            annotations: pairs(known.of_pod.annotations),
            namespace_labels: pairs(known.of_namespace.labels),
            namespace_annotations: pairs(known.of_namespace.annotations),
        })
    }
}

impl crate::quota::Store for Host {
    fn get(&mut self, key: &str) -> Option<String> {
        store::get(key)
    }

    fn put(&mut self, key: &str, value: &str) {
        store::put(key, value, store::Lifetime::Attachment);
    }

    fn count(&mut self, prefix: &str) -> u64 {
        store::count(prefix)
    }

    fn scan(&mut self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<(String, String)> {
        let page = store::scan(prefix, after, limit);
        page.into_iter().map(|pair| (pair.name, pair.value)).collect()
    }
}
