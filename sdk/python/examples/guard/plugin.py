"""Who may be attached: by namespace, by ports of the host, and so many for each namespace."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from wharfinger_sdk import (
    Allow,
    Amend,
    Attachment,
    Between,
    Deny,
    Failure,
    Policy,
    PolicyRequest,
    Problem,
    Verdict,
    export,
    store,
)


@export
@dataclass
class Config(Policy):
    """The policy's configuration."""

    namespaces: list[str] | None = None
    """Their pods may be attached, and nothing else."""
    host_ports: list[str] | None = None
    """"80", "8000-8100": what a pod may have of the host."""
    quota: Annotated[int, Between(1)] | None = None
    """So many attachments for each namespace."""
    mtu: Annotated[int, Between(68, 65535)] | None = None
    """What every attachment gets."""

    def check(self) -> Iterator[Problem]:
        for i, text in enumerate(self.host_ports or []):
            if ports(text) is None:
                yield Problem(f"/hostPorts/{i}", f'"{text}" is no port and no range of ports')

    def admit(self, request: PolicyRequest) -> Verdict:
        attachment = request.attachment
        if self.namespaces is not None and attachment.namespace not in self.namespaces:
            if attachment.pod is None:
                return Deny("an attachment without a pod is refused")
            return Deny(f"namespace {attachment.namespace} is not attached")
        return (
            self.of_ports(host_ports(request.written.runtime))
            or self.of_quota(attachment)
            or (Allow() if self.mtu is None else Amend({"mtu": self.mtu}))
        )

    def of_ports(self, asked: list[int]) -> Deny | None:
        """A refusal for the first port that may not be had."""
        if self.host_ports is None:
            return None
        allowed = [ports(text) or () for text in self.host_ports]
        for port in asked:
            if not any(port in some for some in allowed):
                return Deny(f"port {port} of the host is not allowed")
        return None

    def of_quota(self, attachment: Attachment) -> Deny | None:
        """A refusal where the namespace has all it may have."""
        if self.quota is None or attachment.pod is None:
            return None
        # Put first: an ADD that is asked again counts once, and a refusal takes it back.
        store.put(f"{attachment.namespace}/{attachment.id}", "")
        others = store.count(f"{attachment.namespace}/") - 1
        if others < self.quota:
            return None
        return Deny(f"namespace {attachment.namespace} has {others} attachments, and may have {self.quota}")


def ports(text: str) -> range | None:
    """The ports of "80" or "8000-8100"."""
    first, dash, last = text.partition("-")
    words = [first, last] if dash else [first]
    if not all(word.isascii() and word.isdigit() and len(word) <= 5 for word in words):
        return None
    some = range(int(words[0]), int(words[-1]) + 1)
    return some if some and some[0] >= 1 and some[-1] <= 65535 else None


def host_ports(runtime: dict) -> list[int]:
    """The ports of the host that the runtime asks for. What cannot be read refuses."""
    mappings = runtime.get("portMappings")
    if mappings is None:
        return []
    if not isinstance(mappings, list):
        raise Failure("portMappings: not a list of ports")
    return [port for mapping in mappings if (port := host_port(mapping)) > 0]


def host_port(mapping: object) -> int:
    """That of one mapping; 0 where it asks for none."""
    if not isinstance(mapping, dict):
        raise Failure("portMappings: not a list of ports")
    port = mapping.get("hostPort")
    if port is None:
        return 0
    # To Python `true` is a number.
    if type(port) is not int or not 0 <= port <= 65535:
        raise Failure("portMappings: not a list of ports")
    return port
