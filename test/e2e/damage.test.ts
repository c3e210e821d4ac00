/**
 * Files that were damaged: bits flipped, cut off, zeroed, deleted, in every kind of file of a data directory, of a backup, and in an exported bundle. The damage is named, and what
 * is derived is built again by the command that the message names. Who changes rows with the keys in his hands is looked for in tampering.test.ts.
 */
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { checkBackup } from '../../src/archive/check-backup.ts';
import { rememberHead } from '../../src/archive/key-care.ts';
import { dataLayout } from '../../src/archive/layout.ts';
import { CartularyError } from '../../src/model/errors.ts';
import { openBundle } from '../../src/evidence/bundle-reader.ts';
import { verifyBundle } from '../../src/evidence/verify-bundle.ts';
import { createRandom } from '../../bench/random.ts';
import { makePlace, runCli } from '../support/cli.ts';
import { damage, DAMAGES, kindOf, KINDS, look } from '../support/damage.ts';
import type { DamageName } from '../support/damage.ts';
import { copyData, listAllFiles, makeWholeArchive, operate } from '../support/whole-archive.ts';
import type { WholeArchive } from '../support/whole-archive.ts';

const SEED = 20_261_127;
const random = createRandom(SEED);
const place = await makePlace('damage');
const copy = join(place.path, 'copy', 'data');
let whole: WholeArchive;

beforeAll(async () => {
  whole = await makeWholeArchive(place.path);
}, 240_000);
afterAll(() => place.remove());

/** A fresh copy of the data directory. */
async function freshCopy(from: string): Promise<void> {
  await rm(join(place.path, 'copy'), { recursive: true, force: true });
  copyData(from, copy);
}

/** Files of a kind in the copy, the last of them last. */
function filesOf(kind: string): string[] {
  const base = join(place.path, 'copy');
  return listAllFiles(base)
    .filter((path) => kindOf(path) === kind)
    .map((path) => join(base, path));
}

function pick<Item>(items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('there is nothing to pick from');
  return item;
}

const sound = { doctor: [], verify: [], texts: [] };

describe('every file', () => {
  it('is of a kind whose damage is looked for, and every kind is there', async () => {
    await freshCopy(whole.data);
    const files = [
      ...listAllFiles(join(place.path, 'copy')),
      ...listAllFiles(whole.backups).map((path) => join('backups', path)),
      ...['bundle.zip', 'kit.txt'].filter((path) => existsSync(join(place.path, path))),
    ];
    expect(files.filter((path) => kindOf(path) === undefined)).toEqual([]);
    const found = new Set(files.map(kindOf));
    expect(KINDS.map(([kind]) => kind).filter((kind) => !found.has(kind))).toEqual([]);
    expect(whole.texts).toBeGreaterThan(300);
  });
});

describe('what is derived', () => {
  it('is named when it is damaged, and built again by rebuild', { timeout: 180_000 }, async () => {
    await freshCopy(whole.closed);
    // A flipped bit in a page that holds nothing would do no harm.
    damage(pick(filesOf('index month')), pick(['half', 'empty', 'gone']));
    damage(pick(filesOf('tile').filter((path) => path.endsWith('tile/0/000'))), pick(DAMAGES), random());
    damage(pick(filesOf('entries').filter((path) => path.endsWith('entries/000'))), 'flip', random());
    const said = await look(copy, async (service) => void (await operate(service, 'rebuild')));
    expect(said.doctor).toContain('search index');
    expect(said.verify).toEqual(expect.arrayContaining([expect.stringMatching(/^(entr|tile|subtree)/)]));
    expect(await look(copy)).toEqual(sound);
  });

  it.each(['flip', 'half', 'empty'] as const)(
    'is rebuilt where the checkpoint is damaged (%s)',
    { timeout: 180_000 },
    async (name) => {
      await freshCopy(whole.closed);
      damage(pick(filesOf('checkpoint')), name, random());
      const said = await look(copy, async (service) => void (await operate(service, 'rebuild')));
      expect(said.verify).toContain('checkpoint-invalid');
      expect(await look(copy)).toEqual(sound);
    },
  );

  it('is made anew at the start where it is needed there', { timeout: 180_000 }, async () => {
    await freshCopy(whole.data);
    for (const path of filesOf('passing').filter((one) => !one.includes('/index/'))) damage(path, 'zeroes', 0);
    damage(pick(filesOf('index state')), pick(DAMAGES), 0.5);
    damage(pick(filesOf('log key')), pick(['flip', 'half', 'gone']), random());
    expect(await look(copy)).toEqual(sound);
  });
});

describe('what lies beside the data', () => {
  it('is named when it is damaged, and written again by key remember', { timeout: 180_000 }, async () => {
    await freshCopy(whole.closed);
    damage(pick(filesOf('signer memory')), pick(DAMAGES), random());
    damage(pick(filesOf('destruction list')), pick(['half', 'empty', 'gone']), random());
    const said = await look(copy);
    // A list of which half is left ends in a line that may have been cut off by a power cut.
    expect(said.verify).toContain('memory-missing');
    expect(said.verify).toContain('list-incomplete');
    await rememberHead({ directory: copy }, []);
    expect(await look(copy)).toEqual(sound);
    damage(pick(filesOf('destruction list')), 'flip', 0.1);
    expect((await look(copy)).start).toContain('cartulary key remember');
    await rememberHead({ directory: copy }, []);
    expect(await look(copy)).toEqual(sound);
  });
});

describe('what cannot be derived', () => {
  it('is named: media and refused requests', { timeout: 180_000 }, async () => {
    await freshCopy(whole.closed);
    const [first = '', second = ''] = filesOf('medium');
    damage(first, 'flip', random());
    damage(second, pick(['half', 'zeroes', 'empty', 'gone']), 0);
    damage(pick(filesOf('refused')), pick(DAMAGES.slice(0, 4)), random());
    const said = await look(copy);
    expect(said.doctor).toEqual(['signatures']);
    expect(said.verify).toContain('blob-altered');
    for (const path of [first, second]) expect(said.texts.join()).toContain(path.slice(-64));
  });

  it.each([0.15, 0.35, 0.55, 0.75, 0.95])(
    'is named: a page of the database at %d',
    { timeout: 180_000 },
    async (at) => {
      await freshCopy(whole.closed);
      damage(pick(filesOf('database')), pick(['flip', 'zeroes']), at);
      const { start, verify } = await look(copy);
      if (start === undefined) expect(verify).toContain('database-damaged');
      else expect(start).toContain('corrupt: ');
    },
  );

  it.each(['half', 'empty', 'gone'] as const)(
    'is named: a database that is cut off or not there (%s)',
    { timeout: 180_000 },
    async (name) => {
      await freshCopy(whole.closed);
      damage(pick(filesOf('database')), name);
      const { start, verify } = await look(copy);
      if (start === undefined) expect(verify).toContain('database-damaged');
      else expect(start).toContain('corrupt: ');
    },
  );

  it('is named: a write-ahead log that cannot be read', { timeout: 180_000 }, async () => {
    await freshCopy(whole.data);
    // Its end may be left over from before it was begun anew: nobody would miss half of it.
    const harmful = DAMAGES.filter((name) => name !== 'half');
    damage(pick(filesOf('database wal')), pick(harmful), 0);
    expect((await look(copy)).verify).toContain('rolled-back');
  });

  const files = ['house', 'keyring', 'root key'];
  it.each(files)('stops the start and says which file it is: %s', async (kind) => {
    for (const name of DAMAGES) {
      await freshCopy(whole.closed);
      const [path = ''] = filesOf(kind);
      // Digits of the key, not the spaces of the file.
      damage(path, name, name === 'zeroes' ? 0 : 0.6);
      const { start } = await look(copy);
      expect(start, `${kind} ${name}`).toMatch(/^(corrupt|key-missing|not-found|conflict): /);
    }
  });

  it('ends a command with one line and without a stack trace', { timeout: 60_000 }, async () => {
    await freshCopy(whole.closed);
    damage(pick(filesOf('house')), 'half');
    const { code, stderr, stdout } = await runCli(['start', '--data', copy]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('cartulary.json cannot be read; copy');
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});

describe('backup check', () => {
  const backups = join(place.path, 'checked');
  const check = async (more: object = {}) =>
    checkBackup({
      from: backups,
      workIn: join(place.path, 'work'),
      rootKeyPath: join(whole.closed, 'keys', 'root.key'),
      onProgress: () => undefined,
      ...more,
    });
  const fresh = async (): Promise<string> => {
    await rm(backups, { recursive: true, force: true });
    await cp(whole.backups, backups, { recursive: true });
    await mkdir(join(place.path, 'work'), { recursive: true });
    return join(backups, whole.backup.slice(whole.backups.length + 1));
  };

  it(
    'says that a sound backup can be restored, by key file and by kit, and leaves nothing',
    { timeout: 120_000 },
    async () => {
      const backup = await fresh();
      const report = await check();
      expect(report).toMatchObject({ ok: true, faults: [], path: backup });
      expect(report.records).toBeGreaterThan(whole.texts);
      expect(report.checked).toBeGreaterThan(whole.texts);
      const { code, stdout, stderr } = await runCli([
        'backup',
        'check',
        backup,
        '--kit',
        whole.kit,
        '--data',
        copy,
        '--json',
      ]);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(JSON.parse(stdout)).toMatchObject({ ok: true, records: report.records, root: report.root });
      expect(readdirSync(join(place.path, 'work'))).toEqual([]);
    },
  );

  it('names each file that is damaged or missing', { timeout: 120_000 }, async () => {
    const backup = await fresh();
    for (const path of listAllFiles(backup)) {
      for (const name of DAMAGES) {
        await fresh();
        damage(join(backup, path), name, random());
        const asked = check({ from: backup });
        if (path === 'manifest.json' && name === 'gone') {
          await expect(asked).rejects.toMatchObject({ code: 'not-found' });
          continue;
        }
        const { ok, faults } = await asked;
        expect({ ok, codes: faults.map(({ code }) => code) }, `${path} ${name}`).toEqual({
          ok: false,
          codes: ['corrupt'],
        });
        if (path !== 'manifest.json') expect(faults[0]?.text).toContain(path);
      }
    }
  });

  it(
    'refuses another root key, and a list of destructions that is older than a known head',
    { timeout: 120_000 },
    async () => {
      const backup = await fresh();
      await freshCopy(whole.closed);
      const other = join(place.path, 'copy', 'other');
      await runCli(['init', '--data', other, '--name', 'Other']);
      expect(await check({ rootKeyPath: join(other, 'keys', 'root.key') })).toMatchObject({
        ok: false,
        faults: [{ code: 'key-missing' }],
      });
      const checkpoint = await readFile(join(whole.closed, 'archives', whole.archiveId, 'log', 'checkpoint'), 'utf8');
      const old = await check({ from: backup, checkpoints: [checkpoint] });
      expect(old).toMatchObject({ ok: false, faults: [{ code: 'conflict' }] });
      expect(old.faults[0]?.text).toContain('list of destructions');
      damage(join(backups, `${whole.archiveId}.head.json`), 'half');
      expect((await check()).faults[0]?.text).toContain('head.json cannot be read');
    },
  );

  it('finds what was destroyed since and stands on no list beside the backups', { timeout: 120_000 }, async () => {
    await fresh();
    await freshCopy(whole.closed);
    expect(await check({ live: dataLayout(copy) })).toMatchObject({ ok: true });
    await look(copy, async (service) => {
      const { items } = await operate<{ items: { id: string }[] }>(service, 'search', { q: '"number 11"' });
      await operate(service, 'destroy', { id: items[0]?.id ?? '' });
    });
    expect(await check({ live: dataLayout(copy) })).toMatchObject({ ok: false, faults: [{ code: 'list-old' }] });
    await cp(`${copy}.signer`, backups, { recursive: true });
    // The head that came with the list is newer than this backup.
    expect((await check({ live: dataLayout(copy) })).faults[0]?.text).toContain('--successor');
    expect(await check({ live: dataLayout(copy), successor: true })).toMatchObject({ ok: true, destroyedReplayed: 2 });
  });
});

/** Names and digests of what a bundle holds: what may be flipped in the container of a ZIP (times, attributes, sizes written twice) changes neither. */
async function contentOf(path: string): Promise<string[]> {
  const bundle = await openBundle(path);
  const content: string[] = [];
  try {
    for (const name of bundle.names) {
      const { chunks, digest } = bundle.read(name);
      for await (const chunk of chunks) void chunk;
      content.push(`${name} ${digest.bytes} ${digest.sha256}`);
    }
    return content;
  } finally {
    bundle.close();
  }
}

describe('an exported bundle', () => {
  const positions = Array.from({ length: 40 }, () => random());
  it('is not sound any more wherever a bit of its content is flipped', { timeout: 120_000 }, async () => {
    const path = join(place.path, 'flipped.zip');
    const original = String(await contentOf(whole.bundle));
    const told: string[] = [];
    for (const [name, at] of [
      ...positions.map((position): [DamageName, number] => ['flip', position]),
      ...DAMAGES.slice(1, 4).map((one): [DamageName, number] => [one, 0.4]),
    ]) {
      await cp(whole.bundle, path);
      damage(path, name, at);
      try {
        const { ok, faults } = await verifyBundle(path, { logKey: whole.logKey });
        const isSame = ok && String(await contentOf(path)) === original;
        told.push(ok && !isSame ? `silent ${name} ${at}` : (faults[0]?.code ?? 'the same'));
      } catch (cause) {
        if (!(cause instanceof CartularyError)) throw cause;
        told.push(cause.code);
      }
    }
    expect(told.filter((one) => one.startsWith('silent'))).toEqual([]);
    expect(told.filter((one) => one === 'the same').length).toBeLessThan(positions.length / 2);
    expect(await verifyBundle(whole.bundle, { logKey: whole.logKey })).toMatchObject({ ok: true });
  });
});
