"""What an exception that nobody caught becomes: a failure that says what and where.

The standard library's `traceback` reads source files when it prints; a component has none. Here they
are kept when the component is made.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from types import ModuleType, TracebackType
from typing import NamedTuple

from ._failure import Failure, one_line

_LONGEST = 8_192
_FRAMES = 12
_SDK = os.path.dirname(__file__)


class _Frame(NamedTuple):
    file: str
    line: int
    name: str


class Sources:
    """The author's code: where it is, and what it says."""

    def __init__(self, root: str):
        self._root = root.rstrip("/") + "/"
        self._lines: dict[str, list[str]] = {}

    def keep(self, modules: list[ModuleType]) -> None:
        """Those of these modules that are the author's."""
        for module in modules:
            file = getattr(module, "__file__", None) or ""
            if self.has(file) and file.endswith(".py"):
                with open(file, encoding="utf-8") as source:
                    self._lines[file] = source.read().splitlines()

    def has(self, file: str) -> bool:
        """Whether a file is the author's."""
        return file.startswith(self._root) and not file.startswith(_SDK) and "/site-packages/" not in file

    def short(self, file: str) -> str:
        """As the author knows it."""
        return file.removeprefix(self._root)

    def line(self, frame: _Frame) -> str:
        """What stands there, where it was kept."""
        lines = self._lines.get(frame.file, [])
        return lines[frame.line - 1].strip() if 0 < frame.line <= len(lines) else ""


def failure(error: BaseException, sources: Sources) -> Failure:
    """The innermost place in the author's code in the message, all places in the detail."""
    frames = list(_frames(error.__traceback__))
    own = [frame for frame in frames if sources.has(frame.file)] or frames
    place = f" ({sources.short(own[-1].file)}:{own[-1].line}, in {own[-1].name})" if own else ""
    return Failure(f"{_text(error)}{place}", detail=_detail(error, sources))


def _text(error: BaseException) -> str:
    try:
        text = one_line(error)
    except Exception:  # Its own text may be what is broken.
        text = ""
    kind = type(error).__name__
    return f"{kind}: {text[:1000]}" if text else kind


def _detail(error: BaseException, sources: Sources) -> str:
    """As Python prints it: the cause first."""
    parts: list[str] = []
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen and len(seen) < 4:
        seen.append(now)
        lines = ["Traceback (most recent call last):", *_lines(list(_frames(now.__traceback__)), sources)]
        parts.insert(0, "\n".join([*lines, _text(now)]))
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
    return "\n\nwhich led to:\n\n".join(parts)[-_LONGEST:]


def _lines(frames: list[_Frame], sources: Sources) -> Iterator[str]:
    frames = [frame for frame in frames if not frame.file.startswith(_SDK)] or frames
    # A recursion is one line many times over.
    runs = [(frame, len(list(same))) for frame, same in itertools.groupby(frames)]
    left_out = len(runs) - 2 * _FRAMES
    shown = runs if left_out <= 0 else [*runs[:_FRAMES], *runs[-_FRAMES:]]
    for i, (frame, times) in enumerate(shown):
        if left_out > 0 and i == _FRAMES:
            yield f"  ... {left_out} more ..."
        yield f'  File "{sources.short(frame.file)}", line {frame.line}, in {frame.name}'
        line = sources.line(frame)
        if line:
            yield f"    {line}"
        if times > 1:
            yield f"  ... the same {times - 1} times more ..."


def _frames(traceback: TracebackType | None) -> Iterator[_Frame]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield _Frame(code.co_filename, traceback.tb_lineno, code.co_qualname)
        traceback = traceback.tb_next
