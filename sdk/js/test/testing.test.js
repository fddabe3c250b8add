import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Attachment, Failure, Subnet, allow, deny, explain, ipam, ledger, node, policy, store } from '@wharfinger/sdk';
import { object, subnet } from '@wharfinger/sdk/config';
import { Host, Trap } from '@wharfinger/sdk/testing';

const of = (name) => Attachment.of('pods', name, 'eth0');
const small = { pool: { subnet: '10.1.0.0/29' } };
const address = (lease) => String(lease.addresses[0].address);

/** An IPAM plugin of one pool that answers by this function. */
function plugin(allocate) {
  return ipam({ config: object({ pool: subnet }), pools: ({ pool }) => [pool.pool()], allocate });
}

const plain = plugin(({ pool }) => {
  const leased = pool.takeFree();
  if (leased === undefined) throw new Failure('exhausted', `no address is free in ${pool.subnet}`);
  return { addresses: [leased] };
});

test('what is asked again is the same, what is given back rests, what is full says so', () => {
  const host = new Host();
  assert.equal(address(host.add(plain, small, of('a'))), '10.1.0.2/29');
  assert.equal(address(host.add(plain, small, of('a'))), '10.1.0.2/29');
  for (const name of ['b', 'c']) host.add(plain, small, of(name));
  host.del(of('a'));
  assert.equal(address(host.add(plain, small, of('d'))), '10.1.0.5/29');
  for (const name of ['e', 'f']) host.add(plain, small, of(name));
  assert.throws(() => host.add(plain, small, of('g')), { reason: 'exhausted', message: 'no address is free in 10.1.0.0/29' });
  assert.deepEqual(host.holds(of('f')).map(String), ['10.1.0.2']);
});

test('a failure leaves nothing but what was logged', () => {
  const host = new Host();
  const failing = plugin(({ pool }) => {
    pool.takeFree();
    store.put('a', '1', 'permanent');
    console.warn('taken', { n: 1n }, new Error('why'));
    throw new Failure('try-again', 'not\nnow', { detail: 'more' });
  });
  assert.throws(() => host.add(failing, small, of('a')), { reason: 'try-again', message: 'not now', detail: 'more' });
  assert.deepEqual([host.holds(of('a')), host.stored('a')], [[], undefined]);
  assert.deepEqual(host.log, [{ level: 'warn', message: 'taken {"n":"1"} Error: why' }]);
});

test('an address by name is in the lease, or the call fails', () => {
  const host = new Host();
  const wanted = ['10.1.0.5'];
  assert.throws(() => host.allocate(plain, small, { attachment: of('a'), wanted }), {
    reason: 'conflict',
    message: '10.1.0.5 was asked for, but this plugin does not give it',
  });
  const named = plugin(({ pool }, request) => ({ addresses: request.wanted.map((one) => pool.take(one)) }));
  host.allocate(named, small, { attachment: of('a'), wanted });
  assert.throws(() => host.allocate(named, small, { attachment: of('b'), wanted }), {
    reason: 'conflict',
    message: '10.1.0.5 is held by pods/a/eth0',
  });
  host.reserve('10.1.0.6', 'a router');
  assert.throws(() => host.allocate(named, small, { attachment: of('b'), wanted: ['10.1.0.6'] }), {
    message: '10.1.0.6 is reserved: a router',
  });
});

test('what a lease may not have ends the call as a trap does', () => {
  const pool = new Subnet({ subnet: '10.1.0.0/29' });
  const untaken = plugin(() => ({ addresses: [pool.leased('10.1.0.3')] }));
  assert.throws(() => new Host().add(untaken, small, of('a')), Trap);
  const twice = plugin(() => ({ addresses: [pool.take('10.1.0.3'), pool.take('10.1.0.3')] }));
  assert.throws(() => new Host().add(twice, small, of('a')), /10\.1\.0\.3 twice/);
  for (const none of [undefined, {}, Promise.resolve({ addresses: [] })]) {
    assert.throws(() => new Host().add(plugin(() => none), small, of('a')), /allocate returned no lease/);
  }
  assert.throws(() => new Host().add(plugin(() => ({ addresses: [undefined] })), small, of('a')), /was none free\?/);
  const early = ipam({ config: object({}), pools: () => [store.get('a')], allocate: () => ({ addresses: [] }) });
  assert.throws(() => new Host().pools(early, {}), /store\.get was called where the contract does not offer it/);
  assert.throws(() => ledger.take('10.1.0.3'), /outside of a call/);
});

test('what is remembered comes last, and past a reboot', () => {
  const sticky = plugin(({ pool }, { attachment }) => {
    const [own] = ledger.remembered(attachment.pod.name);
    const leased = own === undefined ? pool.takeFree() : pool.take(own);
    ledger.remember(attachment.pod.name);
    return { addresses: [leased] };
  });
  const host = new Host();
  const pod = (name) => of(name).withPod('db', name);
  assert.equal(address(host.add(sticky, small, pod('a'))), '10.1.0.2/29');
  host.reboot();
  assert.equal(address(host.add(plain, small, of('b'))), '10.1.0.3/29');
  assert.equal(address(host.add(sticky, small, pod('a'))), '10.1.0.2/29');
});

test('the store counts, pages in the order of bytes, and forgets with the attachment', () => {
  const seen = [];
  const keeper = policy({
    config: object({}),
    admit(_, { attachment }) {
      store.put(`pod/${attachment.id}`, 'x', 'attachment');
      for (const name of ['\u{1f6a2}', '\uffee', 'a']) store.put(`all/${name}`, name, 'permanent');
      seen.push([store.count('pod/'), store.scan('all/', { after: 'all/a', limit: 2 }).map(({ value }) => value), node.now()]);
      return attachment.namespace === 'no' ? deny('no') : allow();
    },
  });
  const host = new Host();
  host.clock(7);
  host.admit(keeper, {}, { attachment: of('a') });
  host.admit(keeper, {}, { attachment: of('b').withPod('no', 'b') });
  host.del(of('a'));
  host.admit(keeper, {}, { attachment: of('c') });
  assert.deepEqual(seen, [1, 2, 1].map((count) => [count, ['\uffee', '\u{1f6a2}'], 7]));
});

test('how full a range is', () => {
  const counts = [];
  const counting = plugin(({ pool }) => {
    const leased = pool.takeFree();
    counts.push(ledger.usage(pool.ranges()), ledger.usage(['::/0']).total);
    return { addresses: [leased] };
  });
  const host = new Host();
  host.add(counting, small, of('a'));
  assert.deepEqual(counts, [{ total: 6, held: 1, resting: 0, remembered: 0 }, 2 ** 53]);
});

test('a plugin that lacks something says so when it is made', () => {
  assert.throws(() => ipam({ config: object({}), pools: () => [] }), /needs a function allocate/);
  assert.throws(() => policy({ config: {} }), /needs config/);
  assert.throws(() => new Failure('full', 'x'), /is no reason/);
  assert.throws(() => explain('try-again', 'the zone', () => JSON.parse('{')), { reason: 'try-again', message: /^the zone: / });
});
