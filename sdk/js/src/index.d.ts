// What authors see of `@wharfinger/sdk`.

import type { Decoder } from './config.js';

/** `"10.1.0.7"` or `"fd00::7"`. Frozen; compare by `equals`. */
export class Address {
  constructor(value: bigint, version: 4 | 6);
  /** Throws where the text is no address. An address comes back as it is. */
  static parse(text: string | Address): Address;
  readonly value: bigint;
  readonly version: 4 | 6;
  /** The bits of the family: 32 or 128. */
  readonly bits: number;
  /** The next higher one; the highest has none, and stays. */
  next(): Address;
  /** The next lower one; the lowest stays. */
  previous(): Address;
  /** Below zero where this one comes first: IPv4 before IPv6, then by number. */
  compare(other: Address): number;
  equals(other: unknown): boolean;
  toString(): string;
  toJSON(): string;
}

/** `"10.1.0.7/24"`: an address with the prefix length of its network; host bits are kept. */
export class Net {
  constructor(address: string | Address, prefix: number);
  /** Throws where the text is no address with a prefix length. */
  static parse(text: string | Net): Net;
  readonly address: Address;
  readonly prefix: number;
  readonly version: 4 | 6;
  /** The same with its host bits set to zero. */
  network(): Net;
  /** Whether its host bits are zero. */
  isNetwork(): boolean;
  /** The lowest address: the network's own. */
  first(): Address;
  /** The highest address: in IPv4 the broadcast. */
  last(): Address;
  /** What it may give to containers: not its own address, nor, in IPv4, the broadcast. */
  usable(): Range;
  contains(address: string | Address): boolean;
  equals(other: unknown): boolean;
  toString(): string;
  toJSON(): string;
}

/** Addresses from the first to the last, both included, of one family. */
export class Range {
  /** Throws where they mix families, or are upside down. */
  constructor(first: string | Address, last: string | Address);
  /** `"10.1.0.10-10.1.0.20"`, one address, or a network, which stands for what it may give. */
  static parse(text: string | Range): Range;
  /** One address alone. */
  static single(address: string | Address): Range;
  readonly first: Address;
  readonly last: Address;
  contains(address: string | Address): boolean;
  overlaps(other: Range): boolean;
  toString(): string;
  toJSON(): string;
}

/** CNI's key for one attachment; as text "NETWORK/CONTAINER/IFNAME". */
export class AttachmentId {
  constructor(network: string, container: string, ifname: string);
  readonly network: string;
  readonly container: string;
  readonly ifname: string;
  toString(): string;
}

/** The Kubernetes pod behind an attachment. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string | undefined;
}

/** A name and its value. */
export interface Pair {
  readonly name: string;
  readonly value: string;
}

/** An attachment, as far as the runtime tells. */
export class Attachment {
  private constructor();
  /** One of no pod, with no arguments: for tests. */
  static of(network: string, container: string, ifname: string): Attachment;
  /** The same for a pod. */
  withPod(namespace: string, name: string, uid?: string): Attachment;
  /** The same with one more argument. */
  withArg(name: string, value: string): Attachment;
  readonly id: AttachmentId;
  readonly pod: Pod | undefined;
  /** `CNI_ARGS`, then the strings of args.cni, as given; a name may come twice. */
  readonly args: readonly Pair[];
  /** The pod's namespace, where there is a pod. */
  readonly namespace: string | undefined;
  /** The last argument of this name. */
  arg(name: string): string | undefined;
}

/** It decides what the host tells the runtime. */
export type Reason =
  /** The configuration is wrong: trying again cannot help. */
  | 'invalid-config'
  /** Every address that the request allows is taken; the host adds the counts. */
  | 'exhausted'
  /** An address asked for by name cannot be had. */
  | 'conflict'
  /** Might work later. */
  | 'try-again'
  /** Anything else: what every other exception becomes. */
  | 'other';

/** `throw new Failure('conflict', '10.1.0.7 is held by pods/web/eth0')`. */
export class Failure extends Error {
  /** Control characters of the message become spaces: it is one line. `detail` may be more. */
  constructor(reason: Reason, message: string, more?: { detail?: string; cause?: unknown });
  readonly reason: Reason;
  readonly detail: string | undefined;
}

/** Runs `work`; what it throws becomes a failure of this kind: "what: cause". */
export function explain<T>(reason: Reason, what: string, work: () => T): T;

/** What is wrong with a configuration, and where. */
export interface Problem {
  /** RFC 6901, into the plugin's configuration: "/ranges/0/subnet"; "" is the whole. */
  readonly pointer: string;
  readonly message: string;
}

export function problem(pointer: string, message: string): Problem;

/** One address of a lease. */
export interface LeasedAddress {
  /** With the prefix length of its network; host bits kept. */
  readonly address: Net;
  /** Of the same family, and not the address itself. */
  readonly gateway?: Address | undefined;
}

export interface Route {
  /** A network: host bits are zero. */
  readonly destination: Net;
  /** The next hop; without it, that of the first address of the family. */
  readonly gateway?: Address | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  /** The metric: lower is preferred. */
  readonly priority?: number | undefined;
  readonly table?: number | undefined;
  /** As `ip route` numbers it: 0 is global, 253 link. */
  readonly scope?: number | undefined;
}

/** Settings of the resolver. */
export interface Dns {
  readonly nameservers?: readonly Address[];
  readonly domain?: string | undefined;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** What an attachment gets. Every address was taken in this call, and comes once. */
export interface Lease {
  readonly addresses: readonly LeasedAddress[];
  readonly routes?: readonly Route[];
  readonly dns?: Dns;
}

/** Ranges that addresses come from, under one name. */
export interface Pool {
  readonly name: string;
  readonly ranges: readonly Range[];
}

/** What JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What an IPAM plugin is asked. */
export interface Request {
  readonly attachment: Attachment;
  /** The whole network configuration as the policies left it, `runtimeConfig` included. */
  readonly network: { readonly [key: string]: Json };
  /** Addresses asked for by name, each once. The lease has them all, or the call fails. */
  readonly wanted: readonly Address[];
}

/** Who wrote what of a network configuration, as earlier policies left it. */
export interface Sources {
  /** The conflist's author: all that is not below. */
  readonly network: { readonly [key: string]: Json };
  /** The runtime: `runtimeConfig`, less annotations. */
  readonly runtime: { readonly [key: string]: Json };
  /** The pod's author: `{"CNI_ARGS": {name: value}, "args": args.cni, "annotations": {...}}`. */
  readonly pod: { readonly [key: string]: Json };
}

/** What a policy is asked. */
export interface PolicyRequest {
  readonly attachment: Attachment;
  /** The whole network configuration as it stands, `prevResult` included. */
  readonly network: { readonly [key: string]: Json };
  /** The same by who wrote it. */
  readonly written: Sources;
}

export type Verdict =
  | { readonly verdict: 'allow' }
  | { readonly verdict: 'deny'; readonly reason: string }
  | { readonly verdict: 'amend'; readonly patch: { readonly [key: string]: Json } };

/** As it is. */
export function allow(): Verdict;
/** Not at all; the reason, one line, reaches the operator. */
export function deny(reason: string): Verdict;
/** Go on, with this RFC 7396 merge patch: of the network configuration by `admit`, of the CNI
 * result by `review`, where only `dns` may change. */
export function amend(patch: { readonly [key: string]: Json }): Verdict;

/** Whose network namespace. */
export type Place = 'host' | 'container';

export interface Link {
  readonly place: Place;
  readonly name: string;
}

/** One thing that the host is about to do to the kernel. */
export type Step =
  | LinkStep
  | { readonly type: 'address'; readonly link: Link; readonly address: Net }
  | { readonly type: 'route'; readonly link: Link; readonly route: Route }
  /** `key` as below /proc/sys: "net/ipv4/ip_forward". */
  | { readonly type: 'sysctl'; readonly place: Place; readonly key: string; readonly value: string }
  | FirewallStep
  | ForwardStep
  | ShapingStep
  /** A kind that this version of the contract has no arm for. */
  | { readonly type: 'other'; readonly place: Place; readonly kind: string; readonly detail: Json };

/** Make a link, or bring one in, and set it. */
export interface LinkStep {
  readonly type: 'link';
  readonly link: Link;
  /** As the kernel names it: "bridge", "veth", "vlan"; "existing" for a device moved in. */
  readonly kind: string;
  /** The other end (veth), what it stands on (vlan, macvlan), or the device moved in. */
  readonly peer?: Link | undefined;
  /** Of a VLAN or VXLAN; the table of a VRF. */
  readonly id?: number | undefined;
  readonly mtu?: number | undefined;
  readonly mac?: string | undefined;
  readonly master?: string | undefined;
  /** All else, as `ip -d link` names it: "mode", "promisc", "hairpin". */
  readonly settings: readonly Pair[];
}

/** `rule` as `nft` prints it. */
export interface FirewallStep {
  readonly type: 'firewall';
  readonly place: Place;
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly rule: string;
}

/** A port of the host, at one of its addresses or at any, led to the container. */
export interface ForwardStep {
  readonly type: 'forward';
  readonly protocol: string;
  readonly hostAddress?: Address | undefined;
  readonly hostPort: number;
  readonly address: Address;
  readonly port: number;
}

/** A link's rate; as the container sees it, in bits a second, and bits. */
export interface ShapingStep {
  readonly type: 'shaping';
  readonly link: Link;
  readonly direction: 'ingress' | 'egress';
  readonly rate: number;
  readonly burst: number;
}

/** An IPAM plugin, by functions of what its configuration's decoder reads. */
export interface Ipam<C> {
  /** Reads the `ipam` object, less the keys that are the host's (`type`, `coolDown`, ...). */
  readonly config: Decoder<C>;
  /** What is wrong with the configuration beyond what the decoder says. */
  check?(config: C): Problem[];
  /** The pools that addresses come from: what STATUS and people see. */
  pools(config: C): Pool[];
  /**
   * Which addresses the attachment gets: each is taken from the `ledger` first. Asked twice for
   * one attachment, it answers the same.
   */
  allocate(config: C, request: Request): Lease;
  /**
   * For a plugin that asks an outside system: called when the host's own book is closed; again
   * later where it fails or that is unknown, so what is gone already is no failure.
   */
  released?(config: C, attachment: Attachment, lease: Lease | undefined): void;
}

/** A policy, likewise; what it does not judge it allows. */
export interface Policy<C> {
  readonly config: Decoder<C>;
  check?(config: C): Problem[];
  /** ADD, before anything is allocated. */
  admit?(config: C, request: PolicyRequest): Verdict;
  /** ADD, with all that is about to happen in hand, before the kernel is touched. */
  review?(config: C, request: PolicyRequest, steps: readonly Step[], result: Json): Verdict;
}

declare const made: unique symbol;

/** What a plugin's module exports by default. */
export interface IpamPlugin {
  readonly kind: 'ipam';
  readonly [made]: true;
}

/** What a policy's module exports by default. */
export interface PolicyPlugin {
  readonly kind: 'policy';
  readonly [made]: true;
}

export function ipam<C>(plugin: Ipam<C>): IpamPlugin;
export function policy<C>(plugin: Policy<C>): PolicyPlugin;

/** A subnet to give addresses from, with the reference plugin's keys. */
export class Subnet {
  constructor(keys: {
    subnet: string | Net;
    rangeStart?: string | Address | undefined;
    rangeEnd?: string | Address | undefined;
    gateway?: string | Address | undefined;
    exclude?: readonly (string | Range)[] | undefined;
  });
  readonly subnet: Net;
  readonly rangeStart: Address | undefined;
  readonly rangeEnd: Address | undefined;
  /** The first usable address, unless another was given. */
  readonly gateway: Address | undefined;
  readonly exclude: readonly Range[];
  /** What is wrong with it, at this pointer; the decoder `subnet` does this. */
  check(pointer?: string): Problem[];
  /** What addresses come from; nothing where it is wrong. */
  ranges(): Range[];
  /** The same as a pool, named as the subnet. */
  pool(): Pool;
  /** What is never given: what is excluded, the gateway, the network's own addresses. */
  excluded(): Range[];
  /** Whether it may give this address. */
  gives(address: string | Address): boolean;
  /** The address as a lease has it: with prefix length and gateway. */
  leased(address: string | Address): LeasedAddress;
  /** Takes this address from the ledger; throws a conflict where it cannot be had. */
  take(address: string | Address): LeasedAddress;
  /** Takes a free address: first what the attachment holds already. Undefined where none is. */
  takeFree(): LeasedAddress | undefined;
}

/**
 * Who holds which address: the host's own book. For `allocate` alone; what it takes and does not
 * return in the lease stays free.
 */
export namespace ledger {
  /** An address that cannot be taken: a failure of reason `conflict`. */
  class Refused extends Failure {
    private constructor();
    readonly address: Address;
    readonly why: { readonly type: 'held'; readonly by: AttachmentId } | { readonly type: 'reserved'; readonly text: string };
  }
  /** Takes this address, or throws `Refused`. What the attachment holds already is granted. */
  function take(address: string | Address): Address;
  /** Takes this address where it can be had, and says whether. */
  function tryTake(address: string | Address): boolean;
  /**
   * Takes a free address of the ranges, less the excluded ones; undefined where all are taken. The
   * search goes up from `start`, and wraps round once; without one, from above the last one taken.
   * First of all comes what the attachment holds from an earlier ADD. Last come addresses that
   * rest, then those that are remembered.
   */
  function takeFree(
    ranges: readonly (string | Range)[],
    options?: { excluded?: readonly (string | Range)[]; start?: string | Address },
  ): Address | undefined;
  /** What was last remembered for `identity`: not taken by this, and perhaps held by another. */
  function remembered(identity: string): Address[];
  /** Remembers the addresses of this call's lease for `identity`: past release and reboot. */
  function remember(identity: string): void;
  /** How full these ranges are now. Counts stop at 2^53. */
  function usage(ranges: readonly (string | Range)[]): { total: number; held: number; resting: number; remembered: number };
}

/** A small store of the plugin's own. Not for `check` and `pools`. */
export namespace store {
  function get(key: string): string | undefined;
  /** `'attachment'`: until this call's attachment is released; `'permanent'`: until removed. */
  function put(key: string, value: string, lifetime: 'attachment' | 'permanent'): void;
  /** True where the key was there. */
  function remove(key: string): boolean;
  /** At most `limit` (100) entries with this prefix and above `after`, in the keys' byte order. */
  function scan(prefix: string, options?: { after?: string; limit?: number }): Pair[];
  /** How many entries have this prefix; what was counted still holds when this call lands. */
  function count(prefix: string): number;
}

/** What a plugin may know of the node it runs on. */
export namespace node {
  /** The node's name in its cluster; the host name elsewhere. */
  function name(): string;
  /** What the operator wrote down about this node: its zone, its pod network. */
  function label(name: string): string | undefined;
  /** Seconds since the Unix epoch by the host's clock, the same all through one ADD. */
  function now(): number;
}

declare global {
  /** Lines reach the operator's log with the plugin, network and container named. */
  interface Console {
    trace(...said: unknown[]): void;
    debug(...said: unknown[]): void;
    info(...said: unknown[]): void;
    /** As `info`. */
    log(...said: unknown[]): void;
    warn(...said: unknown[]): void;
    error(...said: unknown[]): void;
  }
  var console: Console;
}
