"""Which address an attachment gets: a free one of the first pool that has room."""

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
    Reason,
    Request,
    Route,
    Subnet,
    export,
)


@export
@dataclass
class Config(Ipam):
    """The `ipam` object of a network."""

    subnets: list[Subnet] = field(metadata={"key": "pools"})
    """Where addresses come from, in the order they are tried."""
    routes: list[Route] = field(default_factory=list)
    """Copied to the lease."""

    def check(self) -> Iterator[Problem]:
        if not self.subnets:
            yield Problem("/pools", "is empty: there is nothing to give")

    def pools(self) -> list[Pool]:
        return [subnet.pool for subnet in self.subnets]

    def allocate(self, request: Request) -> Lease:
        leased = self.named(request.wanted[0]) if request.wanted else self.free()
        return Lease([leased], self.routes)

    def named(self, wanted: IPAddress) -> LeasedAddress:
        """An address that was asked for."""
        for subnet in self.subnets:
            if wanted in subnet:
                return subnet.take(wanted)
        raise Failure.conflict(f"{wanted} is in none of the pools")

    def free(self) -> LeasedAddress:
        for subnet in self.subnets:
            try:
                return subnet.take_free()
            except Failure as failure:
                if failure.reason is not Reason.EXHAUSTED:
                    raise
        raise Failure.exhausted("no pool has a free address")
