"""Whose call it is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AttachmentId:
    """CNI's key for one attachment: a container, on one network, by one interface."""

    network: str
    container: str
    ifname: str

    def __str__(self) -> str:
        """"NETWORK/CONTAINER/IFNAME": as text, the key of an attachment."""
        return f"{self.network}/{self.container}/{self.ifname}"


@dataclass(frozen=True, slots=True)
class Pod:
    """The Kubernetes pod behind an attachment."""

    namespace: str
    name: str
    uid: str | None = None
    """Where the runtime says it."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment, as far as the runtime tells."""

    id: AttachmentId
    pod: Pod | None = None
    args: list[tuple[str, str]] = field(default_factory=list)
    """`CNI_ARGS`, then the strings of `args.cni`, as given; a name may come twice."""

    @classmethod
    def of(
        cls, network: str, container: str, ifname: str = "eth0", pod: str | None = None, **args: str
    ) -> Attachment:
        """One as tests need it; the pod is "NAMESPACE/NAME"."""
        named = Pod(*pod.split("/", 1)) if pod else None
        return cls(AttachmentId(network, container, ifname), named, list(args.items()))

    @property
    def namespace(self) -> str | None:
        """The pod's namespace, where there is a pod."""
        return self.pod.namespace if self.pod else None

    def arg(self, name: str) -> str | None:
        """The last argument of this name."""
        return next((value for known, value in reversed(self.args) if known == name), None)
