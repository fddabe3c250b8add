// Which address an attachment gets: a free one of the first pool that has room.

import { Failure, ipam } from '@wharfinger/sdk';
import { list, object, optional, route, subnet } from '@wharfinger/sdk/config';

export default ipam({
  // The `ipam` object of a network.
  config: object({
    // Where addresses come from, in the order they are tried.
    pools: list(subnet, { empty: 'is empty: there is nothing to give' }),
    // Copied to the lease.
    routes: optional(list(route), []),
  }),

  pools({ pools }) {
    return pools.map((pool) => pool.pool());
  },

  allocate({ pools, routes }, { wanted: [wanted] }) {
    const leased = wanted === undefined ? free(pools) : named(pools, wanted);
    return { addresses: [leased], routes };
  },
});

/** An address that was asked for. */
function named(pools, wanted) {
  const pool = pools.find((one) => one.gives(wanted));
  if (pool === undefined) throw new Failure('conflict', `${wanted} is in none of the pools`);
  return pool.take(wanted);
}

function free(pools) {
  for (const pool of pools) {
    const leased = pool.takeFree();
    if (leased !== undefined) return leased;
  }
  throw new Failure('exhausted', 'no pool has a free address');
}
