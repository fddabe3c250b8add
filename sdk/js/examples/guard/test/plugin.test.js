import assert from 'node:assert/strict';
import { test } from 'node:test';

import { allow, amend, deny } from '@wharfinger/sdk';
import { Attachment, Host } from '@wharfinger/sdk/testing';

import plugin from '../src/plugin.js';

const bare = (name) => Attachment.of('pods', name, 'eth0');
const pod = (name, namespace = 'web') => bare(name).withPod(namespace, name);
const admit = (config, attachment, portMappings) =>
  new Host().admit(plugin, config, { attachment, written: { runtime: { portMappings } } });

test('namespaces that are named pass', () => {
  const config = { namespaces: ['web'] };
  assert.deepEqual(admit(config, pod('a')), allow());
  assert.deepEqual(admit(config, pod('a', 'db')), deny('namespace db is not attached'));
  assert.deepEqual(admit(config, bare('a')), deny('an attachment without a pod is refused'));
  assert.deepEqual(admit({}, bare('a')), allow());
});

test('ports of the host that are named pass', () => {
  const config = { hostPorts: ['80', '8000-8100'] };
  const ports = [{ hostPort: 80, containerPort: 80 }, { hostPort: 8100 }, { containerPort: 1 }, { hostPort: 0 }];
  assert.deepEqual(admit(config, bare('a'), ports), allow());
  assert.deepEqual(admit(config, bare('a')), allow());
  assert.deepEqual(admit(config, bare('a'), [{ hostPort: 81 }]), deny('port 81 of the host is not allowed'));
  for (const unreadable of [{}, 'x', [1], [{ hostPort: '80' }], null]) {
    const failure = { reason: 'other', message: 'portMappings: not a list of ports' };
    assert.throws(() => admit(config, bare('a'), unreadable), failure);
  }
});

test('a namespace has its number, and what is released is free', () => {
  const host = new Host();
  const ask = (attachment) => host.admit(plugin, { quota: 1 }, { attachment });
  assert.deepEqual(ask(pod('a')), allow());
  assert.deepEqual(ask(pod('a')), allow());
  assert.deepEqual(ask(pod('b')), deny('namespace web has 1 attachments, and may have 1'));
  assert.deepEqual(ask(pod('b', 'web-too')), allow());
  host.del(pod('a'));
  assert.deepEqual(ask(pod('b')), allow());
});

test('the MTU is amended', () => {
  assert.deepEqual(admit({ mtu: 1400 }, bare('a')), amend({ mtu: 1400 }));
});

test('what is wrong is named', () => {
  const said = (bad) => new Host().problems(plugin, bad).map(({ pointer, message }) => `${pointer} ${message}`);
  for (const bad of ['x', '0', '9-8', '80-', '1-70000', '']) {
    assert.deepEqual(said({ hostPorts: [bad] }), [`/hostPorts/0 "${bad}" is no port and no range of ports`]);
  }
  assert.deepEqual(said({ quota: 0, mtu: 67, more: 1 }).map((line) => line.split(' ')[0]), ['/more', '/quota', '/mtu']);
});
