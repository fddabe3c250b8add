// One call of a plugin: configuration in, answer out, the same in a component and in unit tests.

import { Failure } from './failure.js';
import { Address, Net } from './ip.js';
import { asFailure, problem } from './problem.js';

/** Keys of the `ipam` object that the host reads, beside the plugin's own. */
const HOSTS = ['type', 'plugin', 'policies', 'coolDown', 'statusWhenFull', 'domain', 'secrets', 'resolvConf'];

/** All that is wrong with a configuration. */
export function problems(plugin, text) {
  return read(plugin, text).problems ?? [];
}

/** What the plugin's decoder read; a failure where something is wrong. */
export function configOf(plugin, text) {
  const done = read(plugin, text);
  if (done.problems !== undefined) throw asFailure(done.problems);
  return done.value;
}

/**
 * A lease with all that was asked for by name, which the host insists on: an author who does not
 * look at it has a plugin that refuses it, and not one that is broken.
 */
export function allocate(plugin, text, request) {
  const lease = leaseOf(plugin.allocate(configOf(plugin, text), request));
  const given = (wanted) => lease.addresses.some((leased) => leased.address.address.equals(wanted));
  const missing = request.wanted.find((wanted) => !given(wanted));
  if (missing === undefined) return lease;
  throw new Failure('conflict', `${missing} was asked for, but this plugin does not give it`);
}

/** A lease with all its keys; throws where one cannot be read. */
export function leaseOf(lease) {
  // A promise, say, of an `async` function: never an empty lease.
  if (!Array.isArray(lease?.addresses)) throw new TypeError('allocate returned no lease, as { addresses: [...] } is one');
  const { addresses, routes = [], dns = {} } = lease;
  const maybe = (address) => (address == null ? undefined : Address.parse(address));
  const { nameservers = [], domain, search = [], options = [] } = dns;
  return {
    addresses: addresses.map((leased) => {
      if (leased == null) throw new TypeError('allocate returned a lease with nothing for an address: was none free?');
      return { address: Net.parse(leased.address), gateway: maybe(leased.gateway) };
    }),
    routes: routes.map(({ destination, gateway, ...rest }) => ({
      destination: Net.parse(destination),
      gateway: maybe(gateway),
      ...rest,
    })),
    dns: { nameservers: nameservers.map((server) => Address.parse(server)), domain, search, options },
  };
}

function read(plugin, text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { problems: [problem('', `not JSON: ${error.message}`)] };
  }
  if (typeof value === 'object' && value !== null && plugin.kind === 'ipam') {
    for (const key of HOSTS) delete value[key];
  }
  const read = plugin.config.decode(value);
  if (read.problems !== undefined) return read;
  const found = plugin.check(read.value).map(({ pointer, message }) => problem(pointer, message));
  return found.length > 0 ? { problems: found } : read;
}
