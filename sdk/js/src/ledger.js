// Who holds which address, in this network and those that share its address space: the host's own
// book, which plugins read and none can break. For `allocate` alone; what it takes and does not
// return in the lease stays free.

import { Failure } from './failure.js';
import { host } from './host.js';
import { Address, Range } from './ip.js';

/** An address that cannot be taken: a failure of reason `conflict`. */
export class Refused extends Failure {
  constructor(address, why) {
    const text = why.type === 'held' ? `held by ${why.by}` : `reserved: ${why.text}`;
    super('conflict', `${address} is ${text}`);
    this.name = 'Refused';
    this.address = address;
    this.why = why;
  }
}

/** Takes this address, or throws `Refused`. What the attachment holds already is granted. */
export function take(address) {
  const wanted = Address.parse(address);
  const why = host().take(wanted);
  if (why !== undefined) throw new Refused(wanted, why);
  return wanted;
}

/** Whether it could be taken: `take` for who has another plan. */
export function tryTake(address) {
  return host().take(Address.parse(address)) === undefined;
}

/**
 * Takes a free address of the ranges, less the excluded ones; undefined where all are taken. The
 * search goes up from `start`, and wraps round once; without one, from above the last one taken.
 * First of all comes what the attachment holds from an earlier ADD. Last come addresses that rest,
 * then those that are remembered.
 */
export function takeFree(ranges, { excluded = [], start } = {}) {
  const parse = (list) => list.map((range) => Range.parse(range));
  return host().takeFree(parse(ranges), parse(excluded), start === undefined ? undefined : Address.parse(start));
}

/** What was last remembered for `identity`: not taken by this, and perhaps held by somebody else. */
export function remembered(identity) {
  return host().remembered(String(identity));
}

/** Remembers the addresses of this call's lease for `identity`, in place of earlier ones. */
export function remember(identity) {
  host().remember(String(identity));
}

/** How full these ranges are now: `{ total, held, resting, remembered }`. */
export function usage(ranges) {
  return host().usage(ranges.map((range) => Range.parse(range)));
}
