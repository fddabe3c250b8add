"""Turns what a plugin answers, or raises, into what the contract has."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

from componentize_py_types import Err
from wit_world.imports import types as wit

from .. import _crash
from .._failure import Failure, Problem
from . import _convert

T = TypeVar("T")

_sources = _crash.Sources("/")


def begin(root: str, modules: list[ModuleType]) -> None:
    """Where the author's code is."""
    global _sources
    _sources = _crash.Sources(root)
    _sources.keep(modules)


def answered(work: Callable[[], T]) -> T:
    """What it answers; any exception is a failure, so that no call ends in a trap without a word."""
    try:
        return work()
    except Failure as failure:
        raise Err(_convert.failure(failure)) from None
    except BaseException as error:
        raise Err(_convert.failure(_crash.failure(error, _sources))) from None


def problems(work: Callable[[], list[Problem]]) -> list[wit.Problem]:
    """The same where the contract has no place for a failure."""
    try:
        found = work()
    except BaseException as error:
        failure = error if isinstance(error, Failure) else _crash.failure(error, _sources)
        found = [Problem("", failure.message)]
    return [_convert.problem(problem) for problem in found]
