// What the real host answers a broken plugin with.

/** The host ends the call: what the real one does past any `catch`. */
export class Trap extends Error {
  constructor(what) {
    super(`the host ends this call: ${what}`);
    this.name = 'Trap';
  }
}
