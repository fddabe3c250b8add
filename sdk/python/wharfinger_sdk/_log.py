"""The standard library's `logging` and what is printed, to the operator's log: the host adds plugin,
network and container."""

from __future__ import annotations

import io
import logging

from . import _host


class OperatorLog(logging.Handler):
    """Hands every record to the host. Below DEBUG is its trace."""

    def emit(self, record: logging.LogRecord) -> None:
        """As one message; a traceback that comes with it follows."""
        try:
            _host.current().log(record.levelno, _host.text(self.format(record), "a message"))
        except Exception as error:  # Whatever is wrong with a message, the call goes on.
            _host.current().log(logging.ERROR, f"a message that cannot be logged: {error!r}")


class Printed(io.TextIOBase):
    """In place of standard output: whole lines, to the log."""

    def __init__(self, level: int):
        super().__init__()
        self._level = level
        self._begun = ""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Lines that are whole are logged; what is begun waits."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            _host.current().log(self._level, _host.text(line, "a line"))
        return len(text)
