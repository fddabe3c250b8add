"""What an attachment gets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from ._address import IPAddress, IPInterface, IPNetwork, Range
from ._config import Between

U32 = Annotated[int, Between(0, 2**32 - 1)]
U8 = Annotated[int, Between(0, 255)]


@dataclass(frozen=True, slots=True)
class LeasedAddress:
    """One address of a lease."""

    address: IPInterface
    """With the prefix length of its network; host bits kept."""
    gateway: IPAddress | None = None
    """Of the same family, and not the address itself."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route. In a configuration its keys are those of CNI: `dst`, `gw`, `mtu`, `advmss`,
    `priority`, `table`, `scope`."""

    destination: IPNetwork = field(metadata={"key": "dst"})
    gateway: IPAddress | None = field(default=None, metadata={"key": "gw"})
    """The next hop; without it, that of the first address of the family."""
    mtu: U32 | None = None
    advmss: U32 | None = None
    priority: U32 | None = None
    """The metric: lower is preferred."""
    table: U32 | None = None
    scope: U8 | None = None
    """As `ip route` numbers it: 0 is global, 253 link."""


@dataclass(frozen=True, slots=True)
class Dns:
    """Settings of the resolver; as `dns` of a configuration."""

    nameservers: list[IPAddress] = field(default_factory=list)
    domain: str | None = None
    search: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lease:
    """The answer of an allocation. Every address was taken from the ledger in this call, and comes
    once. There may be none."""

    addresses: list[LeasedAddress] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    """Beside those of the addresses' own networks."""
    dns: Dns = field(default_factory=Dns)


@dataclass(frozen=True, slots=True)
class Pool:
    """Ranges that addresses come from, under one name."""

    name: str
    """For people."""
    ranges: Iterable[Range]
