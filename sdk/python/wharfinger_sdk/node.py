"""What a plugin may know of the node it runs on."""

from __future__ import annotations

from . import _host


def name() -> str:
    """The node's name in its cluster; the host name elsewhere."""
    return _host.current().node_name()


def label(name: str) -> str | None:
    """What the operator wrote down about this node: its zone, its pod network."""
    return _host.current().node_label(_host.text(name, "name"))


def now() -> int:
    """Seconds since the Unix epoch by the host's clock, the same all through one ADD. `time.time`
    answers this too in a component."""
    return _host.current().node_now()
