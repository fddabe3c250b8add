// One call in memory: what the modules of the SDK ask while it runs.

import { Address } from '../ip.js';
import { Trap } from './trap.js';

const LEDGER = ['allocate'];
const STORE = ['allocate', 'policy'];

export class Call {
  taken = [];
  logged = [];
  #identities = [];

  constructor(kind, book, node, attachment) {
    this.kind = kind;
    this.book = book.clone();
    this.node = node;
    this.id = attachment === undefined ? undefined : String(attachment.id);
  }

  /** The book as the call leaves it: what it took and did not lease is free. */
  commit(lease) {
    const leased = lease.addresses.map((one) => String(one.address.address));
    if (this.kind === 'allocate') this.book.settle(this.id, leased);
    for (const identity of this.#identities) this.book.identities.set(identity, leased);
    return this.book;
  }

  take(address) {
    this.#needs('ledger.take', LEDGER);
    const why = this.book.take(this.id, address);
    if (why === undefined) this.taken.push(String(address));
    return why;
  }

  takeFree(ranges, excluded, start) {
    this.#needs('ledger.takeFree', LEDGER);
    const taken = this.book.takeFree(this.id, ranges, excluded, start);
    if (taken !== undefined) this.taken.push(String(taken));
    return taken;
  }

  remembered(identity) {
    this.#needs('ledger.remembered', LEDGER);
    return [...(this.book.identities.get(identity) ?? [])].map((text) => Address.parse(text));
  }

  remember(identity) {
    this.#needs('ledger.remember', LEDGER);
    this.#identities.push(identity);
  }

  usage(ranges) {
    this.#needs('ledger.usage', LEDGER);
    return this.book.usage(ranges);
  }

  get(key) {
    this.#needs('store.get', STORE);
    return this.book.store.get(key)?.value;
  }

  put(key, value, lifetime) {
    this.#needs('store.put', STORE);
    this.book.store.set(key, { value, owner: lifetime === 'attachment' ? this.id : undefined });
  }

  remove(key) {
    this.#needs('store.remove', STORE);
    return this.book.store.delete(key);
  }

  scan(prefix, after, limit) {
    this.#needs('store.scan', STORE);
    return this.book.scan(prefix, after, limit);
  }

  count(prefix) {
    this.#needs('store.count', STORE);
    return this.book.scan(prefix, undefined, Infinity).length;
  }

  log(level, message) {
    this.logged.push({ level, message });
  }

  name() {
    return this.node.name;
  }

  label(name) {
    return this.node.labels.get(name);
  }

  now() {
    return this.node.now;
  }

  #needs(what, kinds) {
    if (!kinds.includes(this.kind)) throw new Trap(`${what} was called where the contract does not offer it`);
  }
}
