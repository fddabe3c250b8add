"""What an author implements, and what a plugin is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field

from ._address import IPAddress
from ._attachment import Attachment
from ._failure import Problem, one_line
from ._lease import Lease, Pool
from .plan import Step


@dataclass(frozen=True, slots=True)
class Request:
    """What an IPAM plugin is asked."""

    attachment: Attachment
    network: dict = field(default_factory=dict)
    """The whole network configuration as the policies left it, `runtimeConfig` included."""
    wanted: list[IPAddress] = field(default_factory=list)
    """Addresses asked for by name, each once. The lease has them all, or the call fails."""


class Ipam(ABC):
    """An IPAM plugin: a dataclass that its configuration, the `ipam` object, is read into. The keys
    that the host itself reads (`type`, `plugin`, `coolDown`, ...) are not in it."""

    def check(self) -> Iterable[Problem]:
        """What is wrong with the configuration beyond its types; nothing if it is good. Called
        before every other function, and alone by `wharfinger plugin` and by STATUS."""
        return ()

    @abstractmethod
    def pools(self) -> list[Pool]:
        """The pools that addresses come from: what STATUS and people see."""

    @abstractmethod
    def allocate(self, request: Request) -> Lease:
        """Which addresses the attachment gets: each is taken from the `ledger` first. Asked twice
        for one attachment, it answers the same. All that is wanted is in the lease, or the call
        fails."""


class Remote(Ipam):
    """An IPAM plugin that asks an outside system: told of what was given back."""

    @abstractmethod
    def released(self, attachment: Attachment, lease: Lease | None) -> None:
        """Called when the host's own book is closed, with the configuration of the ADD; again later
        where it fails or that is unknown, so what is gone already is no failure. Without a lease
        where the ADD did not come to one."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Who wrote what of a network configuration, as earlier policies left it. A conflist may come
    from somebody less trusted than the node's operator; what is the pod's certainly does."""

    network: dict = field(default_factory=dict)
    """The conflist's author: all that is not below."""
    runtime: dict = field(default_factory=dict)
    """The runtime: `runtimeConfig`, less annotations."""
    pod: dict = field(default_factory=dict)
    """The pod's author: `{"CNI_ARGS": {name: value}, "args": args.cni, "annotations": {...}}`."""


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """What a policy is asked."""

    attachment: Attachment
    network: dict = field(default_factory=dict)
    """The whole network configuration as it stands, `prevResult` included."""
    written: Sources = field(default_factory=Sources)
    """The same by who wrote it."""


@dataclass(frozen=True, slots=True)
class Allow:
    """As it is."""


@dataclass(frozen=True)
class Deny:
    """Not at all; the reason, one line, reaches the operator."""

    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", one_line(self.reason))


@dataclass(frozen=True, slots=True)
class Amend:
    """Go on, with this RFC 7396 merge patch."""

    patch: dict


Verdict = Allow | Deny | Amend


class Policy(ABC):
    """A policy plugin: a dataclass that its configuration is read into. Policies run in their
    configured order, each on what the earlier ones left; the first refusal ends it, and a failure
    refuses too, unless the operator made the policy advisory."""

    def check(self) -> Iterable[Problem]:
        """What is wrong with the configuration beyond its types; nothing if it is good."""
        return ()

    def admit(self, request: PolicyRequest) -> Verdict:
        """ADD, before anything is allocated. A patch is for the network configuration."""
        return Allow()

    def review(self, request: PolicyRequest, steps: list[Step], cni_result: dict) -> Verdict:
        """ADD, with all that is about to happen in hand, before the kernel is touched. A patch is
        for the CNI result, where only `dns` may change. Around a wrapped plugin: after it ran, with
        no steps, and a refusal deletes."""
        return Allow()


_exported: list[type] = []


def export(plugin: type) -> type:
    """Makes a dataclass the plugin of the component that its module is built into:

        @export
        @dataclass
        class Config(Ipam): ...
    """
    from ._config import reader

    if not issubclass(plugin, (Ipam, Policy)):
        raise TypeError(f"{plugin.__name__} is neither an Ipam nor a Policy")
    for name in getattr(plugin, "__dataclass_fields__", {}):
        if hasattr(Remote, name) or hasattr(Policy, name):
            raise TypeError(
                f"{plugin.__name__}.{name} has the name of a method: call it otherwise, and say "
                f'field(metadata={{"key": "{name}"}})'
            )
    reader(plugin)  # What no configuration can be read into is said now.
    _exported.append(plugin)
    return plugin


def exported() -> type:
    """The plugin, once its module has been imported."""
    if len(_exported) != 1:
        names = " and ".join(plugin.__name__ for plugin in _exported) or "none"
        raise LookupError(f"one class has to be marked with @export, and there is {names}")
    return _exported[0]
