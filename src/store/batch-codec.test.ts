import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { decodeBatch, decodeResults, encodeBatch, encodeResults } from './batch-codec.ts';
import type { AppendEntry, AppendResult, NewJob, SettingChange } from './store.ts';

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const anyBytes = fc.uint8Array({ maxLength: 200 });
const job: fc.Arbitrary<NewJob> = fc.record(
  {
    kind: fc.string({ unit: 'binary', maxLength: 8 }),
    dueAtMs: fc.maxSafeNat(),
    lossAtMs: fc.maxSafeNat(),
    onlyWithoutContent: fc.boolean(),
    payload: anyBytes,
  },
  { requiredKeys: ['kind', 'dueAtMs', 'payload'] },
);
const setting: fc.Arbitrary<SettingChange> = fc.record({
  name: fc.string({ unit: 'binary', maxLength: 20 }),
  value: fc.option(anyBytes, { nil: undefined }),
});
const entry: fc.Arbitrary<AppendEntry> = fc.record(
  {
    messageId: bytes(16),
    secret: bytes(32),
    unique: fc.oneof(fc.constant('message' as const), fc.constant(undefined), bytes(16)),
    leaf: anyBytes,
    sealed: anyBytes,
    jobs: fc.array(job, { maxLength: 3 }),
    settings: fc.array(setting, { maxLength: 3 }),
  },
  { requiredKeys: ['messageId', 'secret', 'unique', 'leaf', 'sealed'] },
);

/** Byte strings as text, so that views of different memory compare. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, inner: unknown) =>
      inner instanceof Uint8Array ? `0x${Buffer.from(inner).toString('hex')}` : inner,
    ),
  );
const hex = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString('hex');

/** An entry by its meaning: no jobs and an empty list of them are the same. */
function meaning(one: AppendEntry): unknown {
  return {
    messageId: hex(one.messageId),
    secret: hex(one.secret),
    unique: one.unique instanceof Uint8Array ? hex(one.unique) : (one.unique ?? 'none'),
    leaf: hex(one.leaf),
    sealed: hex(one.sealed),
    jobs: (one.jobs ?? []).map((each) => ({ ...each, payload: hex(each.payload) })),
    settings: (one.settings ?? []).map((each) => ({ name: each.name, value: hex(each.value) })),
  };
}

describe('a batch', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
        expect(decodeBatch(encodeBatch(entries)).map(meaning)).toEqual(entries.map(meaning));
      }),
      { seed: 51, numRuns: 300 },
    );
  });

  it('is one buffer of its own, so that it may be given away', () => {
    const source: AppendEntry = {
      messageId: new Uint8Array(16).fill(1),
      secret: new Uint8Array(32).fill(2),
      unique: 'message',
      leaf: new Uint8Array(3).fill(3),
      sealed: new Uint8Array(4).fill(4),
    };
    const packed = encodeBatch([source]);
    structuredClone(packed, { transfer: [packed] });
    expect(packed.byteLength).toBe(0);
    expect(source.sealed).toEqual(new Uint8Array(4).fill(4));
  });

  it.each([
    ['message id', { messageId: new Uint8Array(15) }],
    ['secret', { secret: new Uint8Array(33) }],
    ['shorter event hash', { unique: new Uint8Array(15) }],
    ['longer event hash', { unique: new Uint8Array(17) }],
  ])('refuses a %s of the wrong length before it is sent', (_name, wrong) => {
    const good: AppendEntry = {
      messageId: new Uint8Array(16),
      secret: new Uint8Array(32),
      unique: undefined,
      leaf: new Uint8Array(139),
      sealed: new Uint8Array(1),
    };
    expect(() => encodeBatch([good, { ...good, ...wrong }])).toThrow(expect.objectContaining({ code: 'internal' }));
  });
});

describe('results', () => {
  const numbers = fc.record({ seq: fc.maxSafeNat(), messageNo: fc.maxSafeNat() });
  const result: fc.Arbitrary<AppendResult> = fc.oneof(
    numbers.map((place) => ({ status: 'stored' as const, ...place })),
    numbers.map((place) => ({ status: 'duplicate' as const, ...place })),
    bytes(32).map((secret) => ({ status: 'rekey' as const, secret })),
    fc.constant({ status: 'closed' as const }),
    fc.string().map((reason) => ({ status: 'failed' as const, reason })),
  );
  it('come back in the order asked', () => {
    fc.assert(
      fc.property(fc.array(result, { maxLength: 40 }), (results) => {
        const packed = structuredClone(encodeResults(results));
        expect(plain(decodeResults(packed))).toEqual(plain(results));
      }),
      { seed: 52, numRuns: 300 },
    );
  });
  it('that make no sense are failures, never successes', () => {
    const numbersOnly = (status: number) => decodeResults({ numbers: Float64Array.of(status, 1, 2), rare: [] });
    for (const status of [-1, 5, Number.NaN, 0.5]) expect(numbersOnly(status)).toMatchObject([{ status: 'failed' }]);
    expect(numbersOnly(4)).toEqual([{ status: 'failed', reason: 'no reason was given' }]);
  });
  it('do not share memory with the row a secret was read from', () => {
    const row = new Uint8Array(32).fill(1);
    const packed = encodeResults([{ status: 'rekey', secret: row }]);
    row.fill(0);
    expect(packed.rare[0]?.secret).toEqual(new Uint8Array(32).fill(1));
  });
});
