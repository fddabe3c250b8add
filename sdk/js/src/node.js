// What a plugin may know of the node it runs on.

import { host } from './host.js';

/** The node's name in its cluster; the host name elsewhere. */
export function name() {
  return host().name();
}

/** What the operator wrote down about this node: its zone, its pod network; or undefined. */
export function label(name) {
  return host().label(String(name));
}

/** Seconds since the Unix epoch by the host's clock, the same all through one ADD. */
export function now() {
  return host().now();
}
