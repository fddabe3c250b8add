"""A component has no files, no clock of its own, no random numbers, no output: what would ask the
system ends the call without a word. Here it becomes an exception that says so, or the host's answer."""

from __future__ import annotations

import builtins
import io
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from .. import _host
from .._log import Printed

_FILES = (
    "open", "stat", "lstat", "listdir", "scandir", "access", "mkdir", "remove", "unlink", "rename",
    "rmdir", "readlink", "getcwd", "chdir", "utime",
)


def close() -> None:
    """From here on, nothing is asked of a system."""
    sys.stdout = Printed(logging.INFO)
    sys.stderr = Printed(logging.WARNING)
    for name in ("time", "monotonic", "perf_counter"):
        setattr(time, name, _now)
        setattr(time, name + "_ns", _now_ns)
    # Its records have no time: the host's log does.
    logging.time = _NoTime  # type: ignore[attr-defined]
    logging.logProcesses = logging.logThreads = logging.logMultiprocessing = False
    logging.logAsyncioTasks = False
    builtins.open = io.open = _refusing("a plugin has no files")  # type: ignore[assignment]
    for name in _FILES:
        setattr(os, name, _refusing("a plugin has no files"))
    os.urandom = _refusing("a plugin has no random numbers: asked twice it answers the same")
    time.sleep = _refusing("a plugin cannot sleep")
    # What was not imported until now is not in the component.
    sys.path.clear()
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [_NothingMore]


class _NoTime:
    """In place of the module `time`."""

    @staticmethod
    def time() -> float:
        return 0.0

    @staticmethod
    def time_ns() -> int:
        return 0


class _NothingMore:
    """The last of Python's finders."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> NoReturn:
        raise ModuleNotFoundError(
            f"{name} is not in the component: import it at the top of the plugin's module", name=name
        )


def _now() -> float:
    return float(_host.current().node_now())


def _now_ns() -> int:
    return _host.current().node_now() * 10**9


def _refusing(why: str) -> Callable[..., NoReturn]:
    def refuse(*_arguments: object, **_named: object) -> NoReturn:
        raise PermissionError(why)

    return refuse
