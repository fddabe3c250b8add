import unittest

from plugin import Config
from wharfinger_sdk import Attachment, Failure, Reason
from wharfinger_sdk.testing import Host

# Two pools: of one address, and of many.
CONFIG = {"pools": [{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/24"}]}


class PluginTest(unittest.TestCase):
    def setUp(self) -> None:
        self.host = Host(Config, CONFIG)

    def add(self, name: str, *wanted: str) -> str:
        lease = self.host.add(Attachment.of("pods", name), wanted)
        return str(lease.addresses[0].address)

    def test_the_second_pool_serves_when_the_first_is_full(self) -> None:
        given = [self.add(name) for name in "abc"]
        self.assertEqual(given, ["10.1.0.2/30", "10.2.0.2/24", "10.2.0.3/24"])

    def test_asked_twice_it_answers_the_same(self) -> None:
        self.assertEqual(self.add("a"), self.add("a"))

    def test_an_address_asked_for_is_given_or_refused(self) -> None:
        self.assertEqual(self.add("a", "10.2.0.77"), "10.2.0.77/24")
        with self.assertRaises(Failure) as refused:
            self.add("b", "10.2.0.77")
        self.assertEqual(refused.exception.reason, Reason.CONFLICT)

    def test_what_is_wrong_is_named(self) -> None:
        self.host.config = {"pools": [{"subnet": "10.1.0.0/24", "gateway": "fd00::1"}]}
        self.assertEqual(self.host.problems()[0].pointer, "/pools/0/gateway")


if __name__ == "__main__":
    unittest.main()
