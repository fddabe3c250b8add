"""What an uncaught exception becomes."""

import importlib.util
import tempfile
import unittest
from pathlib import Path
from types import ModuleType

from wharfinger_sdk import Failure, Reason
from wharfinger_sdk._crash import Sources, failure

SOURCE = """
def address_of(pod):
    raise ValueError("an attachment\\nwithout a pod")

def wrapped(pod):
    try:
        address_of(pod)
    except ValueError as error:
        raise KeyError(pod) from error

def parsed():
    import json
    json.loads("{")

def deep(n):
    return deep(n + 1)

def ping(n):
    return pong(n)

def pong(n):
    return ping(n)

class Broken(Exception):
    def __str__(self):
        raise RuntimeError

def broken():
    raise Broken
"""


class CrashTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "plugin.py"
        path.write_text(SOURCE)
        spec = importlib.util.spec_from_file_location("planted_plugin", path)
        self.plugin: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.plugin)
        self.sources = Sources(folder.name)
        self.sources.keep([self.plugin])

    def of(self, name: str, *arguments: object) -> Failure:
        try:
            getattr(self.plugin, name)(*arguments)
        except Exception as error:
            return failure(error, self.sources)
        self.fail("nothing was raised")

    def test_the_message_has_the_text_and_the_place(self) -> None:
        said = self.of("address_of", "x")
        self.assertEqual(said.message, "ValueError: an attachment without a pod (plugin.py:3, in address_of)")
        self.assertEqual(said.reason, Reason.OTHER)
        self.assertIn('  File "plugin.py", line 3, in address_of\n    raise ValueError(', said.detail)

    def test_the_place_is_the_authors(self) -> None:
        said = self.of("parsed")
        self.assertRegex(said.message, r"^JSONDecodeError: .* \(plugin.py:13, in parsed\)$")
        self.assertIn("json/decoder.py", said.detail)

    def test_causes_come_first(self) -> None:
        detail = self.of("wrapped", "x").detail
        self.assertLess(detail.index("ValueError: an"), detail.index("which led to"))
        self.assertTrue(detail.endswith("KeyError: 'x'"), detail)

    def test_a_deep_one_is_cut(self) -> None:
        said = self.of("deep", 0)
        self.assertTrue(said.message.startswith("RecursionError: "), said.message)
        self.assertRegex(said.detail, r"\.\.\. the same \d+ times more \.\.\.")
        self.assertEqual(said.detail.count("in deep"), 1)
        said = self.of("ping", 0)
        self.assertRegex(said.detail, r"\.\.\. \d+ more \.\.\.")
        self.assertLess(len(said.detail), 8_193)

    def test_one_that_cannot_be_printed_is_named(self) -> None:
        self.assertEqual(self.of("broken").message, "Broken (plugin.py:29, in broken)")


if __name__ == "__main__":
    unittest.main()
