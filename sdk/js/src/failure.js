// Why a call came to nothing: what every exception becomes.

/** The reasons of the contract; they decide what the host tells the runtime. */
export const REASONS = ['invalid-config', 'exhausted', 'conflict', 'try-again', 'other'];

/** `throw new Failure('conflict', '10.1.0.7 is held by pods/web/eth0')`. */
export class Failure extends Error {
  constructor(reason, message, { detail, cause } = {}) {
    super(oneLine(message), cause === undefined ? undefined : { cause });
    if (!REASONS.includes(reason)) {
      throw new TypeError(`${JSON.stringify(reason)} is no reason; there are ${REASONS.join(', ')}`);
    }
    this.name = 'Failure';
    this.reason = reason;
    this.detail = detail === undefined ? undefined : String(detail);
  }
}

/** Runs `work`; what it throws becomes a failure of this kind: "what: cause". */
export function explain(reason, what, work) {
  try {
    return work();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Failure(reason, `${what}: ${message}`, { cause });
  }
}

/** Control characters become spaces: a message is one line. */
export function oneLine(text) {
  return String(text).replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}
