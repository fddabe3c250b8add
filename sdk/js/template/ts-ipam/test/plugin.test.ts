import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Attachment, Host } from '@wharfinger/sdk/testing';

import plugin from '../src/plugin.js';

/** Two pools: of one address, and of many. */
const config = { pools: [{ subnet: '10.1.0.0/30' }, { subnet: '10.2.0.0/24' }] };
const container = (name: string) => Attachment.of('pods', name, 'eth0');

test('the second pool serves when the first is full', () => {
  const host = new Host();
  const given = ['a', 'b', 'c'].map((name) => String(host.add(plugin, config, container(name)).addresses[0]?.address));
  assert.deepEqual(given, ['10.1.0.2/30', '10.2.0.2/24', '10.2.0.3/24']);
});

test('asked twice it answers the same', () => {
  const host = new Host();
  const first = host.add(plugin, config, container('a'));
  assert.deepEqual(host.add(plugin, config, container('a')), first);
});

test('an address asked for is given or refused', () => {
  const host = new Host();
  const ask = (name: string) => host.allocate(plugin, config, { attachment: container(name), wanted: ['10.2.0.77'] });
  assert.equal(String(ask('a').addresses[0]?.address), '10.2.0.77/24');
  assert.throws(() => ask('b'), { reason: 'conflict', message: '10.2.0.77 is held by pods/a/eth0' });
});

test('what is wrong is named', () => {
  const [problem] = new Host().problems(plugin, { pools: [{ subnet: '10.1.0.0/24', gateway: 'fd00::1' }] });
  assert.equal(problem?.pointer, '/pools/0/gateway');
});
