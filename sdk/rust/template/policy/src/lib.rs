//! Who may be attached: pods of the namespaces that the configuration names.

use serde::Deserialize;
use wharfinger_sdk::{Failure, Policy, PolicyRequest, Problem, Verdict, export_policy, log};

/// The policy's configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Their pods may be attached.
    namespaces: Vec<String>,
}

export_policy!(Config);

impl Policy for Config {
    fn check(&self) -> Vec<Problem> {
        if self.namespaces.is_empty() {
            return vec![Problem::at(
                "/namespaces",
                "is empty: nobody could be attached",
            )];
        }
        Vec::new()
    }

    fn admit(&self, request: &PolicyRequest) -> Result<Verdict, Failure> {
        let Some(namespace) = request.attachment.namespace() else {
            return Ok(Verdict::deny("only pods are attached here"));
        };
        if self.namespaces.iter().any(|allowed| allowed == namespace) {
            log::debug(format!("namespace {namespace} is allowed"));
            return Ok(Verdict::Allow);
        }
        Ok(Verdict::deny(format!(
            "namespace {namespace} is not attached to this network"
        )))
    }
}

#[cfg(test)]
mod tests {
    use wharfinger_sdk::serde_json::json;
    use wharfinger_sdk::testing::Host;
    use wharfinger_sdk::{Attachment, PolicyRequest, Verdict};

    use super::Config;

    fn verdict(attachment: Attachment) -> Verdict {
        let config = json!({"namespaces": ["web"]});
        let request = PolicyRequest::new(attachment, json!({"name": "pods"}));
        Host::new().admit::<Config>(&config, &request).unwrap()
    }

    #[test]
    fn namespaces_that_are_named_pass() {
        let pod = |namespace| Attachment::new("pods", "a", "eth0").with_pod(namespace, "a");
        assert_eq!(verdict(pod("web")), Verdict::Allow);
        let refused = Verdict::deny("namespace db is not attached to this network");
        assert_eq!(verdict(pod("db")), refused);
    }

    #[test]
    fn what_is_no_pod_is_refused() {
        let refused = Verdict::deny("only pods are attached here");
        assert_eq!(verdict(Attachment::new("pods", "a", "eth0")), refused);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problems = Host::new().policy_problems::<Config>(&json!({"namespaces": [1]}));
        assert_eq!(problems[0].pointer, "/namespaces/0");
    }
}
