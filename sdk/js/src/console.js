// `console` of a plugin: its lines reach the operator's log. What is said while the module loads,
// at build time, is said to nobody.

import { host, inCall } from './host.js';

const METHODS = { trace: 'trace', debug: 'debug', log: 'info', info: 'info', warn: 'warn', error: 'error' };

/** The console of a call. */
export const console = Object.freeze(
  Object.fromEntries(Object.entries(METHODS).map(([method, level]) => [method, (...said) => line(level, said)])),
);

function line(level, said) {
  if (inCall()) host().log(level, said.map(show).join(' '));
}

function show(value) {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    return JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? String(inner) : inner));
  } catch {
    return String(value);
  }
}
