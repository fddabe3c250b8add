//! What a policy plugin implements.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::plan::Step;
use crate::{Attachment, Failure, Problem};

/// A policy plugin: a type that its configuration is read into. Policies run in their configured
/// order, each on what the earlier ones left; the first refusal ends it, and a failure refuses
/// too, unless the operator made the policy advisory.
pub trait Policy: DeserializeOwned {
    /// What is wrong with the configuration beyond its types; nothing if it is good.
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// ADD, before anything is allocated. A patch is for the network configuration.
    fn admit(&self, request: &PolicyRequest) -> Result<Verdict, Failure> {
        let _ = request;
        Ok(Verdict::Allow)
    }

    /// ADD, with all that is about to happen in hand, before the kernel is touched. A patch is
    /// for the CNI result, where only `dns` may change. Around a wrapped plugin: after it ran,
    /// with no steps, and a refusal deletes.
    fn review(
        &self,
        request: &PolicyRequest,
        steps: &[Step],
        cni_result: &Value,
    ) -> Result<Verdict, Failure> {
        let _ = (request, steps, cni_result);
        Ok(Verdict::Allow)
    }
}

/// What a policy is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRequest {
    /// Whose.
    pub attachment: Attachment,
    /// The whole network configuration as it stands, `prevResult` included.
    pub network: Value,
    /// The same by who wrote it.
    pub written: Sources,
}

impl PolicyRequest {
    /// Of this attachment in this network, all of which its conflist's author wrote: for tests.
    pub fn new(attachment: Attachment, network: Value) -> Self {
        let nothing = || Value::Object(serde_json::Map::new());
        let written = Sources { network: network.clone(), runtime: nothing(), pod: nothing() };
        Self { attachment, network, written }
    }
}

/// Who wrote what of a network configuration, as earlier policies left it. A conflist may come
/// from somebody less trusted than the node's operator; what is the pod's certainly does.
#[derive(Debug, Clone, PartialEq)]
pub struct Sources {
    /// The conflist's author: all that is not below.
    pub network: Value,
    /// The runtime: `runtimeConfig`, less annotations.
    pub runtime: Value,
    /// The pod's author: `{"CNI_ARGS": {name: value}, "args": args.cni, "annotations": {...}}`.
    pub pod: Value,
}

/// What a policy decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// As it is.
    Allow,
    /// Not at all; the reason, one line, reaches the operator.
    Deny(String),
    /// Go on, with this RFC 7396 merge patch.
    Amend(Value),
}

impl Verdict {
    /// A refusal. Control characters of the reason become spaces.
    pub fn deny(reason: impl std::fmt::Display) -> Self {
        Self::Deny(Failure::conflict(reason).message)
    }
}
