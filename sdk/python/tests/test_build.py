"""The build, as far as it needs no componentize-py."""

import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from wharfinger_sdk import Ipam, Policy, Remote, _build, export


class BuildTest(unittest.TestCase):
    def project(self, text: str) -> _build.Project:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        (Path(folder.name) / "pyproject.toml").write_text(text)
        return _build.read(Path(folder.name))

    def test_a_project_is_what_its_file_says(self) -> None:
        project = self.project('[project]\nname = "my-ipam"\n')
        self.assertEqual((project.name, project.module), ("my-ipam", "plugin"))
        text = '[project]\nname = "my-ipam"\n[tool.wharfinger]\nmodule = "my_ipam"\n'
        self.assertEqual(self.project(text).module, "my_ipam")

    def test_what_is_no_project_is_said(self) -> None:
        for text in ("", "[project]\n", '[project]\nname = "../x"\n', "[", '[project]\nname = 1\n'):
            with self.assertRaises(_build.Cannot, msg=text):
                self.project(text)
        with self.assertRaisesRegex(_build.Cannot, "wharfinger plugin new"):
            _build.read(Path("/nowhere"))

    def test_the_world_is_what_it_implements(self) -> None:
        worlds = [_build.world(kind) for kind in (Ipam, Remote, Policy)]
        self.assertEqual(worlds, ["ipam-plugin", "ipam-remote-plugin", "policy-plugin"])

    def test_what_is_no_plugin_is_not_exported(self) -> None:
        with self.assertRaises(TypeError):
            export(int)

        @dataclass
        class Hidden(Policy):
            check: str

        with self.assertRaisesRegex(TypeError, "has the name of a method"):
            export(Hidden)

        @dataclass
        class Strange(Policy):
            what: complex

        with self.assertRaisesRegex(TypeError, "nothing that a configuration is read into"):
            export(Strange)

    def test_names_for_debuggers_are_left_out(self) -> None:
        def section(kind: int, body: bytes) -> bytes:
            return bytes([kind, len(body)]) + body

        names = section(0, b"\x04namewhatever")
        other = section(0, b"\x05otherwhatever")
        module = b"\0asm\x01\0\0\0" + names + section(1, b"\0") + other
        less = b"\0asm\x01\0\0\0" + section(1, b"\0") + other
        component = b"\0asm\x0d\0\x01\0"
        self.assertEqual(_build.stripped(module), less)
        self.assertEqual(
            _build.stripped(component + section(1, module) + names), component + section(1, less)
        )


if __name__ == "__main__":
    unittest.main()
