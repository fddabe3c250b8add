//! Policies: who is asked, in which order, and what becomes of their answers.
//!
//! The node's own come first and nothing in a conflist takes them away; then the configuration's,
//! each on what the earlier ones left. A refusal ends the ADD. A failure does so too, unless the
//! operator made the policy advisory: then it is noted, and what the policy wrote is forgotten.
//! What a policy may change is decided in `may`, never here.

mod conf;
pub(crate) mod may;
mod merge;
mod sources;

pub use conf::PolicyConf;
pub(crate) use conf::names;
pub use may::can_be_granted;

use serde_json::{Map, Value};
use wharfinger_cni::conf::{Fields, fold_eq};
use wharfinger_cni::{Attach, Dns, NetConf, Success, Version};
use wharfinger_ledger::{Owner, Session};
use wharfinger_plan::Plan;
use wharfinger_wasm::{Attachment, Node, Policy, PolicyRequest, Problem, Verdict};

use crate::conf::Place;
use crate::network::Network;
use crate::{Answer, Error, Host, SessionBook, error, ipam};

/// Bytes of "@sha256:" and the twelve digits that an error shows.
const DIGITS: usize = "@sha256:".len() + 12;

/// All policies of an attachment, ready to be called.
pub(crate) struct Policies {
    judges: Vec<Judge>,
    node: Node,
}

/// One of them.
struct Judge {
    plugin: Result<Box<dyn Policy>, String>,
    /// As it is written.
    name: String,
    config: String,
    /// Where its configuration stands, for people.
    place: String,
    owner: Owner,
    advisory: bool,
    /// What it may change by grant.
    granted: Vec<String>,
}

/// A configuration as policies left it, and what follows from it.
pub(crate) struct Amended {
    pub(crate) call: Attach,
    pub(crate) network: Network,
}

/// What a policy's call came to, where it was not refused and did not fail.
enum Heard {
    Fine,
    Conf(Box<Amended>, Vec<String>),
    Dns(Dns, Vec<String>),
}

impl Policies {
    /// Those of the node, then those of the configuration.
    pub(crate) fn load(host: &Host, conf: &NetConf, place: &Place) -> Result<Self, Error> {
        let (written, pointer) = conf::read(conf, place)?;
        let mut judges = Vec::new();
        for (index, policy) in host.settings.policies.iter().enumerate() {
            let place = format!("the node's policies/{index}/config");
            judges.push(judge(host, policy, place, Owner::of_node(&policy.plugin))?);
        }
        for (index, policy) in written.iter().enumerate() {
            let place = format!("{pointer}/{index}/config");
            let owner = Owner::of_network(&conf.name, &policy.plugin);
            judges.push(judge(host, policy, place, owner)?);
        }
        Ok(Self { judges, node: Node { now: host.node.now(), ..host.settings.node.clone() } })
    }

    /// The names that the configuration itself gives, each with its pointer.
    pub(crate) fn named(conf: &NetConf, place: &Place) -> Result<Vec<(String, String)>, Error> {
        let (written, pointer) = conf::read(conf, place)?;
        let named = written.into_iter().enumerate();
        Ok(named.map(|(i, policy)| (policy.plugin, format!("{pointer}/{i}/plugin"))).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.judges.is_empty()
    }

    /// Every problem in their configurations that an ADD would fail for: an advisory policy's
    /// failures never matter.
    pub(crate) fn problems(&self) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        for judge in self.judges.iter().filter(|judge| !judge.advisory) {
            // One that cannot be loaded and is not advisory was refused when it was read.
            let Ok(plugin) = &judge.plugin else { continue };
            let found = plugin.validate(&self.node, &judge.config);
            let found = found.map_err(|error| error::plugin(error, &judge.place))?;
            let line = |p: &Problem| format!("{}{}: {}", judge.place, p.pointer, p.message);
            problems.extend(found.iter().map(line));
        }
        Ok(problems)
    }

    /// Asks each whether the attachment may be: `network` is what follows from the call as given.
    /// None where nobody changed anything.
    pub(crate) fn admit(
        &self,
        host: &Host,
        call: &Attach,
        network: &Network,
        session: &mut dyn Session,
    ) -> Result<Option<Amended>, Error> {
        let mut amended: Option<Amended> = None;
        for judge in &self.judges {
            let (call, network) = match &amended {
                Some(amended) => (&amended.call, &amended.network),
                None => (call, network),
            };
            let request = judge.request(call);
            let heard = judge.ask(
                host,
                "admit",
                &request.attachment,
                session,
                |plugin, book| match plugin.admit(&self.node, &request, book)? {
                    Verdict::Allow => Ok(Ok(Heard::Fine)),
                    Verdict::Deny(reason) => Ok(Err(judge.denied(reason))),
                    Verdict::Amend(patch) => Ok(judge.amend(host, call, network, &patch)),
                },
            )?;
            if let Heard::Conf(now, _) = heard {
                amended = Some(*now);
            }
        }
        Ok(amended)
    }

    /// Shows each what is about to happen. Answers the name servers, where one changed them.
    pub(crate) fn review(
        &self,
        host: &Host,
        call: &Attach,
        plan: &Plan,
        mut success: Success,
        session: &mut dyn Session,
    ) -> Result<Option<Dns>, Error> {
        let mut dns = None;
        for judge in &self.judges {
            let request = judge.request(call);
            let result = success.render(Version::V1_1_0).unwrap_or_default().to_string();
            let heard = judge.ask(
                host,
                "review",
                &request.attachment,
                session,
                |plugin, book| match plugin.review(&self.node, &request, plan, &result, book)? {
                    Verdict::Allow => Ok(Ok(Heard::Fine)),
                    Verdict::Deny(reason) => Ok(Err(judge.denied(reason))),
                    Verdict::Amend(patch) => Ok(judge.amend_dns(&success.dns, &patch)),
                },
            )?;
            if let Heard::Dns(now, _) = heard {
                success.dns.clone_from(&now);
                dns = Some(now);
            }
        }
        Ok(dns)
    }
}

fn judge(host: &Host, conf: &PolicyConf, place: String, owner: Owner) -> Result<Judge, Error> {
    let loaded = host.engine.policy(&conf.plugin).map_err(|error| match error {
        wharfinger_wasm::Error::Unloadable { plugin, what } => {
            let named = place.trim_end_matches("/config");
            wharfinger_wasm::Error::Unloadable { plugin, what: format!("{what} (at {named})") }
        }
        other => other,
    });
    let plugin = match loaded {
        Ok(plugin) => Ok(plugin),
        // That it cannot be called is a failure as any other.
        Err(wharfinger_wasm::Error::Unloadable { what, .. }) if conf.advisory => Err(what),
        Err(error) if conf.advisory => Err(error.to_string()),
        Err(error) => return Err(Error::Plugin(error)),
    };
    let identity = plugin.as_ref().map_or("", |plugin| plugin.identity());
    // By the name under which it was asked for, not by the one that it goes by: a file may call
    // itself anything.
    let granted = [conf.plugin.as_str(), digest(identity)];
    let granted = granted.iter().filter_map(|key| host.settings.amend.get(*key)).flatten();
    Ok(Judge {
        granted: granted.cloned().collect(),
        plugin,
        name: conf.plugin.clone(),
        config: Value::Object(conf.config.clone()).to_string(),
        place,
        owner,
        advisory: conf.advisory,
    })
}

/// Of "rules@sha256:0123…" what is behind the name.
fn digest(identity: &str) -> &str {
    identity.rsplit_once('@').map_or("", |(_, digest)| digest)
}

/// Calls the component: its own failure, or what became of its answer.
type Call<'c> = &'c dyn Fn(
    &dyn Policy,
    &mut SessionBook<'_, '_>,
) -> Result<Result<Heard, Error>, wharfinger_wasm::Error>;

impl Judge {
    fn identity(&self) -> &str {
        self.plugin.as_ref().map_or(self.name.as_str(), |plugin| plugin.identity())
    }

    /// Name and the first of the digest's digits, as other errors of components have it.
    fn shown(&self) -> String {
        let identity = self.identity();
        let end = identity.find("@sha256:").map(|at| at.saturating_add(DIGITS));
        end.and_then(|end| identity.get(..end)).unwrap_or(identity).to_owned()
    }

    fn request(&self, call: &Attach) -> PolicyRequest {
        PolicyRequest {
            attachment: ipam::attachment(call),
            config: self.config.clone(),
            network_config: Value::Object(call.conf.raw.clone()).to_string(),
            written: sources::sources(call),
        }
    }

    fn denied(&self, reason: String) -> Error {
        Error::Denied { policy: self.shown(), reason }
    }

    /// One call, with what is to be noted of it.
    fn ask(
        &self,
        host: &Host,
        call: &'static str,
        whose: &Attachment,
        session: &mut dyn Session,
        f: impl Fn(
            &dyn Policy,
            &mut SessionBook<'_, '_>,
        ) -> Result<Result<Heard, Error>, wharfinger_wasm::Error>,
    ) -> Result<Heard, Error> {
        host.notes.asked(self.identity(), call);
        let kept = self.advisory.then(|| session.kept());
        let heard = self.hear(host, whose, session, &f);
        match (&heard, kept) {
            (Ok(heard), _) => host.notes.answered(&heard.noted()),
            (Err(Error::Denied { reason, .. }), _) => {
                host.notes.answered(&Answer::Denied(reason));
            }
            // The book's own failure is nobody's opinion.
            (Err(error), Some(kept)) if !matches!(error, Error::Ledger(_)) => {
                host.notes.answered(&Answer::Failed { error: &error.to_string(), passed: true });
                session.restore(kept);
                return Ok(Heard::Fine);
            }
            (Err(error), _) => {
                host.notes.answered(&Answer::Failed { error: &error.to_string(), passed: false });
            }
        }
        heard
    }

    fn hear(
        &self,
        host: &Host,
        whose: &Attachment,
        session: &mut dyn Session,
        f: Call<'_>,
    ) -> Result<Heard, Error> {
        let plugin = match &self.plugin {
            Ok(plugin) => plugin.as_ref(),
            Err(what) => {
                let (plugin, what) = (self.name.clone(), what.clone());
                return Err(Error::Plugin(wharfinger_wasm::Error::Unloadable { plugin, what }));
            }
        };
        let book = SessionBook::new(session, self.owner.clone());
        let mut book = book.noting(host.notes, plugin.identity()).about(host.node, whose);
        f(plugin, &mut book).map_err(|error| error::plugin(error, &self.place))?
    }

    /// The configuration with the patch, read as if a person had written it.
    fn amend(
        &self,
        host: &Host,
        call: &Attach,
        network: &Network,
        patch: &Map<String, Value>,
    ) -> Result<Heard, Error> {
        let before = &call.conf.raw;
        let after = merge::merge(before, patch, "").map_err(|merge::Ambiguous(pointer)| {
            self.may_not(&pointer, "it stands there in several spellings", None)
        })?;
        let changed = merge::changed(before, &after);
        if changed.is_empty() {
            return Ok(Heard::Fine);
        }
        self.check(before, &after, &changed)?;
        let by = |source: Error| Error::Amended {
            policy: self.shown(),
            pointers: changed.iter().map(|pointer| error::shown(pointer)).collect(),
            source: Box::new(source),
        };
        let text = Value::Object(after).to_string();
        let conf = NetConf::parse(text.as_bytes(), &Version::ALL);
        let mut conf = conf.map_err(|error| by(Error::Misread(error)))?;
        conf.called.clone_from(&call.conf.called);
        let call = Attach { conf, ..call.clone() };
        let amended = Network::read(host, &call).map_err(by)?;
        if amended.domain != network.domain {
            let why = "it would move the network to another address space";
            return Err(self.may_not(changed.first().map_or("", String::as_str), why, None));
        }
        Ok(Heard::Conf(Box::new(Amended { call, network: amended }), changed))
    }

    /// Whether it may change what it changed.
    fn check(
        &self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        changed: &[String],
    ) -> Result<(), Error> {
        let value = Value::Object(after.clone());
        if let Some((pointer, may)) = may::refused(changed, &value, &self.granted) {
            let (why, grant) = match may {
                may::May::Never => ("no policy may", None),
                _ => ("it is not granted that", self.grant(pointer)),
            };
            return Err(self.may_not(pointer, why, grant));
        }
        let ranges = changed.iter().filter_map(|pointer| Some((pointer, may::of_ranges(pointer)?)));
        for (pointer, whose) in ranges {
            if !may::chooses_ranges(before, after, &whose) {
                let why = "it may only leave some of the configured ranges, in their order";
                return Err(self.may_not(pointer, why, None));
            }
        }
        Ok(())
    }

    /// The lines of the node's file that would grant it; none for a key that nobody writes down.
    fn grant(&self, pointer: &str) -> Option<String> {
        let plain = error::shown(pointer) == pointer;
        // One that is named by its path is granted by its digest.
        let by_path = self.name.contains('/');
        let key = if by_path { digest(self.identity()) } else { self.name.as_str() };
        plain.then(|| format!("[plugins.{key:?}]\namend = [{pointer:?}]"))
    }

    fn may_not(&self, pointer: &str, why: &str, grant: Option<String>) -> Error {
        Error::MayNot {
            policy: self.shown(),
            pointer: error::shown(pointer),
            why: why.to_owned(),
            grant,
        }
    }

    /// The name servers with the patch of a review, which may change nothing else.
    fn amend_dns(&self, before: &Dns, patch: &Map<String, Value>) -> Result<Heard, Error> {
        if let Some(other) = patch.keys().find(|key| !fold_eq(key, "dns")) {
            let why = "of a result a review may change dns alone";
            return Err(self.may_not(&format!("/{other}"), why, None));
        }
        let mut result = Map::new();
        result.insert("dns".to_owned(), serde_json::to_value(before).unwrap_or_default());
        let after = merge::merge(&result, patch, "").map_err(|merge::Ambiguous(pointer)| {
            self.may_not(&pointer, "it stands there in several spellings", None)
        })?;
        let dns = match Fields::new(&after, "").object("dns")? {
            Some(dns) => Dns::parse(&dns)?,
            None => Dns::default(),
        };
        Ok(Heard::Dns(dns, merge::changed(&result, &after)))
    }
}

impl Heard {
    fn noted(&self) -> Answer<'_> {
        match self {
            Self::Fine => Answer::Fine,
            Self::Conf(_, changed) | Self::Dns(_, changed) => Answer::Amended(changed),
        }
    }
}
