// A host in memory, for unit tests: a ledger, a store, a node and a log that behave as the real ones.

import {
  Attachment,
  type Address,
  type Dns,
  type IpamPlugin,
  type Json,
  type Lease,
  type LeasedAddress,
  type PolicyPlugin,
  type Pool,
  type Problem,
  type Route,
  type Sources,
  type Step,
  type Verdict,
} from './index.js';

export { Attachment };

/** The host ends the call: what the real one does past any `catch`. */
export class Trap extends Error {}

/** A lease with all its keys. */
export interface WholeLease extends Lease {
  readonly addresses: readonly LeasedAddress[];
  readonly routes: readonly Route[];
  readonly dns: Required<Omit<Dns, 'domain'>> & { readonly domain: string | undefined };
}

type Network = { readonly [key: string]: Json };

/** A request in a test: what is left out is empty. */
export interface AskedIpam {
  attachment: Attachment;
  network?: Network;
  wanted?: readonly (string | Address)[];
}

/** Likewise; without `written`, the conflist's author wrote all of the network. */
export interface AskedPolicy {
  attachment: Attachment;
  network?: Network;
  written?: Partial<Sources>;
}

/**
 * A host with an empty book, a node named "node", and the clock at zero. A configuration is a value
 * of JSON, as JSON.parse has it. A failure of the plugin is thrown, as the plugin threw it.
 */
export class Host {
  /** Names the node. */
  name(name: string): void;
  /** Writes down something about the node. */
  label(name: string, value: string): void;
  /** Sets the clock: seconds since the Unix epoch. */
  clock(now: number): void;
  /** Reserves an address, as an operator does. */
  reserve(address: string | Address, why: string): void;
  /** An ADD with nothing asked for by name. */
  add(plugin: IpamPlugin, config: unknown, attachment: Attachment): WholeLease;
  /** An ADD: allocates, checks the lease as the real host does, and keeps it. */
  allocate(plugin: IpamPlugin, config: unknown, request: AskedIpam): WholeLease;
  /** A DEL: gives back what the attachment holds, and drops what the store has for its time. */
  del(attachment: Attachment): void;
  /** A reboot of the node: only what is remembered, and permanent entries of the store, stay. */
  reboot(): void;
  /** What the host tells a remote plugin once its own book is closed. */
  released(plugin: IpamPlugin, config: unknown, attachment: Attachment, lease?: Lease): void;
  /** What is wrong with a configuration. */
  problems(plugin: IpamPlugin | PolicyPlugin, config: unknown): Problem[];
  pools(plugin: IpamPlugin, config: unknown): Pool[];
  /** Asks a policy before anything is allocated. What it stored is kept if it did not refuse. */
  admit(plugin: PolicyPlugin, config: unknown, request: AskedPolicy): Verdict;
  /** Asks a policy with all that is about to happen. */
  review(plugin: PolicyPlugin, config: unknown, request: AskedPolicy, steps?: readonly Step[], result?: Json): Verdict;
  /** What an attachment holds, in the addresses' order. */
  holds(attachment: Attachment): Address[];
  /** An entry of the store. */
  stored(key: string): string | undefined;
  /** All that was logged, by `console` too. */
  readonly log: readonly { readonly level: string; readonly message: string }[];
}
