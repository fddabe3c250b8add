"""The exports of a policy plugin."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from wit_world.exports import policy as wit_policy
from wit_world.imports import plan as wit_plan
from wit_world.imports import types as wit

from .. import _call, _config, plan
from .._plugin import Deny, Amend, PolicyRequest, Sources, Verdict, exported
from . import _answer, _convert


class Policy:
    """Called by componentize-py's runtime, by this name."""

    def validate(self, config: str) -> list[wit.Problem]:
        return _answer.problems(lambda: _call.problems(exported(), config))

    def admit(self, request: wit_policy.Request) -> wit_policy.Verdict:
        return _answer.answered(
            lambda: _verdict(_call.admit(exported(), request.config, _request(request)))
        )

    def review(
        self, request: wit_policy.Request, steps: list[wit_plan.Step], cni_result: str
    ) -> wit_policy.Verdict:
        def work() -> wit_policy.Verdict:
            ours = [_READ[type(step)](step.value) for step in steps]
            result = _convert.object_of(cni_result)
            return _verdict(_call.review(exported(), request.config, _request(request), ours, result))

        return _answer.answered(work)


def _request(given: wit_policy.Request) -> PolicyRequest:
    written = Sources(
        _convert.object_of(given.written.network),
        _convert.object_of(given.written.runtime),
        _convert.object_of(given.written.pod),
    )
    return PolicyRequest(
        _convert.attachment(given.attachment), _convert.object_of(given.network_config), written
    )


def _verdict(verdict: Verdict) -> wit_policy.Verdict:
    if isinstance(verdict, Deny):
        return wit_policy.Verdict_Deny(verdict.reason)
    if isinstance(verdict, Amend):
        return wit_policy.Verdict_Amend(_convert.json_of(verdict.patch))
    return wit_policy.Verdict_Allow()


def _place(place: wit_plan.Place) -> plan.Place:
    return plan.Place(place.value)


def _link(link: wit_plan.LinkRef) -> plan.Link:
    return plan.Link(_place(link.place), link.name)


def _link_step(step: wit_plan.LinkStep) -> plan.LinkStep:
    peer = None if step.peer is None else _link(step.peer)
    settings = [(pair.name, pair.value) for pair in step.settings]
    return plan.LinkStep(
        _link(step.link), step.kind, peer, step.id, step.mtu, step.mac, step.master, settings
    )


def _forward_step(step: wit_plan.ForwardStep) -> plan.ForwardStep:
    return plan.ForwardStep(
        step.protocol, _convert.address_read(step.host_address), step.host_port,
        ipaddress.ip_address(step.address), step.port,
    )


_READ: dict[type, Callable[..., plan.Step]] = {
    wit_plan.Step_Link: _link_step,
    wit_plan.Step_Address: lambda s: plan.AddressStep(_link(s.link), ipaddress.ip_interface(s.address)),
    wit_plan.Step_Route: lambda s: plan.RouteStep(_link(s.link), _convert.route_read(s.route)),
    wit_plan.Step_Sysctl: lambda s: plan.SysctlStep(_place(s.place), s.key, s.value),
    wit_plan.Step_Firewall: lambda s: plan.FirewallStep(_place(s.place), s.family, s.table, s.chain, s.rule),
    wit_plan.Step_Forward: _forward_step,
    wit_plan.Step_Shaping: lambda s: plan.ShapingStep(
        _link(s.link), plan.Direction(s.direction.value), s.rate, s.burst
    ),
    wit_plan.Step_Other: lambda s: plan.OtherStep(_place(s.place), s.kind, _config.loads(s.detail)),
}
