"""The call that runs: what the modules of the SDK ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn

from .._address import IPAddress, Range
from .._attachment import AttachmentId
from ._book import Book


class Trap(BaseException):
    """The real host ends this call here: no `except Exception` of the plugin sees it."""

    def __init__(self, what: str):
        super().__init__(f"the host ends this call: {what}")


class Kind(Enum):
    """Which export runs: it decides what may be called."""

    OUTSIDE = "validate or pools"
    ALLOCATE = "allocate"
    RELEASED = "released"
    POLICY = "a policy"


@dataclass
class Node:
    """What the node module answers."""

    name: str = "node"
    labels: dict[str, str] = field(default_factory=dict)
    now: int = 0


_LEDGER = (Kind.ALLOCATE,)
_STORE = (Kind.ALLOCATE, Kind.POLICY)


@dataclass
class Current:
    """One call, and what it has done so far."""

    kind: Kind
    book: Book
    node: Node
    id: AttachmentId | None
    lines: list[tuple[int, str]]
    taken: list[IPAddress] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)

    def commit(self, leased: list[IPAddress]) -> Book:
        """The book as the call leaves it: what it took and did not lease is free."""
        if self.kind is Kind.ALLOCATE and self.id:
            self.book.settle(self.id, leased)
        for identity in self.identities:
            self.book.identities[identity] = list(leased)
        return self.book

    def _offered(self, what: str, kinds: tuple[Kind, ...]) -> AttachmentId:
        if self.kind not in kinds or self.id is None:
            _trap(f"{what} was called in {self.kind.value}, where the contract does not offer it")
        return self.id

    def take(self, address: IPAddress) -> AttachmentId | str | None:
        refusal = self.book.take(self._offered("ledger.take", _LEDGER), address)
        if refusal is None:
            self.taken.append(address)
        return refusal

    def take_free(
        self, ranges: list[Range], excluded: list[Range], start: IPAddress | None
    ) -> IPAddress | None:
        id = self._offered("ledger.take_free", _LEDGER)
        address = self.book.take_free(id, ranges, excluded, start)
        if address is not None:
            self.taken.append(address)
        return address

    def remembered(self, identity: str) -> list[IPAddress]:
        self._offered("ledger.remembered", _LEDGER)
        return list(self.book.identities.get(identity, []))

    def remember(self, identity: str) -> None:
        self._offered("ledger.remember", _LEDGER)
        self.identities.append(identity)

    def usage(self, ranges: list[Range]) -> tuple[int, int, int, int]:
        self._offered("ledger.usage", _LEDGER)
        return self.book.usage(ranges)

    def get(self, key: str) -> str | None:
        self._offered("store.get", _STORE)
        return self.book.store.get(key, (None, None))[0]

    def put(self, key: str, value: str, permanent: bool) -> None:
        id = self._offered("store.put", _STORE)
        self.book.store[key] = (value, None if permanent else id)

    def remove(self, key: str) -> bool:
        self._offered("store.remove", _STORE)
        return self.book.store.pop(key, None) is not None

    def scan(self, prefix: str, after: str | None, limit: int) -> list[tuple[str, str]]:
        self._offered("store.scan", _STORE)
        return self.book.scan(prefix, after, limit)

    def count(self, prefix: str) -> int:
        self._offered("store.count", _STORE)
        return sum(key.startswith(prefix) for key in self.book.store)

    def log(self, level: int, message: str) -> None:
        self.lines.append((level, message))

    def node_name(self) -> str:
        return self.node.name

    def node_label(self, name: str) -> str | None:
        return self.node.labels.get(name)

    def node_now(self) -> int:
        return self.node.now


def _trap(what: str) -> NoReturn:
    raise Trap(what)
