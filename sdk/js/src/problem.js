// What is wrong with a configuration, and where.

import { Failure, oneLine } from './failure.js';

/** At this RFC 6901 pointer into the plugin's configuration: "/ranges/0/subnet"; "" is the whole. */
export function problem(pointer, message) {
  return { pointer: String(pointer), message: oneLine(message) };
}

/** A failure that names the first problem, and all of them in its detail. */
export function asFailure(problems) {
  const lines = problems.map(({ pointer, message }) => (pointer === '' ? message : `${pointer}: ${message}`));
  return new Failure('invalid-config', lines[0], lines.length > 1 ? { detail: lines.join('\n') } : {});
}
