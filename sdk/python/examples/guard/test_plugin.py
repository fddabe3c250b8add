import unittest

from plugin import Config
from wharfinger_sdk import (
    Allow,
    Amend,
    Attachment,
    Deny,
    Failure,
    PolicyRequest,
    Sources,
    Verdict,
)
from wharfinger_sdk.testing import Host


def request(namespace: str | None = None, container: str = "a", **runtime) -> PolicyRequest:
    pod = namespace and f"{namespace}/{container}"
    attachment = Attachment.of("pods", container, pod=pod)
    return PolicyRequest(attachment, written=Sources(runtime=runtime))


class GuardTest(unittest.TestCase):
    def says(self, config: dict, asked: PolicyRequest) -> Verdict:
        return Host(Config, config).admit(asked)

    def test_namespaces_that_are_named_pass(self) -> None:
        config = {"namespaces": ["web"]}
        self.assertEqual(self.says(config, request("web")), Allow())
        self.assertEqual(self.says(config, request("db")), Deny("namespace db is not attached"))
        refused = Deny("an attachment without a pod is refused")
        self.assertEqual(self.says(config, request()), refused)

    def test_ports_that_are_named_pass(self) -> None:
        config = {"hostPorts": ["80", "8000-8100"]}
        for port in (None, 0, 80, 8000, 8100):
            asked = request(portMappings=[{"hostPort": port}])
            self.assertEqual(self.says(config, asked), Allow())
        asked = request(portMappings=[{"containerPort": 80}, {"hostPort": 81}])
        self.assertEqual(self.says(config, asked), Deny("port 81 of the host is not allowed"))

    def test_what_cannot_be_read_refuses(self) -> None:
        for mappings in ("80", [80], [{"hostPort": "80"}], [{"hostPort": True}], [{"hostPort": -1}], [{"hostPort": 65536}]):
            with self.assertRaisesRegex(Failure, "portMappings: not a list of ports"):
                self.says({"hostPorts": []}, request(portMappings=mappings))

    def test_a_namespace_has_its_number(self) -> None:
        host = Host(Config, {"quota": 1})
        for _ in range(2):
            self.assertEqual(host.admit(request("web", "a")), Allow())
        refused = Deny("namespace web has 1 attachments, and may have 1")
        self.assertEqual(host.admit(request("web", "b")), refused)
        self.assertEqual(host.admit(request("web-too", "c")), Allow())
        host.delete(request("web", "a").attachment)
        self.assertEqual(host.admit(request("web", "b")), Allow())

    def test_the_mtu_is_set(self) -> None:
        self.assertEqual(self.says({"mtu": 1400}, request()), Amend({"mtu": 1400}))

    def test_what_is_wrong_is_named(self) -> None:
        bad = {"hostPorts": ["x", "9-8"], "quota": 1, "mtu": 1400}
        found = [str(problem) for problem in Host(Config, bad).problems()]
        self.assertEqual(
            found,
            [
                '/hostPorts/0: "x" is no port and no range of ports',
                '/hostPorts/1: "9-8" is no port and no range of ports',
            ],
        )
        pointers = [p.pointer for p in Host(Config, {"quota": 0, "mtu": 67, "x": 1}).problems()]
        self.assertEqual(pointers, ["/quota", "/mtu", "/x"])


if __name__ == "__main__":
    unittest.main()
