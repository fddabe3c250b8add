// Reading a configuration: decoders that say all that is wrong, each at its RFC 6901 pointer.

import type { Address, Dns, Json, Net, Problem, Range, Route, Subnet } from './index.js';

/** Reads a value of JSON. */
export class Decoder<T> {
  private constructor();
  /** What was read, or all that is wrong. */
  decode(value: unknown, pointer?: string): { value: T; problems?: undefined } | { problems: Problem[] };
  /** What `make` makes of the value; what it throws is the problem. */
  map<U>(make: (value: T) => U): Decoder<U>;
  /** The same, with these problems too. */
  check(more: (value: T, pointer: string) => Problem[]): Decoder<T>;
}

/** What a decoder reads. */
export type Infer<D> = D extends Decoder<infer T> ? T : never;

/** Of these keys; any other is a problem. */
export function object<F extends { [key: string]: Decoder<any> }>(fields: F): Decoder<{ [K in keyof F]: Infer<F[K]> }>;

/** A key that may be left out, or be null; then it is `fallback`. */
export function optional<T>(decoder: Decoder<T>): Decoder<T | undefined>;
export function optional<T>(decoder: Decoder<T>, fallback: T): Decoder<T>;

/** With `empty`, the problem of an empty list. */
export function list<T>(item: Decoder<T>, options?: { empty?: string }): Decoder<T[]>;

/** An object of any keys, as a `Map`. */
export function record<T>(item: Decoder<T>): Decoder<Map<string, T>>;

/** A whole number within these bounds. */
export function integer(bounds?: { min?: number; max?: number }): Decoder<number>;

/** One of these texts. */
export function oneOf<T extends string>(...texts: T[]): Decoder<T>;

export const string: Decoder<string>;
export const boolean: Decoder<boolean>;
/** Anything, as JSON.parse has it. */
export const json: Decoder<Json>;

export const address: Decoder<Address>;
/** An address with a prefix length; host bits may be set. */
export const net: Decoder<Net>;
/** A network: host bits are zero. */
export const network: Decoder<Net>;
/** "10.1.0.10-10.1.0.20", one address, or a network. */
export const range: Decoder<Range>;
/** `{"subnet", "rangeStart", "rangeEnd", "gateway", "exclude"}`, and all that `Subnet.check` says. */
export const subnet: Decoder<Subnet>;
/** By the keys of CNI: `dst`, `gw`, `mtu`, `advmss`, `priority`, `table`, `scope`. */
export const route: Decoder<Route>;
/** By the keys of CNI: `nameservers`, `domain`, `search`, `options`. */
export const dns: Decoder<Dns>;
