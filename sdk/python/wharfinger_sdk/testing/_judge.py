"""What the real host checks of a lease."""

from __future__ import annotations

from .._address import IPAddress
from .._lease import Lease


def wrong(lease: Lease, taken: list[IPAddress], wanted: list[IPAddress]) -> str | None:
    """What is wrong with it."""
    seen: list[IPAddress] = []
    for leased in lease.addresses:
        address = leased.address.ip
        if address not in taken:
            return f"it returned {address}, which it did not take in this call"
        if address in seen:
            return f"it returned {address} twice"
        seen.append(address)
    for address in wanted:
        if address not in seen:
            return f"it returned a lease without {address}, which was asked for by name"
    hops = [(leased.gateway, leased.address.ip) for leased in lease.addresses]
    hops += [(route.gateway, route.destination.network_address) for route in lease.routes]
    return next(filter(None, (_wrong_hop(hop, of) for hop, of in hops if hop is not None)), None)


def _wrong_hop(hop: IPAddress, of: IPAddress) -> str | None:
    if hop.version != of.version:
        return f"it returned the gateway {hop} for {of}: another family"
    return f"it returned {hop} as its own gateway" if hop == of else None
