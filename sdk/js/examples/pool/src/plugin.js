// Ranges of addresses, in sets as the reference plugin `host-local` has them: an attachment gets
// one address of each. With `sticky`, a pod keeps its own.

import { Failure, ipam, ledger } from '@wharfinger/sdk';
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
function named(set, wanted) {
  const address = wanted.find((one) => giving(set, one));
  return address && giving(set, address).leased(ledger.take(address));
}

/** What the pod had before, where it can be had. */
function own(set, identity) {
  const before = identity === undefined ? [] : ledger.remembered(identity);
  const address = before.find((one) => giving(set, one) && ledger.tryTake(one));
  return address && giving(set, address).leased(address);
}

function free(set, n) {
  const excluded = set.flatMap((subnet) => subnet.excluded());
  const address = ledger.takeFree(rangesOf(set), { excluded });
  if (address === undefined) throw new Failure('exhausted', `set ${n} has no free address`);
  return giving(set, address).leased(address);
}

const rangesOf = (set) => set.flatMap((subnet) => subnet.ranges());
const giving = (set, address) => set.find((subnet) => subnet.gives(address));
