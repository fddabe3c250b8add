// Goes wrong as its configuration says: what a host must bear, and tell.

import { ipam } from '@wharfinger/sdk';
import { object, oneOf, subnet } from '@wharfinger/sdk/config';

export default ipam({
  config: object({ pool: subnet, plant: oneOf('exception', 'loop', 'memory', 'stack') }),

  pools({ pool }) {
    return [pool.pool()];
  },

  allocate({ plant }, { attachment }) {
    console.info(`planting ${plant}`);
    return { addresses: [PLANTS[plant](attachment)] };
  },
});

const PLANTS = { exception: address_of, loop, memory, stack };

function address_of() {
  throw new Error('an attachment without a pod');
}

function loop() {
  for (;;);
}

function memory() {
  const hoard = [];
  for (;;) hoard.push(new Uint8Array(1 << 20).fill(1));
}

function stack(attachment) {
  return [stack(attachment)];
}
