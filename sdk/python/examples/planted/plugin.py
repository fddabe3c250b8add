"""What a host does with a plugin that goes wrong: each way, on purpose."""

import logging
from dataclasses import dataclass
from typing import Literal

from wharfinger_sdk import Attachment, Ipam, Lease, Pool, Request, Subnet, export

log = logging.getLogger(__name__)


@export
@dataclass
class Config(Ipam):
    """The `ipam` object of a network."""

    pool: Subnet
    plant: Literal["exception", "loop", "memory", "stack"]

    def pools(self) -> list[Pool]:
        return [self.pool.pool]

    def allocate(self, request: Request) -> Lease:
        log.info("planting %s", self.plant)
        match self.plant:
            case "exception":
                address_of(request.attachment)
            case "loop":
                loop()
            case "memory":
                memory()
            case "stack":
                stack(0)
        return Lease()


def address_of(attachment: Attachment) -> None:
    raise ValueError("an attachment without a pod")


def loop() -> None:
    while True:
        pass


def memory() -> None:
    kept = []
    while True:
        kept.append(bytearray(1 << 20))


def stack(depth: int) -> int:
    return stack(depth + 1) + 1
