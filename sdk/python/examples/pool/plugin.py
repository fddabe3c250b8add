"""Addresses of ranges, as host-local has them: one of each set; by name; and sticky, by pod."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from wharfinger_sdk import (
    Failure,
    IPAddress,
    Ipam,
    Lease,
    LeasedAddress,
    Pool,
    Problem,
    Request,
    Route,
    Subnet,
    export,
    ledger,
)


@export
@dataclass
class Config(Ipam):
    """The `ipam` object of a network."""

    ranges: list[list[Subnet]]
    """An attachment gets an address of each set."""
    routes: list[Route] = field(default_factory=list)
    """Copied to the lease."""
    sticky: bool = False
    """A pod keeps its addresses, by namespace and name."""

    def check(self) -> Iterator[Problem]:
        empty = "is empty: there is nothing to give"
        if not self.ranges:
            yield Problem("/ranges", empty)
        for i, subnets in enumerate(self.ranges):
            if not subnets:
                yield Problem(f"/ranges/{i}", empty)

    def pools(self) -> list[Pool]:
        return [
            Pool(str(i), [one for subnet in subnets for one in subnet.ranges])
            for i, subnets in enumerate(self.ranges)
        ]

    def allocate(self, request: Request) -> Lease:
        for address in request.wanted:
            if not any(subnet_of(address, subnets) for subnets in self.ranges):
                raise Failure.conflict(f"{address} is in none of the ranges")
        pod = request.attachment.pod if self.sticky else None
        own = ledger.remembered(str(pod)) if pod else []
        leased = [
            address
            for i, subnets in enumerate(self.ranges)
            for address in addresses(i, subnets, request.wanted, own)
        ]
        if pod:
            ledger.remember(str(pod))
        return Lease(leased, self.routes)


def addresses(
    i: int, subnets: list[Subnet], wanted: list[IPAddress], own: list[IPAddress]
) -> list[LeasedAddress]:
    """Those of one set: what is wanted of it, else the pod's own, else a free one."""
    named = [subnet.take(address) for address in wanted if (subnet := subnet_of(address, subnets))]
    if named:
        return named
    for address in own:
        if subnet := subnet_of(address, subnets):
            try:
                return [subnet.take(address)]
            except ledger.Refused:
                continue
    ranges = [one for subnet in subnets for one in subnet.ranges]
    free = ledger.take_free(ranges, [one for subnet in subnets for one in subnet.excluded])
    if free is None or not (subnet := subnet_of(free, subnets)):
        raise Failure.exhausted(f"set {i} has no free address")
    return [subnet.leased(free)]


def subnet_of(address: IPAddress, subnets: list[Subnet]) -> Subnet | None:
    """The subnet that may give an address."""
    return next((subnet for subnet in subnets if address in subnet), None)
