//! Each version's imports, led to the one answer in `imports.rs`, and its exports, called with
//! one kind of question. Here values change their type; nothing is decided.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wasmtime::Result;
use wasmtime::component::{ComponentType, HasSelf, Lift, Linker, Lower};

use crate::bindings::v0_3::wharfinger::plugin::types;
use crate::capability::Capability;
use crate::contract::Version;
use crate::state::State;
use crate::{Attachment, Level, NoPod, ObjectMeta, PodFacts, PolicyRequest, Refusal, Request};

/// The traits of one version; what later versions have more is written where they are made.
macro_rules! imports {
    ($version:ident, ledger { $($ledger:item)* }, store { $($store:item)* }, $($more:item)*) => {
        mod $version {
            use super::*;
            use crate::bindings::$version::wharfinger::plugin::{ledger, logger, node, store};

            impl ledger::Host for State {
                fn take(&mut self, address: String) -> Result<Result<(), ledger::Refusal>> {
                    Ok(self.ledger_take(&address)?.map_err(refusal))
                }
                fn take_free(
                    &mut self,
                    ranges: Vec<types::AddressRange>,
                    excluded: Vec<types::AddressRange>,
                    start: Option<String>,
                ) -> Result<Option<String>> {
                    Ok(self.ledger_take_free(&ranges, &excluded, start.as_deref())?)
                }
                fn remembered(&mut self, identity: String) -> Result<Vec<String>> {
                    Ok(self.ledger_remembered(&identity)?)
                }
                fn remember(&mut self, identity: String) -> Result<()> {
                    Ok(self.ledger_remember(&identity)?)
                }
                $($ledger)*
            }

            fn refusal(refusal: Refusal) -> ledger::Refusal {
                match refusal {
                    Refusal::Held(id) => ledger::Refusal::Held(types::AttachmentId {
                        network: id.network,
                        container: id.container,
                        ifname: id.ifname,
                    }),
                    Refusal::Reserved(why) => ledger::Refusal::Reserved(why),
                }
            }

            impl store::Host for State {
                fn get(&mut self, key: String) -> Result<Option<String>> {
                    Ok(self.store_get(&key)?)
                }
                fn put(
                    &mut self,
                    key: String,
                    value: String,
                    lifetime: store::Lifetime,
                ) -> Result<()> {
                    let attachment = match lifetime {
                        store::Lifetime::Attachment => true,
                        store::Lifetime::Permanent => false,
                    };
                    Ok(self.store_put(&key, &value, attachment)?)
                }
                fn remove(&mut self, key: String) -> Result<bool> {
                    Ok(self.store_remove(&key)?)
                }
                fn scan(
                    &mut self,
                    prefix: String,
                    after: Option<String>,
                    limit: u32,
                ) -> Result<Vec<types::Pair>> {
                    Ok(self.store_scan(&prefix, after.as_deref(), limit)?)
                }
                $($store)*
            }

            impl logger::Host for State {
                fn log(&mut self, level: logger::Level, message: String) -> Result<()> {
                    let level = match level {
                        logger::Level::Trace => Level::Trace,
                        logger::Level::Debug => Level::Debug,
                        logger::Level::Info => Level::Info,
                        logger::Level::Warn => Level::Warn,
                        logger::Level::Error => Level::Error,
                    };
                    Ok(State::log(self, level, &message)?)
                }
            }

            impl node::Host for State {
                fn name(&mut self) -> Result<String> {
                    Ok(self.node_name()?)
                }
                fn label(&mut self, name: String) -> Result<Option<String>> {
                    Ok(self.node_label(&name)?)
                }
                fn now(&mut self) -> Result<u64> {
                    Ok(self.node_now()?)
                }
            }

            $($more)*
        }
    };
}

/// Of 0.2 and later: what is counted.
macro_rules! imports_with_counts {
    ($version:ident, $($more:item)*) => {
        imports!(
            $version,
            ledger {
                fn usage(&mut self, ranges: Vec<types::AddressRange>) -> Result<ledger::Counts> {
                    let usage = self.ledger_usage(&ranges)?;
                    Ok(ledger::Counts {
                        total: usage.total,
                        held: usage.held,
                        resting: usage.resting,
                        remembered: usage.remembered,
                    })
                }
            },
            store {
                fn count(&mut self, prefix: String) -> Result<u64> {
                    Ok(self.store_count(&prefix)?)
                }
            },
            $($more)*
        );
    };
}

imports!(v0_1, ledger {}, store {},);
imports_with_counts!(v0_2,);
imports_with_counts!(
    v0_3,
    use crate::bindings::v0_3::wharfinger::plugin::workload;

    impl workload::Host for State {
        fn pod(&mut self) -> Result<Result<workload::PodFacts, workload::Absence>> {
            Ok(self.workload_pod()?.map(facts).map_err(absence))
        }
    }

    fn facts(facts: PodFacts) -> workload::PodFacts {
        workload::PodFacts {
            namespace: facts.namespace,
            name: facts.name,
            uid: facts.uid,
            of_pod: metadata(facts.of_pod),
            of_namespace: metadata(facts.of_namespace),
        }
    }

    fn metadata(given: ObjectMeta) -> workload::Metadata {
        let pairs = |all: BTreeMap<String, String>| {
            all.into_iter().map(|(name, value)| types::Pair { name, value }).collect()
        };
        workload::Metadata { labels: pairs(given.labels), annotations: pairs(given.annotations) }
    }

    fn absence(absence: NoPod) -> workload::Absence {
        match absence {
            NoPod::NotThere(why) => workload::Absence::NotThere(why),
            NoPod::Stale(why) => workload::Absence::Stale(why),
            NoPod::Unreachable(why) => workload::Absence::Unreachable(why),
        }
    }
);

/// Links one of our interfaces, of one version.
pub(crate) fn link(
    linker: &mut Linker<State>,
    version: Version,
    capability: Capability,
) -> Result<()> {
    use crate::bindings::{v0_1, v0_2, v0_3};
    macro_rules! of {
        ($interface:ident) => {
            match version {
                Version::V0_1 => v0_1::wharfinger::plugin::$interface::add_to_linker::<
                    _,
                    HasSelf<State>,
                >(linker, |state| state),
                Version::V0_2 => v0_2::wharfinger::plugin::$interface::add_to_linker::<
                    _,
                    HasSelf<State>,
                >(linker, |state| state),
                Version::V0_3 => v0_3::wharfinger::plugin::$interface::add_to_linker::<
                    _,
                    HasSelf<State>,
                >(linker, |state| state),
            }
        };
    }
    match capability {
        Capability::Ledger => of!(ledger),
        Capability::Store => of!(store),
        Capability::Logger => of!(logger),
        Capability::Node => of!(node),
        // The gate knows it of no earlier version.
        Capability::Workload => v0_3::wharfinger::plugin::workload::add_to_linker::<
            _,
            HasSelf<State>,
        >(linker, |state| state),
        // Types alone, which need no linking. What is none of ours is linked elsewhere.
        _ => Ok(()),
    }
}

/// A pool as a plugin gave it.
#[derive(Debug, Clone)]
pub(crate) struct GivenPool {
    pub(crate) name: String,
    pub(crate) ranges: Vec<types::AddressRange>,
}

/// A verdict as a plugin gave it.
#[derive(Debug, Clone)]
pub(crate) enum GivenVerdict {
    Allow,
    Deny(String),
    Amend(String),
}

/// What goes into a plugin's exports and comes out of them, in one version.
pub(crate) trait Exports {
    type Request: ComponentType + Lower + Send + Sync + 'static;
    type Pool: ComponentType + Lift + Send + Sync + 'static;
    type PolicyRequest: ComponentType + Lower + Send + Sync + 'static;
    type Verdict: ComponentType + Lift + Send + Sync + 'static;
    fn request(request: &Request) -> Self::Request;
    fn pool(pool: Self::Pool) -> GivenPool;
    fn policy_request(request: &PolicyRequest) -> Self::PolicyRequest;
    fn verdict(verdict: Self::Verdict) -> GivenVerdict;
}

/// wit/0.1.0.
pub(crate) struct V0_1;
/// wit/0.2.0.
pub(crate) struct V0_2;
/// wit/0.3.0.
pub(crate) struct V0_3;

macro_rules! exports {
    ($marker:ty, $version:ident, policy |$asked:ident| { $($field:ident: $value:expr),* }) => {
        impl Exports for $marker {
            type Request = crate::bindings::$version::exports::wharfinger::plugin::ipam::Request;
            type Pool = crate::bindings::$version::exports::wharfinger::plugin::ipam::Pool;
            type PolicyRequest =
                crate::bindings::$version::exports::wharfinger::plugin::policy::Request;
            type Verdict = crate::bindings::$version::exports::wharfinger::plugin::policy::Verdict;

            fn request(request: &Request) -> Self::Request {
                Self::Request {
                    attachment: attachment(&request.attachment),
                    config: request.config.clone(),
                    network_config: request.network_config.clone(),
                    wanted: request.wanted.iter().map(IpAddr::to_string).collect(),
                }
            }

            fn pool(pool: Self::Pool) -> GivenPool {
                GivenPool { name: pool.name, ranges: pool.ranges }
            }

            fn policy_request($asked: &PolicyRequest) -> Self::PolicyRequest {
                Self::PolicyRequest {
                    attachment: attachment(&$asked.attachment),
                    config: $asked.config.clone(),
                    network_config: $asked.network_config.clone(),
                    $($field: $value,)*
                }
            }

            fn verdict(verdict: Self::Verdict) -> GivenVerdict {
                match verdict {
                    Self::Verdict::Allow => GivenVerdict::Allow,
                    Self::Verdict::Deny(reason) => GivenVerdict::Deny(reason),
                    Self::Verdict::Amend(patch) => GivenVerdict::Amend(patch),
                }
            }
        }
    };
}

exports!(V0_1, v0_1, policy | request | {});
exports!(V0_2, v0_2, policy |request| {
    written: crate::bindings::v0_2::exports::wharfinger::plugin::policy::Sources {
        network: request.written.network.clone(),
        runtime: request.written.runtime.clone(),
        pod: request.written.pod.clone()
    }
});

exports!(V0_3, v0_3, policy |request| {
    written: crate::bindings::v0_3::exports::wharfinger::plugin::policy::Sources {
        network: request.written.network.clone(),
        runtime: request.written.runtime.clone(),
        pod: request.written.pod.clone()
    }
});

/// Whose attachment it is.
pub(crate) fn attachment(given: &Attachment) -> types::Attachment {
    let pair =
        |(name, value): &(String, String)| types::Pair { name: name.clone(), value: value.clone() };
    types::Attachment {
        id: types::AttachmentId {
            network: given.id.network.clone(),
            container: given.id.container.clone(),
            ifname: given.id.ifname.clone(),
        },
        pod: given.pod.as_ref().map(|pod| types::Pod {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        }),
        args: given.args.iter().map(pair).collect(),
    }
}
