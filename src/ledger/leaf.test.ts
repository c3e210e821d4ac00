import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LEAF_BYTES, LEAF_KINDS, decodeLeaf, encodeLeaf, encodeLeafInto, findLeafKind } from './leaf.ts';
import type { Leaf } from './leaf.ts';
import { codeOf } from './testing/code-of.ts';

const id = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);
const leaf: Leaf = {
  version: 1,
  kind: LEAF_KINDS['message.edited'],
  archiveId: id(0xa1),
  recordId: id(0xa2),
  previous: id(0xa3),
  commitment: new Uint8Array(32).fill(0xa4),
  ciphertextHash: new Uint8Array(32).fill(0xa5),
  timeMs: 0x0001_9876_5432_10fe,
  actor: id(0xa6),
};

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const leaves: fc.Arbitrary<Leaf> = fc.record({
  version: fc.constant(1 as const),
  kind: fc.integer({ min: 1, max: 0xffff }),
  archiveId: bytesOf(16),
  recordId: bytesOf(16),
  previous: bytesOf(16),
  commitment: bytesOf(32),
  ciphertextHash: bytesOf(32),
  timeMs: fc.maxSafeNat(),
  actor: bytesOf(16),
});

test('lies in bytes as the head of the file says', () => {
  const wanted = [
    '01',
    '0002',
    'a1'.repeat(16),
    'a2'.repeat(16),
    'a3'.repeat(16),
    'a4'.repeat(32),
    'a5'.repeat(32),
    '00019876543210fe',
    'a6'.repeat(16),
  ];
  expect(Buffer.from(encodeLeaf(leaf)).toString('hex')).toBe(wanted.join(''));
  expect(LEAF_BYTES).toBe(139);
});

test('comes back, from Buffers too, as copies', () => {
  fc.assert(
    fc.property(leaves, (leaf) => {
      expect(decodeLeaf(encodeLeaf(leaf))).toEqual(leaf);
      const buffer = Buffer.from(encodeLeaf(leaf));
      const decoded = decodeLeaf(buffer);
      buffer.fill(0);
      expect(decoded).toEqual(leaf);
    }),
    { seed: 1 },
  );
});

test('is written in place, without touching what stands around it', () => {
  const target = new Uint8Array(LEAF_BYTES + 4).fill(7);
  encodeLeafInto(target, 2, leaf);
  expect(target.subarray(2, -2)).toEqual(encodeLeaf(leaf));
  expect([target[0], target[1], target.at(-2), target.at(-1)]).toEqual([7, 7, 7, 7]);
  expect(codeOf(() => encodeLeafInto(target, 5, leaf))).toBe('bad-argument');
  expect(codeOf(() => encodeLeafInto(target, -1, leaf))).toBe('bad-argument');
});

describe('refuses', () => {
  test.each([
    ['another version', { version: 2 }],
    ['kind 0', { kind: 0 }],
    ['a kind past 65,535', { kind: 0x1_0000 }],
    ['half a kind', { kind: 1.5 }],
    ['a short archive', { archiveId: new Uint8Array(15) }],
    ['a long record', { recordId: new Uint8Array(17) }],
    ['no previous version', { previous: new Uint8Array(0) }],
    ['a short commitment', { commitment: new Uint8Array(16) }],
    ['a long hash', { ciphertextHash: new Uint8Array(64) }],
    ['a short actor', { actor: new Uint8Array(15) }],
    ['a time before 1970', { timeMs: -1 }],
    ['a broken time', { timeMs: 0.5 }],
    ['a time past 2^53', { timeMs: 2 ** 53 }],
  ])('to write %s', (_, change) => {
    const target = new Uint8Array(LEAF_BYTES);
    expect(codeOf(() => encodeLeafInto(target, 0, { ...leaf, ...change } as Leaf))).toBe('bad-leaf');
    expect(target).toEqual(new Uint8Array(LEAF_BYTES));
  });

  test('to read another length, version, kind or time', () => {
    const bytes = encodeLeaf(leaf);
    const changed = (offset: number, ...values: number[]): Uint8Array => {
      const copy = bytes.slice();
      copy.set(values, offset);
      return copy;
    };
    expect(codeOf(() => decodeLeaf(bytes.subarray(1)))).toBe('bad-leaf');
    expect(codeOf(() => decodeLeaf(Uint8Array.of(...bytes, 0)))).toBe('bad-leaf');
    expect(codeOf(() => decodeLeaf(changed(0, 0)))).toBe('bad-leaf');
    expect(codeOf(() => decodeLeaf(changed(0, 2)))).toBe('bad-leaf');
    expect(codeOf(() => decodeLeaf(changed(1, 0, 0)))).toBe('bad-leaf');
    expect(codeOf(() => decodeLeaf(changed(115, 0, 0x20)))).toBe('bad-leaf');
  });
});

test('numbers of kinds are stable: this list is only ever added to', () => {
  expect(LEAF_KINDS).toEqual({
    'message.created': 1,
    'message.edited': 2,
    'message.deleted': 3,
    'message.status': 4,
    'reaction.added': 5,
    'reaction.removed': 6,
    'media.stored': 7,
    'media.lost': 8,
    'consent.changed': 9,
    'participant.joined': 10,
    'participant.left': 11,
    'conversation.updated': 12,
    'order.updated': 13,
    'gap.opened': 14,
    'gap.closed': 15,
    quarantine: 16,
    unknown: 17,
    'message.redacted': 18,
    audit: 64,
    'key.destroyed': 65,
    'settings.changed': 66,
    'log.succeeded': 67,
    'hold.placed': 68,
    'hold.released': 69,
  });
  expect(new Set(Object.values(LEAF_KINDS)).size).toBe(Object.keys(LEAF_KINDS).length);
  expect(findLeafKind(67)).toBe('log.succeeded');
  expect(findLeafKind(1000)).toBeUndefined();
});
