"""What the host answers, by the contract's imports."""

from __future__ import annotations

import ipaddress
import logging

from componentize_py_types import Err
from wit_world.imports import logger, node, store

from .._address import IPAddress, Range
from .._attachment import AttachmentId
from . import _convert

try:
    from wit_world.imports import ledger
except ImportError:  # A policy has none.
    ledger = None  # type: ignore[assignment]

_LEVELS = (
    (logging.ERROR, logger.Level.ERROR),
    (logging.WARNING, logger.Level.WARN),
    (logging.INFO, logger.Level.INFO),
    (logging.DEBUG, logger.Level.DEBUG),
)


def _ledger():
    if ledger is None:
        raise RuntimeError("a policy has no ledger")
    return ledger


class HostAsked:
    """The host."""

    def take(self, address: IPAddress) -> AttachmentId | str | None:
        book = _ledger()
        try:
            book.take(str(address))
        except Err as refused:
            refusal = refused.value
            if isinstance(refusal, book.Refusal_Held):
                return _convert.attachment_id(refusal.value)
            return refusal.value
        return None

    def take_free(
        self, ranges: list[Range], excluded: list[Range], start: IPAddress | None
    ) -> IPAddress | None:
        start_text = None if start is None else str(start)
        address = _ledger().take_free(
            [_convert.range(one) for one in ranges], [_convert.range(one) for one in excluded], start_text
        )
        return None if address is None else ipaddress.ip_address(address)

    def remembered(self, identity: str) -> list[IPAddress]:
        return [ipaddress.ip_address(address) for address in _ledger().remembered(identity)]

    def remember(self, identity: str) -> None:
        _ledger().remember(identity)

    def usage(self, ranges: list[Range]) -> tuple[int, int, int, int]:
        counts = _ledger().usage([_convert.range(one) for one in ranges])
        return counts.total, counts.held, counts.resting, counts.remembered

    def get(self, key: str) -> str | None:
        return store.get(key)

    def put(self, key: str, value: str, permanent: bool) -> None:
        store.put(key, value, store.Lifetime.PERMANENT if permanent else store.Lifetime.ATTACHMENT)

    def remove(self, key: str) -> bool:
        return store.remove(key)

    def scan(self, prefix: str, after: str | None, limit: int) -> list[tuple[str, str]]:
        return [(pair.name, pair.value) for pair in store.scan(prefix, after, limit)]

    def count(self, prefix: str) -> int:
        return store.count(prefix)

    def log(self, level: int, message: str) -> None:
        name = next((name for least, name in _LEVELS if level >= least), logger.Level.TRACE)
        logger.log(name, message)

    def node_name(self) -> str:
        return node.name()

    def node_label(self, name: str) -> str | None:
        return node.label(name)

    def node_now(self) -> int:
        return node.now()
