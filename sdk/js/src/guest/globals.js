// What engines lack, or ask of WASI, which no plugin has. Imported before the author's module.

import { console } from '../console.js';
import { host, inCall } from '../host.js';

const Engine = globalThis.Date;

/** The node's clock, the same all through one ADD; zero while the module loads. */
class Date extends Engine {
  constructor(...given) {
    super(...(given.length === 0 ? [Date.now()] : given));
  }

  static now() {
    return inCall() ? host().now() * 1000 : 0;
  }
}

globalThis.console = console;
globalThis.Date = Date;
Math.random = () => {
  throw new Error('Math.random: a plugin has no chance of its own, as a call that runs again answers the same');
};
