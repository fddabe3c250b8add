//! Addresses as numbers, and intervals of them. Pure. Never walks an interval: all of it is
//! arithmetic on 128 bits, so the width of a range costs nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Range;

/// An address as its family and its number. IPv4 sorts below IPv6; the two never touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Point {
    v6: bool,
    bits: u128,
}

impl Point {
    /// The next address up, none above the family's last.
    pub(crate) fn next(self) -> Option<Self> {
        let top = if self.v6 { u128::MAX } else { u128::from(u32::MAX) };
        (self.bits < top).then(|| Self { v6: self.v6, bits: self.bits.saturating_add(1) })
    }

    /// The next address down, none below the family's first.
    pub(crate) fn previous(self) -> Option<Self> {
        self.bits.checked_sub(1).map(|bits| Self { v6: self.v6, bits })
    }

    /// Seventeen bytes whose order is the order of points: what the database sorts by.
    pub(crate) fn key(self) -> [u8; 17] {
        let mut key = [0; 17];
        let (family, number) = key.split_at_mut(1);
        family.fill(if self.v6 { 6 } else { 4 });
        number.copy_from_slice(&self.bits.to_be_bytes());
        key
    }

    /// Reads [`Point::key`] back; none where the bytes are no such key.
    pub(crate) fn from_key(key: &[u8]) -> Option<Self> {
        let (family, number) = key.split_first()?;
        let bits = u128::from_be_bytes(number.try_into().ok()?);
        match *family {
            4 if bits <= u128::from(u32::MAX) => Some(Self { v6: false, bits }),
            6 => Some(Self { v6: true, bits }),
            _ => None,
        }
    }

    /// As the standard library has it.
    pub(crate) fn ip(self) -> IpAddr {
        match u32::try_from(self.bits) {
            Ok(bits) if !self.v6 => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(self.bits)),
        }
    }
}

impl From<IpAddr> for Point {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self { v6: false, bits: v4.to_bits().into() },
            IpAddr::V6(v6) => Self { v6: true, bits: v6.to_bits() },
        }
    }
}

/// An interval of one family, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) first: Point,
    pub(crate) last: Point,
}

impl Span {
    /// None where `first` is above `last`, or the two are of different families.
    pub(crate) fn new(first: Point, last: Point) -> Option<Self> {
        (first.v6 == last.v6 && first <= last).then_some(Self { first, last })
    }

    /// The interval of one address.
    pub(crate) fn one(point: Point) -> Self {
        Self { first: point, last: point }
    }

    pub(crate) fn contains(self, point: Point) -> bool {
        self.first.v6 == point.v6 && self.first <= point && point <= self.last
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// How many addresses; all of IPv6 saturates.
    pub(crate) fn size(self) -> u128 {
        self.last.bits.saturating_sub(self.first.bits).saturating_add(1)
    }

    /// `10.0.0.1-10.0.0.9`, for people.
    pub(crate) fn text(self) -> String {
        format!("{}-{}", self.first.ip(), self.last.ip())
    }
}

impl From<&Range> for Span {
    fn from(range: &Range) -> Self {
        Self { first: range.first().into(), last: range.last().into() }
    }
}

/// The ranges as spans, in their order.
pub(crate) fn spans(ranges: &[Range]) -> Vec<Span> {
    ranges.iter().map(Span::from).collect()
}

/// The same set of addresses as sorted spans that neither overlap nor touch.
pub(crate) fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match out.last_mut() {
            Some(top) if joins(*top, span) => top.last = top.last.max(span.last),
            _ => out.push(span),
        }
    }
    out
}

/// Whether `upper`, which begins no lower than `lower`, begins within it or right above it.
fn joins(lower: Span, upper: Span) -> bool {
    lower.first.v6 == upper.first.v6 && lower.last.next().is_none_or(|above| upper.first <= above)
}

/// Of sorted spans that do not overlap, the one that contains the point.
pub(crate) fn covering(sorted: &[Span], point: Point) -> Option<Span> {
    let above = sorted.partition_point(|span| span.first <= point);
    let below = above.checked_sub(1)?;
    sorted.get(below).copied().filter(|span| span.contains(point))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: &str, last: &str) -> Span {
        let point = |text: &str| Point::from(text.parse::<IpAddr>().unwrap());
        Span::new(point(first), point(last)).unwrap()
    }

    #[test]
    fn keys_sort_as_addresses_and_read_back() {
        let texts =
            ["0.0.0.0", "9.255.255.255", "10.0.0.0", "255.255.255.255", "::", "::1", "fe80::"];
        let points = texts.map(|text| Point::from(text.parse::<IpAddr>().unwrap()));
        assert!(points.is_sorted() && points.map(Point::key).is_sorted());
        for (point, text) in points.into_iter().zip(texts) {
            assert_eq!(Point::from_key(&point.key()), Some(point));
            assert_eq!(point.ip().to_string(), text);
        }
        for wrong in [&[4; 17][..], &[5; 17], &[6; 16], &[]] {
            assert_eq!(Point::from_key(wrong), None);
        }
    }

    #[test]
    fn a_family_ends_where_it_ends() {
        let ends = [span("0.0.0.0", "255.255.255.255"), span("::", &"ffff:".repeat(8)[..39])];
        for end in ends {
            assert_eq!((end.first.previous(), end.last.next()), (None, None));
        }
        assert_eq!(ends.map(Span::size), [1 << 32, u128::MAX]);
        assert!(!ends[1].contains(ends[0].first) && !ends[0].overlaps(ends[1]));
    }

    #[test]
    fn spans_that_overlap_or_touch_are_one() {
        let given = vec![
            span("10.0.0.8", "10.0.0.9"),
            span("10.0.0.0", "10.0.0.3"),
            span("::", "::1"),
            span("10.0.0.4", "10.0.0.5"),
            span("10.0.0.1", "10.0.0.2"),
            span("255.255.255.255", "255.255.255.255"),
        ];
        let joined = merged(given);
        let texts: Vec<_> = joined.iter().map(|span| span.text()).collect();
        let last = "255.255.255.255-255.255.255.255";
        assert_eq!(texts, ["10.0.0.0-10.0.0.5", "10.0.0.8-10.0.0.9", last, "::-::1"]);
        let covered =
            |text: &str| covering(&joined, Point::from(text.parse::<IpAddr>().unwrap())).is_some();
        assert!(covered("10.0.0.5") && !covered("10.0.0.6") && covered("10.0.0.8"));
        assert!(!covered("9.0.0.0") && covered("::1") && !covered("::2"));
    }
}
