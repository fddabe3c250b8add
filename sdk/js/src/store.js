// A small store of the plugin's own, beside the ledger: one for each network, or one for all
// networks where the node's own settings name the plugin. Not for `check` and `pools`.

import { host } from './host.js';

/** The value, or undefined. */
export function get(key) {
  return host().get(String(key));
}

/**
 * Replaces the value and the lifetime: `'attachment'`, until this call's attachment is released by
 * DEL, GC or a reboot; `'permanent'`, until it is removed.
 */
export function put(key, value, lifetime) {
  if (lifetime !== 'attachment' && lifetime !== 'permanent') {
    throw new TypeError(`store.put of ${key}: the lifetime is 'attachment' or 'permanent', not ${String(lifetime)}`);
  }
  host().put(String(key), String(value), lifetime);
}

/** True where the key was there. */
export function remove(key) {
  return host().remove(String(key));
}

/** At most `limit` entries with this prefix and above `after`, in the keys' byte order. */
export function scan(prefix, { after, limit = 100 } = {}) {
  return host().scan(String(prefix), after, limit);
}

/** How many entries have this prefix; what was counted still holds when this call lands. */
export function count(prefix) {
  return host().count(String(prefix));
}
