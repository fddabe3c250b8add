import assert from 'node:assert/strict';
import { test } from 'node:test';

import { allow, amend, deny, ipam, ledger, node, policy, store } from '@wharfinger/sdk';
import { object, subnet } from '@wharfinger/sdk/config';
import { ipamExports, policyExports, remoteExports } from '../src/guest/exports.js';
import { realHost } from '../src/guest/host.js';
import { placesOf } from '../src/guest/place.js';
import { linesOf } from '../build/mappings.js';

const ATTACHMENT = { id: { network: 'pods', container: 'a', ifname: 'eth0' }, pod: null, args: [] };
const CONFIG = '{"type": "x", "coolDown": 3, "pool": {"subnet": "10.1.0.0/29"}}';

/** What either engine gives: its none, its large numbers, its errors of imports. */
const ENGINES = {
  quickjs: { none: null, u64: (n) => n, u32: (n) => n | 0, thrown: (val) => ({ payload: val }) },
  spidermonkey: { none: undefined, u64: BigInt, u32: (n) => n, thrown: (val) => val },
};

function imports({ none, u64, thrown }, said = []) {
  return {
    ledger: {
      take(address) {
        if (address === '10.1.0.4') throw thrown({ tag: 'held', val: { network: 'pods', container: 'b', ifname: 'eth0' } });
        if (address === '10.1.0.5') throw thrown({ tag: 'reserved', val: 'a router' });
      },
      takeFree: () => none,
      remembered: () => ['10.1.0.9'],
      remember: () => none,
      usage: () => ({ total: u64(5), held: u64(1), resting: u64(0), remembered: u64(0) }),
    },
    store: { get: () => none, put: () => none, remove: () => false, scan: () => [{ name: 'a', value: '1' }], count: () => u64(3) },
    logger: { log: (level, message) => said.push(`${level} ${message}`) },
    node: { name: () => 'node', label: () => none, now: () => u64(1700000000) },
  };
}

function one(allocate, more = {}) {
  return ipam({ config: object({ pool: subnet }), pools: ({ pool }) => [pool.pool()], allocate, ...more });
}

const request = (wanted = []) => ({ attachment: ATTACHMENT, config: CONFIG, networkConfig: '{}', wanted });

for (const [engine, of] of Object.entries(ENGINES)) {
  test(`${engine}: what the host answers has one form`, () => {
    let seen;
    const plugin = one(({ pool }) => {
      seen = [pool.takeFree(), ledger.usage([]), ledger.remembered('x').map(String), store.get('x'), store.count('x'), node.label('x'), node.now()];
      return { addresses: [pool.take('10.1.0.3')], dns: { search: ['a\ud800'] } };
    });
    const lease = ipamExports(plugin, realHost(imports(of))).allocate(request());
    assert.deepEqual(seen, [undefined, { total: 5, held: 1, resting: 0, remembered: 0 }, ['10.1.0.9'], undefined, 3, undefined, 1700000000]);
    assert.deepEqual(lease.addresses, [{ address: '10.1.0.3/29', gateway: '10.1.0.1' }]);
    assert.deepEqual(lease.dns.search, ['a\ufffd']);
  });

  test(`${engine}: a refusal is a conflict that says why`, () => {
    const exports = ipamExports(one(({ pool }, { wanted }) => ({ addresses: [pool.take(wanted[0])] })), realHost(imports(of)));
    const held = { reason: 'conflict', message: '10.1.0.4 is held by pods/b/eth0', detail: undefined };
    assert.throws(() => exports.allocate(request(['10.1.0.4'])), (thrown) => assert.deepEqual(thrown, held) === undefined);
    assert.throws(() => exports.allocate(request(['10.1.0.5'])), { message: '10.1.0.5 is reserved: a router' });
  });

  test(`${engine}: every step arrives whole`, () => {
    let seen;
    const plugin = policy({ config: object({}), review: (_, __, steps) => { seen = steps; return allow(); } });
    const link = { place: 'host', name: 'br0' };
    const settings = [{ name: 'mode', value: 'x' }];
    const route = { destination: '10.0.0.0/8', gateway: of.none, mtu: of.u32(3000000000), advmss: of.none, priority: 0, table: of.none, scope: 253 };
    const steps = [
      { tag: 'link', val: { link, kind: 'vlan', peer: of.none, id: of.u32(4294967295), mtu: 1500, mac: of.none, master: 'br0', settings } },
      { tag: 'address', val: { link, address: '10.1.0.7/24' } },
      { tag: 'route', val: { link, route } },
      { tag: 'forward', val: { protocol: 'tcp', hostAddress: of.none, hostPort: 80, address: 'fd00::7', port: 8080 } },
      { tag: 'shaping', val: { link, direction: 'egress', rate: of.u64(2 ** 40), burst: of.u64(8) } },
      { tag: 'other', val: { place: 'container', kind: 'x', detail: '{"a": 1}' } },
    ];
    const whole = { attachment: ATTACHMENT, config: '{}', networkConfig: '{}', written: { network: '{}', runtime: '{}', pod: '{}' } };
    assert.deepEqual(policyExports(plugin, realHost(imports(of))).review(whole, steps, '{}'), { tag: 'allow' });
    const [made, , routed, forward, shaping, other] = seen;
    assert.deepEqual(made, { type: 'link', link, kind: 'vlan', peer: undefined, id: 4294967295, mtu: 1500, mac: undefined, master: 'br0', settings });
    assert.deepEqual([routed.route.mtu, routed.route.priority, routed.route.table], [3000000000, 0, undefined]);
    assert.deepEqual([String(forward.address), forward.hostAddress, shaping.rate, other.detail], ['fd00::7', undefined, 2 ** 40, { a: 1 }]);
  });
}

test('verdicts become those of the contract, and what is none is a failure', () => {
  const whole = { attachment: ATTACHMENT, config: '{}', networkConfig: '{}', written: { network: '{}', runtime: '{}', pod: '{}' } };
  const answer = (verdict) => policyExports(policy({ config: object({}), admit: () => verdict }), realHost(imports(ENGINES.quickjs))).admit(whole);
  assert.deepEqual(answer(allow()), { tag: 'allow' });
  assert.deepEqual(answer(deny('not\nthis')), { tag: 'deny', val: 'not this' });
  assert.deepEqual(answer(amend({ mtu: 1400 })), { tag: 'amend', val: '{"mtu":1400}' });
  assert.throws(() => answer(true), { reason: 'other', message: /return allow\(\)/ });
});

test('an exception becomes a failure, and of validate a problem', () => {
  const broken = one(() => { throw null; }, { check: () => { throw new RangeError('no'); } });
  const exports = ipamExports(broken, realHost(imports(ENGINES.quickjs)));
  assert.deepEqual(exports.validate(CONFIG), [{ pointer: '', message: 'RangeError: no' }]);
  assert.deepEqual(exports.validate('{'), [{ pointer: '', message: exports.validate('{')[0].message }]);
  const thrown = ipamExports(one(() => { throw null; }), realHost(imports(ENGINES.quickjs)));
  assert.throws(() => thrown.allocate(request()), { reason: 'other', message: 'thrown: null' });
});

test('what was given back is told to who wants to know', () => {
  const told = [];
  const plugin = one(() => ({ addresses: [] }), { released: (_, attachment, lease) => told.push(`${attachment.id} ${lease?.addresses[0].address}`) });
  const { released } = remoteExports(plugin, realHost(imports(ENGINES.quickjs)));
  const dns = { nameservers: [], domain: null, search: [], options: [] };
  released(CONFIG, ATTACHMENT, { addresses: [{ address: '10.1.0.7/29', gateway: null }], routes: [], dns });
  released(CONFIG, ATTACHMENT, null);
  assert.deepEqual(told, ['pods/a/eth0 10.1.0.7/29', 'pods/a/eth0 undefined']);
});

test('stacks of both engines lead to the source', () => {
  const mappings = 'AAAA;;ACCA,EAAE,IDEA';
  assert.deepEqual(linesOf(mappings, () => true), ['0 0 1', '', '0 1 2,6 0 4']);
  globalThis.wharfingerSources = { sources: ['src/plugin.js', ''], lines: linesOf(mappings, (source) => source === 0) };
  const quickjs = 'Error: x\n    at address_of (plugin.js:3:7)\n    at native\n    at take (plugin.js:2:1)\n    at <anonymous> (plugin.js:1:1)\n';
  const spidermonkey = 'address_of@plugin.js:3:7\ntake@plugin.js:2:1\n@plugin.js:1:1\n';
  try {
    assert.deepEqual(placesOf(quickjs), ['address_of at src/plugin.js:4', '<anonymous> at src/plugin.js:1']);
    assert.deepEqual(placesOf(spidermonkey), ['address_of at src/plugin.js:4', 'at src/plugin.js:1']);
  } finally {
    delete globalThis.wharfingerSources;
  }
});
