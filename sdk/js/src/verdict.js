// What a policy decided.

import { oneLine } from './failure.js';

const ALLOW = Object.freeze({ verdict: 'allow' });

/** As it is. */
export function allow() {
  return ALLOW;
}

/** Not at all; the reason, one line, reaches the operator. */
export function deny(reason) {
  return Object.freeze({ verdict: 'deny', reason: oneLine(reason) });
}

/** Go on, with this RFC 7396 merge patch. */
export function amend(patch) {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
    throw new TypeError(`a patch is an object, not ${JSON.stringify(patch)}`);
  }
  return Object.freeze({ verdict: 'amend', patch });
}
