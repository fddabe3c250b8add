"""Reading a configuration into dataclasses by their type hints: a problem says where it is, by RFC
6901 pointer, and all are found at once. Start at `read`."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import operator
import re
import types
import typing
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from ._address import IPAddress, IPInterface, IPNetwork, Range, parse_address, parse_interface, parse_network
from ._failure import Problem, one_line

# Keys that the host reads; they may stand in the `ipam` object beside the plugin's own.
_HOSTS = frozenset(
    ["type", "plugin", "policies", "coolDown", "statusWhenFull", "domain", "secrets", "resolvConf"]
)

# A value, where it stands, and where problems go: what is read, or `_NOTHING` beside a problem.
_Reader = Callable[[object, str, list[Problem]], object]
_NOTHING = object()


@dataclasses.dataclass(frozen=True)
class Between:
    """Bounds of a number, both included: `Annotated[int, Between(68, 65535)]`."""

    least: int
    most: int | None = None

    def __str__(self) -> str:
        return f"at least {self.least}" if self.most is None else f"{self.least} to {self.most}"


# The parser recurses, and a component's stack is small.
_DEEPEST = 100
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)


def loads(text: str) -> object:
    """JSON, strictly. A ValueError says in one line what is wrong."""
    if text.count("[") + text.count("{") > _DEEPEST and _depth(text) > _DEEPEST:
        raise ValueError("nested too deeply")
    return json.loads(text, parse_constant=_no_constant)


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in _TEXT_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        deepest = max(deepest, depth)
    return deepest


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")


def read(plugin: type, text: str) -> tuple[object, list[Problem]]:
    """The plugin of this configuration, less the keys that are the host's; or its problems."""
    try:
        value = loads(text)
    except ValueError as error:
        return None, [Problem("", f"not JSON: {one_line(error)}")]
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if key not in _HOSTS}
    problems: list[Problem] = []
    read = reader(plugin)(value, "", problems)
    return (None if problems else read), problems


@functools.cache
def reader(hint: object) -> _Reader:
    """What reads values of this type. Kept: building one is work for when a plugin is built."""
    if hint in _TEXTS:
        return _of_text(_TEXTS[hint])
    if hint in _PLAIN:
        return _of_kind(*_PLAIN[hint])
    if hint in (typing.Any, object):
        return lambda value, at, problems: value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _within(reader(arguments[0]), [a for a in arguments[1:] if isinstance(a, Between)])
    if origin in (typing.Union, types.UnionType):
        return _of_union(arguments)
    if origin is typing.Literal:
        return _of_choice({value: value for value in arguments})
    if origin is list:
        return _of_list(reader(arguments[0]), list)
    if origin is tuple and arguments[1:] == (...,):
        return _of_list(reader(arguments[0]), tuple)
    if origin is dict and arguments[0] is str:
        return _of_dict(reader(arguments[1]))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _of_choice({member.value: member for member in hint})
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _of_dataclass(hint)
    raise TypeError(f"{hint} is nothing that a configuration is read into")


_TEXTS: dict[object, Callable[[str], object]] = {
    IPAddress: parse_address,
    IPv4Address: IPv4Address,
    IPv6Address: IPv6Address,
    IPInterface: parse_interface,
    IPNetwork: parse_network,
    Range: Range.parse,
}

_PLAIN: dict[object, tuple[str, tuple[type, ...]]] = {
    str: ("a text", (str,)),
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    list: ("a list", (list,)),
    dict: ("an object", (dict,)),
    types.NoneType: ("null", (types.NoneType,)),
}


def _kind(value: object) -> str:
    """What a value is, in words."""
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    kinds = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return kinds.get(type(value), "something else")


def _wrong(value: object, at: str, problems: list[Problem], expected: str) -> object:
    shown = f"the number {value:g}" if type(value) is float else _kind(value)
    problems.append(Problem(at, f"is {shown}, and must be {expected}"))
    return _NOTHING


def _of_kind(expected: str, kinds: tuple[type, ...]) -> _Reader:
    def read(value: object, at: str, problems: list[Problem]) -> object:
        # To Python `true` is a number.
        if isinstance(value, kinds) and (type(value) is not bool or bool in kinds):
            return value
        return _wrong(value, at, problems, expected)

    return read


def _of_text(parse: Callable[[str], object]) -> _Reader:
    def read(value: object, at: str, problems: list[Problem]) -> object:
        if not isinstance(value, str):
            return _wrong(value, at, problems, "a text")
        try:
            return parse(value)
        except ValueError as error:
            problems.append(Problem(at, one_line(error)))
            return _NOTHING

    return read


def _within(inner: _Reader, bounds: list[Between]) -> _Reader:
    def read(value: object, at: str, problems: list[Problem]) -> object:
        number = inner(value, at, problems)
        if number is _NOTHING or number is None:
            return number
        for bound in bounds:
            if number < bound.least or (bound.most is not None and number > bound.most):
                problems.append(Problem(at, f"{number} is out of range: {bound}"))
                return _NOTHING
        return number

    return read


def _of_union(arguments: tuple[object, ...]) -> _Reader:
    rest = [argument for argument in arguments if argument is not types.NoneType]
    # What is left may be one of our own names: `IPAddress | None` is a union of three.
    whole = functools.reduce(operator.or_, rest)
    if whole in _TEXTS or len(rest) == 1:
        inner = reader(whole)
    else:
        inner = _first_of([reader(argument) for argument in rest])
    if len(rest) == len(arguments):
        return inner
    return lambda value, at, problems: None if value is None else inner(value, at, problems)


def _first_of(readers: list[_Reader]) -> _Reader:
    def read(value: object, at: str, problems: list[Problem]) -> object:
        found: list[Problem] = []
        for one in readers:
            found = []
            answer = one(value, at, found)
            if not found:
                return answer
        problems.extend(found)
        return _NOTHING

    return read


def _of_choice(choices: dict[object, object]) -> _Reader:
    names = [json.dumps(name) for name in choices]

    def read(value: object, at: str, problems: list[Problem]) -> object:
        if isinstance(value, (str, int)) and type(value) is not bool and value in choices:
            return choices[value]
        problems.append(Problem(at, f"must be {' or '.join(names)}"))
        return _NOTHING

    return read


def _of_list(inner: _Reader, collect: Callable[[list], object]) -> _Reader:
    def read(value: object, at: str, problems: list[Problem]) -> object:
        if not isinstance(value, list):
            return _wrong(value, at, problems, "a list")
        return collect([inner(part, f"{at}/{i}", problems) for i, part in enumerate(value)])

    return read


def _of_dict(inner: _Reader) -> _Reader:
    def read(value: object, at: str, problems: list[Problem]) -> object:
        if not isinstance(value, dict):
            return _wrong(value, at, problems, "an object")
        return {key: inner(part, _below(at, key), problems) for key, part in value.items()}

    return read


def _of_dataclass(cls: type) -> _Reader:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {
        field.metadata.get("key", _camel(field.name)): field
        for field in dataclasses.fields(cls)
        if field.init
    }
    needed = [key for key, field in fields.items() if _is_needed(field)]
    readers = {key: reader(hints[field.name]) for key, field in fields.items()}

    def read(value: object, at: str, problems: list[Problem]) -> object:
        if not isinstance(value, dict):
            return _wrong(value, at, problems, "an object")
        found: list[Problem] = []
        given = {}
        for key, part in value.items():
            if key in fields:
                given[fields[key].name] = readers[key](part, _below(at, key), found)
            else:
                found.append(Problem(_below(at, key), _unknown(key, list(fields))))
        found.extend(Problem(at, f"missing field `{key}`") for key in needed if key not in value)
        made = _NOTHING if found else _made(cls, given, at, found)
        problems.extend(found)
        return made

    return read


def _made(cls: type, given: dict[str, object], at: str, problems: list[Problem]) -> object:
    """The object, if it finds nothing wrong with itself."""
    try:
        made = cls(**given)
    except ValueError as error:
        problems.append(Problem(at, one_line(error)))
        return _NOTHING
    check = getattr(made, "check", None)
    if check is not None:
        problems.extend(Problem(at + problem.pointer, one_line(problem.message)) for problem in check() or ())
    return made


def _is_needed(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _camel(name: str) -> str:
    """"rangeStart" for `range_start`."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _unknown(key: str, known: list[str]) -> str:
    names = [f"`{name}`" for name in known]
    expected = {0: "none is expected", 1: f"expected {''.join(names)}"}.get(
        len(names), f"expected one of {', '.join(names)}"
    )
    return f"unknown field `{one_line(key[:60])}`, {expected}"


def _below(at: str, key: str) -> str:
    return f"{at}/{key.replace('~', '~0').replace('/', '~1')}"
