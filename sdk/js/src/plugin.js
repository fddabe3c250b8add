// What an author exports by default: `ipam({...})` or `policy({...})`.

import { Decoder } from './config.js';
import { allow } from './verdict.js';

const nothing = () => [];

/** An IPAM plugin: its configuration's decoder, and functions of what that reads. */
export function ipam({ config, check = nothing, pools, allocate, released }) {
  needs('ipam', { pools, allocate });
  optionals('ipam', { check, released });
  return Object.freeze({ kind: 'ipam', config: decoder('ipam', config), check, pools, allocate, released });
}

/** A policy plugin; what it does not judge it allows. */
export function policy({ config, check = nothing, admit = allow, review = allow }) {
  needs('policy', { check, admit, review });
  return Object.freeze({ kind: 'policy', config: decoder('policy', config), check, admit, review });
}

/** Says what is wrong with a default export that is none of these. */
export function mustBePlugin(plugin) {
  if (plugin?.kind === 'ipam' || plugin?.kind === 'policy') return plugin;
  throw new TypeError('the module exports no plugin: write `export default ipam({ ... })`, or `policy({ ... })`');
}

function needs(what, functions) {
  for (const [name, given] of Object.entries(functions)) {
    if (typeof given !== 'function') throw new TypeError(`${what}({ ... }) needs a function ${name}`);
  }
}

function optionals(what, functions) {
  needs(what, Object.fromEntries(Object.entries(functions).filter(([, given]) => given !== undefined)));
}

function decoder(what, config) {
  if (config instanceof Decoder) return config;
  throw new TypeError(`${what}({ ... }) needs config: a decoder of @wharfinger/sdk/config, as object({ ... })`);
}
