import unittest

from plugin import Config
from wharfinger_sdk import Attachment, Failure, Lease, Reason
from wharfinger_sdk.testing import Host

POOL = {"ranges": [[{"subnet": "10.1.0.0/29"}], [{"subnet": "fd00::/125"}]], "sticky": True}


def pod(name: str, container: str) -> Attachment:
    return Attachment.of("pods", container, pod=f"db/{name}")


def texts(lease: Lease) -> list[str]:
    return [str(leased.address) for leased in lease.addresses]


class PoolTest(unittest.TestCase):
    def setUp(self) -> None:
        self.host = Host(Config, POOL)

    def refused(self, *arguments, **named) -> Failure:
        with self.assertRaises(Failure) as caught:
            self.host.add(*arguments, **named)
        return caught.exception

    def test_an_address_of_each_set(self) -> None:
        lease = self.host.add(Attachment.of("pods", "a"))
        self.assertEqual(texts(lease), ["10.1.0.2/29", "fd00::2/125"])
        self.assertEqual(str(lease.addresses[0].gateway), "10.1.0.1")

    def test_a_pod_keeps_its_addresses(self) -> None:
        own = texts(self.host.add(pod("db-0", "a")))
        self.host.delete(pod("db-0", "a"))
        self.host.add(pod("db-1", "b"))
        self.assertEqual(texts(self.host.add(pod("db-0", "c"))), own)

    def test_an_address_by_name(self) -> None:
        wanted = ["10.1.0.5"]
        lease = self.host.add(Attachment.of("pods", "a"), wanted)
        self.assertEqual(texts(lease), ["10.1.0.5/29", "fd00::2/125"])
        held = self.refused(Attachment.of("pods", "b"), wanted)
        self.assertEqual(held.message, "10.1.0.5 is held by pods/a/eth0")
        self.host.reserve("10.1.0.6", "the printer")
        reserved = self.refused(Attachment.of("pods", "b"), ["10.1.0.6"])
        self.assertEqual(reserved.message, "10.1.0.6 is reserved: the printer")
        for nowhere in ("10.1.0.1", "10.9.0.1"):
            failure = self.refused(Attachment.of("pods", "b"), [nowhere])
            self.assertEqual(failure.reason, Reason.CONFLICT)
            self.assertEqual(failure.message, f"{nowhere} is in none of the ranges")

    def test_a_set_may_be_full(self) -> None:
        self.host.config = {"ranges": [[{"subnet": "10.1.0.0/30"}]]}
        self.host.add(Attachment.of("pods", "a"))
        full = self.refused(Attachment.of("pods", "b"))
        self.assertEqual((full.reason, full.message), (Reason.EXHAUSTED, "set 0 has no free address"))

    def test_what_is_wrong_is_named(self) -> None:
        empty = "is empty: there is nothing to give"
        for config, problem in (
            ({"ranges": []}, f"/ranges: {empty}"),
            ({"ranges": [[]]}, f"/ranges/0: {empty}"),
            (
                {"ranges": [[{"subnet": "10.1.0.9/24"}]]},
                "/ranges/0/0/subnet: has host bits set: the network is 10.1.0.0/24",
            ),
        ):
            self.host.config = config
            self.assertEqual([str(found) for found in self.host.problems()], [problem])


if __name__ == "__main__":
    unittest.main()
