import unittest

from plugin import Config
from wharfinger_sdk import Attachment
from wharfinger_sdk.testing import Host


class PlantedTest(unittest.TestCase):
    def test_what_can_be_seen_here_is_seen(self) -> None:
        host = Host(Config, {"pool": {"subnet": "10.1.0.0/29"}, "plant": "exception"})
        with self.assertRaisesRegex(ValueError, "an attachment without a pod"):
            host.add(Attachment.of("pods", "a"))
        self.assertEqual([message for _, message in host.log], ["planting exception"])
        host.config["plant"] = "stack"
        with self.assertRaises(RecursionError):
            host.add(Attachment.of("pods", "a"))


if __name__ == "__main__":
    unittest.main()
