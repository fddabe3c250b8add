//! The decisions: `admit` before anything is given, `review` with all that is about to happen.

use std::net::IpAddr;

use serde_json::Value;

use crate::config::{Config, Effect, Quota};
use crate::facts::{Facts, Values};
use crate::json::Unreadable;
use crate::plan::Plan;
use crate::quota::{self, Having, Store};
use crate::set::{Set, Unset};

/// What the policy says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Refused, and why.
    Deny(String),
    /// Go on with this merge patch over the network configuration.
    Amend(Value),
}

/// Before anything is given. The first rule that denies ends it; what rules set is laid over
/// what earlier ones set. An error says that a rule cannot be carried out here.
pub fn admit(config: Config, facts: &Facts<'_>, store: &mut dyn Store) -> Result<Verdict, String> {
    let mut set: Option<Set> = None;
    for rule in config.rules {
        if rule.when.is_of_plan() {
            continue;
        }
        let found = match rule.when.found(facts) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(unreadable) if unreadable.of_api && config.ignores_unknown => continue,
            Err(unreadable) => return Ok(unread(&unreadable, &rule.place.to_string())),
        };
        match rule.effect {
            Effect::Deny(message) => {
                let said = message.said(facts.attachment(), &found, rule.place);
                return Ok(Verdict::Deny(said));
            }
            Effect::Set(now) => {
                set = Some(match set.take() {
                    Some(earlier) => now.over(earlier),
                    None => *now,
                });
            }
        }
    }
    if let Some(refused) = counted(&config.quotas, facts, set.as_ref(), None, store) {
        return Ok(refused);
    }
    let Some(set) = set else { return Ok(Verdict::Allow) };
    amend(set, facts)
}

fn amend(set: Set, facts: &Facts<'_>) -> Result<Verdict, String> {
    let network = match facts.network() {
        Ok(network) => network,
        Err(unreadable) => return Ok(unread(&unreadable, "/rules")),
    };
    match set.patch(&network) {
        Ok(Some(patch)) => Ok(Verdict::Amend(patch)),
        Ok(None) => Ok(Verdict::Allow),
        Err(Unset::Unreadable(unreadable)) => Ok(unread(&unreadable, "/rules")),
        Err(Unset::NoPool(what)) => Err(what),
    }
}

/// With the finished plan. Every rule that denies is asked again, of the configuration as all
/// policies left it; and the quotas, now that the addresses are known.
pub fn review(config: &Config, facts: Facts<'_>, plan: &Plan, store: &mut dyn Store) -> Verdict {
    let own: Vec<IpAddr> =
        config.rules.iter().flat_map(|rule| own(&rule.effect)).copied().collect();
    let facts = facts.reviewed(plan, &own);
    for rule in &config.rules {
        let Effect::Deny(message) = &rule.effect else { continue };
        match rule.when.found(&facts) {
            Ok(Some(found)) => {
                let said = message.said(facts.attachment(), &found, rule.place);
                return Verdict::Deny(said);
            }
            Ok(None) => {}
            Err(unreadable) if unreadable.of_api && config.ignores_unknown => {}
            Err(unreadable) => return unread(&unreadable, &rule.place.to_string()),
        }
    }
    counted(&config.quotas, &facts, None, Some(plan), store).unwrap_or(Verdict::Allow)
}

/// The addresses that a rule itself asks for.
fn own(effect: &Effect) -> &[IpAddr] {
    match effect {
        Effect::Set(set) => set.addresses(),
        Effect::Deny(_) => &[],
    }
}

/// What cannot be read for certain is refused.
fn unread(unreadable: &Unreadable, pointer: &str) -> Verdict {
    let Unreadable { place, what, .. } = unreadable;
    Verdict::Deny(format!("{place} {what}, and {pointer} looks at it"))
}

/// Enters the attachment where there are quotas; the refusal, if one is full.
fn counted(
    quotas: &[Quota],
    facts: &Facts<'_>,
    set: Option<&Set>,
    plan: Option<&Plan>,
    store: &mut dyn Store,
) -> Option<Verdict> {
    if quotas.is_empty() {
        return None;
    }
    let having = match having(quotas, facts, set, plan) {
        Ok(having) => having,
        Err(unreadable) => return Some(unread(&unreadable, "/quotas")),
    };
    quota::enter(quotas, facts.attachment(), having, store).err().map(Verdict::Deny)
}

/// What the attachment will have. Only what is counted is looked at.
fn having(
    quotas: &[Quota],
    facts: &Facts<'_>,
    set: Option<&Set>,
    plan: Option<&Plan>,
) -> Result<Having, Unreadable> {
    let mut having = Having::default();
    if quotas.iter().any(|quota| quota.host_ports.is_some()) {
        let mappings = match set.and_then(Set::mappings) {
            Some(mappings) => mappings,
            None => facts.mappings()?,
        };
        having.host_ports = mappings.len() as u64;
    }
    if let Some(plan) = plan {
        having.addresses = plan.leased()?.len() as u64;
    }
    Ok(having)
}
