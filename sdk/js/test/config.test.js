import assert from 'node:assert/strict';
import { test } from 'node:test';

import { address, dns, integer, list, network, object, oneOf, optional, range, record, route, string, subnet } from '@wharfinger/sdk/config';

const problems = (decoder, value) => decoder.decode(value).problems?.map(({ pointer, message }) => `${pointer}: ${message}`) ?? [];

test('every problem is said, each at its pointer', () => {
  const config = object({ pools: record(list(range)), quota: optional(integer({ min: 1 })) });
  assert.deepEqual(problems(config, {}), ['/pools: is missing']);
  assert.deepEqual(problems(config, []), [': must be an object, and is a list']);
  assert.deepEqual(problems(config, { pools: { 'a/b~': [1, 'ten'] }, quota: 0, pool: 1 }), [
    '/pool: unknown key: there are pools, quota',
    '/pools/a~1b~0/0: must be a text, and is 1',
    '/pools/a~1b~0/1: "ten" is no IP address',
    '/quota: must be at least 1, and is 0',
  ]);
});

test('what may be left out has its fallback', () => {
  const config = object({ a: optional(string), b: optional(oneOf('x', 'y'), 'x') });
  assert.deepEqual(config.decode({ a: null }), { value: { a: undefined, b: 'x' } });
  assert.deepEqual(config.decode(JSON.parse('{"__proto__": 1}')).problems.map(({ pointer }) => pointer), ['/__proto__']);
});

test('a subnet says all that is wrong with it', () => {
  const bad = { subnet: '10.1.0.9/24', rangeStart: '10.1.0.9', rangeEnd: '10.2.0.1', gateway: 'fd00::1' };
  assert.deepEqual(problems(subnet, bad), [
    '/subnet: has host bits set: the network is 10.1.0.0/24',
    '/rangeEnd: 10.2.0.1 lies outside 10.1.0.0/24',
    '/gateway: fd00::1 is of another family than 10.1.0.0/24',
  ]);
  const down = { subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.8' };
  assert.deepEqual(problems(subnet, down), ['/rangeEnd: lies below the start of the range']);
  assert.deepEqual(problems(subnet, { subnet: 'ten' }), ['/subnet: "ten" is no network, as "10.1.0.0/24" is one']);
});

test('the gateway and the network’s own addresses are not given', () => {
  const all = subnet.decode({ subnet: '10.1.0.0/30', rangeStart: '10.1.0.0', rangeEnd: '10.1.0.3' }).value;
  assert.deepEqual([0, 1, 2, 3].map((n) => all.gives(`10.1.0.${n}`)), [false, false, true, false]);
  assert.equal(subnet.decode({ subnet: '10.1.0.9/32' }).value.gateway, undefined);
});

test('routes and resolvers have the keys of CNI', () => {
  const { destination, gateway, mtu } = route.decode({ dst: '10.0.0.0/8', gw: '10.1.0.1', mtu: 1400 }).value;
  assert.deepEqual([String(destination), String(gateway), mtu], ['10.0.0.0/8', '10.1.0.1', 1400]);
  assert.deepEqual(problems(route, { dst: '10.0.0.1/8', table: 2 ** 32 }), [
    '/dst: has host bits set: the network is 10.0.0.0/8',
    `/table: must be at most ${2 ** 32 - 1}, and is ${2 ** 32}`,
  ]);
  assert.deepEqual(dns.decode({}).value, { nameservers: [], domain: undefined, search: [], options: [] });
  assert.deepEqual(problems(network, '10.0.0.1/8').length + problems(address, true).length, 2);
});
