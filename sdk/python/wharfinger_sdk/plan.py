"""What the host is about to do to the kernel, in order: what a policy reviews."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ._address import IPAddress, IPInterface
from ._lease import Route


class Place(Enum):
    """Whose network namespace."""

    HOST = 0
    CONTAINER = 1


class Direction(Enum):
    """As the container sees it."""

    INGRESS = 0
    EGRESS = 1


@dataclass(frozen=True, slots=True)
class Link:
    """A link by name."""

    place: Place
    name: str


@dataclass(frozen=True, slots=True)
class LinkStep:
    """Make a link, or bring one in, and set it."""

    link: Link
    kind: str
    """As the kernel names it: "bridge", "veth", "vlan"; "existing" for a device moved in."""
    peer: Link | None = None
    """The other end (veth), what it stands on (vlan, macvlan), or the device moved in."""
    id: int | None = None
    """Of a VLAN or VXLAN; the table of a VRF."""
    mtu: int | None = None
    mac: str | None = None
    master: str | None = None
    """The bridge or VRF that it joins."""
    settings: list[tuple[str, str]] = field(default_factory=list)
    """All else, as `ip -d link` names it: "mode", "promisc", "hairpin"."""


@dataclass(frozen=True, slots=True)
class AddressStep:
    """Give a link an address."""

    link: Link
    address: IPInterface


@dataclass(frozen=True, slots=True)
class RouteStep:
    """Add a route."""

    link: Link
    route: Route


@dataclass(frozen=True, slots=True)
class SysctlStep:
    """Set a sysctl."""

    place: Place
    key: str
    """As below /proc/sys: "net/ipv4/ip_forward"."""
    value: str


@dataclass(frozen=True, slots=True)
class FirewallStep:
    """Add a rule to the firewall."""

    place: Place
    family: str
    table: str
    chain: str
    rule: str
    """As `nft` prints it."""


@dataclass(frozen=True, slots=True)
class ForwardStep:
    """Lead a port of the host, at one of its addresses or at any, to the container."""

    protocol: str
    host_address: IPAddress | None
    host_port: int
    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class ShapingStep:
    """Limit a link's rate."""

    link: Link
    direction: Direction
    rate: int
    """Bits a second."""
    burst: int
    """Bits."""


@dataclass(frozen=True, slots=True)
class OtherStep:
    """A kind that this version of the contract has no arm for."""

    place: Place
    kind: str
    detail: object
    """All about it, as JSON has it."""


Step = (
    LinkStep | AddressStep | RouteStep | SysctlStep | FirewallStep | ForwardStep | ShapingStep | OtherStep
)
