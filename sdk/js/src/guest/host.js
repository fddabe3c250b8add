// The real host, by the contract's imports.

import { AttachmentId } from '../attachment.js';
import { Address } from '../ip.js';
import * as convert from './convert.js';

/** What answers the SDK's modules; a policy has no ledger. */
export function realHost({ ledger, store, logger, node }) {
  return { ...(ledger === undefined ? {} : ofLedger(ledger)), ...ofStore(store), ...ofNode(node), log: logger.log };
}

const ranges = (list) => list.map(convert.range);
const maybe = (value) => value ?? undefined;

function ofLedger(ledger) {
  return {
    take: (address) => refusal(() => ledger.take(String(address))),
    takeFree(of, excluded, start) {
      const taken = ledger.takeFree(ranges(of), ranges(excluded), start === undefined ? undefined : String(start));
      return taken == null ? undefined : Address.parse(taken);
    },
    remembered: (identity) => ledger.remembered(identity).map((text) => Address.parse(text)),
    remember: (identity) => ledger.remember(identity),
    usage(of) {
      const { total, held, resting, remembered } = ledger.usage(ranges(of));
      return { total: Number(total), held: Number(held), resting: Number(resting), remembered: Number(remembered) };
    },
  };
}

function ofStore(store) {
  return {
    get: (key) => maybe(store.get(key)),
    put: (key, value, lifetime) => store.put(key, value, lifetime),
    remove: (key) => store.remove(key),
    scan: (prefix, after, limit) => store.scan(prefix, after, limit).map(({ name, value }) => ({ name, value })),
    count: (prefix) => Number(store.count(prefix)),
  };
}

function ofNode(node) {
  return { name: () => node.name(), label: (name) => maybe(node.label(name)), now: () => Number(node.now()) };
}

// Both engines wrap what an import answers as an error.
function refusal(take) {
  try {
    take();
    return undefined;
  } catch (error) {
    const { tag, val } = error.payload ?? error;
    if (tag === 'held') return { type: 'held', by: new AttachmentId(val.network, val.container, val.ifname) };
    if (tag === 'reserved') return { type: 'reserved', text: val };
    throw error;
  }
}
