"""A small store of the plugin's own, beside the ledger: one for each network, or one for all networks
where the node's own settings name the plugin. Not for `check` and `pools`."""

from __future__ import annotations

from . import _host


def get(key: str) -> str | None:
    """The value, where there is one."""
    return _host.current().get(_host.text(key, "key"))


def put(key: str, value: str, *, permanent: bool = False) -> None:
    """Replaces the value and the lifetime: until this call's attachment is released, by DEL, GC or a
    reboot; or, `permanent`, until it is removed."""
    _host.current().put(_host.text(key, "key"), _host.text(value, "value"), permanent)


def remove(key: str) -> bool:
    """True where the key was there."""
    return _host.current().remove(_host.text(key, "key"))


def scan(prefix: str, after: str | None = None, limit: int = 1000) -> list[tuple[str, str]]:
    """At most `limit` entries with this prefix and above `after`, in the keys' byte order."""
    after = None if after is None else _host.text(after, "after")
    return _host.current().scan(_host.text(prefix, "prefix"), after, min(max(limit, 0), 2**32 - 1))


def count(prefix: str) -> int:
    """How many entries have this prefix. What was counted still holds when this call lands, or the
    call is run again: a quota by it cannot be passed by two at once."""
    return _host.current().count(_host.text(prefix, "prefix"))
