"""The last thing that runs before the state of the interpreter is kept: every call starts from there,
so what is done here costs no call anything."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import pkgutil
import random  # noqa: F401  componentize-py's runtime asks for it in the end
import sys
from types import ModuleType

import componentize_py_async_support.futures
import componentize_py_async_support.streams  # noqa: F401  likewise
import wit_world.imports

from .. import _host
from .._log import OperatorLog
from . import _answer, _asked, _sandbox


def begin(plugin: ModuleType) -> None:
    """Makes this interpreter the plugin's."""
    root = os.path.dirname(plugin.__file__ or "")
    if hasattr(plugin, "__path__"):
        root = os.path.dirname(root)
    for module in pkgutil.iter_modules(wit_world.imports.__path__, "wit_world.imports."):
        importlib.import_module(module.name)
    _answer.begin(root, list(sys.modules.values()))
    _host.answers(_asked.HostAsked())
    logging.getLogger().addHandler(OperatorLog())
    logging.getLogger().setLevel(logging.NOTSET)
    _sandbox.close()
    # What is there now is never garbage: no call shall look through it, and copy its pages.
    gc.collect()
    gc.freeze()
    # And what a call makes is seldom worth a look: a call that makes much more is looked through.
    gc.set_threshold(50_000)
