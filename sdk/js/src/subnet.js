// A subnet to give addresses from, with the reference plugin's keys: what most IPAM needs.

import { Failure } from './failure.js';
import { Address, Net, Range } from './ip.js';
import * as ledger from './ledger.js';
import { problem } from './problem.js';

/**
 * Of `{"subnet": "10.1.0.0/24", "rangeStart", "rangeEnd", "gateway", "exclude"}`, of which only the
 * first is needed. Neither the gateway nor the network's own addresses are ever given.
 */
export class Subnet {
  constructor({ subnet, rangeStart, rangeEnd, gateway, exclude = [] }) {
    const address = (text) => (text === undefined ? undefined : Address.parse(text));
    this.subnet = Net.parse(subnet);
    this.rangeStart = address(rangeStart);
    this.rangeEnd = address(rangeEnd);
    this.gateway = address(gateway) ?? this.#firstUsable();
    this.exclude = exclude.map((range) => Range.parse(range));
    Object.freeze(this);
  }

  /** What is wrong with it, at this pointer. */
  check(pointer = '') {
    const problems = [];
    const wrong = (key, message) => problems.push(problem(`${pointer}/${key}`, message));
    const network = this.subnet.network();
    if (!this.subnet.isNetwork()) wrong('subnet', `has host bits set: the network is ${network}`);
    for (const key of ['rangeStart', 'rangeEnd']) {
      const address = this[key];
      if (address !== undefined && !network.contains(address)) wrong(key, `${address} lies outside ${network}`);
    }
    if (this.gateway !== undefined && this.gateway.version !== network.version) {
      wrong('gateway', `${this.gateway} is of another family than ${network}`);
    }
    if (this.#bounds() === undefined) wrong('rangeEnd', 'lies below the start of the range');
    return problems;
  }

  /** What addresses come from; nothing where it is wrong. */
  ranges() {
    const bounds = this.#bounds();
    return bounds === undefined ? [] : [bounds];
  }

  /** The same as a pool, named as the subnet. */
  pool() {
    return { name: String(this.subnet), ranges: this.ranges() };
  }

  /** What is never given: what is excluded, the gateway, the network's own addresses. */
  excluded() {
    const usable = this.subnet.usable();
    const own = [this.subnet.first(), this.subnet.last()].filter((address) => !usable.contains(address));
    const gateway = this.gateway === undefined ? [] : [this.gateway];
    return [...this.exclude, ...[...gateway, ...own].map((address) => Range.single(address))];
  }

  /** Whether it may give this address. */
  gives(address) {
    const within = (ranges) => ranges.some((range) => range.contains(address));
    return within(this.ranges()) && !within(this.excluded());
  }

  /** The address as a lease has it: with prefix length and gateway. */
  leased(address) {
    return { address: new Net(address, this.subnet.prefix), gateway: this.gateway };
  }

  /** Takes this address from the ledger; a conflict where it cannot be had. */
  take(address) {
    if (!this.gives(address)) {
      throw new Failure('conflict', `${address} was asked for, but ${this.subnet} does not give it`);
    }
    return this.leased(ledger.take(address));
  }

  /** Takes a free address: first what the attachment holds already. Undefined where none is. */
  takeFree() {
    const taken = ledger.takeFree(this.ranges(), { excluded: this.excluded() });
    return taken === undefined ? undefined : this.leased(taken);
  }

  #firstUsable() {
    const { first } = this.subnet.usable();
    return first.equals(this.subnet.first()) ? undefined : first;
  }

  #bounds() {
    const usable = this.subnet.usable();
    const [first, last] = [this.rangeStart ?? usable.first, this.rangeEnd ?? usable.last];
    return first.version === last.version && first.compare(last) <= 0 ? new Range(first, last) : undefined;
  }
}
