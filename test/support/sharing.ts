/** What the nodes of an archive share through S3 besides media: months of the index that are over, and full tiles of the log. On real servers. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { GetObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { initHouse, openHouse } from '../../src/archive/house.ts';
import type { House } from '../../src/archive/house.ts';
import { SYSTEM_ACTOR } from '../../src/archive/recorder.ts';
import type { RecordDraft } from '../../src/archive/recorder.ts';
import type { MessageId } from '../../src/model/ids.ts';
import { receiptInstant } from '../../src/model/time.ts';
import { openMonthReader } from '../../src/search/month-reader.ts';
import type { BlobSetting } from '../../src/store/blob-location.ts';
import { createThreadStarter } from '../../src/store/thread-sharing.ts';
import { unwrapKeyring } from '../../src/vault/keyring.ts';
import { openEncryptedDatabase } from '../../src/vault/page-encryption.ts';
import { openLocalRoot } from '../../src/vault/root-provider.ts';
import { makePlace } from './cli.ts';
import { startFaultProxy } from './fault-proxy.ts';
import type { Fault, FaultProxy, Seen } from './fault-proxy.ts';
import { startTestServer } from './postgres.ts';
import type { TestServer } from './postgres.ts';
import type { TestS3 } from './s3.ts';

const PERSON = { kind: 'local', user: 'test' } as const;
const MONTHS = ['2024-01', '2024-02', '2024-03'] as const;
/** Of each month, so that the log has a full tile. */
const MESSAGES = 100;
const NEW = 10;
const AT_ONCE = { quietMs: 0 };

function draft(month: string, number: number, text: string): RecordDraft {
  const atMs = Date.parse(`${month}-10T10:00:00Z`) + number;
  return {
    actor: SYSTEM_ACTOR,
    capturedAtMs: atMs,
    event: {
      kind: 'message.created',
      target: { platform: 'p', account: 'a', id: `${month}/${number}` },
      occurredAt: receiptInstant(atMs),
      content: {
        channel: 'sms',
        direction: 'inbound',
        directionBasis: 'provider',
        from: { kind: 'customer', address: { scheme: 'e164', value: '+4930123456' } },
        to: [],
        thread: ['+4930123456'],
        threadKind: 'direct',
        body: { text, format: 'plain' },
        parts: [],
        contentState: 'present',
        origin: 'provider-api',
        sentAt: receiptInstant(atMs),
      },
    },
  };
}

const isMonth = ({ method, path }: Seen): boolean => method === 'GET' && path.includes('/months/');

/** Runs the tests. @param missing why they cannot be run */
export function describeSharing(getServer: () => TestS3, missing: string | undefined): void {
  const name = 'what nodes share through S3';
  describe.skipIf(missing !== undefined)(missing === undefined ? name : `skipped, ${name}: ${missing}`, () => {
    const open: House[] = [];
    let directory: Awaited<ReturnType<typeof makePlace>>;
    let database: TestServer;
    let proxy: FaultProxy;
    let blobs: BlobSetting;
    let first: House;
    let indexKey: Uint8Array;

    const at = (node: string, setting: BlobSetting) => ({
      directory: join(directory.path, node),
      shared: join(directory.path, 'shared'),
      database: database.url,
      blobs: setting,
    });
    /** A node that reaches S3 through the proxy. */
    const openNode = async (node: string): Promise<House> => {
      const threads = createThreadStarter('shared');
      const house = await openHouse({ ...at(node, { ...blobs, endpoint: proxy.url }), threads });
      open.push(house);
      await house.archive.reachIndex();
      return house;
    };
    const close = async (house: House): Promise<void> => {
      open.splice(open.indexOf(house), 1);
      await house.close();
    };
    /** Hits of one page: a total may be of a part of them on a busy machine. */
    const count = async ({ archive }: House, q: string): Promise<number> => {
      await archive.reachIndex();
      return (await archive.search(PERSON, { q, limit: 100 })).items.length;
    };
    const expectWhole = async ({ archive }: House, messages: number): Promise<void> =>
      expect(await archive.compareIndex()).toMatchObject({ ok: true, expected: messages, indexed: messages });
    const changesOf = ({ archive }: House, month: string): number => {
      const reader = openMonthReader(month, { directory: archive.layout.index, key: indexKey, cacheKib: 64 });
      try {
        return reader.changes();
      } finally {
        reader.close();
      }
    };
    const keysOf = async (folder: string): Promise<string[]> => {
      const Prefix = `${blobs.prefix}${first.archive.id}/${folder}/`;
      const page = await getServer().client.send(new ListObjectVersionsCommand({ Bucket: blobs.bucket, Prefix }));
      return [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ Key = '' }) => Key);
    };

    beforeAll(async () => {
      if (missing !== undefined) return;
      directory = await makePlace('e2e-sharing');
      database = await startTestServer();
      const { spool: _spool, engine: _engine, ...setting } = await getServer().newPlace('versions');
      blobs = setting;
      proxy = await startFaultProxy(String(blobs.endpoint));
      await initHouse({ ...at('a', blobs), name: 'Sharing' });
      first = await openHouse({ ...at('a', blobs), threads: createThreadStarter('shared') });
      open.push(first);
      const root = await openLocalRoot({ path: first.layout.rootKey });
      ({ indexKey } = await unwrapKeyring(await readFile(first.archive.layout.keyring, 'utf8'), root));
      const today = new Date().toISOString().slice(0, 7);
      for (const [month, messages] of [...MONTHS.map((one) => [one, MESSAGES] as const), [today, NEW] as const])
        for (let half = 0; half < 2; half += 1) {
          const numbers = Array.from({ length: messages / 2 }, (_none, index) => (half * messages) / 2 + index);
          await first.archive.record(numbers.map((number) => draft(month, number, `heron ${month} word${number}`)));
          // In two transactions of each file, so that one that was indexed again is told apart.
          await first.archive.reachIndex();
        }
      await first.archive.publish();
    }, 120_000);
    afterAll(async () => {
      for (const house of open.splice(0)) await house.close();
      await proxy?.stop();
      await database?.stop();
      await directory?.remove();
    });

    it('is put there by the node that leads: sealed months, and tiles as they are', { timeout: 60_000 }, async () => {
      expect(await first.archive.shareMonths(AT_ONCE)).toEqual([...MONTHS]);
      expect(await keysOf('months')).toHaveLength(MONTHS.length);
      expect(await first.archive.shareLog()).toBe(256);
      const tiles = await keysOf('log');
      expect(new Set(tiles.map((key) => key.split('/log/')[1]))).toEqual(new Set(['tile/0/000', 'tile/entries/000']));
      for (const Key of tiles) {
        const { Body } = await getServer().client.send(new GetObjectCommand({ Bucket: blobs.bucket, Key }));
        const own = await readFile(join(first.archive.layout.log, Key.split('/log/')[1] ?? ''));
        expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(own)).toBe(true);
      }
      // What is there is not sent again.
      expect([await first.archive.shareMonths(AT_ONCE), await first.archive.shareLog()]).toEqual([[], 256]);
      expect([await keysOf('months'), await keysOf('log')].map(({ length }) => length)).toEqual([3, 2]);
    });

    it('is taken by a node that comes new, which gives the same answers', { timeout: 60_000 }, async () => {
      const house = await openNode('b');
      expect(proxy.seen.filter(isMonth)).toHaveLength(MONTHS.length);
      expect(MONTHS.map((month) => changesOf(house, month))).toEqual(MONTHS.map((month) => changesOf(first, month)));
      await expectWhole(house, MONTHS.length * MESSAGES + NEW);
      expect(await count(house, '"2024-02 word77"')).toBe(1);
      await close(house);
    });

    it('is indexed from the records where S3 is away, answers wrongly or late', { timeout: 120_000 }, async () => {
      const faults: readonly (readonly [fault: Fault, times: number, taken: number])[] = [
        [{ kind: 'answer', status: 503 }, 1000, 0],
        [{ kind: 'wrong-answer' }, 1, 2],
        // What passes by itself is waited for.
        [{ kind: 'cut-body', after: 20_000 }, 1, 3],
      ];
      for (const [fault, times, taken] of faults) {
        await rm(join(directory.path, 'b', 'archives', first.archive.id, 'index'), { recursive: true });
        proxy.clear();
        proxy.plan(fault, { times, match: isMonth });
        const house = await openNode('b');
        expect(proxy.seen.filter(isMonth).length).toBeGreaterThan(0);
        const same = MONTHS.filter((month) => changesOf(house, month) === changesOf(first, month));
        expect([fault, same.length]).toEqual([fault, taken]);
        await expectWhole(house, MONTHS.length * MESSAGES + NEW);
        await close(house);
      }
      proxy.clear();
    });

    it('holds nothing of a message that was destroyed, in any version', { timeout: 60_000 }, async () => {
      const text = (number: number): string => (number === 5000 ? 'heron zebracanary' : `late ${number}`);
      // So many that the month is shared again, with it.
      const numbers = Array.from({ length: 5 }, (_none, index) => 5000 + index);
      const [outcome] = await first.archive.record(numbers.map((number) => draft('2024-02', number, text(number))));
      await first.archive.reachIndex();
      expect(await first.archive.shareMonths(AT_ONCE)).toEqual(['2024-02']);
      expect(await keysOf('months')).toHaveLength(MONTHS.length);
      await first.archive.destroyMessage(PERSON, outcome?.messageId as MessageId, 'card-security-code');
      expect(await keysOf('months')).toHaveLength(MONTHS.length - 1);
      expect(await first.archive.shareMonths(AT_ONCE)).toEqual(['2024-02']);
      const house = await openNode('c');
      expect(changesOf(house, '2024-02')).toBe(changesOf(first, '2024-02'));
      expect([await count(first, 'zebracanary'), await count(house, 'zebracanary')]).toEqual([0, 0]);
      await expectWhole(house, MONTHS.length * MESSAGES + NEW + 4);
      await close(house);
      const path = join(directory.path, 'c', 'archives', first.archive.id, 'index', 'index-2024-02.db');
      const month = openEncryptedDatabase(path, { key: indexKey, mustExist: true, synchronous: 'NORMAL' });
      const pages = month.serialize();
      month.close();
      expect([pages.includes('ero'), pages.includes('bracana')]).toEqual([true, false]);
    });
  });
}
