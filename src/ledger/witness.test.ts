import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cosignCheckpoint, signCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import type { Head } from './checkpoint.ts';
import { sha256 } from './hash.ts';
import { SIGNATURE_COSIGNATURE, createNoteSigner, formatSignatureLine, formatVkey, parseNote } from './note.ts';
import { codeOf } from './testing/code-of.ts';
import { appendEntries, buildMemoryLog, signMemoryLog, testEntries, testSeed } from './testing/memory-log.ts';
import type { MemoryLog } from './testing/memory-log.ts';
import { consistencyProof } from './tiles.ts';
import { emptyRoot } from './tree.ts';
import {
  WITNESS_BODY_BYTES_MAX,
  decideAddCheckpoint,
  formatAddCheckpoint,
  monitorPath,
  parseAddCheckpoint,
  parseAddCheckpointResponse,
} from './witness.ts';
import type { WitnessDecision } from './witness.ts';

const witness = createNoteSigner({ name: 'witness.example/w1', seed: testSeed(50), type: SIGNATURE_COSIGNATURE });
const hash = sha256();

describe('the request', () => {
  test('comes back from its text', async () => {
    const log = await buildMemoryLog(3);
    const checkpoint = signMemoryLog(log);
    const hashes = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 63 });
    fc.assert(
      fc.property(fc.maxSafeNat(), hashes, (oldSize, proof) => {
        const body = formatAddCheckpoint({ oldSize, proof, checkpoint });
        expect(parseAddCheckpoint(body)).toEqual({ oldSize, proof, checkpoint });
        expect(parseAddCheckpoint(new TextEncoder().encode(body))).toEqual({ oldSize, proof, checkpoint });
      }),
      { seed: 1 },
    );
    expect(formatAddCheckpoint({ oldSize: 2, proof: [hash], checkpoint })).toBe(
      `old 2\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n${checkpoint}`,
    );
  });

  test('is refused when it is not in form', async () => {
    const checkpoint = signMemoryLog(await buildMemoryLog(3));
    const good = formatAddCheckpoint({ oldSize: 2, proof: [hash], checkpoint });
    for (const body of [
      '',
      'old 2\n',
      good.replace('old 2', 'old 02'),
      good.replace('old 2', 'old -2'),
      good.replace('old 2', 'old  2'),
      good.replace('old 2', 'new 2'),
      good.replace('47DE', '47D'),
      good.replace('47DE', '!7DE'),
      good.replace(/47DE.*\n/, 'AAAA\n'),
      good.replace('\n\n', '\n'),
      good.slice(0, -1),
    ]) {
      expect({ body, code: codeOf(() => parseAddCheckpoint(body)) }).toEqual({ body, code: 'bad-format' });
    }
    const proof = Array.from({ length: 64 }, () => hash);
    expect(codeOf(() => formatAddCheckpoint({ oldSize: 2, proof, checkpoint }))).toBe('limit');
    expect(codeOf(() => formatAddCheckpoint({ oldSize: -1, proof: [], checkpoint }))).toBe('bad-argument');
    expect(codeOf(() => parseAddCheckpoint('x'.repeat(WITNESS_BODY_BYTES_MAX + 1)))).toBe('limit');
    expect(codeOf(() => parseAddCheckpoint(Uint8Array.of(0xff)))).toBe('bad-format');
  });
});

describe('the answer', async () => {
  const log = await buildMemoryLog(3);
  const checkpoint = signMemoryLog(log);
  const sent = { checkpoint, witnessKeys: formatVkey(witness) };
  const cosigned = parseNote(cosignCheckpoint({ checkpoint, signer: witness, timeSeconds: 77 }));
  const line = formatSignatureLine(cosigned.signatures[1] ?? { name: '', keyId: 0, signature: hash });
  const stranger = createNoteSigner({ name: 'w2', seed: testSeed(51), type: SIGNATURE_COSIGNATURE });
  const strange = parseNote(cosignCheckpoint({ checkpoint, signer: stranger, timeSeconds: 78 })).signatures[1];
  const strangeLine = formatSignatureLine(strange ?? { name: '', keyId: 0, signature: hash });

  test('200: known cosignatures are added, unknown ones left out', () => {
    const outcome = parseAddCheckpointResponse({ status: 200, body: strangeLine + line }, sent);
    if (outcome.outcome !== 'cosigned') throw new Error(`unexpected ${outcome.outcome}`);
    expect(outcome.cosignatures).toEqual([{ name: witness.name, keyId: witness.keyId, timeSeconds: 77 }]);
    const verified = verifyCheckpoint(outcome.checkpoint, [log.signer, witness, stranger]);
    expect(verified.cosignatures.map(({ name }) => name)).toEqual([witness.name]);
    // The same witness again, later: its older cosignature goes.
    const again = parseNote(cosignCheckpoint({ checkpoint, signer: witness, timeSeconds: 99 })).signatures[1];
    const later = parseAddCheckpointResponse(
      { status: 200, body: formatSignatureLine(again ?? { name: '', keyId: 0, signature: hash }) },
      { ...sent, checkpoint: outcome.checkpoint },
    );
    expect(later).toMatchObject({ outcome: 'cosigned', cosignatures: [{ timeSeconds: 99 }] });
  });

  test('200 without a valid cosignature is an error', () => {
    const parse = (body: string): string => codeOf(() => parseAddCheckpointResponse({ status: 200, body }, sent));
    expect(parse(strangeLine)).toBe('not-signed');
    expect(parse('')).toBe('not-signed');
    expect(parse(line.trimEnd())).toBe('bad-format');
    expect(parse('hello\n')).toBe('bad-format');
    expect(parse(line.repeat(17))).toBe('limit');
    expect(parse(line.repeat(16))).toBe('ok');
    // A log's own key is no witness, whatever the caller lists.
    const logLine = formatSignatureLine(cosigned.signatures[0] ?? { name: '', keyId: 0, signature: hash });
    const keys = { checkpoint, witnessKeys: [log.signer, witness] };
    expect(codeOf(() => parseAddCheckpointResponse({ status: 200, body: logLine }, keys))).toBe('not-signed');
    const forged = formatSignatureLine({ name: witness.name, keyId: witness.keyId, signature: new Uint8Array(72) });
    expect(parse(forged)).toBe('bad-signature');
  });

  test('other answers', () => {
    const parse = (status: number, body = '', contentType?: string): unknown =>
      parseAddCheckpointResponse({ status, body, ...(contentType === undefined ? {} : { contentType }) }, sent);
    expect(parse(409, '17\n', 'text/x.tlog.size')).toEqual({ outcome: 'conflict', size: 17 });
    expect(parse(409, 'other root')).toEqual({ outcome: 'inconsistent' });
    expect(parse(422)).toEqual({ outcome: 'inconsistent' });
    expect(parse(404)).toEqual({ outcome: 'not-configured' });
    expect(parse(403)).toEqual({ outcome: 'not-configured' });
    expect(parse(503)).toEqual({ outcome: 'failed', status: 503 });
    expect(codeOf(() => parse(409, '17', 'text/x.tlog.size'))).toBe('bad-format');
    expect(codeOf(() => parse(409, '017\n', 'text/x.tlog.size'))).toBe('bad-format');
  });
});

describe('a witness', () => {
  /** A witness that stores what it decides, as a server would. */
  function createWitness(log: MemoryLog): { heads: Map<string, Head>; ask: (body: string) => WitnessDecision } {
    const heads = new Map<string, Head>();
    const ask = (body: string): WitnessDecision => {
      const decision = decideAddCheckpoint({
        body,
        findLog: (origin) => (origin === log.origin ? { origin, vkeys: log.signer } : undefined),
        findHead: (origin) => heads.get(origin),
        signer: witness,
        timeSeconds: 1_700_000_000,
      });
      if (decision.head !== undefined) heads.set(decision.head.origin, decision.head);
      return decision;
    };
    return { heads, ask };
  }

  async function request(log: MemoryLog, oldSize: number): Promise<string> {
    const proof = await consistencyProof({ oldSize, newSize: log.size, readTile: log.readTile });
    return formatAddCheckpoint({ oldSize, proof, checkpoint: signMemoryLog(log) });
  }

  test('follows a log as it grows, and its answers are understood', async () => {
    const log = await buildMemoryLog(0);
    const { heads, ask } = createWitness(log);
    let known = 0;
    for (const size of [0, 1, 256, 300, 300, 1000]) {
      await appendEntries(log, testEntries(log.size, size));
      const decision = ask(await request(log, known));
      expect(decision.status).toBe(200);
      const sent = { checkpoint: signMemoryLog(log), witnessKeys: witness };
      expect(parseAddCheckpointResponse(decision, sent)).toMatchObject({ outcome: 'cosigned' });
      known = size;
      expect(heads.get(log.origin)).toEqual({ origin: log.origin, size, root: log.root });
    }
  });

  test('names the size it has when the log is behind or ahead', async () => {
    const log = await buildMemoryLog(10);
    const { ask } = createWitness(log);
    expect(ask(await request(log, 5))).toEqual({ status: 409, contentType: 'text/x.tlog.size', body: '0\n' });
    expect(ask(await request(log, 0)).status).toBe(200);
    await appendEntries(log, testEntries(10, 20));
    expect(ask(await request(log, 0)).body).toBe('10\n');
    expect(ask(await request(log, 10)).status).toBe(200);
  });

  test('refuses what it must', async () => {
    const log = await buildMemoryLog(10);
    const { heads, ask } = createWitness(log);
    ask(await request(log, 0));
    const before = heads.get(log.origin);
    const twin = await buildMemoryLog(10);
    twin.root = sha256();
    const other = await buildMemoryLog(10, 'unknown.example');
    const forged = await buildMemoryLog(10, log.origin, 9);
    const checkpoint = signMemoryLog(log);
    const bodies: [string, string, number][] = [
      ['nonsense', 'hello', 400],
      ['an old size beyond the size', formatAddCheckpoint({ oldSize: 11, proof: [], checkpoint }), 400],
      ['an unknown log', await request(other, 0), 404],
      ['an unknown key', await request(forged, 10), 403],
      [
        'the same size with another root',
        formatAddCheckpoint({ oldSize: 10, proof: [], checkpoint: signMemoryLog(twin) }),
        422,
      ],
      ['a proof where none is needed', formatAddCheckpoint({ oldSize: 10, proof: [hash], checkpoint }), 422],
    ];
    for (const [name, body, status] of bodies) expect({ name, status: ask(body).status }).toEqual({ name, status });
    // A log that grew out of another history.
    const fork = await buildMemoryLog(9);
    await appendEntries(fork, [sha256()]);
    await appendEntries(fork, testEntries(10, 20));
    expect(ask(await request(fork, 10)).status).toBe(422);
    expect(heads.get(log.origin)).toEqual(before);
    const fresh = createWitness(log);
    expect(fresh.ask(formatAddCheckpoint({ oldSize: 0, proof: [hash], checkpoint })).status).toBe(422);
  });

  test("an error that is not the ledger's is not swallowed", async () => {
    const log = await buildMemoryLog(1);
    const body = await request(log, 0);
    const broken = {
      ...log.signer,
      get publicKey(): Uint8Array {
        throw new TypeError('broken');
      },
    };
    expect(() =>
      decideAddCheckpoint({
        body,
        findLog: (origin) => ({ origin, vkeys: broken }),
        findHead: () => undefined,
        signer: witness,
        timeSeconds: 1,
      }),
    ).toThrow(TypeError);
  });

  test('an empty log is cosigned from nothing', async () => {
    const log = await buildMemoryLog(0);
    const { ask } = createWitness(log);
    expect(log.root).toEqual(emptyRoot());
    expect(
      ask(formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: signCheckpoint(log, log.signer) })).status,
    ).toBe(200);
  });
});

test('the monitoring path is the hash of the origin', () => {
  expect(monitorPath('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/checkpoint');
});
