import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Attachment, Host } from '@wharfinger/sdk/testing';

import plugin from '../src/plugin.js';

const config = {
  ranges: [
    [{ subnet: '10.1.0.0/24', rangeEnd: '10.1.0.2' }, { subnet: '10.2.0.0/30' }],
    [{ subnet: 'fd00:1::/64', gateway: 'fd00:1::ff' }],
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }],
};
const pod = (name) => Attachment.of('pods', name, 'eth0').withPod('web', name);
const texts = (lease) => lease.addresses.map(({ address, gateway }) => `${address} ${gateway}`);

test('an attachment has one address of each set', () => {
  const host = new Host();
  const lease = host.add(plugin, config, pod('a'));
  assert.deepEqual(texts(lease), ['10.1.0.2/24 10.1.0.1', 'fd00:1::1/64 fd00:1::ff']);
  assert.equal(String(lease.routes[0].destination), '0.0.0.0/0');
  assert.deepEqual(texts(host.add(plugin, config, pod('b'))), ['10.2.0.2/30 10.2.0.1', 'fd00:1::2/64 fd00:1::ff']);
  assert.throws(() => host.add(plugin, config, pod('c')), { reason: 'exhausted', message: 'set 0 has no free address' });
});

test('an address by name is given, or it says who has it', () => {
  const host = new Host();
  const ask = (name, ...wanted) => host.allocate(plugin, config, { attachment: pod(name), wanted });
  assert.deepEqual(texts(ask('a', 'fd00:1::7', '10.2.0.2')), ['10.2.0.2/30 10.2.0.1', 'fd00:1::7/64 fd00:1::ff']);
  assert.throws(() => ask('b', 'fd00:1::7'), { reason: 'conflict', message: 'fd00:1::7 is held by pods/a/eth0' });
  for (const stray of ['10.3.0.1', '10.1.0.1']) {
    assert.throws(() => ask('b', stray), { reason: 'conflict', message: `${stray} is in none of the ranges` });
  }
  host.reserve('fd00:1::8', 'a router');
  assert.throws(() => ask('b', 'fd00:1::8'), { reason: 'conflict', message: 'fd00:1::8 is reserved: a router' });
});

test('a sticky pod has its addresses again, unless somebody has them', () => {
  const host = new Host();
  const sticky = { ranges: [[{ subnet: '10.1.0.0/29' }]], sticky: true };
  const add = (attachment) => texts(host.add(plugin, sticky, attachment))[0].split('/')[0];
  assert.equal(add(pod('a')), '10.1.0.2');
  host.del(pod('a'));
  assert.equal(add(pod('b')), '10.1.0.3');
  assert.equal(add(Attachment.of('pods', 'new', 'eth0').withPod('web', 'a')), '10.1.0.2');
  assert.equal(add(Attachment.of('pods', 'newer', 'eth0').withPod('web', 'a')), '10.1.0.4');
});

test('what is wrong is named', () => {
  const said = (bad) => new Host().problems(plugin, bad).map(({ pointer, message }) => `${pointer} ${message}`);
  const empty = 'is empty: there is nothing to give';
  assert.deepEqual(said({ ranges: [] }), [`/ranges ${empty}`]);
  assert.deepEqual(said({ ranges: [[]], extra: 1 }), ['/extra unknown key: there are ranges, routes, sticky', `/ranges/0 ${empty}`]);
  assert.deepEqual(said({ ranges: [[{ subnet: '10.1.0.1/24' }]] }), ['/ranges/0/0/subnet has host bits set: the network is 10.1.0.0/24']);
  assert.deepEqual(new Host().pools(plugin, config).map(({ name, ranges }) => `${name} ${ranges}`), [
    '0 10.1.0.1-10.1.0.2,10.2.0.1-10.2.0.2',
    '1 fd00:1::1-fd00:1::ffff:ffff:ffff:ffff',
  ]);
});
