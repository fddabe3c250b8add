//! Who may be attached, which ports of the host it may have, how many of one namespace there may be,
//! and the MTU of all. The same policy stands in every language's examples.

use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, de};
use wharfinger_sdk::serde_json::{Value, json};
use wharfinger_sdk::{Failure, Policy, PolicyRequest, Problem, Verdict, export_policy, store};

/// The policy's configuration; what is left out is not asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Guard {
    /// Pods of these alone are attached.
    namespaces: Option<Vec<String>>,
    /// Ports of the host that may be asked for.
    host_ports: Option<Vec<Span>>,
    /// Attachments that one namespace may have.
    quota: Option<u64>,
    /// Of every interface.
    mtu: Option<u64>,
}

/// "80" or "8000-8100".
#[derive(Debug)]
struct Span(RangeInclusive<u64>);

export_policy!(Guard);

impl Policy for Guard {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.quota == Some(0) {
            problems.push(Problem::at("/quota", "0 is out of range: at least 1"));
        }
        if let Some(mtu) = self.mtu.filter(|mtu| !(68..=65_535).contains(mtu)) {
            problems.push(Problem::at("/mtu", format!("{mtu} is out of range: 68 to 65535")));
        }
        problems
    }

    fn admit(&self, request: &PolicyRequest) -> Result<Verdict, Failure> {
        if let Some(refused) = self.refusal(request)? {
            return Ok(Verdict::deny(refused));
        }
        Ok(self.mtu.map_or(Verdict::Allow, |mtu| Verdict::Amend(json!({ "mtu": mtu }))))
    }
}

impl Guard {
    /// Why it is refused.
    fn refusal(&self, request: &PolicyRequest) -> Result<Option<String>, Failure> {
        let namespace = request.attachment.namespace();
        if let Some(allowed) = &self.namespaces {
            let Some(namespace) = namespace else {
                return Ok(Some("an attachment without a pod is refused".to_owned()));
            };
            if !allowed.iter().any(|allowed| allowed == namespace) {
                return Ok(Some(format!("namespace {namespace} is not attached")));
            }
        }
        if let Some(allowed) = &self.host_ports {
            let may = |port: &u64| allowed.iter().any(|span| span.0.contains(port));
            if let Some(port) = asked(&request.written.runtime)?.into_iter().find(|p| !may(p)) {
                return Ok(Some(format!("port {port} of the host is not allowed")));
            }
        }
        let (Some(most), Some(namespace)) = (self.quota, namespace) else { return Ok(None) };
        // Put first: an ADD that is asked again counts once, and a refusal takes it back.
        let prefix = format!("{namespace}/");
        let entry = format!("{prefix}{}", request.attachment.id);
        store::put(&entry, "", store::Lifetime::Attachment);
        let count = store::count(&prefix);
        Ok((count > most).then(|| {
            let others = count - 1;
            format!("namespace {namespace} has {others} attachments, and may have {most}")
        }))
    }
}

/// Ports of the host that the runtime asks for. What cannot be read is a failure, which refuses: a
/// policy that skips it could be passed by.
fn asked(runtime: &Value) -> Result<Vec<u64>, Failure> {
    let unread = || Failure::other("portMappings: not a list of ports");
    let Some(mappings) = runtime.get("portMappings").filter(|mappings| !mappings.is_null()) else {
        return Ok(Vec::new());
    };
    let port = |mapping: &Value| match mapping.as_object()?.get("hostPort") {
        None | Some(Value::Null) => Some(0),
        Some(port) => port.as_u64().filter(|port| *port <= 65_535),
    };
    let ports = mappings.as_array().and_then(|mappings| mappings.iter().map(port).collect());
    let ports: Vec<u64> = ports.ok_or_else(unread)?;
    Ok(ports.into_iter().filter(|port| *port > 0).collect())
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok());
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (digits(first).flatten(), digits(last).flatten()) {
            (Some(first), Some(last)) if 0 < first && first <= last && last <= 65_535 => {
                Ok(Self(first..=last))
            }
            _ => Err(de::Error::custom(format!("{text:?} is no port and no range of ports"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use wharfinger_sdk::testing::Host;
    use wharfinger_sdk::{Attachment, Reason};

    use super::*;

    fn request(namespace: &str, container: &str, runtime: Value) -> PolicyRequest {
        let pod = Attachment::new("pods", container, "eth0").with_pod(namespace, container);
        let mut request = PolicyRequest::new(pod, json!({}));
        request.written.runtime = runtime;
        request
    }

    fn admit(config: &Value, request: &PolicyRequest) -> Result<Verdict, Failure> {
        Host::new().admit::<Guard>(config, request)
    }

    #[test]
    fn what_is_not_named_is_allowed() {
        let anybody = PolicyRequest::new(Attachment::new("pods", "a", "eth0"), json!({}));
        assert_eq!(admit(&json!({}), &anybody).unwrap(), Verdict::Allow);
        let amended = Verdict::Amend(json!({"mtu": 1400}));
        assert_eq!(admit(&json!({"mtu": 1400}), &anybody).unwrap(), amended);
    }

    #[test]
    fn namespaces_that_are_not_named_are_refused() {
        let config = json!({"namespaces": ["web"]});
        assert_eq!(admit(&config, &request("web", "a", json!({}))).unwrap(), Verdict::Allow);
        let refused = Verdict::deny("namespace db is not attached");
        assert_eq!(admit(&config, &request("db", "a", json!({}))).unwrap(), refused);
        let nobody = PolicyRequest::new(Attachment::new("pods", "a", "eth0"), json!({}));
        let refused = Verdict::deny("an attachment without a pod is refused");
        assert_eq!(admit(&config, &nobody).unwrap(), refused);
    }

    #[test]
    fn ports_that_are_not_named_are_refused() {
        let config = json!({"hostPorts": ["80", "8000-8100"]});
        let ask = |mappings: Value| {
            admit(&config, &request("web", "a", json!({ "portMappings": mappings })))
        };
        assert_eq!(admit(&config, &request("web", "a", json!({}))).unwrap(), Verdict::Allow);
        let two = json!([{"hostPort": 80, "containerPort": 1}, {"hostPort": 8100}, {}]);
        assert_eq!(ask(two).unwrap(), Verdict::Allow);
        let refused = Verdict::deny("port 22 of the host is not allowed");
        assert_eq!(ask(json!([{"hostPort": 80}, {"hostPort": 22}])).unwrap(), refused);
        for odd in [json!({}), json!([1]), json!([{"hostPort": "80"}]), json!([{"hostPort": -1}])] {
            let failed = ask(odd.clone()).unwrap_err();
            let wanted = (Reason::Other, "portMappings: not a list of ports");
            assert_eq!((failed.reason, failed.message.as_str()), wanted, "{odd}");
        }
    }

    #[test]
    fn a_namespace_has_its_number() {
        let (mut host, config) = (Host::new(), json!({"quota": 1}));
        let mut ask = |namespace: &str, container: &str| {
            host.admit::<Guard>(&config, &request(namespace, container, json!({}))).unwrap()
        };
        assert_eq!(ask("web", "a"), Verdict::Allow);
        assert_eq!(ask("web", "a"), Verdict::Allow);
        let refused = Verdict::deny("namespace web has 1 attachments, and may have 1");
        assert_eq!(ask("web", "b"), refused);
        assert_eq!(ask("db", "b"), Verdict::Allow);
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        for (config, problem) in [
            (json!({"hostPorts": ["x"]}), "/hostPorts/0: \"x\" is no port and no range of ports"),
            (
                json!({"hostPorts": ["9-8"]}),
                "/hostPorts/0: \"9-8\" is no port and no range of ports",
            ),
            (json!({"hostPorts": ["+1"]}), "/hostPorts/0: \"+1\" is no port and no range of ports"),
            (json!({"quota": 0}), "/quota: 0 is out of range: at least 1"),
            (json!({"mtu": 67}), "/mtu: 67 is out of range: 68 to 65535"),
        ] {
            let problems = Host::new().policy_problems::<Guard>(&config);
            assert_eq!(problems[0].to_string(), problem);
        }
        let unknown = Host::new().policy_problems::<Guard>(&json!({"namespace": []}));
        assert_eq!(unknown[0].pointer, "/namespace");
    }
}
