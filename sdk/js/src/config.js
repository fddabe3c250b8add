// Reading a configuration: decoders that say all that is wrong, each at its RFC 6901 pointer.
// Where to start: `object`.

import { Address, Net, Range } from './ip.js';
import { oneLine } from './failure.js';
import { problem } from './problem.js';
import { Subnet } from './subnet.js';

const BAD = Symbol('bad');

/** Reads one value; `read(value, pointer, problems)` answers with `BAD` once it noted a problem. */
export class Decoder {
  constructor(read, { optional = false, fallback } = {}) {
    this.read = read;
    this.optional = optional;
    this.fallback = fallback;
  }

  /** `{ value }`, or `{ problems }`. */
  decode(value, pointer = '') {
    const problems = [];
    const read = this.read(value, pointer, problems);
    return problems.length > 0 ? { problems } : { value: read };
  }

  /** What `make` makes of the value; what it throws is the problem. */
  map(make) {
    return new Decoder((value, pointer, problems) => {
      const read = this.read(value, pointer, problems);
      if (read === BAD) return BAD;
      try {
        return make(read);
      } catch (error) {
        return wrong(problems, pointer, error instanceof Error ? error.message : error);
      }
    });
  }

  /** The same, with these problems too: `more(value, pointer)` lists them. */
  check(more) {
    return new Decoder((value, pointer, problems) => {
      const read = this.read(value, pointer, problems);
      if (read === BAD) return BAD;
      const found = more(read, pointer);
      problems.push(...found);
      return found.length > 0 ? BAD : read;
    });
  }
}

/** Of these keys; any other is a problem. */
export function object(fields) {
  const known = Object.keys(fields);
  return new Decoder((value, pointer, problems) => {
    if (!isObject(value)) return wrong(problems, pointer, expected('an object', value));
    const before = problems.length;
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) wrong(problems, child(pointer, key), `unknown key: there are ${known.join(', ')}`);
    }
    const read = known.map((key) => [key, field(fields[key], value, key, pointer, problems)]);
    return problems.length > before ? BAD : Object.fromEntries(read);
  });
}

function field(decoder, value, key, pointer, problems) {
  const given = Object.hasOwn(value, key) ? value[key] : undefined;
  if (given === undefined || (given === null && decoder.optional)) {
    return decoder.optional ? decoder.fallback : wrong(problems, child(pointer, key), 'is missing');
  }
  return decoder.read(given, child(pointer, key), problems);
}

/** A key that may be left out, or be null; then it is `fallback`. */
export function optional(decoder, fallback) {
  return new Decoder(decoder.read, { optional: true, fallback });
}

/** With `empty`, the problem of an empty list. */
export function list(item, { empty } = {}) {
  return new Decoder((value, pointer, problems) => {
    if (!Array.isArray(value)) return wrong(problems, pointer, expected('a list', value));
    if (empty !== undefined && value.length === 0) return wrong(problems, pointer, empty);
    const read = value.map((one, at) => item.read(one, child(pointer, at), problems));
    return read.includes(BAD) ? BAD : read;
  });
}

/** An object of any keys, as a `Map`. */
export function record(item) {
  return new Decoder((value, pointer, problems) => {
    if (!isObject(value)) return wrong(problems, pointer, expected('an object', value));
    const read = Object.entries(value).map(([key, one]) => [key, item.read(one, child(pointer, key), problems)]);
    return read.some(([, one]) => one === BAD) ? BAD : new Map(read);
  });
}

/** A whole number within these bounds. */
export function integer({ min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = {}) {
  return of('a whole number', Number.isSafeInteger).map((value) => {
    if (value < min) throw new RangeError(`must be at least ${min}, and is ${value}`);
    if (value > max) throw new RangeError(`must be at most ${max}, and is ${value}`);
    return value;
  });
}

/** One of these texts. */
export function oneOf(...texts) {
  return of(`one of ${texts.map((text) => JSON.stringify(text)).join(', ')}`, (value) => texts.includes(value));
}

export const string = of('a text', (value) => typeof value === 'string');
export const boolean = of('true or false', (value) => typeof value === 'boolean');
/** Anything, as JSON.parse has it. */
export const json = of('a value', () => true);

export const address = string.map((text) => Address.parse(text));
/** An address with a prefix length; host bits may be set. */
export const net = string.map((text) => Net.parse(text));
/** A network: host bits are zero. */
export const network = net.map((one) => {
  if (!one.isNetwork()) throw new RangeError(`has host bits set: the network is ${one.network()}`);
  return one;
});
/** "10.1.0.10-10.1.0.20", one address, or a network. */
export const range = string.map((text) => Range.parse(text));

/** `{"subnet", "rangeStart", "rangeEnd", "gateway", "exclude"}`, and all that `Subnet.check` says. */
export const subnet = object({
  subnet: net,
  rangeStart: optional(address),
  rangeEnd: optional(address),
  gateway: optional(address),
  exclude: optional(list(range), []),
})
  .map((keys) => new Subnet(keys))
  .check((read, pointer) => read.check(pointer));

const u32 = integer({ min: 0, max: 0xffffffff });

/** A route, by the keys of CNI: `dst`, `gw`, `mtu`, `advmss`, `priority`, `table`, `scope`. */
export const route = object({
  dst: network,
  gw: optional(address),
  mtu: optional(u32),
  advmss: optional(u32),
  priority: optional(u32),
  table: optional(u32),
  scope: optional(integer({ min: 0, max: 255 })),
}).map(({ dst, gw, ...rest }) => ({ destination: dst, gateway: gw, ...rest }));

/** Settings of the resolver, by the keys of CNI. */
export const dns = object({
  nameservers: optional(list(address), []),
  domain: optional(string),
  search: optional(list(string), []),
  options: optional(list(string), []),
});

function of(what, is) {
  return new Decoder((value, pointer, problems) => (is(value) ? value : wrong(problems, pointer, expected(what, value))));
}

function wrong(problems, pointer, message) {
  problems.push(problem(pointer, message));
  return BAD;
}

function expected(what, value) {
  const shown = isObject(value) ? 'an object' : Array.isArray(value) ? 'a list' : JSON.stringify(value);
  return oneLine(`must be ${what}, and is ${shown}`);
}

function child(pointer, key) {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
