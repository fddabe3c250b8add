import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Address, Net, Range } from '@wharfinger/sdk';

test('addresses are written as RFC 5952 has them', () => {
  for (const [given, written] of [
    ['10.1.0.7', '10.1.0.7'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['FD00:0:0:0:0:0:0:7', 'fd00::7'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1::', '1::'],
    ['::ffff:10.1.0.7', '::ffff:a01:7'],
  ]) {
    assert.equal(String(Address.parse(given)), written);
    assert.ok(Address.parse(written).equals(Address.parse(given)));
  }
});

test('what is no address is refused', () => {
  const bad = ['', '10.1.0', '10.1.0.256', '10.01.0.1', '1:2:3', ':::', '1::2::3', 'fe80::1%eth0', 'g::', '1:2:3:4:5:6:7::8:9', 7];
  for (const text of bad) assert.throws(() => Address.parse(text), /is no IP address/, String(text));
  for (const text of ['10.1.0.0', '10.1.0.0/33', 'fd00::/129', '10.1.0.0/08', '10.1.0.0/8/8', '/8']) {
    assert.throws(() => Net.parse(text), undefined, text);
  }
});

test('usable addresses of every size', () => {
  for (const [net, usable] of [
    ['10.1.0.0/24', '10.1.0.1-10.1.0.254'],
    ['10.1.0.0/30', '10.1.0.1-10.1.0.2'],
    ['10.1.0.0/31', '10.1.0.0-10.1.0.1'],
    ['10.1.0.9/32', '10.1.0.9'],
    ['fd00::/126', 'fd00::1-fd00::3'],
    ['fd00::/127', 'fd00::-fd00::1'],
    ['::/0', '::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['0.0.0.0/0', '0.0.0.1-255.255.255.254'],
  ]) {
    assert.equal(String(Net.parse(net).usable()), usable);
  }
});

test('ranges are read strictly', () => {
  assert.equal(String(Range.parse('10.1.0.2-10.1.0.3')), '10.1.0.2-10.1.0.3');
  assert.equal(String(Range.parse('10.1.0.0/30')), '10.1.0.1-10.1.0.2');
  for (const bad of ['', '10.1.0.3-10.1.0.2', '10.1.0.1-fd00::1', '10.1.0.0/33', 'ten', '1-2-3']) {
    assert.throws(() => Range.parse(bad), undefined, bad);
  }
});

test('the ends of a family have nothing beyond', () => {
  const highest = Address.parse('255.255.255.255');
  assert.ok(highest.next().equals(highest));
  assert.equal(String(Address.parse('10.1.0.255').next()), '10.1.1.0');
  assert.equal(String(Address.parse('::').previous()), '::');
});
