/** What the store does when the server, or the way to it, fails: it goes on, or it says so and nothing false is left. */
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

import { beforeEach, describe, expect, it } from 'vitest';

import type { Fault, Seen } from '../../../test/support/fault-proxy.ts';
import { freePort } from '../../../test/support/cli.ts';
import { isGivenS3 } from '../../../test/support/s3.ts';
import type { TestS3 } from '../../../test/support/s3.ts';
import type { BlobStore } from '../blobs.ts';
import { openS3Blobs } from '../s3/blobs.ts';
import { inPieces, readWhole, sha256Of } from './blob-conformance.ts';
import { LARGE_BYTES, listUnfinished, SMALL, useProxiedPlace } from './s3-blobs.ts';

const ATTEMPTS = 4;
const LIMITS = { ...SMALL, attemptsMax: ATTEMPTS, attemptMsMax: 10_000, idleMsMax: 500, pauseMsMin: 1, pauseMsMax: 4 };
/** For what comes late or never. */
const QUICK = { ...LIMITS, attemptMsMax: 1000 };
/** For what never comes, however often it is asked for. */
const HASTY = { ...LIMITS, attemptMsMax: 150 };

const XML = (code: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>x</Message></Error>`;
const PASSING: readonly (readonly [string, Fault])[] = [
  ['500', { kind: 'answer', status: 500, body: XML('InternalError') }],
  ['502 of another', { kind: 'answer', status: 502, body: '<html>Bad Gateway</html>' }],
  ['503', { kind: 'answer', status: 503, body: XML('SlowDown') }],
  ['429', { kind: 'answer', status: 429 }],
  ['never', { kind: 'never' }],
  ['slowly', { kind: 'slow', ms: 1500 }],
  ['a cut before', { kind: 'cut-request' }],
  ['a cut after', { kind: 'cut-answer' }],
];

const SMALL_BYTES = Buffer.from('a small medium');
const NAME = sha256Of(SMALL_BYTES);
const isRead = ({ method, path }: Seen): boolean => method === 'GET' && /\/blobs\/[0-9a-f]{64}/.test(path);
const isWrite = ({ method }: Seen): boolean => method === 'PUT';

/** Runs the tests with a proxy before the server. */
export function describeS3Faults(getServer: () => TestS3): void {
  describe('S3 that fails', () => {
    const at = useProxiedPlace(getServer);
    /** Goes through the proxy. */
    let blobs: BlobStore;
    /** Does not. */
    let direct: BlobStore;
    beforeEach(() => {
      direct = openS3Blobs(at.location, LIMITS);
      blobs = through(LIMITS);
    });
    const through = (limits: typeof LIMITS, endpoint = at.proxy.url): BlobStore =>
      openS3Blobs({ ...at.location, endpoint }, limits);

    const OPERATIONS: readonly (readonly [string, (store: BlobStore) => Promise<unknown>, unknown])[] = [
      ['put', (store) => store.put(inPieces(SMALL_BYTES)), { name: NAME, bytes: SMALL_BYTES.length }],
      ['get', (store) => readWhole(store, NAME), SMALL_BYTES],
      ['has', (store) => store.has(NAME), true],
      ['list', (store) => Array.fromAsync(store.list()), [NAME]],
      ['remove', (store) => store.remove(NAME), undefined],
      ['sweep', (store) => store.sweep(), undefined],
    ];
    // What is asked in one request is tried again by the same code, whatever it asks.
    const cases = OPERATIONS.flatMap(([operation, act, result]) =>
      PASSING.filter(([fault]) => ['put', 'get'].includes(operation) || ['503', 'a cut after'].includes(fault)).map(
        ([fault, what]) => ({ operation, act, result, fault, what }),
      ),
    );

    it.each(cases)('$operation survives $fault', async ({ act, result, what }) => {
      await direct.put(inPieces(SMALL_BYTES));
      at.proxy.plan(what, { times: 2 });
      expect(await act(through(['never', 'slow'].includes(what.kind) ? QUICK : LIMITS))).toEqual(result);
      expect(at.proxy.seen.length).toBeGreaterThan(2);
    });

    it.each(cases.filter(({ fault }) => ['503', 'never', 'a cut before', 'a cut after'].includes(fault)))(
      '$operation says after $fault without end that it cannot be done',
      async ({ operation, act, what }) => {
        if (operation !== 'put') await direct.put(inPieces(SMALL_BYTES));
        at.proxy.plan(what, { times: Infinity });
        await expect(act(through(HASTY))).rejects.toMatchObject({ code: 'overloaded' });
        expect(at.proxy.seen).toHaveLength(ATTEMPTS);
        expect(await listUnfinished(getServer(), at.location)).toEqual([]);
      },
    );

    const someFaults = PASSING.filter(([name]) => ['503', 'never', 'a cut before', 'a cut after'].includes(name));
    it.each(someFaults)(
      'a large blob arrives whole although each part meets %s',
      { timeout: 120_000 },
      async (_, what) => {
        const bytes = randomBytes(LARGE_BYTES);
        for (const sign of ['?uploads', 'partNumber=1', 'partNumber=2', 'partNumber=3', '?uploadId='])
          at.proxy.plan(what, { match: ({ path, method }) => method !== 'GET' && path.includes(sign) });
        const { name } = await through(what.kind === 'never' ? QUICK : LIMITS).put(inPieces(bytes));
        expect(name).toBe(sha256Of(bytes));
        expect((await readWhole(direct, name)).equals(bytes)).toBe(true);
        await direct.sweep();
        expect(await listUnfinished(getServer(), at.location)).toEqual([]);
      },
    );

    it('a large blob that cannot be finished leaves nothing', async () => {
      at.proxy.plan({ kind: 'cut-request' }, { times: ATTEMPTS, match: ({ path }) => path.includes('partNumber=2') });
      await expect(blobs.put(inPieces(randomBytes(LARGE_BYTES)))).rejects.toMatchObject({ code: 'overloaded' });
      expect(await Array.fromAsync(direct.list())).toEqual([]);
      expect(await listUnfinished(getServer(), at.location)).toEqual([]);
    });

    it.each(['cut-body', 'stall-body'] as const)('reading goes on where it was: %s', async (kind) => {
      const bytes = randomBytes(LARGE_BYTES);
      const { name } = await direct.put(inPieces(bytes));
      for (const after of [0, 1, 70_000, 3_000_000]) at.proxy.plan({ kind, after }, { match: isRead });
      expect((await readWhole(blobs, name)).equals(bytes)).toBe(true);
      expect(at.proxy.seen.filter(isRead)).toHaveLength(5);
    });

    it('reading ends where it is cut off again and again', async () => {
      const { name } = await direct.put(inPieces(randomBytes(LARGE_BYTES)));
      at.proxy.plan({ kind: 'cut-body', after: 10 }, { times: Infinity, match: isRead });
      await expect(readWhole(blobs, name)).rejects.toMatchObject({ code: 'overloaded' });
      expect(at.proxy.seen.filter(isRead)).toHaveLength(ATTEMPTS);
    });

    it('bytes that come back wrong are not given out as whole, and the next reading is right', async () => {
      await direct.put(inPieces(SMALL_BYTES));
      at.proxy.plan({ kind: 'wrong-answer' }, { match: isRead });
      await expect(readWhole(blobs, NAME)).rejects.toMatchObject({ code: 'corrupt' });
      expect(await readWhole(blobs, NAME)).toEqual(SMALL_BYTES);
    });

    it.each([SMALL_BYTES, randomBytes(LARGE_BYTES)])(
      'bytes that were altered on their way are sent again',
      async (bytes) => {
        at.proxy.plan({ kind: 'wrong-request' }, { match: isWrite });
        const { name } = await blobs.put(inPieces(bytes));
        expect((await readWhole(direct, name)).equals(bytes)).toBe(true);
      },
    );

    it('bytes that are altered on their way every time are refused', async () => {
      at.proxy.plan({ kind: 'wrong-request' }, { times: Infinity, match: isWrite });
      await expect(blobs.put(inPieces(SMALL_BYTES))).rejects.toMatchObject({ code: 'overloaded' });
      expect(await Array.fromAsync(direct.list())).toEqual([]);
    });

    it('a blob is not kept before the server has shown it', async () => {
      at.proxy.plan({ kind: 'answer', status: 200 }, { match: isWrite });
      await expect(blobs.put(inPieces(SMALL_BYTES))).rejects.toMatchObject({ code: 'corrupt' });
      expect(await direct.has(NAME)).toBe(false);
      at.proxy.plan({ kind: 'wrong-answer' }, { match: isRead });
      expect((await blobs.put(inPieces(SMALL_BYTES))).name).toBe(NAME);
      at.proxy.plan({ kind: 'wrong-answer' }, { times: Infinity, match: isRead });
      await expect(blobs.put(inPieces(SMALL_BYTES))).rejects.toMatchObject({ code: 'corrupt' });
      // The version before is another, and stays.
      expect(await readWhole(direct, NAME)).toEqual(SMALL_BYTES);
    });

    it('nothing is named where the server is away', async () => {
      const named: string[] = [];
      at.proxy.plan({ kind: 'answer', status: 503 }, { times: Infinity });
      const put = blobs.put(inPieces(SMALL_BYTES), async (name) => void named.push(name));
      await expect(put).rejects.toMatchObject({ code: 'overloaded' });
      expect(named).toEqual([]);
    });

    it('what the server says it removed and did not is noticed', async () => {
      await direct.put(inPieces(SMALL_BYTES));
      at.proxy.plan({ kind: 'answer', status: 204 }, { times: Infinity, match: ({ method }) => method === 'DELETE' });
      await expect(blobs.remove(NAME)).rejects.toMatchObject({ code: 'corrupt' });
    });

    it('a refusal is not asked for twice', async () => {
      at.proxy.plan({ kind: 'answer', status: 403, body: XML('AccessDenied') }, { times: Infinity });
      for (const [, act] of OPERATIONS) {
        at.proxy.seen.length = 0;
        await expect(act(blobs)).rejects.toMatchObject({ code: 'setting' });
        expect(at.proxy.seen).toHaveLength(1);
      }
    });

    it('errors hold no secret, no signature and no address', async () => {
      const wrongKey = openS3Blobs({
        ...at.location,
        credentials: { accessKeyId: 'NOBODY', secretAccessKey: 'GUESSED' },
      });
      const away = through(HASTY, `http://127.0.0.1:${await freePort()}`);
      at.proxy.plan({ kind: 'answer', status: 500, body: XML('Some <b>Code</b>') }, { times: Infinity });
      for (const store of [wrongKey, away, blobs]) {
        const error: unknown = await Array.fromAsync(store.list()).catch((cause: unknown) => cause);
        expect(error).toMatchObject({ name: 'CartularyError' });
        const { accessKeyId, secretAccessKey } = at.location.credentials;
        const secrets = [
          accessKeyId,
          secretAccessKey,
          'NOBODY',
          'GUESSED',
          'ignature',
          '127.0.0.1',
          at.location.bucket,
        ];
        const text = inspect(error, { depth: 20, showHidden: true });
        expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
      }
    });

    it.skipIf(isGivenS3)(
      'a server that dies is waited for, and is asked again when it is back',
      { timeout: 120_000 },
      async () => {
        const { kill, revive } = getServer();
        await direct.put(inPieces(SMALL_BYTES));
        await kill?.();
        await expect(direct.has(NAME)).rejects.toMatchObject({ code: 'overloaded' });
        const patient = openS3Blobs(at.location, { ...LIMITS, attemptsMax: 200, pauseMsMin: 200, pauseMsMax: 200 });
        const reading = readWhole(patient, NAME);
        await revive?.();
        expect(await reading).toEqual(SMALL_BYTES);
      },
    );
  });
}
