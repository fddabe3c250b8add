// What the real host checks of a lease.

/** What is wrong with it, or undefined. */
export function judge(lease, taken, wanted) {
  const seen = [];
  for (const { address: { address }, gateway } of lease.addresses) {
    const text = String(address);
    if (!taken.includes(text)) return `it returned ${text}, which it did not take in this call`;
    if (seen.includes(text)) return `it returned ${text} twice`;
    const bad = hop(gateway, address);
    if (bad !== undefined) return bad;
    seen.push(text);
  }
  const missing = wanted.find((one) => !seen.includes(String(one)));
  if (missing !== undefined) return `it returned a lease without ${missing}, which was asked for by name`;
  return lease.routes.map(route).find((bad) => bad !== undefined);
}

function route({ destination, gateway }) {
  if (!destination.isNetwork()) return `it returned a route to ${destination}: host bits`;
  return hop(gateway, destination.address);
}

function hop(gateway, of) {
  if (gateway === undefined) return undefined;
  if (gateway.version !== of.version) return `it returned the gateway ${gateway} for ${of}: another family`;
  return gateway.equals(of) ? `it returned ${gateway} as its own gateway` : undefined;
}
