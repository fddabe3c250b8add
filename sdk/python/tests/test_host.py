"""The host in memory answers as the real one."""

import ipaddress
import logging
import unittest
from dataclasses import dataclass, replace

from wharfinger_sdk import (
    Attachment,
    Deny,
    Failure,
    Ipam,
    Lease,
    Policy,
    PolicyRequest,
    Range,
    Reason,
    Remote,
    Request,
    Route,
    Subnet,
    ledger,
    node,
    store,
)
from wharfinger_sdk._log import Printed
from wharfinger_sdk.testing import Host, Trap

POOL = {"pool": {"subnet": "10.1.0.0/29"}}
WEB, DB = Attachment.of("pods", "web"), Attachment.of("pods", "db")


@dataclass
class OnePool(Remote):
    pool: Subnet
    does: str = ""

    def pools(self):
        if self.does == "asks outside":
            store.get("x")
        return [self.pool.pool]

    def allocate(self, request: Request) -> Lease:
        leased = self.pool.take_free()
        if self.does == "fails":
            store.put("left", "behind")
            raise Failure.try_again("not\nnow")
        if self.does == "invents":
            return Lease([replace(leased, address=ipaddress.ip_interface("10.1.0.6/29"))])
        if self.does == "routes itself":
            return Lease([leased], [Route(ipaddress.ip_network("fd00::/8"), leased.gateway)])
        if self.does == "forgets":
            return None
        return Lease([leased])

    def released(self, attachment, lease) -> None:
        logging.getLogger(__name__).warning("%s has left %s", attachment.id, node.label("zone"))


class Refuses(Policy):
    def admit(self, request):
        store.put("a", "1")
        return Deny("line\nbreak")

    def review(self, request, steps, cni_result):
        return None


class HostTest(unittest.TestCase):
    def setUp(self) -> None:
        self.host = Host(OnePool, dict(POOL))

    def add(self, attachment: Attachment) -> str:
        return str(self.host.add(attachment).addresses[0].address.ip)

    def does(self, what: str) -> None:
        self.host.config = {**POOL, "does": what}

    def test_addresses_come_go_and_rest(self) -> None:
        self.assertEqual([self.add(WEB), self.add(DB), self.add(WEB)], ["10.1.0.2", "10.1.0.3", "10.1.0.2"])
        self.host.delete(WEB)
        names = [self.add(Attachment.of("pods", name)) for name in "abcd"]
        # What rests comes last.
        self.assertEqual(names, ["10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.2"])
        with self.assertRaises(Failure) as full:
            self.add(WEB)
        self.assertEqual(full.exception.reason, Reason.EXHAUSTED)
        self.assertEqual([str(a) for a in self.host.holds(DB)], ["10.1.0.3"])

    def test_a_failure_leaves_nothing(self) -> None:
        self.does("fails")
        with self.assertRaises(Failure) as failed:
            self.add(WEB)
        self.assertEqual(failed.exception.message, "not now")
        self.assertEqual((self.host.holds(WEB), self.host.stored("left")), ([], None))

    def test_what_the_real_host_refuses_is_a_trap(self) -> None:
        for what, said in (("invents", "did not take"), ("routes itself", "another family")):
            self.does(what)
            with self.assertRaisesRegex(Trap, said):
                self.add(WEB)
        self.does("asks outside")
        with self.assertRaisesRegex(Trap, "store.get was called in validate or pools"):
            self.host.pools()
        self.does("forgets")
        with self.assertRaisesRegex(TypeError, "must return a Lease"):
            self.add(WEB)
        with self.assertRaisesRegex(RuntimeError, "in a call alone"):
            node.name()

    def test_an_author_who_does_not_look_at_wanted_refuses(self) -> None:
        with self.assertRaises(Failure) as refused:
            self.host.add(WEB, ["10.1.0.6"])
        self.assertEqual(refused.exception.reason, Reason.CONFLICT)

    def test_what_is_logged_is_kept(self) -> None:
        self.host.node.labels["zone"] = "north"
        self.host.released(WEB, None)
        self.assertEqual(self.host.log, [(logging.WARNING, "pods/web/eth0 has left north")])

    def test_a_refusal_stores_nothing_and_nothing_is_no_verdict(self) -> None:
        @dataclass
        class Plugin(Refuses):
            pass

        host, request = Host(Plugin, {}), PolicyRequest(WEB)
        self.assertEqual(host.admit(request), Deny("line break"))
        self.assertIsNone(host.stored("a"))
        with self.assertRaisesRegex(TypeError, "must return Allow, Deny or Amend"):
            host.review(request, [], {})

    def test_the_store_is_in_byte_order_and_has_lifetimes(self) -> None:
        @dataclass
        class Stores(Ipam):
            def pools(self):
                return []

            def allocate(self, request):
                for key in ("p/\ue000", "p/\U00010000", "p/a", "q"):
                    store.put(key, key, permanent=key == "q")
                found = [key for key, _ in store.scan("p/", after="p/a", limit=1)]
                logging.info("%s %d", ascii(found), store.count("p/"))
                with self_test.assertRaises(TypeError):
                    store.put("x", 1)  # type: ignore[arg-type]
                return Lease()

        self_test, host = self, Host(Stores, {})
        host.add(WEB)
        self.assertEqual(host.log[0][1], "['p/\\ue000'] 3")
        host.delete(WEB)
        self.assertEqual((host.stored("p/a"), host.stored("q")), (None, "q"))

    def test_the_ledger_remembers_and_counts(self) -> None:
        one = Range.parse("10.1.0.0/29")

        @dataclass
        class Remembers(Ipam):
            def pools(self):
                return []

            def allocate(self, request):
                self_test.assertEqual(ledger.remembered("x"), expected)
                address = ledger.take_free([one], start=ipaddress.ip_address("10.1.0.4"))
                ledger.remember("x")
                logging.info("%s", ledger.usage([one]))
                return Lease([Subnet(ipaddress.ip_network("10.1.0.0/29")).leased(address)])

        self_test, host, expected = self, Host(Remembers, {}), []
        host.add(WEB)
        expected = [ipaddress.ip_address("10.1.0.4")]
        self.assertEqual(host.log[0][1], "Usage(total=6, held=1, resting=0, remembered=0)")
        host.reboot()
        host.add(DB)
        self.assertEqual([str(a) for a in host.holds(DB)], ["10.1.0.5"])

    def test_lines_that_are_printed_are_logged(self) -> None:
        @dataclass
        class Prints(Ipam):
            def pools(self):
                out = Printed(logging.INFO)
                print("one\ntwo", 3, file=out)
                print("begun", end="", file=out)
                return []

            def allocate(self, request):
                return Lease()

        host = Host(Prints, {})
        host.pools()
        self.assertEqual(host.log, [(logging.INFO, "one"), (logging.INFO, "two 3")])


if __name__ == "__main__":
    unittest.main()
