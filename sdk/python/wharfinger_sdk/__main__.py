"""`python3 -m wharfinger_sdk build`: the component of the project in this folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import _build


def main() -> int:
    """Says in one line why not, where it cannot."""
    parser = argparse.ArgumentParser(prog="python3 -m wharfinger_sdk", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build the project: leaves dist/NAME.wasm")
    build.add_argument("folder", nargs="?", default=".", type=Path, help="the project's folder")
    build.add_argument("--keep-names", action="store_true", help="keep the names of the interpreter's functions")
    given = parser.parse_args()
    try:
        out = _build.build(given.folder, given.keep_names)
    except _build.Cannot as cannot:
        print(f"wharfinger_sdk: {cannot}", file=sys.stderr)
        return 1
    print(f"{out}: {out.stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
