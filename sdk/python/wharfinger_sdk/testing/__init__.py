"""A host in memory, for unit tests: a ledger, a store, a node and a log that behave as the real ones.

    host = Host(Config, {"pools": [{"subnet": "10.1.0.0/30"}]})
    web, db = Attachment.of("pods", "web"), Attachment.of("pods", "db")
    host.add(web)
    with self.assertRaises(Failure) as full:
        host.add(db)
    self.assertEqual(full.exception.reason, Reason.EXHAUSTED)
    host.delete(web)
    host.add(db)

An exception of the plugin comes out as it is. A call that the real host would end as a trap (the
ledger asked where it is not offered, a lease with an address that was not taken) raises `Trap`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from .. import _call, _host
from .._address import IPAddress, parse_address
from .._attachment import Attachment
from .._failure import Problem
from .._lease import Lease, Pool
from .._log import OperatorLog
from .._plugin import Amend, Deny, PolicyRequest, Request, Verdict
from ..plan import Step
from ._book import Book
from ._current import Current, Kind, Node, Trap
from ._judge import wrong

__all__ = ["Host", "Trap"]

T = TypeVar("T")


class Host:
    """A host in memory, with a plugin and its configuration: an empty book, a node named "node", the
    clock at zero."""

    def __init__(self, plugin: type, config: dict):
        """Both may be set anew at any time."""
        self.plugin = plugin
        self.config = config
        self.node = Node()
        """Its name, its labels, its clock."""
        self.log: list[tuple[int, str]] = []
        """All that was logged: the level as `logging` has it, and the message."""
        self._book = Book()

    def reserve(self, address: IPAddress | str, why: str) -> None:
        """Reserves an address, as an operator does."""
        self._book.reserved[parse_address(str(address))] = why

    def problems(self) -> list[Problem]:
        """What is wrong with the configuration."""
        return self._run(Kind.OUTSIDE, None, lambda: _call.problems(self.plugin, self._text()))[0]

    def pools(self) -> list[Pool]:
        """The plugin's pools."""
        return self._run(Kind.OUTSIDE, None, lambda: self._configured().pools())[0]

    def add(self, attachment: Attachment, wanted: Iterable[IPAddress | str] = ()) -> Lease:
        """An ADD: allocates, checks the lease as the real host does, and keeps it. After a failure
        nothing has changed but the log."""
        return self.allocate(Request(attachment, wanted=[parse_address(str(a)) for a in wanted]))

    def allocate(self, request: Request) -> Lease:
        """The same with all of a request."""
        lease, done = self._run(
            Kind.ALLOCATE,
            request.attachment,
            lambda: _call.allocate(self.plugin, self._text(), request),
        )
        what = wrong(lease, done.taken, request.wanted)
        if what:
            raise Trap(what)
        self._book = done.commit([leased.address.ip for leased in lease.addresses])
        return lease

    def delete(self, attachment: Attachment) -> None:
        """A DEL: gives back what the attachment holds, and drops what the store has for its time."""
        self._book.release(attachment.id)

    def reboot(self) -> None:
        """Of the node: only what is remembered, and permanent entries of the store, stay."""
        self._book.reboot()

    def released(self, attachment: Attachment, lease: Lease | None) -> None:
        """What the host tells a remote plugin once its own book is closed."""
        work = lambda: self._configured().released(attachment, lease)  # noqa: E731
        self._run(Kind.RELEASED, attachment, work)

    def admit(self, request: PolicyRequest) -> Verdict:
        """Asks a policy before anything is allocated. What it stored is kept if it did not refuse."""
        return self._judged(request, lambda: _call.admit(self.plugin, self._text(), request))

    def review(self, request: PolicyRequest, steps: list[Step], cni_result: dict) -> Verdict:
        """Asks a policy with all that is about to happen."""
        work = lambda: _call.review(self.plugin, self._text(), request, steps, cni_result)  # noqa: E731
        return self._judged(request, work)

    def holds(self, attachment: Attachment) -> list[IPAddress]:
        """What an attachment holds, in the addresses' order."""
        return self._book.holds(attachment.id)

    def stored(self, key: str) -> str | None:
        """An entry of the store."""
        return self._book.store.get(key, (None, None))[0]

    def _text(self) -> str:
        return json.dumps(self.config)

    def _configured(self):
        return _call.configured(self.plugin, self._text())

    def _judged(self, request: PolicyRequest, work: Callable[[], Verdict]) -> Verdict:
        verdict, done = self._run(Kind.POLICY, request.attachment, work)
        if isinstance(verdict, Amend) and not isinstance(verdict.patch, dict):
            raise Trap("it returned a patch that is no object")
        if not isinstance(verdict, Deny):
            self._book = done.commit([])
        return verdict

    def _run(self, kind: Kind, attachment: Attachment | None, work: Callable[[], T]) -> tuple[T, Current]:
        """One call, with this host as what the modules of the SDK ask."""
        id = attachment.id if attachment else None
        current = Current(kind, self._book.copy(), self.node, id, self.log)
        before = _host.answers(current)
        root, handler = logging.getLogger(), OperatorLog()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.NOTSET)
        try:
            return work(), current
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
            _host.answers(before)
