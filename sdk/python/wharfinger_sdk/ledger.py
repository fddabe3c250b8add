"""Who holds which address, in this network and those that share its address space: the host's own
book, which plugins read and none can break. For `allocate` alone; what it takes and does not return
in the lease stays free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import _host
from ._address import IPAddress, Range, parse_address
from ._attachment import AttachmentId
from ._failure import Failure, Reason


class Refused(Failure):
    """An address that cannot be taken: a failure of `Reason.CONFLICT` for whoever does not catch it."""

    def __init__(self, address: IPAddress, message: str):
        super().__init__(message, Reason.CONFLICT)
        self.address = address


class Held(Refused):
    """Another attachment holds it."""

    def __init__(self, address: IPAddress, by: AttachmentId):
        super().__init__(address, f"{address} is held by {by}")
        self.by = by


class Reserved(Refused):
    """The operator reserved it, or a stranger answers to it: the text says which."""

    def __init__(self, address: IPAddress, why: str):
        super().__init__(address, f"{address} is reserved: {why}")
        self.why = why


def take(address: IPAddress) -> None:
    """Takes this address, or raises `Held` or `Reserved`. One that the attachment holds already, or
    that rests after its release, is granted."""
    refusal = _host.current().take(_address(address))
    if isinstance(refusal, AttachmentId):
        raise Held(address, refusal)
    if refusal is not None:
        raise Reserved(address, refusal)


def take_free(
    ranges: Iterable[Range], excluded: Iterable[Range] = (), start: IPAddress | None = None
) -> IPAddress | None:
    """Takes a free address of the ranges, less the excluded ones; none where all are taken. The
    search goes up from `start` (itself included), range after range, and wraps round once; without
    a `start` within the ranges, from above the last one taken. First of all comes what the
    attachment holds from an earlier ADD: asked again, it gets the same. Last come addresses that
    rest, then those that are remembered. The cost grows with the number of ranges, not with their
    size."""
    start = None if start is None else _address(start)
    return _host.current().take_free(_ranges(ranges), _ranges(excluded), start)


def remembered(identity: str) -> list[IPAddress]:
    """What was last remembered for `identity`, in its lease's order: not taken by this, and perhaps
    held by somebody else."""
    return _host.current().remembered(_host.text(identity, "identity"))


def remember(identity: str) -> None:
    """Remembers the addresses of this call's lease for `identity` (any name, a pod's say) in place
    of earlier ones: past release and reboot, until an operator forgets them."""
    _host.current().remember(_host.text(identity, "identity"))


@dataclass(frozen=True, slots=True)
class Usage:
    """How full ranges are. Counts stop at 2^53."""

    total: int
    held: int
    resting: int
    """After a release."""
    remembered: int
    """Kept for an identity that does not hold them now."""


def usage(ranges: Iterable[Range]) -> Usage:
    """How full these ranges are now: to choose between pools by. Unlike what is taken it is not held
    on to: others may take an address before this call lands."""
    return Usage(*_host.current().usage(_ranges(ranges)))


def _address(address: object) -> IPAddress:
    return parse_address(str(address))


def _ranges(ranges: Iterable[Range]) -> list[Range]:
    ranges = list(ranges)
    for range in ranges:
        if not isinstance(range, Range):
            raise TypeError(f"{range!r} is no wharfinger_sdk.Range")
    return ranges
