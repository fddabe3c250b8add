"""One call of a plugin: configuration in, answer out, the same in a component and in unit tests."""

from __future__ import annotations

from . import _config
from ._failure import Failure, Problem, of_problems
from ._lease import Lease
from ._plugin import Amend, Deny, Allow, PolicyRequest, Request, Verdict
from .plan import Step


def problems(plugin: type, config: str) -> list[Problem]:
    """Every problem of a configuration."""
    return _config.read(plugin, config)[1]


def configured(plugin: type, config: str):
    """The plugin of this configuration; a failure where it has problems."""
    made, found = _config.read(plugin, config)
    if found:
        raise of_problems(found)
    return made


def allocate(plugin: type, config: str, request: Request) -> Lease:
    """A lease with all that was asked for by name, which the host insists on: an author who does
    not look at it has a plugin that refuses it, and not one that is broken."""
    lease = configured(plugin, config).allocate(request)
    if not isinstance(lease, Lease):
        raise TypeError(f"allocate returned {type(lease).__name__}, and must return a Lease")
    given = [leased.address.ip for leased in lease.addresses]
    for wanted in request.wanted:
        if wanted not in given:
            raise Failure.conflict(f"{wanted} was asked for, but this plugin does not give it")
    return lease


def admit(plugin: type, config: str, request: PolicyRequest) -> Verdict:
    """What a policy says before anything is allocated."""
    return _verdict("admit", configured(plugin, config).admit(request))


def review(plugin: type, config: str, request: PolicyRequest, steps: list[Step], result: dict) -> Verdict:
    """What it says to all that is about to happen."""
    return _verdict("review", configured(plugin, config).review(request, steps, result))


def _verdict(what: str, verdict: object) -> Verdict:
    # Nothing at all is what a function returns that forgot to: not to be taken for a yes.
    if not isinstance(verdict, (Allow, Deny, Amend)):
        raise TypeError(f"{what} returned {type(verdict).__name__}, and must return Allow, Deny or Amend")
    return verdict
