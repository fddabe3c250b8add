//! So many attachments for each namespace, counted in the ADD's own transaction: two at once
//! cannot both pass, and what is released is not counted.

use std::collections::BTreeMap;

use serde::Deserialize;
use wharfinger_sdk::{Failure, Policy, PolicyRequest, Verdict, export_policy, store};

/// The policy's configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quota {
    /// For a namespace that is not named. Without it, as many as there are.
    default: Option<u64>,
    /// By namespace.
    #[serde(default)]
    namespaces: BTreeMap<String, u64>,
}

export_policy!(Quota);

impl Policy for Quota {
    fn admit(&self, request: &PolicyRequest) -> Result<Verdict, Failure> {
        let Some(namespace) = request.attachment.namespace() else { return Ok(Verdict::Allow) };
        let Some(most) = self.namespaces.get(namespace).copied().or(self.default) else {
            return Ok(Verdict::Allow);
        };
        let prefix = format!("{namespace}/");
        // Put first: an ADD that is asked again counts once, and a refusal takes it back.
        let entry = format!("{prefix}{}", request.attachment.id);
        store::put(&entry, "", store::Lifetime::Attachment);
        let count = store::count(&prefix);
        if count > most {
            let others = count - 1;
            return Ok(Verdict::deny(format!(
                "namespace {namespace} has {others} attachments, and may have {most}"
            )));
        }
        Ok(Verdict::Allow)
    }
}

#[cfg(test)]
mod tests {
    use wharfinger_sdk::Attachment;
    use wharfinger_sdk::serde_json::json;
    use wharfinger_sdk::testing::Host;

    use super::*;

    fn pod(namespace: &str, container: &str) -> Attachment {
        Attachment::new("pods", container, "eth0").with_pod(namespace, container)
    }

    fn admit(host: &mut Host, attachment: Attachment) -> Verdict {
        let config = json!({"default": 1, "namespaces": {"big": 2}});
        host.admit::<Quota>(&config, &PolicyRequest::new(attachment, json!({}))).unwrap()
    }

    #[test]
    fn a_namespace_has_its_number_and_what_is_released_is_free() {
        let mut host = Host::new();
        assert_eq!(admit(&mut host, pod("big", "a")), Verdict::Allow);
        assert_eq!(admit(&mut host, pod("big", "b")), Verdict::Allow);
        let refused = Verdict::deny("namespace big has 2 attachments, and may have 2");
        assert_eq!(admit(&mut host, pod("big", "c")), refused);
        assert_eq!(admit(&mut host, pod("small", "d")), Verdict::Allow);
        host.del(&pod("big", "a"));
        assert_eq!(admit(&mut host, pod("big", "c")), Verdict::Allow);
    }

    #[test]
    fn an_add_that_is_asked_again_counts_once() {
        let mut host = Host::new();
        assert_eq!(admit(&mut host, pod("small", "a")), Verdict::Allow);
        assert_eq!(admit(&mut host, pod("small", "a")), Verdict::Allow);
    }

    #[test]
    fn what_is_no_pod_is_not_counted() {
        let mut host = Host::new();
        for name in ["a", "b", "c"] {
            assert_eq!(admit(&mut host, Attachment::new("pods", name, "eth0")), Verdict::Allow);
        }
    }

    #[test]
    fn a_namespace_that_begins_as_another_is_its_own() {
        let mut host = Host::new();
        assert_eq!(admit(&mut host, pod("small", "a")), Verdict::Allow);
        assert_eq!(admit(&mut host, pod("small-too", "b")), Verdict::Allow);
    }
}
