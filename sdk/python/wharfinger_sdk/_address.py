"""Addresses and ranges, as numbers: nothing here walks a range."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
IPNetwork = IPv4Network | IPv6Network


def parse_address(text: str) -> IPAddress:
    """An address as the contract writes it: no zone."""
    if "%" not in text:
        try:
            return ipaddress.ip_address(text)
        except ValueError:
            pass
    raise ValueError(f"{_quoted(text)} is no IP address")


def parse_interface(text: str) -> IPInterface:
    """An address with the length of its prefix; host bits are kept."""
    address, slash, length = text.partition("/")
    if slash and length.isascii() and length.isdigit() and len(length) <= 3 and "%" not in address:
        try:
            return ipaddress.ip_interface((address, int(length)))
        except ValueError:
            pass
    raise ValueError(f"{_quoted(text)} is no network: an address and the length of its prefix, as 10.1.0.0/24")


def parse_network(text: str) -> IPNetwork:
    """A network: host bits are zero."""
    interface = parse_interface(text)
    if interface.ip != interface.network.network_address:
        raise ValueError(f"has host bits set: the network is {interface.network}")
    return interface.network


def _quoted(text: str) -> str:
    """As JSON has it, and not too much of it."""
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:60])
    return f'"{shown}{"..." if len(text) > 60 else ""}"'


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses from the first to the last, both included, of one family.

    In a configuration it is text: "10.1.0.10-10.1.0.20", one address, or a network, which stands
    for its usable addresses.

    >>> str(Range.parse("10.1.0.0/24"))
    '10.1.0.1-10.1.0.254'
    """

    first: IPAddress
    last: IPAddress

    def __post_init__(self) -> None:
        if self.first.version != self.last.version or int(self.first) > int(self.last):
            raise ValueError(f'"{self.first}-{self.last}" mixes families, or is upside down')

    @classmethod
    def single(cls, address: IPAddress) -> Range:
        """One address alone."""
        return cls(address, address)

    @classmethod
    def usable(cls, network: IPNetwork) -> Range:
        """What a network may give to containers: not its own address, nor, in IPv4, the broadcast;
        all of a network of one or two addresses."""
        first, last = network.network_address, network.broadcast_address
        if network.prefixlen + 1 >= network.max_prefixlen:
            return cls(first, last)
        return cls(first + 1, last - 1 if network.version == 4 else last)

    @classmethod
    def parse(cls, text: str) -> Range:
        """Reads it as a configuration has it."""
        if "/" in text:
            return cls.usable(parse_interface(text).network)
        first, dash, last = text.partition("-")
        try:
            first_address = parse_address(first)
            last_address = parse_address(last) if dash else first_address
        except ValueError:
            what = "is neither an address, a network, nor two addresses with a '-'"
            raise ValueError(f"{_quoted(text)} {what}") from None
        return cls(first_address, last_address)

    def overlaps(self, other: Range) -> bool:
        """Whether two ranges share an address."""
        return other.first in self or self.first in other

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, (IPv4Address, IPv6Address)) or address.version != self.first.version:
            return False
        return int(self.first) <= int(address) <= int(self.last)

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
