// The ledger and the store in memory, as plain as can be. Addresses are their text here, which is
// canonical.

import { AttachmentId } from '../attachment.js';
import { Address, Range } from '../ip.js';

const byAddress = (a, b) => Address.parse(a).compare(Address.parse(b));

export class Book {
  held = new Map();
  resting = new Set();
  reserved = new Map();
  identities = new Map();
  // The last address taken of each list of ranges.
  cursors = new Map();
  // Value, and whose it is where it goes with its attachment.
  store = new Map();

  clone() {
    return Object.assign(new Book(), structuredClone({ ...this }));
  }

  holds(id) {
    return [...this.held].filter(([, owner]) => owner === id).map(([address]) => address).sort(byAddress);
  }

  /** The attachment holds these and no others. */
  settle(id, leased) {
    for (const address of this.holds(id).filter((one) => !leased.includes(one))) {
      this.held.delete(address);
      this.resting.add(address);
    }
  }

  release(id) {
    this.settle(id, []);
    this.#drop((owner) => owner === id);
  }

  reboot() {
    this.held.clear();
    this.resting.clear();
    this.cursors.clear();
    this.#drop((owner) => owner !== undefined);
  }

  /** Undefined where it is taken, or why not. */
  take(id, address) {
    const text = String(address);
    if (this.reserved.has(text)) return { type: 'reserved', text: this.reserved.get(text) };
    const owner = this.held.get(text);
    if (owner !== undefined && owner !== id) return { type: 'held', by: new AttachmentId(...owner.split('/')) };
    this.resting.delete(text);
    this.held.set(text, id);
    return undefined;
  }

  takeFree(id, ranges, excluded, start) {
    const free = this.#free(id, ranges, excluded, start);
    if (free === undefined) return undefined;
    this.take(id, free);
    this.cursors.set(ranges.join(), String(free));
    return free;
  }

  // What `take-free` takes, in the contract's order.
  #free(id, ranges, excluded, start) {
    const may = (text) => inside(ranges, text) && !inside(excluded, text);
    const own = this.holds(id).find(may);
    if (own !== undefined) return Address.parse(own);
    const cursor = this.cursors.get(ranges.join());
    const from = start !== undefined && inside(ranges, start) ? start : cursor && Address.parse(cursor).next();
    const kept = [...this.identities.values()].flat();
    const nobodys = (text) => !this.held.has(text) && !this.reserved.has(text);
    const fresh = (text) => nobodys(text) && !this.resting.has(text) && !kept.includes(text);
    for (const range of rounds(ranges, from)) {
      const found = firstIn(range, excluded, (address) => fresh(String(address)));
      if (found !== undefined) return found;
    }
    const rested = [...this.resting].sort(byAddress).find((text) => may(text) && nobodys(text) && !kept.includes(text));
    const last = rested ?? kept.find((text) => may(text) && nobodys(text));
    return last && Address.parse(last);
  }

  usage(ranges) {
    const within = (texts) => [...texts].filter((text) => inside(ranges, text)).length;
    const size = (range) => range.last.value - range.first.value + 1n;
    const total = ranges.reduce((sum, range) => sum + size(range), 0n);
    const kept = [...new Set([...this.identities.values()].flat())].filter((text) => !this.held.has(text));
    return {
      total: Number(total < 2n ** 53n ? total : 2n ** 53n),
      held: within(this.held.keys()),
      resting: within(this.resting),
      remembered: within(kept),
    };
  }

  scan(prefix, after, limit) {
    return [...this.store]
      .filter(([name]) => name.startsWith(prefix) && (after === undefined || byteOrder(name, after) > 0))
      .sort(([a], [b]) => byteOrder(a, b))
      .slice(0, limit)
      .map(([name, { value }]) => ({ name, value }));
  }

  #drop(whose) {
    for (const [key, { owner }] of this.store) if (whose(owner)) this.store.delete(key);
  }
}

function inside(ranges, address) {
  return ranges.some((range) => range.contains(address));
}

// The ranges in the order of the search: from `start` on, all that follow, and round.
function rounds(ranges, start) {
  const at = start === undefined ? -1 : ranges.findIndex((range) => range.contains(start));
  if (at < 0) return ranges;
  return [new Range(start, ranges[at].last), ...ranges.slice(at + 1), ...ranges];
}

// What is excluded is jumped over.
function firstIn(range, excluded, good) {
  let address = range.first;
  for (;;) {
    const jump = excluded.find((one) => one.contains(address))?.last;
    if (jump === undefined && good(address)) return address;
    const last = jump ?? address;
    if (last.compare(range.last) >= 0) return undefined;
    address = last.next();
  }
}

// UTF-8's order is that of code points, which is not the one of JavaScript.
function byteOrder(a, b) {
  const [left, right] = [[...a], [...b]];
  const at = left.findIndex((one, i) => one !== right[i]);
  if (at < 0) return left.length - right.length;
  return right[at] === undefined ? 1 : left[at].codePointAt(0) - right[at].codePointAt(0);
}
