import unittest
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

from wharfinger_sdk import Between, IPAddress, Problem, Range, Route, Subnet
from wharfinger_sdk._config import read


class Colour(Enum):
    RED = "red"


@dataclass
class Part:
    when_held: Literal["wait", "another"] = "another"
    address: IPAddress | None = None

    def __post_init__(self) -> None:
        if str(self.address) == "10.0.0.13":
            raise ValueError("thirteen is refused")


@dataclass
class Config:
    pools: dict[str, list[Range]]
    parts: list[Part] = field(default_factory=list)
    mtu: Annotated[int, Between(68, 65535)] | None = None
    colour: Colour = Colour.RED
    port: int | str = 0

    def check(self) -> list[Problem]:
        return [Problem("/mtu", "is odd")] if self.mtu and self.mtu % 2 else []


def problems(text: str, of: type = Config) -> list[str]:
    return [str(problem) for problem in read(of, text)[1]]


class ConfigTest(unittest.TestCase):
    def test_a_problem_says_where_it_is(self) -> None:
        for text, said in (
            ("{}", ["missing field `pools`"]),
            ("[]", ["is a list, and must be an object"]),
            ('{"pools": {"a/b": [1]}}', ["/pools/a~1b/0: is a number, and must be a text"]),
            (
                '{"pools": {}, "pool": 1}',
                ["/pool: unknown field `pool`, expected one of `pools`, `parts`, `mtu`, `colour`, `port`"],
            ),
            ('{"pools": {}, "parts": [{"whenHeld": 1}]}', ['/parts/0/whenHeld: must be "wait" or "another"']),
            ('{"pools": {}, "parts": [{"address": "10.0.0.13"}]}', ["/parts/0: thirteen is refused"]),
            ('{"pools": {}, "parts": [{"address": "fe80::1%eth0"}]}', ['/parts/0/address: "fe80::1%eth0" is no IP address']),
            ('{"pools": {}, "mtu": 67}', ["/mtu: 67 is out of range: 68 to 65535"]),
            ('{"pools": {}, "mtu": true}', ["/mtu: is true, and must be a whole number"]),
            ('{"pools": {}, "mtu": 1e300}', ["/mtu: is the number 1e+300, and must be a whole number"]),
            ('{"pools": {}, "mtu": 1401}', ["/mtu: is odd"]),
            ('{"pools": {}, "colour": "blue"}', ['/colour: must be "red"']),
            ('{"pools": {}, "port": []}', ["/port: is a list, and must be a text"]),
        ):
            self.assertEqual(problems(text), said, text)

    def test_all_problems_are_found_at_once(self) -> None:
        found = problems('{"pools": {"a": ["10.1.0.0/24", "ten"]}, "mtu": "x", "y": 1}')
        self.assertEqual([problem.split(":")[0] for problem in found], ["/pools/a/1", "/mtu", "/y"])

    def test_what_is_no_json_is_said(self) -> None:
        for text in ("", "{", "{} {}", '{"mtu": NaN}', "[" * 100_000):
            [said] = problems(text)
            self.assertTrue(said.startswith("not JSON: "), said)

    def test_depth_is_counted_outside_of_texts(self) -> None:
        for text, found in (
            ("[" * 101 + "]" * 101, True),
            ('{"x": "' + "[" * 101 + '"}', False),
            ('{"x": "\\"' + "[" * 101 + '"}', False),
            ("[" + "[]," * 200 + "[]]", False),
        ):
            self.assertEqual(problems(text) == ["not JSON: nested too deeply"], found, text)

    def test_what_is_the_hosts_is_not_the_plugins(self) -> None:
        text = '{"type": "x", "coolDown": 3, "secrets": ["/token"], "pools": {"a": ["10.1.0.7"]}}'
        config, found = read(Config, text)
        self.assertEqual(found, [])
        self.assertEqual(str(config.pools["a"][0]), "10.1.0.7")

    def test_the_types_of_the_sdk(self) -> None:
        subnet, _ = read(Subnet, '{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "exclude": ["10.1.0.10-10.1.0.11"]}')
        self.assertEqual(str(subnet.ranges[0]), "10.1.0.9-10.1.0.254")
        route, _ = read(Route, '{"dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400}')
        self.assertEqual((str(route.destination), str(route.gateway), route.mtu), ("0.0.0.0/0", "10.1.0.1", 1400))
        self.assertEqual(problems('{"dst": "10.0.0.0/8", "scope": 256}', Route), ["/scope: 256 is out of range: 0 to 255"])


class SubnetTest(unittest.TestCase):
    def test_what_is_wrong_is_said_at_its_pointer(self) -> None:
        for text, said in (
            ('{"subnet": "10.1.0.9/24"}', ["/subnet: has host bits set: the network is 10.1.0.0/24"]),
            (
                '{"subnet": "10.1.0.0"}',
                ['/subnet: "10.1.0.0" is no network: an address and the length of its prefix, as 10.1.0.0/24'],
            ),
            ('{"subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1"}', ["/rangeEnd: 10.2.0.1 lies outside 10.1.0.0/24"]),
            (
                '{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}',
                ["/rangeEnd: lies below the start of the range"],
            ),
            (
                '{"subnet": "10.1.0.0/24", "gateway": "fd00::1"}',
                ["/gateway: fd00::1 is of another family than 10.1.0.0/24"],
            ),
        ):
            self.assertEqual(problems(text, Subnet), said, text)

    def test_the_gateway_and_the_networks_own_addresses_are_not_given(self) -> None:
        all_of, _ = read(Subnet, '{"subnet": "10.1.0.0/30", "rangeStart": "10.1.0.0", "rangeEnd": "10.1.0.3"}')
        given = [address in all_of for address in all_of.subnet]
        self.assertEqual(given, [False, False, True, False])
        one, _ = read(Subnet, '{"subnet": "10.1.0.9/32"}')
        self.assertIsNone(one.router)


class RangeTest(unittest.TestCase):
    def test_usable_addresses_of_every_size(self) -> None:
        for network, usable in (
            ("10.1.0.0/24", "10.1.0.1-10.1.0.254"),
            ("10.1.0.0/30", "10.1.0.1-10.1.0.2"),
            ("10.1.0.0/31", "10.1.0.0-10.1.0.1"),
            ("10.1.0.9/32", "10.1.0.9"),
            ("fd00::/126", "fd00::1-fd00::3"),
            ("fd00::/127", "fd00::-fd00::1"),
            ("::/0", "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ):
            self.assertEqual(str(Range.parse(network)), usable)

    def test_ranges_are_read_strictly(self) -> None:
        for bad in ("", "10.1.0.3-10.1.0.2", "10.1.0.1-fd00::1", "10.1.0.0/33", "10.1.0.0/255.255.255.0", "ten"):
            with self.assertRaises(ValueError, msg=bad):
                Range.parse(bad)


if __name__ == "__main__":
    unittest.main()
