//! Which ports of the host a namespace may have.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, de};
use wharfinger_sdk::plan::Step;
use wharfinger_sdk::serde_json::Value;
use wharfinger_sdk::{
    Attachment, Explain, Failure, Policy, PolicyRequest, Reason, Verdict, export_policy,
};

/// The policy's configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ports {
    /// For a namespace that is not named, and for what is no pod: none, unless said here.
    #[serde(default)]
    default: Vec<Span>,
    /// By namespace.
    #[serde(default)]
    namespaces: BTreeMap<String, Vec<Span>>,
}

/// "8080" or "8000-8100".
#[derive(Debug)]
struct Span(RangeInclusive<u16>);

export_policy!(Ports);

impl Policy for Ports {
    fn admit(&self, request: &PolicyRequest) -> Result<Verdict, Failure> {
        self.judge(&request.attachment, asked(&request.network)?)
    }

    /// What is about to be done, whoever asked for it.
    fn review(
        &self,
        request: &PolicyRequest,
        steps: &[Step],
        _: &Value,
    ) -> Result<Verdict, Failure> {
        let forwarded = steps.iter().filter_map(|step| match step {
            Step::Forward(forward) => Some(forward.host_port),
            _ => None,
        });
        self.judge(&request.attachment, forwarded.collect())
    }
}

impl Ports {
    fn judge(&self, attachment: &Attachment, ports: Vec<u16>) -> Result<Verdict, Failure> {
        let namespace = attachment.namespace();
        let named = namespace.and_then(|namespace| self.namespaces.get(namespace));
        let allowed = named.unwrap_or(&self.default);
        let may = |port: &u16| allowed.iter().any(|span| span.0.contains(port));
        Ok(match ports.into_iter().find(|port| !may(port)) {
            None => Verdict::Allow,
            Some(port) => {
                let whose =
                    namespace.map_or("what is no pod".to_owned(), |n| format!("namespace {n}"));
                Verdict::deny(format!("{whose} may not have port {port} of the host"))
            }
        })
    }
}

/// Ports of the host in `runtimeConfig.portMappings`. What cannot be read is a failure, which
/// refuses: a policy that skips it could be passed by.
fn asked(network: &Value) -> Result<Vec<u16>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Mapping {
        /// Zero, or none: no port of the host.
        #[serde(default)]
        host_port: u16,
    }
    let mappings = network.pointer("/runtimeConfig/portMappings").cloned().unwrap_or_default();
    let mappings = Option::<Vec<Mapping>>::deserialize(mappings)
        .explain(Reason::Other, "runtimeConfig.portMappings")?;
    let ports = mappings.unwrap_or_default().into_iter().map(|mapping| mapping.host_port);
    Ok(ports.filter(|port| *port != 0).collect())
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self(first..=last)),
            _ => Err(de::Error::custom(format!("{text:?} is neither \"8080\" nor \"8000-8100\""))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use wharfinger_sdk::plan::ForwardStep;
    use wharfinger_sdk::serde_json::json;
    use wharfinger_sdk::testing::Host;

    use super::*;

    fn config() -> Value {
        json!({"namespaces": {"web": ["443", "8000-8100"]}})
    }

    fn request(namespace: &str, ports: &Value) -> PolicyRequest {
        let pod = Attachment::new("pods", "a", "eth0").with_pod(namespace, "a");
        PolicyRequest::new(pod, json!({"runtimeConfig": {"portMappings": ports}}))
    }

    fn admit(namespace: &str, ports: &Value) -> Verdict {
        Host::new().admit::<Ports>(&config(), &request(namespace, ports)).unwrap()
    }

    #[test]
    fn ports_within_the_namespaces_ranges_pass() {
        let two = json!([{"hostPort": 443, "containerPort": 443}, {"hostPort": 8100}]);
        assert_eq!(admit("web", &two), Verdict::Allow);
        let refused = Verdict::deny("namespace web may not have port 8101 of the host");
        assert_eq!(admit("web", &json!([{"hostPort": 443}, {"hostPort": 8101}])), refused);
        let refused = Verdict::deny("namespace db may not have port 443 of the host");
        assert_eq!(admit("db", &json!([{"hostPort": 443}])), refused);
    }

    #[test]
    fn who_asks_for_none_passes() {
        for none in [json!(null), json!([]), json!([{"containerPort": 80}, {"hostPort": 0}])] {
            assert_eq!(admit("db", &none), Verdict::Allow);
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_way_past() {
        let failed =
            Host::new().admit::<Ports>(&config(), &request("db", &json!([{"hostPort": "443"}])));
        assert!(failed.unwrap_err().message.starts_with("runtimeConfig.portMappings: "));
    }

    #[test]
    fn what_is_about_to_be_forwarded_is_judged_too() {
        let address = IpAddr::from([10, 1, 0, 2]);
        let forward = ForwardStep {
            protocol: "tcp".to_owned(),
            host_address: None,
            host_port: 22,
            address,
            port: 22,
        };
        let request = request("web", &json!([]));
        let steps = [Step::Forward(forward)];
        let verdict = Host::new().review::<Ports>(&config(), &request, &steps, &json!({})).unwrap();
        assert_eq!(verdict, Verdict::deny("namespace web may not have port 22 of the host"));
    }

    #[test]
    fn ranges_are_read_strictly() {
        for bad in ["0-1", "9-8", "x", "", "1-70000", "80-"] {
            let config = json!({"default": [bad]});
            let problems = Host::new().policy_problems::<Ports>(&config);
            assert_eq!(problems[0].pointer, "/default/0", "{bad}");
        }
    }
}
