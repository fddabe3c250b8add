"""Who may be attached: pods of the namespaces that the configuration names."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from wharfinger_sdk import Allow, Deny, Policy, PolicyRequest, Problem, Verdict, export

log = logging.getLogger(__name__)


@export
@dataclass
class Config(Policy):
    """The policy's configuration."""

    namespaces: list[str]
    """Their pods may be attached."""

    def check(self) -> Iterator[Problem]:
        if not self.namespaces:
            yield Problem("/namespaces", "is empty: nobody could be attached")

    def admit(self, request: PolicyRequest) -> Verdict:
        namespace = request.attachment.namespace
        if namespace is None:
            return Deny("only pods are attached here")
        if namespace in self.namespaces:
            log.debug("namespace %s is allowed", namespace)
            return Allow()
        return Deny(f"namespace {namespace} is not attached to this network")
