"""Makes the component of a project: componentize-py runs the project's module once, and keeps the
interpreter as it is then. Start at `build`."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import site
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import _plugin

COMPONENTIZE = "componentize-py"
VERSION = "0.25.1"
_ENTRY = "wharfinger_component"
_PACKAGE = Path(__file__).resolve().parent


class Cannot(Exception):
    """Why there is no component, and what to do."""


@dataclass(frozen=True)
class Project:
    """What its pyproject.toml says."""

    folder: Path
    name: str
    module: str


def build(folder: Path, keep_names: bool) -> Path:
    """The path of the component."""
    project = read(folder)
    _tool_is_there()
    plugin = _imported(project)
    with tempfile.TemporaryDirectory(prefix="wharfinger-") as stage:
        made = Path(stage) / "out.wasm"
        (Path(stage) / f"{_ENTRY}.py").write_text(_entry(project, plugin), encoding="utf-8")
        _componentize(project, plugin, Path(stage), made)
        component = made.read_bytes()
    out = project.folder / "dist" / f"{project.name}.wasm"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(component if keep_names else stripped(component))
    return out


def read(folder: Path) -> Project:
    """The project in this folder."""
    path = folder / "pyproject.toml"
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Cannot(
            f"no pyproject.toml in {folder}: stand in a plugin's project, or make one with "
            "wharfinger plugin new"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Cannot(f"read {path}: {error}") from None
    name = told.get("project", {}).get("name")
    if not isinstance(name, str) or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise Cannot(f"{path} names no project: it needs [project] with a name")
    module = told.get("tool", {}).get("wharfinger", {}).get("module", "plugin")
    return Project(folder, name, str(module))


def _tool_is_there() -> None:
    try:
        found = importlib.metadata.version(COMPONENTIZE)
    except importlib.metadata.PackageNotFoundError:
        found = "not there"
    if found != VERSION:
        raise Cannot(
            f"{COMPONENTIZE} {VERSION} is needed, and is {found}: python3 -m pip install {COMPONENTIZE}=={VERSION}"
        )


def _imported(project: Project) -> type:
    """The plugin, found as the component will find it; what is wrong with the module is said by the
    interpreter that the author knows."""
    sys.path.insert(0, str(project.folder.resolve()))
    try:
        importlib.import_module(project.module)
    except ModuleNotFoundError as error:
        if error.name != project.module:
            raise
        raise Cannot(
            f"no module {project.module} in {project.folder}: [tool.wharfinger] of pyproject.toml names it"
        ) from None
    try:
        return _plugin.exported()
    except LookupError as error:
        raise Cannot(f"{project.module}: {error}") from None


def world(plugin: type) -> str:
    """The contract's name for what it exports."""
    if issubclass(plugin, _plugin.Policy):
        return "policy-plugin"
    return "ipam-remote-plugin" if issubclass(plugin, _plugin.Remote) else "ipam-plugin"


def _entry(project: Project, plugin: type) -> str:
    """What is run to make the component."""
    exports = {
        "policy-plugin": "from wharfinger_sdk._guest._policy import Policy",
        "ipam-plugin": "from wharfinger_sdk._guest._ipam import Ipam",
        "ipam-remote-plugin": "from wharfinger_sdk._guest._ipam import Ipam, IpamRemote",
    }[world(plugin)]
    return (
        f"import importlib\nfrom wharfinger_sdk._guest import _begin\n{exports}\n"
        f"_begin.begin(importlib.import_module({project.module!r}))\n"
    )


def _componentize(project: Project, plugin: type, stage: Path, out: Path) -> None:
    wit = next((path for path in (_PACKAGE / "wit", _PACKAGE.parent / "wit") if path.is_dir()), None)
    if wit is None:
        raise Cannot(f"the contract is not beside {_PACKAGE}: install the SDK again")
    folders = [stage, project.folder.resolve(), _PACKAGE.parent, *map(Path, _site_packages())]
    paths = [word for folder in dict.fromkeys(folders) for word in ("-p", str(folder))]
    run = [
        sys.executable, "-c", "import componentize_py; componentize_py.script()",
        "-q", "-d", str(wit), "-w", world(plugin),
        "componentize", "--stub-wasi", *paths, "-o", str(out), _ENTRY,
    ]  # fmt: skip
    # Text and bytes, and the order of sets, do not change from build to build.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if subprocess.run(run, env=environment, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise Cannot(f"{COMPONENTIZE} made no component of {project.name}: it says why above")


def _site_packages() -> list[str]:
    """Where what the project depends on is installed."""
    return [path for path in site.getsitepackages() if os.path.isdir(path)]


_CUSTOM, _MODULE, _COMPONENT = 0, 1, 4


def stripped(wasm: bytes) -> bytes:
    """Less the names that are for debuggers: of the interpreter's functions, never of the plugin's."""
    header, at = wasm[:8], 8
    out = bytearray(header)
    while at < len(wasm):
        section, body, at = _section(wasm, at)
        if section == _CUSTOM:
            name = _custom_name(body)
            if name == "name" or name == "producers" or name.startswith(".debug"):
                continue
        elif section in (_MODULE, _COMPONENT) and header[6] == 1:
            body = stripped(body)
        out.append(section)
        out += _leb(len(body))
        out += body
    return bytes(out)


def _section(wasm: bytes, at: int) -> tuple[int, bytes, int]:
    size, begin = _read_leb(wasm, at + 1)
    return wasm[at], wasm[begin : begin + size], begin + size


def _custom_name(body: bytes) -> str:
    size, begin = _read_leb(body, 0)
    return body[begin : begin + size].decode("utf-8", "replace")


def _read_leb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _leb(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


