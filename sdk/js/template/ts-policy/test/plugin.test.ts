import assert from 'node:assert/strict';
import { test } from 'node:test';

import { allow, deny } from '@wharfinger/sdk';
import { Attachment, Host } from '@wharfinger/sdk/testing';

import plugin from '../src/plugin.js';

const container = Attachment.of('pods', 'a', 'eth0');
const verdict = (attachment: Attachment) => new Host().admit(plugin, { namespaces: ['web'] }, { attachment });

test('namespaces that are named pass', () => {
  assert.deepEqual(verdict(container.withPod('web', 'a')), allow());
  assert.deepEqual(verdict(container.withPod('db', 'a')), deny('namespace db is not attached to this network'));
});

test('what is no pod is refused', () => {
  assert.deepEqual(verdict(container), deny('only pods are attached here'));
});

test('what is wrong is named', () => {
  const [problem] = new Host().problems(plugin, { namespaces: [1] });
  assert.equal(problem?.pointer, '/namespaces/0');
});
