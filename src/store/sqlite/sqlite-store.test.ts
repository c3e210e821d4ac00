import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, describe, expect, it } from 'vitest';

import { openEncryptedDatabase } from '../../vault/page-encryption.ts';
import { describeStore, makeEntry } from '../testing/conformance.ts';
import { joinSqliteCopies } from './copy.ts';
import { openSqliteReader } from './reader.ts';
import { openSqliteStore } from './sqlite-store.ts';

const key = randomBytes(32);
const places: string[] = [];
const newPlace = async (): Promise<string> => {
  const place = await mkdtemp(join(tmpdir(), 'cartulary-store-'));
  places.push(place);
  return place;
};
const open = (place: string) =>
  openSqliteStore({
    path: join(place, 'archive.db'),
    key,
    onFatal: (cause) => {
      throw cause;
    },
  });

afterAll(async () => {
  for (const place of places) await rm(place, { recursive: true, force: true });
});

describeStore({ name: 'SQLite', open, newPlace });

describe('the SQLite file', () => {
  it('shows nothing of what it holds', async () => {
    const place = await newPlace();
    const store = await open(place);
    await store.writer.append([makeEntry('a', { sealed: Buffer.from('a sentence that would be seen') })]);
    for (const name of await readdir(place)) {
      const bytes = await readFile(join(place, name));
      expect(bytes.includes('a sentence that')).toBe(false);
      expect(bytes.includes('CREATE TABLE')).toBe(false);
      expect(bytes.subarray(0, 15).toString('latin1')).not.toBe('SQLite format 3');
    }
    await store.close();
  });

  it('holds by itself, once it is open, all that a killed process left in the write-ahead log', async () => {
    const place = await newPlace();
    const killed = await open(place);
    const { seq } = await killed.writer.append([makeEntry('a')]).then(([result]) => result as { seq: number });
    const left = await newPlace();
    for (const name of ['archive.db', 'archive.db-wal']) await copyFile(join(place, name), join(left, name));
    const next = await open(left);
    const alone = await newPlace();
    await copyFile(join(left, 'archive.db'), join(alone, 'archive.db'));
    const reader = openSqliteReader(join(alone, 'archive.db'), key);
    expect(await reader.size()).toBe(seq + 1);
    await reader.close();
    for (const store of [killed, next]) await store.close();
  });

  it('keeps its write-ahead log short however long appends go on', async () => {
    const place = await newPlace();
    const store = await open(place);
    const sealed = Buffer.alloc(60_000);
    const appendOn = async (lane: number): Promise<void> => {
      for (let number = 0; number < 100; number += 1) {
        const entries = Array.from({ length: 10 }, (_none, at) => makeEntry(`${lane}/${number}/${at}`, { sealed }));
        await store.writer.append(entries);
      }
    };
    const lanes = [0, 1, 2, 3].map(appendOn);
    while ((await Promise.race([...lanes, sleep(20, 'under way')])) === 'under way') await store.writer.checkpoint();
    await Promise.all(lanes);
    const { size } = await stat(join(place, 'archive.db-wal'));
    expect(await store.reader.size()).toBe(4000);
    expect(size).toBeLessThan(160_000_000);
    await store.close();
  });

  it('is refused where it is plaintext', async () => {
    const place = await newPlace();
    await writeFile(join(place, 'archive.db'), Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(4096)]));
    expect(() => openEncryptedDatabase(join(place, 'archive.db'), { key })).toThrow(/not encrypted/);
  });

  it('is refused under another key', async () => {
    const place = await newPlace();
    const store = await open(place);
    await store.close();
    expect(() => openSqliteReader(join(place, 'archive.db'), randomBytes(32))).toThrow(/cannot be opened with its key/);
  });

  it('never lets a record be changed or deleted, whoever asks', async () => {
    const place = await newPlace();
    const store = await open(place);
    await store.writer.append([makeEntry('a')]);
    await store.close();
    const database = openEncryptedDatabase(join(place, 'archive.db'), { key });
    expect(() => database.exec("UPDATE record SET sealed = x'00'")).toThrow(/record-never-changes/);
    expect(() => database.exec('UPDATE record SET sealed = NULL')).toThrow(/record-never-changes/);
    expect(() => database.exec('DELETE FROM record')).toThrow(/record-is-kept/);
    expect(() => database.exec('DELETE FROM message_key')).toThrow(/key-open/);
    expect(() => database.exec("UPDATE message_key SET secret = x'00'")).toThrow(/key-never-changes/);
    database.close();
  });

  it('gives out at once what a process had claimed that is no more', async () => {
    const place = await newPlace();
    const first = await open(place);
    await first.writer.append([
      makeEntry('a', { jobs: [{ kind: 'media', dueAtMs: 1, lossAtMs: 9000, payload: new Uint8Array() }] }),
      makeEntry('b', { jobs: [{ kind: 'media', dueAtMs: 5000, payload: new Uint8Array() }] }),
    ]);
    const [claimed] = await first.writer.claimJobs(['media'], 1, 2, 1_000_000);
    await first.close();
    const second = await open(place);
    const again = await second.writer.claimJobs(['media'], 10, 3, 1_000_000);
    expect(again.map(({ id, attempts }) => ({ id, attempts }))).toEqual([{ id: claimed?.id, attempts: 2 }]);
    await second.close();
  });

  it('tells hashes apart that agree in their first half', async () => {
    const place = await newPlace();
    const store = await open(place);
    const half = randomBytes(8);
    const hashes = [randomBytes(8), randomBytes(8), randomBytes(8)].map((rest) => Buffer.concat([half, rest]));
    const [one, other, never] = hashes as [Buffer, Buffer, Buffer];
    await store.writer.append([makeEntry('a', { unique: one }), makeEntry('a', { unique: other })]);
    expect(await store.reader.findSeqByUnique(one)).toBe(0);
    expect(await store.reader.findSeqByUnique(other)).toBe(1);
    expect(await store.reader.findSeqByUnique(never)).toBeUndefined();
    await store.close();
  });

  it('is copied for a backup with content and keys apart, and put together again without destroyed keys', async () => {
    const place = await newPlace();
    const store = await open(place);
    await store.writer.append([makeEntry('a'), makeEntry('b')]);
    const value = Buffer.from('value');
    // What is about things beside this store is about nothing beside a copy.
    await store.writer.putSettings([
      { name: 'beside/one', value },
      { name: 'besides', value },
    ]);
    const [content, keys] = [join(place, 'content'), join(place, 'keys')];
    expect(await store.writer.copyTo(content, keys)).toBe(2);
    await store.close();
    const apart = openSqliteReader(content, key);
    expect((await apart.readLog(0, 10)).map((row) => row.secret)).toEqual([undefined, undefined]);
    expect(await apart.listSettings('beside')).toEqual([{ name: 'besides', value }]);
    await apart.close();
    joinSqliteCopies(content, keys, key, new Set([Buffer.from(makeEntry('a').messageId).toString('hex')]));
    const joined = openSqliteReader(content, key);
    expect((await joined.readLog(0, 10)).map((row) => row.secret !== undefined)).toEqual([false, true]);
    await joined.close();
  });
});
