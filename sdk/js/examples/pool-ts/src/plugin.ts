// Ranges of addresses, in sets as the reference plugin `host-local` has them: an attachment gets
// one address of each. With `sticky`, a pod keeps its own.

import { type Address, Failure, type LeasedAddress, type Range, type Subnet, ipam, ledger } from '@wharfinger/sdk';
import { boolean, list, object, optional, route, subnet } from '@wharfinger/sdk/config';

const empty = 'is empty: there is nothing to give';

export default ipam({
  config: object({
    ranges: list(list(subnet, { empty }), { empty }),
    routes: optional(list(route), []),
    sticky: optional(boolean, false),
  }),

  pools({ ranges }) {
    return ranges.map((set, n) => ({ name: String(n), ranges: rangesOf(set) }));
  },

  allocate({ ranges, routes, sticky }, { attachment, wanted }) {
    const stray = wanted.find((address) => !ranges.some((set) => giving(set, address)));
    if (stray !== undefined) throw new Failure('conflict', `${stray} is in none of the ranges`);
    const identity = sticky && attachment.pod ? `${attachment.pod.namespace}/${attachment.pod.name}` : undefined;
    const addresses = ranges.map((set, n) => named(set, wanted) ?? own(set, identity) ?? free(set, n));
    if (identity !== undefined) ledger.remember(identity);
    return { addresses, routes };
  },
});

/** What was asked for by name, where this set has it. */
function named(set: Subnet[], wanted: readonly Address[]): LeasedAddress | undefined {
  const address = wanted.find((one) => giving(set, one));
  return address && giving(set, address)?.leased(ledger.take(address));
}

/** What the pod had before, where it can be had. */
function own(set: Subnet[], identity: string | undefined): LeasedAddress | undefined {
  const before = identity === undefined ? [] : ledger.remembered(identity);
  const address = before.find((one) => giving(set, one) && ledger.tryTake(one));
  return address && giving(set, address)?.leased(address);
}

function free(set: Subnet[], n: number): LeasedAddress {
  const excluded = set.flatMap((subnet) => subnet.excluded());
  const address = ledger.takeFree(rangesOf(set), { excluded });
  const leased = address && giving(set, address)?.leased(address);
  if (leased === undefined) throw new Failure('exhausted', `set ${n} has no free address`);
  return leased;
}

const rangesOf = (set: Subnet[]): Range[] => set.flatMap((subnet) => subnet.ranges());
const giving = (set: Subnet[], address: Address): Subnet | undefined => set.find((subnet) => subnet.gives(address));
