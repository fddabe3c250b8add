//! Sets the MTU that its configuration names. What is built of this is kept, one file for each
//! version of the contract.

#[cfg(not(feature = "contract-0-2-0"))]
wit_bindgen::generate!({ path: "../../../../wit/0.1.0", world: "policy-plugin", generate_all });
#[cfg(all(feature = "contract-0-2-0", not(feature = "contract-0-3-0")))]
wit_bindgen::generate!({ path: "../../../../wit/0.2.0", world: "policy-plugin", generate_all });
#[cfg(feature = "contract-0-3-0")]
wit_bindgen::generate!({ path: "../../../../wit/0.3.0", world: "policy-plugin", generate_all });

use exports::wharfinger::plugin::policy::{Guest, Request, Verdict};
use wharfinger::plugin::plan::Step;
use wharfinger::plugin::types::{Failure, Problem, Reason};
use wharfinger::plugin::{logger, node, store};

struct Plugin;
export!(Plugin);

/// The number after `"mtu":`.
fn mtu(config: &str) -> Option<u32> {
    let (_, rest) = config.split_once(r#""mtu":"#)?;
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn invalid() -> Failure {
    Failure { reason: Reason::InvalidConfig, message: "/mtu: a number".into(), detail: None }
}

impl Guest for Plugin {
    fn validate(config: String) -> Vec<Problem> {
        match mtu(&config) {
            Some(_) => vec![],
            None => vec![Problem { pointer: "/mtu".into(), message: "a number".into() }],
        }
    }

    fn admit(request: Request) -> Result<Verdict, Failure> {
        let mtu = mtu(&request.config).ok_or_else(invalid)?;
        let id = &request.attachment.id;
        // Every import is used, so that each is tried.
        let key = format!("{}/{}", id.container, id.ifname);
        store::put(&key, &node::name(), store::Lifetime::Attachment);
        assert!(store::get(&key).is_some());
        logger::log(logger::Level::Info, &format!("{key} at {}", node::now()));
        #[cfg(feature = "contract-0-2-0")]
        assert!(store::count("") > 0 && request.written.pod.starts_with('{'));
        #[cfg(feature = "contract-0-3-0")]
        if request.config.contains("pod") {
            use wharfinger::plugin::workload::{self, Absence};
            let said = match workload::pod() {
                Ok(known) => {
                    let pairs = known.of_pod.labels.iter().chain(&known.of_namespace.labels);
                    let pairs = pairs.map(|pair| format!("{}={}", pair.name, pair.value));
                    pairs.collect::<Vec<_>>().join(" ")
                }
                Err(Absence::NotThere(why)) => format!("not there: {why}"),
                Err(Absence::Stale(why)) => format!("stale: {why}"),
                Err(Absence::Unreachable(why)) => format!("unreachable: {why}"),
            };
            return Ok(Verdict::Deny(said));
        }
        Ok(Verdict::Amend(format!(r#"{{"mtu":{mtu}}}"#)))
    }

    fn review(request: Request, steps: Vec<Step>, _: String) -> Result<Verdict, Failure> {
        let wanted = mtu(&request.config);
        let links = steps.iter().filter_map(|step| match step {
            Step::Link(link) => link.mtu,
            _ => None,
        });
        if links.clone().any(|mtu| Some(mtu) != wanted) {
            return Ok(Verdict::Deny("a link of another MTU".into()));
        }
        Ok(Verdict::Allow)
    }
}
