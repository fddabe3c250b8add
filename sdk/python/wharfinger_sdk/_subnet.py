"""A subnet to give addresses from, with the reference plugin's keys: what most IPAM needs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import ledger
from ._address import IPAddress, IPNetwork, Range
from ._failure import Failure, Problem
from ._lease import LeasedAddress, Pool


@dataclass(frozen=True, slots=True)
class Subnet:
    """`{"subnet": "10.1.0.0/24", "rangeStart": ..., "rangeEnd": ..., "gateway": ..., "exclude":
    [...]}`, of which only the first is needed. Neither the gateway nor the network's own addresses
    are ever given."""

    subnet: IPNetwork
    """Gives the prefix length."""
    range_start: IPAddress | None = None
    """The first address to give; otherwise the first usable one."""
    range_end: IPAddress | None = None
    """The last."""
    gateway: IPAddress | None = None
    """The gateway; otherwise the first address of the subnet, where it has more than two. Ask
    `router` for it."""
    exclude: list[Range] = field(default_factory=list)
    """Never given."""

    def check(self) -> Iterator[Problem]:
        """What is wrong with it. Called where it is part of a configuration."""
        for key, address in (("rangeStart", self.range_start), ("rangeEnd", self.range_end)):
            if address is not None and address not in self.subnet:
                yield Problem(f"/{key}", f"{address} lies outside {self.subnet}")
        if self.gateway is not None and self.gateway.version != self.subnet.version:
            yield Problem("/gateway", f"{self.gateway} is of another family than {self.subnet}")
        if not self.ranges:
            yield Problem("/rangeEnd", "lies below the start of the range")

    @property
    def ranges(self) -> list[Range]:
        """What addresses come from; nothing where it is wrong."""
        usable = Range.usable(self.subnet)
        try:
            return [Range(self.range_start or usable.first, self.range_end or usable.last)]
        except ValueError:
            return []

    @property
    def pool(self) -> Pool:
        """The same as a pool, named as the subnet."""
        return Pool(str(self.subnet), self.ranges)

    @property
    def router(self) -> IPAddress | None:
        """The gateway, where there is one."""
        first = Range.usable(self.subnet).first
        return self.gateway or (first if first != self.subnet.network_address else None)

    @property
    def excluded(self) -> list[Range]:
        """What is never given: what is excluded, the gateway, the network's own addresses."""
        usable = Range.usable(self.subnet)
        own = (self.subnet.network_address, self.subnet.broadcast_address)
        single = [a for a in (self.router, *own) if a is not None and (a == self.router or a not in usable)]
        return [*self.exclude, *map(Range.single, single)]

    def __contains__(self, address: object) -> bool:
        """Whether it may give this address."""
        return any(address in range for range in self.ranges) and not any(
            address in range for range in self.excluded
        )

    def leased(self, address: IPAddress) -> LeasedAddress:
        """The address as a lease has it: with prefix length and gateway."""
        interface = ipaddress.ip_interface((address, self.subnet.prefixlen))
        return LeasedAddress(interface, self.router)

    def take(self, address: IPAddress) -> LeasedAddress:
        """Takes this address from the ledger; a conflict where it cannot be had."""
        if address not in self:
            raise Failure.conflict(f"{address} was asked for, but {self.subnet} does not give it")
        ledger.take(address)
        return self.leased(address)

    def take_free(self) -> LeasedAddress:
        """Takes a free address: first what the attachment holds already."""
        address = ledger.take_free(self.ranges, self.excluded)
        if address is None:
            raise Failure.exhausted(f"no address is free in {self.subnet}")
        return self.leased(address)
