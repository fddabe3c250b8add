"""The ledger and the store in memory, as plain as can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .._address import IPAddress, Range
from .._attachment import AttachmentId

_MOST = 2**53


@dataclass
class Book:
    """Who holds what."""

    held: dict[IPAddress, AttachmentId] = field(default_factory=dict)
    resting: set[IPAddress] = field(default_factory=set)
    reserved: dict[IPAddress, str] = field(default_factory=dict)
    identities: dict[str, list[IPAddress]] = field(default_factory=dict)
    cursors: dict[tuple[Range, ...], IPAddress] = field(default_factory=dict)
    """The last address taken of each list of ranges."""
    store: dict[str, tuple[str, AttachmentId | None]] = field(default_factory=dict)
    """Value, and whose it is where it goes with its attachment."""

    def copy(self) -> Book:
        """One that changes apart."""
        return Book(
            dict(self.held), set(self.resting), dict(self.reserved), dict(self.identities),
            dict(self.cursors), dict(self.store),
        )

    def holds(self, id: AttachmentId) -> list[IPAddress]:
        """In the addresses' order."""
        return _sorted(address for address, owner in self.held.items() if owner == id)

    def settle(self, id: AttachmentId, leased: list[IPAddress]) -> None:
        """The attachment holds these and no others."""
        for address in self.holds(id):
            if address not in leased:
                del self.held[address]
                self.resting.add(address)

    def release(self, id: AttachmentId) -> None:
        """What it held rests; what the store has for its time is gone."""
        self.settle(id, [])
        self.store = {key: entry for key, entry in self.store.items() if entry[1] != id}

    def reboot(self) -> None:
        """Only what is remembered, and permanent entries, stay."""
        self.held, self.resting, self.cursors = {}, set(), {}
        self.store = {key: entry for key, entry in self.store.items() if entry[1] is None}

    def take(self, id: AttachmentId, address: IPAddress) -> AttachmentId | str | None:
        """Why not, where it cannot."""
        if address in self.reserved:
            return self.reserved[address]
        owner = self.held.get(address, id)
        if owner != id:
            return owner
        self.resting.discard(address)
        self.held[address] = id
        return None

    def take_free(
        self, id: AttachmentId, ranges: list[Range], excluded: list[Range], start: IPAddress | None
    ) -> IPAddress | None:
        """In the contract's order."""
        free = next(self._candidates(id, ranges, excluded, start), None)
        if free is not None and self.take(id, free) is None:
            self.cursors[tuple(ranges)] = free
            return free
        return None

    def _candidates(
        self, id: AttachmentId, ranges: list[Range], excluded: list[Range], start: IPAddress | None
    ) -> Iterator[IPAddress]:
        kept = [address for addresses in self.identities.values() for address in addresses]

        def may(address: IPAddress) -> bool:
            return any(address in one for one in ranges) and not any(address in one for one in excluded)

        def nobodys(address: IPAddress) -> bool:
            return address not in self.held and address not in self.reserved

        def fresh(address: IPAddress) -> bool:
            return nobodys(address) and address not in self.resting and address not in kept

        yield from filter(may, self.holds(id))
        for one in _rounds(ranges, self._start(ranges, start)):
            first = _first_in(one, excluded, fresh)
            if first is not None:
                yield first
        yield from (a for a in _sorted(self.resting) if may(a) and a not in kept and nobodys(a))
        yield from (a for a in kept if may(a) and nobodys(a))

    def _start(self, ranges: list[Range], start: IPAddress | None) -> IPAddress | None:
        if start is not None and any(start in one for one in ranges):
            return start
        last = self.cursors.get(tuple(ranges))
        return None if last is None or int(last) + 1 == 1 << last.max_prefixlen else last + 1

    def usage(self, ranges: list[Range]) -> tuple[int, int, int, int]:
        """Total, held, resting, remembered."""

        def inside(addresses: Iterable[IPAddress]) -> int:
            return sum(any(address in one for one in ranges) for address in addresses)

        total = sum(int(one.last) - int(one.first) + 1 for one in ranges)
        kept = {a for addresses in self.identities.values() for a in addresses if a not in self.held}
        return min(total, _MOST), inside(self.held), inside(self.resting), inside(kept)

    def scan(self, prefix: str, after: str | None, limit: int) -> list[tuple[str, str]]:
        """In the keys' byte order, which is that of UTF-8."""
        keys = sorted((key for key in self.store if key.startswith(prefix)), key=str.encode)
        above = [key for key in keys if after is None or key.encode() > after.encode()]
        return [(key, self.store[key][0]) for key in above[:limit]]


def _sorted(addresses: Iterable[IPAddress]) -> list[IPAddress]:
    return sorted(addresses, key=lambda address: (address.version, int(address)))


def _rounds(ranges: list[Range], start: IPAddress | None) -> list[Range]:
    """The ranges in the order of the search: from `start` on, all that follow, and round."""
    at = next((i for i, one in enumerate(ranges) if start is not None and start in one), None)
    if at is None or start is None:
        return ranges
    return [Range(start, ranges[at].last), *ranges[at + 1 :], *ranges]


def _first_in(
    one: Range, excluded: list[Range], good: Callable[[IPAddress], bool]
) -> IPAddress | None:
    """The first address of a range that is good; what is excluded is jumped over."""
    address = one.first
    while True:
        jump = next((out.last for out in excluded if address in out), None)
        if jump is None and good(address):
            return address
        last = address if jump is None else jump
        if int(last) >= int(one.last):
            return None
        address = last + 1
