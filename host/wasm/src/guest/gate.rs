//! What a guest's process may ask, and what it may answer: it is taken for one that somebody else
//! has in hand. Pure.

use std::net::IpAddr;

use crate::answer::{detail, line};
use crate::limits::{Limit, Limits};
use crate::record::{Answer, Call, Failure, Import};
use crate::{Error, Pool, Problem, Verdict, World, address, imports, lease, policy};

/// Whether a call of this world may ask this at all; says what is wrong.
pub(super) fn may_ask(
    world: World,
    call: &Call,
    pod: bool,
    question: &Import,
) -> Result<(), String> {
    let of_the_book =
        matches!(call, Call::Allocate { .. } | Call::Admit { .. } | Call::Review { .. });
    let wrong = || Err(format!("its process asked {question} during {}", call.export()));
    match question {
        Import::Take { .. }
        | Import::TakeFree { .. }
        | Import::Remembered { .. }
        | Import::Remember { .. }
        | Import::Usage { .. }
            if world != World::Ipam || !of_the_book =>
        {
            wrong()
        }
        Import::Pod { .. } if !pod || !of_the_book => wrong(),
        Import::Http { .. } | Import::Log { .. } | Import::Broken { .. } => wrong(),
        _ if !of_the_book => wrong(),
        _ => imports::fit(question),
    }
}

/// An answer of the call's own kind, as one that came straight from a component is.
pub(super) fn checked(call: &Call, answer: Answer, taken: &[IpAddr]) -> Result<Answer, String> {
    match (call, answer) {
        (Call::Validate { .. }, Answer::Problems(problems)) => {
            Ok(Answer::Problems(problems.iter().map(problem).collect()))
        }
        (Call::Pools { .. }, Answer::Pools(pools)) => {
            pools.into_iter().map(pool).collect::<Result<_, _>>().map(Answer::Pools)
        }
        (Call::Allocate { request }, Answer::Lease(lease)) => {
            lease::check(lease::given(&lease), taken, &request.wanted).map(Answer::Lease)
        }
        (Call::Released { .. }, Answer::Released(())) => Ok(Answer::Released(())),
        (Call::Admit { .. } | Call::Review { .. }, Answer::Verdict(verdict)) => {
            Ok(Answer::Verdict(match verdict {
                Verdict::Deny(reason) => Verdict::Deny(policy::said(&reason)),
                other => other,
            }))
        }
        (call, _) => Err(format!("its process answered {} with something else", call.export())),
    }
}

fn problem(given: &Problem) -> Problem {
    Problem { pointer: line(&given.pointer), message: line(&given.message) }
}

fn pool(given: Pool) -> Result<Pool, String> {
    for (first, last) in &given.ranges {
        address::parse_range(&first.to_string(), &last.to_string())?;
    }
    Ok(Pool { name: line(&given.name), ranges: given.ranges })
}

/// A failure as the error that it was, of this plugin and call.
pub(super) fn error(
    failure: Failure,
    plugin: &str,
    call: &'static str,
    limits: &Limits,
    place: &str,
) -> Error {
    let plugin = plugin.to_owned();
    match failure {
        Failure::Failed { reason, message, detail: more } => Error::Failed {
            plugin,
            call,
            reason,
            message: line(&message),
            detail: more.as_deref().map(detail),
        },
        Failure::Trapped { message } => Error::Trapped { plugin, call, message: line(&message) },
        Failure::Limit { setting, .. } => match Limit::of_setting(&setting) {
            Some(limit) => limit.error_at(&plugin, call, limits, line_after_comma(place)),
            None => Error::BadAnswer { plugin, call, what: "it met no known limit".to_owned() },
        },
        Failure::BadAnswer { what } => Error::BadAnswer { plugin, call, what: line(&what) },
        Failure::Refused { import, grant } => {
            Error::Refused { plugin, call, import: line(&import), grant: detail(&grant) }
        }
        Failure::Book { what } => Error::Book(line(&what).into()),
        Failure::Unloadable { what } => Error::Unloadable { plugin, what: line(&what) },
    }
}

/// ", in a < b", as [`line`] but for its comma.
fn line_after_comma(place: &str) -> String {
    match place.strip_prefix(", in ").map(line) {
        Some(names) => format!(", in {names}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attachment, Lease, LeasedAddress, PolicyRequest, Request, Sources};

    fn attachment() -> Attachment {
        let id = wharfinger_cni::AttachmentId {
            network: "n".into(),
            container: "c".into(),
            ifname: "eth0".into(),
        };
        Attachment { id, pod: None, args: vec![] }
    }

    fn allocate() -> Call {
        let request = Request {
            attachment: attachment(),
            config: "{}".into(),
            network_config: "{}".into(),
            wanted: vec![],
        };
        Call::Allocate { request }
    }

    fn admit() -> Call {
        let written = Sources { network: "{}".into(), runtime: "{}".into(), pod: "{}".into() };
        let request = PolicyRequest {
            attachment: attachment(),
            config: "{}".into(),
            network_config: "{}".into(),
            written,
        };
        Call::Admit { request }
    }

    fn take(address: &str) -> Import {
        Import::Take { address: address.parse().unwrap(), refused: None }
    }

    #[test]
    fn each_world_and_call_has_its_questions() {
        let pools = Call::Pools { config: "{}".into() };
        let get = |key: &str| Import::Get { key: key.into(), answer: None };
        let pod = Import::Pod { answer: Ok(crate::PodFacts::default()) };
        let ipam = |call: &Call, question: &Import| may_ask(World::Ipam, call, false, question);
        assert_eq!(ipam(&allocate(), &take("10.0.0.1")), Ok(()));
        assert_eq!(ipam(&allocate(), &get("k")), Ok(()));
        for (call, question) in [
            (&pools, take("10.0.0.1")),
            (&pools, get("k")),
            (&allocate(), get("")),
            (&allocate(), get(&"k".repeat(1_025))),
            (&allocate(), take("::ffff:10.0.0.1")),
            (&allocate(), pod.clone()),
            (&allocate(), Import::Broken { why: "x".into() }),
            (
                &allocate(),
                Import::TakeFree {
                    ranges: vec![("10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap())],
                    excluded: vec![],
                    start: None,
                    answer: None,
                },
            ),
        ] {
            assert!(ipam(call, &question).is_err(), "{question}");
        }
        let asked = admit();
        let policy = |granted, question: &Import| may_ask(World::Policy, &asked, granted, question);
        assert!(policy(true, &take("10.0.0.1")).is_err());
        assert_eq!(policy(true, &pod), Ok(()));
        assert!(policy(false, &pod).is_err());
    }

    #[test]
    fn an_answer_is_what_a_component_might_have_said() {
        let address = LeasedAddress { address: "10.0.0.1/24".parse().unwrap(), gateway: None };
        let lease = Lease { addresses: vec![address], ..Lease::default() };
        let taken: IpAddr = "10.0.0.1".parse().unwrap();
        let said = Answer::Lease(lease.clone());
        assert_eq!(checked(&allocate(), said.clone(), &[taken]), Ok(said.clone()));
        let stolen = checked(&allocate(), said.clone(), &[]).unwrap_err();
        assert!(stolen.contains("did not take"), "{stolen}");
        assert!(checked(&admit(), said, &[taken]).is_err());
        let denied = Answer::Verdict(Verdict::Deny("a\u{1b}[31m".into()));
        assert_eq!(
            checked(&admit(), denied, &[]),
            Ok(Answer::Verdict(Verdict::Deny("a [31m".into())))
        );
    }

    #[test]
    fn an_error_is_the_one_that_it_was() {
        let limits = Limits::default();
        let at = |failure, place| error(failure, "p", "admit", &limits, place).to_string();
        let met = Limit::Memory.error("p", "admit", &limits);
        assert_eq!(at(Failure::of(&met), ""), met.to_string());
        assert_eq!(at(Failure::of(&met), ", in grow"), format!("{met}, in grow"));
        let odd =
            Failure::Limit { limit: "x".into(), allowed: "y".into(), setting: "limits.no".into() };
        assert!(at(odd, "\u{7}").contains("no known limit"));
    }
}
