// A host in memory, for unit tests: a ledger, a store, a node and a log that behave as the real
// ones. After a failure nothing has changed but the log. Where to start: `Host`.

import { Attachment } from './attachment.js';
import { allocate, configOf, problems } from './call.js';
import { console as lines } from './console.js';
import { setHost } from './host.js';
import { Address } from './ip.js';
import { Book } from './testing/book.js';
import { Call } from './testing/call.js';
import { judge } from './testing/judge.js';
import { Trap } from './testing/trap.js';

export { Attachment, Trap };

const NO_LEASE = { addresses: [] };

/** A host with an empty book, a node named "node", and the clock at zero. */
export class Host {
  #book = new Book();
  #node = { name: 'node', labels: new Map(), now: 0 };
  #log = [];

  /** Names the node. */
  name(name) {
    this.#node.name = name;
  }

  /** Writes down something about the node. */
  label(name, value) {
    this.#node.labels.set(name, value);
  }

  /** Sets the clock: seconds since the Unix epoch. */
  clock(now) {
    this.#node.now = now;
  }

  /** Reserves an address, as an operator does. */
  reserve(address, why) {
    this.#book.reserved.set(String(Address.parse(address)), why);
  }

  /** An ADD with nothing asked for by name. */
  add(plugin, config, attachment) {
    return this.allocate(plugin, config, { attachment });
  }

  /** An ADD: allocates, checks the lease as the real host does, and keeps it. */
  allocate(plugin, config, { attachment, network = {}, wanted = [] }) {
    const request = { attachment, network, wanted: wanted.map((address) => Address.parse(address)) };
    const [lease, call] = this.#call('allocate', attachment, () => allocate(plugin, JSON.stringify(config), request));
    const bad = judge(lease, call.taken, request.wanted);
    if (bad !== undefined) throw new Trap(bad);
    this.#book = call.commit(lease);
    return lease;
  }

  /** A DEL: gives back what the attachment holds, and drops what the store has for its time. */
  del(attachment) {
    this.#book.release(String(attachment.id));
  }

  /** A reboot of the node: only what is remembered, and permanent entries of the store, stay. */
  reboot() {
    this.#book.reboot();
  }

  /** What the host tells a remote plugin once its own book is closed. */
  released(plugin, config, attachment, lease) {
    this.#call('released', attachment, () => plugin.released(configOf(plugin, JSON.stringify(config)), attachment, lease));
  }

  /** What is wrong with a configuration, of either kind of plugin. */
  problems(plugin, config) {
    return this.#call('outside', undefined, () => problems(plugin, JSON.stringify(config)))[0];
  }

  /** The pools of an IPAM plugin. */
  pools(plugin, config) {
    return this.#call('outside', undefined, () => plugin.pools(configOf(plugin, JSON.stringify(config))))[0];
  }

  /** Asks a policy before anything is allocated. What it stored is kept if it did not refuse. */
  admit(plugin, config, request) {
    const whole = policyRequest(request);
    return this.#judged(whole, () => plugin.admit(configOf(plugin, JSON.stringify(config)), whole));
  }

  /** Asks a policy with all that is about to happen. */
  review(plugin, config, request, steps = [], result = {}) {
    const whole = policyRequest(request);
    return this.#judged(whole, () => plugin.review(configOf(plugin, JSON.stringify(config)), whole, steps, result));
  }

  /** What an attachment holds, in the addresses' order. */
  holds(attachment) {
    return this.#book.holds(String(attachment.id)).map((text) => Address.parse(text));
  }

  /** An entry of the store. */
  stored(key) {
    return this.#book.store.get(key)?.value;
  }

  /** All that was logged, by `console` too: `{ level, message }`. */
  get log() {
    return [...this.#log];
  }

  #judged({ attachment }, work) {
    const [verdict, call] = this.#call('policy', attachment, work);
    if (verdict.verdict !== 'deny') this.#book = call.commit(NO_LEASE);
    return verdict;
  }

  // One call, with this host as what the modules of the SDK ask, and its log as the console.
  #call(kind, attachment, work) {
    const call = new Call(kind, this.#book, this.#node, attachment);
    const before = { host: setHost(call), console: globalThis.console };
    globalThis.console = lines;
    try {
      return [work(), call];
    } finally {
      globalThis.console = before.console;
      setHost(before.host);
      this.#log.push(...call.logged);
    }
  }
}

function policyRequest({ attachment, network = {}, written = {} }) {
  return { attachment, network, written: { network, runtime: {}, pod: {}, ...written } };
}
