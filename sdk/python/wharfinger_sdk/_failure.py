"""Why a call came to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """What kind of failure it is: it decides what the host tells the runtime."""

    INVALID_CONFIG = 0
    """The configuration is wrong: trying again cannot help."""
    EXHAUSTED = 1
    """Every address that the request allows is taken; the host adds the counts."""
    CONFLICT = 2
    """An address asked for by name cannot be had."""
    TRY_AGAIN = 3
    """Might work later."""
    OTHER = 4
    """Anything else."""


class Failure(Exception):
    """Why a plugin could not do what it was asked. Raise it; any other exception that leaves a
    plugin becomes one of `Reason.OTHER`, with the place where it was raised.

    >>> raise Failure.exhausted("no pool has a free address")
    Traceback (most recent call last):
    ...
    wharfinger_sdk._failure.Failure: no pool has a free address
    """

    def __init__(self, message: object, reason: Reason = Reason.OTHER, detail: str | None = None):
        """`message` is one line for the operator (control characters become spaces): what cannot be
        done, why, what to do. `detail` may hold more."""
        self.message = one_line(message)
        self.reason = reason
        self.detail = detail
        super().__init__(self.message)

    @classmethod
    def invalid_config(cls, message: object) -> Failure:
        """The configuration is wrong."""
        return Failure(message, Reason.INVALID_CONFIG)

    @classmethod
    def exhausted(cls, message: object) -> Failure:
        """Nothing is free."""
        return Failure(message, Reason.EXHAUSTED)

    @classmethod
    def conflict(cls, message: object) -> Failure:
        """What was asked for by name cannot be had."""
        return Failure(message, Reason.CONFLICT)

    @classmethod
    def try_again(cls, message: object) -> Failure:
        """Might work later."""
        return Failure(message, Reason.TRY_AGAIN)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a configuration, and where."""

    pointer: str
    """RFC 6901, into the plugin's configuration: "/ranges/0/subnet"; "" is the whole."""
    message: str
    """One line."""

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


def one_line(text: object) -> str:
    """Without control characters, and without what is no text in UTF-8."""
    line = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c for c in str(text))
    return line.encode("utf-8", "replace").decode("utf-8")


def of_problems(problems: list[Problem]) -> Failure:
    """A failure that names the first problem, and all of them in its detail."""
    lines = [str(problem) for problem in problems]
    failure = Failure.invalid_config(lines[0])
    failure.detail = "\n".join(lines) if len(lines) > 1 else None
    return failure
