// Who answers what the plugin asks: the real host in a component, `testing.Host` in a unit test.

let current;

/** The host from now on; the one before comes back. */
export function setHost(host) {
  const before = current;
  current = host;
  return before;
}

/** The host of this call. */
export function host() {
  if (current === undefined) {
    throw new Error('the host was asked outside of a call: while the module loads, or in a test without testing.Host');
  }
  return current;
}

/** Whether a call runs. */
export function inCall() {
  return current !== undefined;
}
