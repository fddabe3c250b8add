// The contract's records and ours. Two engines bind it, and disagree: none is null or undefined, a
// u64 a number or a BigInt, and a large u32 may come as a negative number. Nothing of that gets past
// this file.

import { Attachment, AttachmentId } from '../attachment.js';
import { Failure } from '../failure.js';
import { Address, Net } from '../ip.js';
import { leaseOf } from '../call.js';

const maybe = (value, read) => (value == null ? undefined : read(value));
const same = (value) => value ?? undefined;
const u32 = (value) => maybe(value, (number) => number >>> 0);
const u64 = Number;

// A lone surrogate has no UTF-8.
const text = (value) => {
  if (typeof value !== 'string') throw new TypeError(`a text was wanted, and ${JSON.stringify(value)} came`);
  return value.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
};

export const range = ({ first, last }) => ({ first: String(first), last: String(last) });

export const pool = ({ name, ranges }) => ({ name: text(name), ranges: ranges.map(range) });

export const problem = ({ pointer, message }) => ({ pointer: text(pointer), message: text(message) });

export const failure = ({ reason, message, detail }) => ({ reason, message: text(message), detail: maybe(detail, text) });

export function attachment({ id, pod, args }) {
  return new Attachment(
    new AttachmentId(id.network, id.container, id.ifname),
    maybe(pod, ({ namespace, name, uid }) => ({ namespace, name, uid: same(uid) })),
    args.map(({ name, value }) => ({ name, value })),
  );
}

export function request(given) {
  return {
    attachment: attachment(given.attachment),
    network: JSON.parse(given.networkConfig),
    wanted: given.wanted.map((one) => Address.parse(one)),
  };
}

export function policyRequest({ attachment: whose, networkConfig, written }) {
  const { network, runtime, pod } = written;
  return {
    attachment: attachment(whose),
    network: JSON.parse(networkConfig),
    written: { network: JSON.parse(network), runtime: JSON.parse(runtime), pod: JSON.parse(pod) },
  };
}

export function verdict(given) {
  switch (given?.verdict) {
    case 'allow':
      return { tag: 'allow' };
    case 'deny':
      return { tag: 'deny', val: text(given.reason) };
    case 'amend':
      return { tag: 'amend', val: text(JSON.stringify(given.patch)) };
    default:
      throw new Failure('other', `the policy answered ${JSON.stringify(given)}: return allow(), deny(reason) or amend(patch)`);
  }
}

export function lease({ addresses, routes, dns }) {
  return {
    addresses: addresses.map(({ address, gateway }) => ({ address: String(address), gateway: maybe(gateway, String) })),
    routes: routes.map(routeOut),
    dns: {
      nameservers: dns.nameservers.map(String),
      domain: maybe(dns.domain, text),
      search: dns.search.map(text),
      options: dns.options.map(text),
    },
  };
}

function routeOut({ destination, gateway, mtu, advmss, priority, table, scope }) {
  const numbers = { mtu: same(mtu), advmss: same(advmss), priority: same(priority), table: same(table), scope: same(scope) };
  return { destination: String(destination), gateway: maybe(gateway, String), ...numbers };
}

export function leaseRead({ addresses, routes, dns }) {
  return leaseOf({ addresses, routes: routes.map(routeRead), dns: { ...dns, domain: same(dns.domain) } });
}

function routeRead({ destination, gateway, mtu, advmss, priority, table, scope }) {
  const numbers = { mtu: u32(mtu), advmss: u32(advmss), priority: u32(priority), table: u32(table), scope: u32(scope) };
  return { destination: Net.parse(destination), gateway: maybe(gateway, Address.parse), ...numbers };
}

const link = ({ place, name }) => ({ place, name });

const STEPS = {
  link: ({ link: of, kind, peer, id, mtu, mac, master, settings }) => ({
    link: link(of),
    kind,
    peer: maybe(peer, link),
    id: u32(id),
    mtu: u32(mtu),
    mac: same(mac),
    master: same(master),
    settings: settings.map(({ name, value }) => ({ name, value })),
  }),
  address: ({ link: of, address }) => ({ link: link(of), address: Net.parse(address) }),
  route: ({ link: of, route }) => ({ link: link(of), route: routeRead(route) }),
  sysctl: ({ place, key, value }) => ({ place, key, value }),
  firewall: ({ place, family, table, chain, rule }) => ({ place, family, table, chain, rule }),
  forward: ({ protocol, hostAddress, hostPort, address, port }) => ({
    protocol,
    hostAddress: maybe(hostAddress, Address.parse),
    hostPort,
    address: Address.parse(address),
    port,
  }),
  shaping: ({ link: of, direction, rate, burst }) => ({ link: link(of), direction, rate: u64(rate), burst: u64(burst) }),
  other: ({ place, kind, detail }) => ({ place, kind, detail: JSON.parse(detail) }),
};

export const step = ({ tag, val }) => ({ type: tag, ...STEPS[tag](val) });
