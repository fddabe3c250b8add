//! When a rule holds: its `match`, read and held against an attachment.

use crate::facts::{Mapping, Values};
use crate::glob::Glob;
use crate::json::{At, Problem, Unreadable, cut};
use crate::net::Net;
use crate::test::{self, Bounds, MappingTest, RouteTest, Test, object, over, test, under};

/// All of these must hold; none are there, and it always does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Match(Vec<Condition>);

/// One key of a `match`. It holds where one of the attachment's values does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Text(Text, Test<Glob>),
    Named(Named, String, Test<Glob>),
    Number(Number, Test<Bounds>),
    Address(Test<Net>),
    Mapping(Test<MappingTest>),
    Route(Test<RouteTest>),
    Planned(Match),
    Not(Match),
}

/// Texts of an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Namespace,
    Pod,
    Network,
    Interface,
    Mac,
    Sysctl,
}

/// Texts by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Args,
    Annotations,
    PodLabels,
    PodAnnotations,
    NamespaceLabels,
    NamespaceAnnotations,
}

/// Numbers of an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    HostPort,
    IngressRate,
    EgressRate,
}

const KEYS: [&str; 26] = [
    "namespace",
    "pod",
    "network",
    "interface",
    "args",
    "annotations",
    "podLabels",
    "podAnnotations",
    "namespaceLabels",
    "namespaceAnnotations",
    "requestedAddress",
    "mac",
    "hostPort",
    "hostPortBelow",
    "hostPortAbove",
    "portMapping",
    "sysctl",
    "ingressRate",
    "ingressRateBelow",
    "ingressRateAbove",
    "egressRate",
    "egressRateBelow",
    "egressRateAbove",
    "route",
    "planned",
    "not",
];
/// What the finished plan tells.
const PLANNED: [&str; 13] = [
    "address",
    "hostPort",
    "hostPortBelow",
    "hostPortAbove",
    "portMapping",
    "sysctl",
    "ingressRate",
    "ingressRateBelow",
    "ingressRateAbove",
    "egressRate",
    "egressRateBelow",
    "egressRateAbove",
    "route",
];

impl Match {
    /// Reads it.
    pub(crate) fn read(at: &At<'_>, problems: &mut Vec<Problem>) -> Self {
        Self::of(at, &KEYS, problems)
    }

    fn of(at: &At<'_>, keys: &[&str], problems: &mut Vec<Problem>) -> Self {
        let mut conditions = Vec::new();
        if object(at, keys, problems) {
            for (name, at) in at.members() {
                condition(name, &at, problems, &mut conditions);
            }
        }
        // What is known without reading the configuration is asked first; last, and so only where
        // all else holds, what the cluster's API would have to be asked for.
        let (mut conditions, others): (Vec<_>, Vec<_>) =
            conditions.into_iter().partition(Condition::is_known);
        let (of_api, others): (Vec<_>, Vec<_>) = others.into_iter().partition(Condition::is_of_api);
        conditions.extend(others.into_iter().chain(of_api));
        Self(conditions)
    }

    /// Whether it looks at the finished plan, and so can be asked by a review alone.
    pub(crate) fn is_of_plan(&self) -> bool {
        self.0.iter().any(|condition| match condition {
            Condition::Planned(_) => true,
            Condition::Not(inner) => inner.is_of_plan(),
            _ => false,
        })
    }

    /// What made it hold ("hostPort 80"), or none where it does not.
    pub(crate) fn found(&self, facts: &dyn Values) -> Result<Option<Vec<String>>, Unreadable> {
        let mut found = Vec::new();
        for condition in &self.0 {
            match condition.found(facts)? {
                Some(what) => found.extend(what),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }
}

impl Condition {
    /// Whether it is known without reading the configuration.
    fn is_known(&self) -> bool {
        match self {
            Self::Text(Text::Mac | Text::Sysctl, _) => false,
            Self::Text(..) => true,
            Self::Not(inner) => inner.0.iter().all(Self::is_known),
            _ => false,
        }
    }

    /// Whether the cluster's API is asked.
    fn is_of_api(&self) -> bool {
        match self {
            Self::Named(named, ..) => !matches!(named, Named::Args | Named::Annotations),
            Self::Not(inner) => inner.0.iter().any(Self::is_of_api),
            _ => false,
        }
    }

    fn found(&self, facts: &dyn Values) -> Result<Option<Vec<String>>, Unreadable> {
        let fits = |test: &Test<Glob>, text: &str| test.holds(&|glob| glob.fits(text));
        let within = |test: &Test<Net>, net: &Net| test.holds(&|outer| outer.covers(net));
        let found: Option<(&str, String)> = match self {
            Self::Not(inner) => return Ok(inner.found(facts)?.is_none().then(Vec::new)),
            Self::Planned(inner) => {
                let Some(planned) = facts.planned() else { return Ok(None) };
                return inner.found(planned);
            }
            Self::Text(of, test) => {
                let mut all = facts.texts(*of)?.into_iter();
                all.find(|value| fits(test, value)).map(|value| (of.name(), value))
            }
            Self::Named(named, name, test) => {
                let mut all = facts.named(*named, name)?.into_iter();
                let found = all.find(|value| fits(test, value));
                let of = |name: &str| format!("{}{name}", named.prefix());
                return Ok(found.map(|value| said(&of(name), &value)));
            }
            Self::Number(number, test) => {
                let mut all = facts.numbers(*number)?.into_iter();
                let found = all.find(|value| test.holds(&|bounds| bounds.fit(*value)));
                found.map(|value| (number.name(), value.to_string()))
            }
            Self::Address(test) => {
                let mut all = facts.addresses()?.into_iter();
                all.find(|net| within(test, net)).map(|net| ("address", net.to_string()))
            }
            Self::Mapping(test) => {
                let mut all = facts.mappings()?.into_iter();
                let found = all.find(|one| test.holds(&|test| mapping_fits(test, one)));
                found.map(|one| ("hostPort", one.to_string()))
            }
            Self::Route(test) => {
                let mut all = facts.routes()?.into_iter();
                let found = all.find(|net| test.holds(&|test| test.fits(net)));
                found.map(|net| ("route", net.to_string()))
            }
        };
        Ok(found.map(|(name, value)| said(name, &value)))
    }
}

fn said(name: &str, value: &str) -> Vec<String> {
    vec![format!("{name} {}", cut(value, 100))]
}

impl Named {
    /// What says whose it is, where that is not plain.
    fn prefix(self) -> &'static str {
        match self {
            Self::Args | Self::Annotations => "",
            Self::PodLabels => "pod label ",
            Self::PodAnnotations => "pod annotation ",
            Self::NamespaceLabels => "namespace label ",
            Self::NamespaceAnnotations => "namespace annotation ",
        }
    }
}

fn mapping_fits(test: &MappingTest, one: &Mapping) -> bool {
    let number = |test: &Option<Test<Bounds>>, port: u64| {
        test.as_ref().is_none_or(|test| test.holds(&|bounds| bounds.fit(port)))
    };
    let protocol = test.protocol.as_ref();
    let host_ip = test.host_ip.as_ref();
    number(&test.host_port, one.host_port)
        && number(&test.container_port, one.container_port)
        && protocol.is_none_or(|test| test.holds(&|glob| glob.fits(&one.protocol)))
        && host_ip.is_none_or(|test| test.holds(&|net| net.covers(&Net::single(one.host_ip))))
}

impl Text {
    fn name(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Pod => "pod",
            Self::Network => "network",
            Self::Interface => "interface",
            Self::Mac => "mac",
            Self::Sysctl => "sysctl",
        }
    }
}

impl Number {
    fn name(self) -> &'static str {
        match self {
            Self::HostPort => "hostPort",
            Self::IngressRate => "ingressRate",
            Self::EgressRate => "egressRate",
        }
    }
}

/// Reads one key's value; what has names makes a condition of each.
fn condition(name: &str, at: &At<'_>, problems: &mut Vec<Problem>, all: &mut Vec<Condition>) {
    let one = match name {
        "namespace" => text(Text::Namespace, at, problems, test::glob),
        "pod" => text(Text::Pod, at, problems, test::glob),
        "network" => text(Text::Network, at, problems, test::glob),
        "interface" => text(Text::Interface, at, problems, test::glob),
        "mac" => text(Text::Mac, at, problems, test::mac),
        "sysctl" => text(Text::Sysctl, at, problems, test::sysctl),
        "args" => return named(Named::Args, at, problems, all),
        "annotations" => return named(Named::Annotations, at, problems, all),
        "podLabels" => return named(Named::PodLabels, at, problems, all),
        "podAnnotations" => return named(Named::PodAnnotations, at, problems, all),
        "namespaceLabels" => return named(Named::NamespaceLabels, at, problems, all),
        "namespaceAnnotations" => return named(Named::NamespaceAnnotations, at, problems, all),
        "requestedAddress" | "address" => test(at, problems, test::net).map(Condition::Address),
        "portMapping" => test(at, problems, test::mapping).map(Condition::Mapping),
        "route" => test(at, problems, test::route).map(Condition::Route),
        "planned" => Some(Condition::Planned(Match::of(at, &PLANNED, problems))),
        "not" => Some(Condition::Not(Match::of(at, &KEYS, problems))),
        other => number(other, at, problems),
    };
    all.extend(one);
}

fn text(
    text: Text,
    at: &At<'_>,
    problems: &mut Vec<Problem>,
    leaf: test::Leaf<Glob>,
) -> Option<Condition> {
    test(at, problems, leaf).map(|test| Condition::Text(text, test))
}

fn named(named: Named, at: &At<'_>, problems: &mut Vec<Problem>, all: &mut Vec<Condition>) {
    if !at.value.is_object() || at.is_empty() {
        problems.push(at.wanted("an object of names and patterns"));
    }
    for (name, member) in at.members() {
        let test = test(&member, problems, test::glob);
        all.extend(test.map(|test| Condition::Named(named, name.to_owned(), test)));
    }
}

/// "hostPort", or the short "hostPortBelow" and "hostPortAbove"; rates likewise.
fn number(name: &str, at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Condition> {
    let all = [Number::HostPort, Number::IngressRate, Number::EgressRate];
    let (number, end) =
        all.into_iter().find_map(|one| Some((one, name.strip_prefix(one.name())?)))?;
    let bounds = match end {
        "Below" => Bounds::up_to(test::keep(under(at), problems)?),
        "Above" => Bounds::from(test::keep(over(at), problems)?),
        _ => return test(at, problems, test::bounds).map(|t| Condition::Number(number, t)),
    };
    Some(Condition::Number(number, Test::One(bounds)))
}
