//! What one value is held against: a pattern, a network, a bound; lists are "any of", and "not".

use crate::glob::Glob;
use crate::json::{At, Problem};
use crate::net::{Net, address};

/// A test of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test<T> {
    /// This.
    One(T),
    /// One of these.
    Any(Vec<Self>),
    /// Anything but this.
    Not(Box<Self>),
}

impl<T> Test<T> {
    /// Whether it holds, where `fits` says it of the innermost.
    pub(crate) fn holds(&self, fits: &dyn Fn(&T) -> bool) -> bool {
        match self {
            Self::One(one) => fits(one),
            Self::Any(all) => all.iter().any(|test| test.holds(fits)),
            Self::Not(test) => !test.holds(fits),
        }
    }
}

/// Numbers from `least` to `most`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    least: u64,
    most: u64,
}

impl Bounds {
    /// Whether a number is within.
    pub(crate) fn fit(&self, number: u64) -> bool {
        (self.least..=self.most).contains(&number)
    }
}

/// How a route's destination must lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteTest {
    /// All of it within this.
    Within(Net),
    /// They share an address.
    Overlaps(Net),
    /// All of this within it.
    Covers(Net),
}

impl RouteTest {
    /// Whether a destination lies so.
    pub(crate) fn fits(&self, destination: &Net) -> bool {
        match self {
            Self::Within(net) => net.covers(destination),
            Self::Overlaps(net) => net.overlaps(destination),
            Self::Covers(net) => destination.covers(net),
        }
    }
}

/// What is asked of one port mapping; what is absent is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MappingTest {
    /// The port of the host.
    pub(crate) host_port: Option<Test<Bounds>>,
    /// The port of the container.
    pub(crate) container_port: Option<Test<Bounds>>,
    /// "tcp", "udp", "sctp".
    pub(crate) protocol: Option<Test<Glob>>,
    /// The address of the host; 0.0.0.0 where none is given.
    pub(crate) host_ip: Option<Test<Net>>,
}

/// Reads the innermost of a test; problems are noted.
pub(crate) type Leaf<T> = fn(&At<'_>, &mut Vec<Problem>) -> Option<T>;

/// Reads a test: a list, an object whose only key is "not", or the innermost.
pub(crate) fn test<T>(at: &At<'_>, problems: &mut Vec<Problem>, leaf: Leaf<T>) -> Option<Test<T>> {
    if at.value.is_array() {
        let mut tests = Vec::new();
        for item in at.items() {
            tests.extend(test(&item, problems, leaf));
        }
        if at.is_empty() {
            problems.push(at.problem("is empty: nothing would ever match"));
        }
        return Some(Test::Any(tests));
    }
    match at.get("not") {
        Some(not) if at.members().count() == 1 => {
            Some(Test::Not(Box::new(test(&not, problems, leaf)?)))
        }
        _ => leaf(at, problems).map(Test::One),
    }
}

/// The value, or none with the problem noted.
pub(crate) fn keep<T>(result: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}

/// An object with these keys alone; anything else is a problem.
pub(crate) fn object(at: &At<'_>, known: &[&str], problems: &mut Vec<Problem>) -> bool {
    if !at.value.is_object() {
        problems.push(at.wanted(&format!("an object with {}", known.join(", "))));
        return false;
    }
    for (name, member) in at.members() {
        if !known.contains(&name) {
            problems.push(member.problem(&format!("is not known; there are {}", known.join(", "))));
        }
    }
    true
}

/// A whole number from 0.
pub(crate) fn number(at: &At<'_>) -> Result<u64, Problem> {
    at.value.as_u64().ok_or_else(|| at.wanted("a whole number"))
}

/// A string.
pub(crate) fn text<'a>(at: &At<'a>) -> Result<&'a str, Problem> {
    at.value.as_str().ok_or_else(|| at.wanted("a string"))
}

/// A pattern.
pub(crate) fn glob(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Glob> {
    let text = keep(text(at), problems)?;
    keep(Glob::parse(text).map_err(|what| at.wanted(what)), problems)
}

/// A pattern of text that is compared in lower case.
pub(crate) fn lower(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Glob> {
    let text = keep(text(at), problems)?.to_ascii_lowercase();
    keep(Glob::parse(&text).map_err(|what| at.wanted(what)), problems)
}

/// A pattern of MAC addresses, as 02:00:*.
pub(crate) fn mac(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Glob> {
    let text = keep(text(at), problems)?.to_ascii_lowercase().replace('-', ":");
    keep(Glob::parse(&text).map_err(|what| at.wanted(what)), problems)
}

/// A pattern of kernel parameters: with dots or slashes.
pub(crate) fn sysctl(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Glob> {
    let text = keep(text(at), problems)?.replace('/', ".");
    keep(Glob::parse(&text).map_err(|what| at.wanted(what)), problems)
}

/// A network, or an address alone.
pub(crate) fn net(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Net> {
    let text = keep(text(at), problems)?;
    let net = Net::parse(text).ok_or_else(|| at.wanted("a network or an address, as 10.1.0.0/16"));
    let net = keep(net, problems)?;
    let start = text.split_once('/').map_or(text, |(start, _)| start);
    if !address(start).is_some_and(|start| net.is_first(start)) {
        problems.push(at.problem(&format!("has host bits set: the network is {net}")));
        return None;
    }
    Some(net)
}

/// A number, or bounds of one.
pub(crate) fn bounds(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Bounds> {
    if let Some(number) = at.value.as_u64() {
        return Some(Bounds { least: number, most: number });
    }
    if !at.value.is_object() {
        problems.push(at.wanted("a whole number, or an object with below, above"));
        return None;
    }
    object(at, &["below", "above"], problems);
    let mut bounds = Bounds { least: 0, most: u64::MAX };
    if let Some(below) = at.get("below") {
        bounds.most = keep(under(&below), problems)?;
    }
    if let Some(above) = at.get("above") {
        bounds.least = keep(over(&above), problems)?;
    }
    if bounds.least > bounds.most || at.is_empty() {
        problems.push(at.wanted("bounds that some number is within"));
        return None;
    }
    Some(bounds)
}

/// The largest number below this one.
pub(crate) fn under(at: &At<'_>) -> Result<u64, Problem> {
    number(at)?.checked_sub(1).ok_or_else(|| at.problem("no number is below 0"))
}

/// The smallest number above this one.
pub(crate) fn over(at: &At<'_>) -> Result<u64, Problem> {
    number(at)?.checked_add(1).ok_or_else(|| at.problem("no number is above this"))
}

impl Bounds {
    /// At most this.
    pub(crate) fn up_to(most: u64) -> Self {
        Self { least: 0, most }
    }

    /// At least this.
    pub(crate) fn from(least: u64) -> Self {
        Self { least, most: u64::MAX }
    }
}

/// A network that the destination lies within; or an object that says how it lies.
pub(crate) fn route(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<RouteTest> {
    if !at.value.is_object() {
        return net(at, problems).map(RouteTest::Within);
    }
    object(at, &["within", "overlaps", "covers"], problems);
    let mut members = at.members();
    let (Some((name, member)), None) = (members.next(), members.next()) else {
        problems.push(at.wanted("one of within, overlaps, covers"));
        return None;
    };
    let net = net(&member, problems)?;
    match name {
        "within" => Some(RouteTest::Within(net)),
        "overlaps" => Some(RouteTest::Overlaps(net)),
        "covers" => Some(RouteTest::Covers(net)),
        _ => None,
    }
}

/// A port mapping.
pub(crate) fn mapping(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<MappingTest> {
    if !object(at, &["hostPort", "containerPort", "protocol", "hostIP"], problems) {
        return None;
    }
    Some(MappingTest {
        host_port: part(at, "hostPort", problems, bounds),
        container_port: part(at, "containerPort", problems, bounds),
        protocol: part(at, "protocol", problems, lower),
        host_ip: part(at, "hostIP", problems, net),
    })
}

fn part<T>(at: &At<'_>, name: &str, problems: &mut Vec<Problem>, leaf: Leaf<T>) -> Option<Test<T>> {
    test(&at.get(name)?, problems, leaf)
}
