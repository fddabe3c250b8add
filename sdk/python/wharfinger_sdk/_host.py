"""Who answers what a plugin asks: the host, or its double in unit tests (`testing.Host`)."""

from __future__ import annotations

from typing import Protocol

from ._address import IPAddress, Range
from ._attachment import AttachmentId


class Asked(Protocol):
    """All that the contract lets a plugin ask."""

    def take(self, address: IPAddress) -> AttachmentId | str | None: ...
    def take_free(self, ranges: list[Range], excluded: list[Range], start: IPAddress | None) -> IPAddress | None: ...
    def remembered(self, identity: str) -> list[IPAddress]: ...
    def remember(self, identity: str) -> None: ...
    def usage(self, ranges: list[Range]) -> tuple[int, int, int, int]: ...
    def get(self, key: str) -> str | None: ...
    def put(self, key: str, value: str, permanent: bool) -> None: ...
    def remove(self, key: str) -> bool: ...
    def scan(self, prefix: str, after: str | None, limit: int) -> list[tuple[str, str]]: ...
    def count(self, prefix: str) -> int: ...
    def log(self, level: int, message: str) -> None: ...
    def node_name(self) -> str: ...
    def node_label(self, name: str) -> str | None: ...
    def node_now(self) -> int: ...


_current: Asked | None = None


def current() -> Asked:
    """Who answers now."""
    if _current is None:
        raise RuntimeError("a plugin can ask its host in a call alone: in a unit test, one of testing.Host")
    return _current


def answers(asked: Asked | None) -> Asked | None:
    """From now on this one; who did before."""
    global _current
    before, _current = _current, asked
    return before


def text(value: object, what: str) -> str:
    """A text that the host can be given."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is {type(value).__name__}, and must be str")
    return value.encode("utf-8", "replace").decode("utf-8")
