// Addresses, networks and ranges, by arithmetic: nothing here walks a range. QuickJS has no
// library for them. Where to start: `Address.parse`.

const BITS = { 4: 32, 6: 128 };

/** `"10.1.0.7"` or `"fd00::7"`. Values are frozen, and compare by `equals`. */
export class Address {
  constructor(value, version) {
    if (value < 0n || value >> BigInt(BITS[version]) !== 0n) {
      throw new RangeError(`${value} is no address of IPv${version}`);
    }
    this.value = value;
    this.version = version;
    Object.freeze(this);
  }

  /** Throws where the text is no address. An address comes back as it is. */
  static parse(text) {
    if (text instanceof Address) return text;
    const value = typeof text === 'string' ? (number4(text) ?? number6(text)) : undefined;
    if (value === undefined) throw new SyntaxError(`${JSON.stringify(text)} is no IP address`);
    return new Address(value, text.includes(':') ? 6 : 4);
  }

  /** The bits of the family: 32 or 128. */
  get bits() {
    return BITS[this.version];
  }

  /** The next higher one; the highest has none, and stays. */
  next() {
    return this.value + 1n >> BigInt(this.bits) === 0n ? new Address(this.value + 1n, this.version) : this;
  }

  /** The next lower one; the lowest stays. */
  previous() {
    return this.value === 0n ? this : new Address(this.value - 1n, this.version);
  }

  /** Below zero where this one comes first: IPv4 before IPv6, then by number. */
  compare(other) {
    if (this.version !== other.version) return this.version - other.version;
    return this.value < other.value ? -1 : this.value > other.value ? 1 : 0;
  }

  equals(other) {
    return other instanceof Address && this.version === other.version && this.value === other.value;
  }

  toString() {
    return this.version === 4 ? text4(this.value) : text6(this.value);
  }

  toJSON() {
    return this.toString();
  }
}

/** `"10.1.0.7/24"`: an address with the prefix length of its network; host bits are kept. */
export class Net {
  constructor(address, prefix) {
    this.address = Address.parse(address);
    if (!Number.isInteger(prefix) || prefix < 0 || prefix > this.address.bits) {
      throw new RangeError(`${prefix} is no prefix length of IPv${this.address.version}`);
    }
    this.prefix = prefix;
    Object.freeze(this);
  }

  /** Throws where the text is no address with a prefix length. */
  static parse(text) {
    if (text instanceof Net) return text;
    const [address, prefix, more] = typeof text === 'string' ? text.split('/') : [];
    if (more !== undefined || prefix === undefined || !/^(0|[1-9]\d{0,2})$/.test(prefix)) {
      throw new SyntaxError(`${JSON.stringify(text)} is no network, as "10.1.0.0/24" is one`);
    }
    return new Net(address, Number(prefix));
  }

  get version() {
    return this.address.version;
  }

  /** The same with its host bits set to zero. */
  network() {
    return new Net(this.first(), this.prefix);
  }

  /** Whether its host bits are zero. */
  isNetwork() {
    return this.address.equals(this.first());
  }

  /** The lowest address: the network's own. */
  first() {
    const host = this.#host();
    return new Address((this.address.value >> host) << host, this.version);
  }

  /** The highest address: in IPv4 the broadcast. */
  last() {
    return new Address(this.address.value | ((1n << this.#host()) - 1n), this.version);
  }

  /**
   * What it may give to containers: not its own address, nor, in IPv4, the broadcast; all of a
   * network of one or two addresses.
   */
  usable() {
    const [first, last] = [this.first(), this.last()];
    if (this.prefix + 1 >= this.address.bits) return new Range(first, last);
    return new Range(first.next(), this.version === 4 ? last.previous() : last);
  }

  contains(address) {
    return new Range(this.first(), this.last()).contains(address);
  }

  equals(other) {
    return other instanceof Net && this.prefix === other.prefix && this.address.equals(other.address);
  }

  toString() {
    return `${this.address}/${this.prefix}`;
  }

  toJSON() {
    return this.toString();
  }

  #host() {
    return BigInt(this.address.bits - this.prefix);
  }
}

/** Addresses from the first to the last, both included, of one family. */
export class Range {
  constructor(first, last) {
    this.first = Address.parse(first);
    this.last = Address.parse(last);
    if (this.first.version !== this.last.version || this.first.compare(this.last) > 0) {
      throw new RangeError(`"${this}" mixes families, or is upside down`);
    }
    Object.freeze(this);
  }

  /** `"10.1.0.10-10.1.0.20"`, one address, or a network, which stands for what it may give. */
  static parse(text) {
    if (text instanceof Range) return text;
    if (typeof text === 'string' && text.includes('/')) return Net.parse(text).usable();
    const [first, last = first, more] = typeof text === 'string' ? text.split('-') : [];
    if (first === undefined || more !== undefined) {
      throw new SyntaxError(
        `${JSON.stringify(text)} is neither an address, a network, nor two addresses with a '-'`,
      );
    }
    return new Range(first, last);
  }

  /** One address alone. */
  static single(address) {
    return new Range(address, address);
  }

  contains(address) {
    const { version, value } = Address.parse(address);
    return version === this.first.version && this.first.value <= value && value <= this.last.value;
  }

  overlaps(other) {
    return this.contains(other.first) || other.contains(this.first);
  }

  toString() {
    return this.first.equals(this.last) ? `${this.first}` : `${this.first}-${this.last}`;
  }

  toJSON() {
    return this.toString();
  }
}

function number4(text) {
  const parts = text.split('.');
  const good = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return good ? BigInt(parts.reduce((sum, part) => sum * 256 + Number(part), 0)) : undefined;
}

function number6(text) {
  const halves = hexTail(text).split('::');
  if (halves.length > 2) return undefined;
  const [head, tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array(halves.length === 2 ? missing : 0).fill('0'), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(parseInt(group, 16)), 0n);
}

// "::ffff:10.1.0.7" as "::ffff:a01:7"; what is no address stays, and is refused later.
function hexTail(text) {
  const at = text.lastIndexOf(':') + 1;
  const value = at === 0 ? undefined : number4(text.slice(at));
  if (value === undefined) return text;
  return `${text.slice(0, at)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}

function text4(value) {
  const number = Number(value);
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
}

// RFC 5952: the longest run of zeros, and of two the first, is "::".
function text6(value) {
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at += 1) {
    let length = 0;
    while (groups[at + length] === 0) length += 1;
    if (length > best.length) best = { at, length };
  }
  const hex = (part) => part.map((group) => group.toString(16)).join(':');
  if (best.at < 0) return hex(groups);
  return `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`;
}
