/**
 * What a restore does with what happened after the backup: destructions are not undone, and a log that was signed further than the backup goes is succeeded, never forked.
 */
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openHouse } from '../../src/archive/house.ts';
import type { House } from '../../src/archive/house.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import { decodeLeaf, LEAF_BYTES, LEAF_KINDS } from '../../src/ledger/leaf.ts';
import { verifySuccessorEntry } from '../../src/ledger/signer.ts';
import { parseSignedCheckpoint } from '../../src/ledger/checkpoint.ts';
import type { ArchiveId, MessageId } from '../../src/model/ids.ts';
import { makePlace, runCli, runJson } from '../support/cli.ts';

const place = await makePlace('restore');
afterAll(() => place.remove());
const CALLER = { kind: 'local', user: 'test' } as const;
const kit = join(place.path, 'kit.txt');
const backups = join(place.path, 'backups');
const later = join(place.path, 'later-checkpoint');
let archiveId: ArchiveId;
let early: string;
let erased: MessageId;
let lateKnown: number;

async function write(name: string, first: number, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_none, index) =>
    JSON.stringify({
      type: 'message.created',
      timestamp: '2026-11-22T10:00:00Z',
      data: {
        id: `m${first + index}`,
        channel: 'chat',
        direction: 'inbound',
        from: { address: 'c' },
        to: [{ address: 'shop' }],
        text: `parcel number ${first + index}`,
      },
    }),
  );
  await writeFile(join(place.path, name), lines.join('\n'));
  await runJson(['import', 'jsonl', join(place.path, name), '--data', place.data]);
}
const open = (data: string): Promise<House> =>
  openHouse({ directory: data, onFatal: () => undefined, onStalled: () => undefined });
const total = async (data: string, query: string): Promise<number> =>
  (await runJson<{ total: number }>(['search', query, '--data', data])).total;

beforeAll(async () => {
  ({ archiveId } = await runJson<{ archiveId: ArchiveId }>([
    'init',
    '--data',
    place.data,
    '--name',
    'Restore',
    '--kit',
    kit,
  ]));
  await write('first.jsonl', 0, 20);
  ({ path: early } = await runJson<{ path: string }>(['backup', backups, '--data', place.data]));
  await write('second.jsonl', 20, 5);
  const house = await open(place.data);
  const [hit] = (await house.archive.search(CALLER, { q: '"number 7"', limit: 1 })).items;
  erased = hit?.id as MessageId;
  await house.archive.destroyMessage(CALLER, erased, 'asked for');
  await writeFile(later, await house.archive.publish());
  await house.close();
  lateKnown = parseSignedCheckpoint(await readFile(later, 'utf8')).size;
  await rename(place.data, `${place.data}.gone`);
  await rename(`${place.data}.signer`, `${place.data}.gone.signer`);
}, 240_000);

describe('a restore of a backup that is older than the log', () => {
  it('is refused while a later head is known and nobody says how to go on', { timeout: 240_000 }, async () => {
    const data = join(place.path, 'refused', 'data');
    const args = ['restore', early, '--data', data, '--kit', kit];
    const byCheckpoint = await runCli([...args, '--checkpoint', later, '--successor']);
    expect(byCheckpoint.code).toBe(1);
    expect(byCheckpoint.stderr).toContain('list of destructions');
    const byList = ['--destroyed', join(`${place.data}.gone.signer`, `${archiveId}.destroyed.jsonl`)];
    const withList = await runCli([...args, ...byList]);
    expect(withList.code).toBe(1);
    expect(withList.stderr).toContain('--successor');
    const foreign = join(place.path, 'foreign');
    await writeFile(foreign, (await readFile(later, 'utf8')).replace(/\n\d+\n/, '\n999\n'));
    expect((await runCli([...args, '--checkpoint', foreign])).code).toBe(2);
    // What is there and was not left by a restore is not overwritten.
    const taken = join(place.path, 'taken', 'data');
    await cp(join(`${place.data}.gone`, 'archives'), join(taken, 'archives'), { recursive: true });
    const overwriting = await runCli(['restore', early, '--data', taken, '--kit', kit]);
    expect(overwriting.code).toBe(1);
    expect(overwriting.stderr).toContain('empty directory');
  });

  it(
    'opens a successor whose first new leaf is the old head, and brings back nothing that was destroyed',
    { timeout: 240_000 },
    async () => {
      const data = join(place.path, 'refused', 'data');
      const restored = await runJson<{ records: number; logKey: string; succeeds: object }>([
        'restore',
        early,
        '--data',
        data,
        '--kit',
        kit,
        '--destroyed',
        join(`${place.data}.gone.signer`, `${archiveId}.destroyed.jsonl`),
        '--successor',
      ]);
      expect(restored.logKey).toContain(`cartulary/${archiveId}/2+`);
      expect(restored.succeeds).toMatchObject({ origin: `cartulary/${archiveId}`, lostFrom: restored.records });
      const report = await runJson<VerifyReport>(['verify', '--data', data, '--log-key', restored.logKey]);
      expect(report).toMatchObject({ ok: true, faults: [], destroyed: 1 });
      expect(report.succeeds).toMatchObject([{ origin: `cartulary/${archiveId}`, from: restored.records }]);
      expect(await total(data, '"number 7"')).toBe(0);
      expect(await total(data, 'parcel')).toBe(19);

      // Whoever holds the old head finds it in the successor, without any key.
      const bundle = await readFile(await bundlePath(join(data, 'archives', archiveId, 'log')));
      const width = LEAF_BYTES + 2;
      const entry = bundle.subarray(restored.records * width + 2, (restored.records + 1) * width);
      expect(decodeLeaf(entry).kind).toBe(LEAF_KINDS['log.succeeded']);
      const head = JSON.parse(await readFile(join(`${place.data}.gone.signer`, `${archiveId}.head.json`), 'utf8')) as {
        origin: string;
        size: number;
        root: string;
      };
      verifySuccessorEntry(entry, { ...head, root: Buffer.from(head.root, 'base64') });

      // Heads of the old log: one that was saved, one in the lost range; both are accounted for.
      const saved = join(early, 'content', 'checkpoint');
      expect(
        await runJson<VerifyReport>(['verify', '--data', data, '--checkpoint', saved, '--checkpoint', later]),
      ).toMatchObject({ ok: true });
      expect(lateKnown).toBeGreaterThan(restored.records);
    },
  );

  it('goes on with the head that lies beside the backups, and with its list', { timeout: 240_000 }, async () => {
    const data = join(place.path, 'refused', 'data');
    await runJson(['backup', backups, '--data', data]);
    const other = join(place.path, 'third', 'data');
    // The early backup is now older than the succession: only a further successor may go on from it.
    const refused = await runCli(['restore', early, '--data', other, '--kit', kit]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('--successor');
    const restored = await runJson<{ logKey: string }>([
      'restore',
      early,
      '--data',
      other,
      '--kit',
      kit,
      '--successor',
    ]);
    expect(restored.logKey).toContain(`cartulary/${archiveId}/3+`);
    expect(await runJson<VerifyReport>(['verify', '--data', other])).toMatchObject({ ok: true, destroyed: 1 });
    // The newest one goes on as it is.
    const newest =
      (await readdir(backups))
        .filter((name) => name.startsWith('cartulary-'))
        .sort()
        .at(-1) ?? '';
    const fourth = join(place.path, 'fourth', 'data');
    expect(await runJson(['restore', join(backups, newest), '--data', fourth, '--kit', kit])).not.toHaveProperty(
      'succeeds',
    );
    expect(await runJson<VerifyReport>(['verify', '--data', fourth])).toMatchObject({ ok: true, destroyed: 1 });
    await rm(backups, { recursive: true });
  });
});

/** The first bundle of entries, however wide. */
async function bundlePath(log: string): Promise<string> {
  const directory = join(log, 'tile', 'entries', '000.p');
  const widest = (await readdir(directory)).map(Number).sort((one, other) => other - one)[0];
  return join(directory, String(widest));
}
