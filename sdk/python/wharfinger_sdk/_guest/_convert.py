"""The contract's records and ours."""

from __future__ import annotations

import ipaddress
import json

from wit_world.imports import types as wit

from .. import _address, _config
from .._attachment import Attachment, AttachmentId, Pod
from .._failure import Failure, Problem
from .._lease import Dns, Lease, LeasedAddress, Route
from .._host import text

_NUMBERS = (("mtu", 2**32), ("advmss", 2**32), ("priority", 2**32), ("table", 2**32), ("scope", 2**8))


def object_of(document: str) -> dict:
    """JSON that the host wrote."""
    value = _config.loads(document)
    return value if isinstance(value, dict) else {}


def json_of(value: object) -> str:
    """JSON for the host."""
    return text(json.dumps(value, separators=(",", ":"), allow_nan=False), "JSON")


def range(one: _address.Range) -> wit.AddressRange:
    return wit.AddressRange(str(one.first), str(one.last))


def problem(one: Problem) -> wit.Problem:
    return wit.Problem(text(one.pointer, "a pointer"), text(one.message, "a message"))


def failure(one: Failure) -> wit.Failure:
    detail = None if one.detail is None else text(str(one.detail), "a detail")
    return wit.Failure(wit.Reason(one.reason.value), one.message, detail)


def attachment_id(given: wit.AttachmentId) -> AttachmentId:
    return AttachmentId(given.network, given.container, given.ifname)


def attachment(given: wit.Attachment) -> Attachment:
    pod = None if given.pod is None else Pod(given.pod.namespace, given.pod.name, given.pod.uid)
    return Attachment(attachment_id(given.id), pod, [(pair.name, pair.value) for pair in given.args])


def lease(one: Lease) -> wit.Lease:
    return wit.Lease(
        [wit.LeasedAddress(str(leased.address), _maybe(leased.gateway)) for leased in one.addresses],
        [_route(route) for route in one.routes],
        wit.Dns(
            [str(server) for server in one.dns.nameservers],
            one.dns.domain and text(one.dns.domain, "a domain"),
            [text(name, "a domain") for name in one.dns.search],
            [text(option, "an option") for option in one.dns.options],
        ),
    )


def _route(route: Route) -> wit.Route:
    for name, bound in _NUMBERS:
        value = getattr(route, name)
        if value is not None and not (isinstance(value, int) and 0 <= value < bound):
            raise ValueError(f"the {name} of a route is {value!r}, and must be below {bound}")
    return wit.Route(
        str(route.destination), _maybe(route.gateway), route.mtu, route.advmss, route.priority,
        route.table, route.scope,
    )


def lease_read(given: wit.Lease) -> Lease:
    return Lease(
        [
            LeasedAddress(ipaddress.ip_interface(leased.address), address_read(leased.gateway))
            for leased in given.addresses
        ],
        [route_read(route) for route in given.routes],
        Dns(
            [ipaddress.ip_address(server) for server in given.dns.nameservers], given.dns.domain,
            given.dns.search, given.dns.options,
        ),
    )


def route_read(given: wit.Route) -> Route:
    return Route(
        ipaddress.ip_network(given.destination), address_read(given.gateway), given.mtu, given.advmss,
        given.priority, given.table, given.scope,
    )


def address_read(given: str | None) -> _address.IPAddress | None:
    return None if given is None else ipaddress.ip_address(given)


def _maybe(address: object) -> str | None:
    return None if address is None else str(address)
