// Binds a plugin to the contract: text to types and back, and nothing decided. An exception that
// nobody caught becomes a failure with its place in the author's source.

import { allocate, configOf, problems } from '../call.js';
import { Failure, oneLine } from '../failure.js';
import { setHost } from '../host.js';
import * as convert from './convert.js';
import { placesOf } from './place.js';

/** The exports of an IPAM plugin. */
export function ipamExports(plugin, host) {
  return {
    validate: (config) => validate(plugin, host, config),
    pools: (config) => run(host, () => plugin.pools(configOf(plugin, config)).map(convert.pool)),
    allocate: (request) => run(host, () => convert.lease(allocate(plugin, request.config, convert.request(request)))),
  };
}

/** Beside those, of a plugin that asks an outside system. */
export function remoteExports(plugin, host) {
  return {
    released: (config, attachment, lease) =>
      run(host, () => {
        const given = lease == null ? undefined : convert.leaseRead(lease);
        plugin.released(configOf(plugin, config), convert.attachment(attachment), given);
      }),
  };
}

/** The exports of a policy. */
export function policyExports(plugin, host) {
  const asked = (request) => [configOf(plugin, request.config), convert.policyRequest(request)];
  return {
    validate: (config) => validate(plugin, host, config),
    admit: (request) => run(host, () => convert.verdict(plugin.admit(...asked(request)))),
    review: (request, steps, result) =>
      run(host, () => {
        const plan = steps.map(convert.step);
        return convert.verdict(plugin.review(...asked(request), plan, JSON.parse(result)));
      }),
  };
}

function validate(plugin, host, config) {
  try {
    return run(host, () => problems(plugin, config).map(convert.problem));
  } catch (failure) {
    return [{ pointer: '', message: failure.message }];
  }
}

function run(host, work) {
  setHost(host);
  try {
    return work();
  } catch (error) {
    throw convert.failure(asFailure(error));
  } finally {
    setHost(undefined);
  }
}

function asFailure(error) {
  if (error instanceof Failure) return error;
  const places = error instanceof Error ? placesOf(error.stack ?? '') : [];
  const message = oneLine(places.length > 0 ? `${said(error)} (${places[0]})` : said(error));
  const detail = places.length > 1 ? places.join('\n') : undefined;
  return { reason: 'other', message, detail };
}

// What is thrown may be anything.
function said(error) {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  return error.name === 'Error' ? error.message : `${error.name}: ${error.message}`;
}
