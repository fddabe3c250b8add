"""Write an IPAM or a policy plugin of wharfinger in Python: a component that decides which addresses an
attachment gets, or whether there may be one.

A plugin is its configuration: a dataclass that is read by its type hints, and that answers.

>>> from dataclasses import dataclass
>>> from wharfinger_sdk import Ipam, Lease, Subnet, export
>>> @export
... @dataclass
... class OnePool(Ipam):
...     pool: Subnet
...
...     def pools(self):
...         return [self.pool.pool]
...
...     def allocate(self, request):
...         wanted = request.wanted
...         return Lease([self.pool.take(wanted[0]) if wanted else self.pool.take_free()])

In a unit test a host in memory answers:

>>> from wharfinger_sdk import Attachment
>>> from wharfinger_sdk.testing import Host
>>> host = Host(OnePool, {"pool": {"subnet": "10.1.0.0/24"}})
>>> str(host.add(Attachment.of("pods", "web")).addresses[0].address)
'10.1.0.2/24'

All calls of one ADD are one transaction of the host: a failure, an exception or a missed deadline
leaves nothing behind. After a conflict with another node the host calls again. Each call may meet a
fresh instance: a plugin depends on its arguments and on what `ledger`, `store` and `node` answer, and
keeps nothing itself. What it logs (`logging`) or prints reaches the operator's log.

Start reading at `Ipam` or `Policy`.
"""

from . import ledger, node, plan, store
from ._address import IPAddress, IPInterface, IPNetwork, Range
from ._attachment import Attachment, AttachmentId, Pod
from ._config import Between
from ._failure import Failure, Problem, Reason
from ._lease import Dns, Lease, LeasedAddress, Pool, Route
from ._plugin import (
    Allow,
    Amend,
    Deny,
    Ipam,
    Policy,
    PolicyRequest,
    Remote,
    Request,
    Sources,
    Verdict,
    export,
)
from ._subnet import Subnet

__all__ = [
    "Allow", "Amend", "Attachment", "AttachmentId", "Between", "Deny", "Dns", "Failure", "IPAddress",
    "IPInterface", "IPNetwork", "Ipam", "Lease", "LeasedAddress", "Pod", "Policy", "PolicyRequest",
    "Pool", "Problem", "Range", "Reason", "Remote", "Request", "Route", "Sources", "Subnet", "Verdict",
    "export", "ledger", "node", "plan", "store",
]
