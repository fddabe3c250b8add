"""The exports of an IPAM plugin."""

from __future__ import annotations

import ipaddress

from wit_world.exports import ipam as wit_ipam
from wit_world.imports import types as wit

from .. import _call
from .._plugin import Request, exported
from . import _answer, _convert
from .._host import text


class Ipam:
    """Called by componentize-py's runtime, by this name."""

    def validate(self, config: str) -> list[wit.Problem]:
        return _answer.problems(lambda: _call.problems(exported(), config))

    def pools(self, config: str) -> list[wit_ipam.Pool]:
        def work() -> list[wit_ipam.Pool]:
            pools = _call.configured(exported(), config).pools()
            return [
                wit_ipam.Pool(text(pool.name, "a name"), [_convert.range(one) for one in pool.ranges])
                for pool in pools
            ]

        return _answer.answered(work)

    def allocate(self, request: wit_ipam.Request) -> wit.Lease:
        def work() -> wit.Lease:
            ours = Request(
                _convert.attachment(request.attachment),
                _convert.object_of(request.network_config),
                [ipaddress.ip_address(address) for address in request.wanted],
            )
            return _convert.lease(_call.allocate(exported(), request.config, ours))

        return _answer.answered(work)


class IpamRemote:
    """Of a plugin that asks an outside system."""

    def released(self, config: str, attachment: wit.Attachment, lease: wit.Lease | None) -> None:
        def work() -> None:
            ours = None if lease is None else _convert.lease_read(lease)
            _call.configured(exported(), config).released(_convert.attachment(attachment), ours)

        return _answer.answered(work)
