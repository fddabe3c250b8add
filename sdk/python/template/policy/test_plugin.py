import unittest

from plugin import Config
from wharfinger_sdk import Allow, Attachment, Deny, PolicyRequest
from wharfinger_sdk.testing import Host


class PluginTest(unittest.TestCase):
    def setUp(self) -> None:
        self.host = Host(Config, {"namespaces": ["web"]})

    def admit(self, pod: str | None):
        return self.host.admit(PolicyRequest(Attachment.of("pods", "a", pod=pod)))

    def test_namespaces_that_are_named_pass(self) -> None:
        self.assertEqual(self.admit("web/a"), Allow())
        refused = Deny("namespace db is not attached to this network")
        self.assertEqual(self.admit("db/a"), refused)

    def test_what_is_no_pod_is_refused(self) -> None:
        self.assertEqual(self.admit(None), Deny("only pods are attached here"))

    def test_what_is_wrong_is_named(self) -> None:
        self.host.config = {"namespaces": [1]}
        self.assertEqual(self.host.problems()[0].pointer, "/namespaces/0")


if __name__ == "__main__":
    unittest.main()
