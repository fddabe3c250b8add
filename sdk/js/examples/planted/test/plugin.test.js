import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Attachment, Host } from '@wharfinger/sdk/testing';

import plugin from '../src/plugin.js';

const CONFIG = { pool: { subnet: '10.1.0.0/24' }, plant: 'exception' };

test('an exception says what and where', () => {
  const host = new Host();
  const add = () => host.add(plugin, CONFIG, { attachment: Attachment.of('pods', 'a', 'eth0') });
  assert.throws(add, (error) => {
    assert.equal(error.message, 'an attachment without a pod');
    assert.match(error.stack, /address_of .*plugin\.js:/);
    return true;
  });
});

test('a plant that is not known is refused', () => {
  const host = new Host();
  assert.throws(() => host.add(plugin, { ...CONFIG, plant: 'weed' }, { attachment: Attachment.of('pods', 'a', 'eth0') }), {
    message: /plant/,
  });
});
