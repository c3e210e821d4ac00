/**
 * Backups that are made by themselves, in four places; what a thief of one of them can do; a restore with two shares of the kit; a drill; the warning that stays until all is there; the page
 * for whoever takes over.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Handover } from '../../src/api/handover.ts';
import type { Check } from '../../src/api/operations/doctor.ts';
import { openService } from '../../src/api/service.ts';
import type { Service } from '../../src/api/service.ts';
import type { Drill } from '../../src/archive/care.ts';
import type { BackupCheck } from '../../src/archive/check-backup.ts';
import { initHouse } from '../../src/archive/house.ts';
import type { SentBackup } from '../../src/archive/send-backup.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import type { MessagePage } from '../../src/archive/views.ts';
import { workJobs } from '../../src/capture/work.ts';
import { readSettings } from '../../src/settings.ts';
import { makePlace, runCli, runJson, until } from '../support/cli.ts';
import { killDuring } from '../support/kill-during.ts';
import { operate } from '../support/whole-archive.ts';

const place = await makePlace('backup-places');
const at = (name: string): string => join(place.path, name);
const PLACES = ['content', 'keys', 'heads', 'destroyed'] as const;
const env = {
  CARTULARY_BACKUP: at('content'),
  CARTULARY_BACKUP_KEYS: at('keys'),
  CARTULARY_BACKUP_HEADS: at('heads'),
  CARTULARY_BACKUP_DESTROYED: at('destroyed'),
};
const TOKEN = 'a-token-that-nobody-may-see';
const TEXT = 'a text that nobody may see';
const clock = { ms: Date.parse('2026-11-22T12:00:00Z') };
const DAY_MS = 86_400_000;
let archiveId: string;
let kit: string;
let service: Service;

const open = async (): Promise<Service> =>
  openService(readSettings({ CARTULARY_DATA: place.data, CARTULARY_LOG_LEVEL: 'silent', ...env }), {
    now: () => clock.ms,
  });
const filesOf = async (name: string): Promise<string[]> => (await readdir(at(name), { recursive: true })).sort();
const whole = async (part: 'content' | 'keys'): Promise<string[]> =>
  (await filesOf(part)).filter((name) => name.endsWith('manifest.json')).map((name) => name.split('/').at(-2) ?? '');

async function importMessages(from: number, to: number): Promise<void> {
  const lines = Array.from({ length: to - from }, (_none, index) =>
    JSON.stringify({
      type: 'message.created',
      timestamp: '2026-11-22T10:00:00Z',
      data: {
        id: `m${from + index}`,
        channel: 'chat',
        direction: 'inbound',
        from: { address: 'customer' },
        to: [{ address: 'shop' }],
        sentAt: '2026-11-22T09:00:00Z',
        text: `${TEXT} ${from + index}`,
        media: [
          { base64: Buffer.from(`a picture ${from + index} `.repeat(50)).toString('base64'), mimeType: 'text/plain' },
        ],
      },
    }),
  );
  await writeFile(at('lines.jsonl'), lines.join('\n'));
  await operate(service, 'import', { importer: 'jsonl', path: at('lines.jsonl') });
}

const storeMedia = (count: number): Promise<void> =>
  until(`${count} media are stored`, async () => {
    await workJobs(service.work);
    return (await operate<VerifyReport>(service, 'verify')).blobs === count;
  });

beforeAll(async () => {
  for (const name of PLACES) await mkdir(at(name));
  const made = await initHouse({ directory: place.data, name: 'North Shop' });
  archiveId = made.archiveId;
  kit = at('kit.txt');
  await writeFile(kit, made.recoveryKit);
  service = await open();
}, 60_000);
afterAll(async () => {
  await service.close();
  await place.remove();
});

describe('backups that are made by themselves', () => {
  it('are made while the archive runs, each part in its place, and tried', { timeout: 120_000 }, async () => {
    await importMessages(0, 6);
    await storeMedia(6);
    service.startWork('http://127.0.0.1');
    await until('a backup was made', async () => (await service.archive.findCare()).backups.length === 1, 60);
    const { backups } = await service.archive.findCare();
    expect(backups[0]).toMatchObject({ ok: true, faults: [], records: expect.any(Number) as number });
    expect(await service.archive.lastBackupMs()).toBe(clock.ms);
    // No key in the content, no content with the keys.
    expect((await filesOf('content')).filter((name) => /key/i.test(name.replaceAll(archiveId, '')))).toEqual([]);
    expect((await filesOf('content')).filter((name) => /[0-9a-f]{64}$/.test(name))).toHaveLength(6);
    expect((await filesOf('keys')).map((name) => name.split('/').at(-1)).filter((name) => name?.includes('.'))).toEqual(
      ['keyring.json', 'keys.db', 'manifest.json'],
    );
    expect(await filesOf('heads')).toContain(`heads/${archiveId}/checkpoint`);
    expect(await filesOf('destroyed')).toContain(`destroyed/${archiveId}/destroyed.jsonl`);
    // Nothing of it stays on this machine.
    expect(await readdir(join(place.data, 'run'))).not.toContain('backup');
  });

  it('share their media; an erasure goes out at once', { timeout: 60_000 }, async () => {
    await importMessages(6, 8);
    await storeMedia(8);
    clock.ms += DAY_MS;
    await until('a second backup was made', async () => (await whole('content')).length === 2, 60);
    await until('and tried', async () => (await service.archive.findCare()).backups.length === 2);
    const { items } = await operate<MessagePage>(service, 'search', { q: `"${TEXT} 3"` });
    await operate(service, 'destroy', { id: items[0]?.id ?? '' });
    await until('the list went out', async () =>
      (await readFile(at(`destroyed/destroyed/${archiveId}/destroyed.jsonl`), 'utf8')).includes(items[0]?.id ?? 'x'),
    );
  });

  it('of which one was cut off are none; old ones go, the newest sound one stays', { timeout: 120_000 }, async () => {
    // From here on only when it is asked for.
    await service.close();
    service = await open();
    const cut = at(`content/content/${archiveId}/2026-11-24T00-00-00-000Z`);
    await mkdir(cut);
    await writeFile(join(cut, 'archive.db'), 'half');
    const orphan = at(`keys/keys/${archiveId}/2026-11-24T00-00-00-000Z`);
    await mkdir(orphan);
    await writeFile(join(orphan, 'manifest.json'), '{}');
    clock.ms += 8 * DAY_MS;
    const sent = await operate<SentBackup>(service, 'backup.send');
    expect(sent).toMatchObject({ ok: true, faults: [], removed: 0 });
    expect(await whole('content')).toHaveLength(3);
    // Keys are kept for a week.
    expect(await whole('keys')).toEqual([sent.time]);
    expect(await filesOf('content')).not.toContain(`content/${archiveId}/2026-11-24T00-00-00-000Z`);
    clock.ms += 40 * DAY_MS;
    const later = await operate<SentBackup>(service, 'backup.send');
    expect(later).toMatchObject({ ok: true, removed: 3 });
    expect(await whole('content')).toEqual([later.time]);
    // The medium of the message that was destroyed is named by no backup any more.
    expect((await filesOf('content')).filter((name) => /[0-9a-f]{64}$/.test(name))).toHaveLength(7);
  });

  it('that fail are told, and tried again', { timeout: 60_000 }, async () => {
    await rm(at('keys'), { recursive: true });
    await expect(operate(service, 'backup.send')).rejects.toThrow(/is it mounted/);
    await expect(operate(service, 'backup.send')).rejects.toThrow(/is it mounted/);
    await service.alerts.look();
    clock.ms += 60_000;
    await service.alerts.look();
    expect(service.alerts.listAlerts().map(({ code }) => code)).toContain('backup-failed');
    await mkdir(at('keys'));
    expect(await operate<SentBackup>(service, 'backup.send')).toMatchObject({ ok: true });
    expect((await service.archive.findCare()).failure).toBeUndefined();
  });
});

describe('backups that are killed while they are made', () => {
  it('leave nothing that looks like one and is none', { timeout: 120_000 }, async () => {
    await service.close();
    const work = join(place.data, 'run', 'backup');
    const signs = ['content/archive.db', 'keys.manifest.json', 'content.manifest.json'].map((name) => join(work, name));
    let killed = 0;
    for (const sign of signs) {
      const args = ['backup', '--data', place.data];
      if (await killDuring(args, () => existsSync(sign), 0, undefined, env)) killed += 1;
      const files = await filesOf('content');
      for (const time of await whole('content')) {
        const own = files.filter((name) => name.includes(`/${time}/`) && !name.endsWith('.part'));
        expect(own.map((name) => name.split('/').at(-1))).toEqual([
          ...['archive.db', 'cartulary.json', 'checkpoint', 'destroyed.jsonl', 'manifest.json', 'media.txt'],
        ]);
        expect((await whole('keys')).some((one) => one >= time)).toBe(true);
      }
    }
    expect(killed).toBeGreaterThan(0);
    service = await open();
    expect(await operate<SentBackup>(service, 'backup.send')).toMatchObject({ ok: true });
    // The next one has tidied up: as many keys as contents that have some, and no file that is half written.
    expect(
      [...(await filesOf('content')), ...(await filesOf('keys'))].filter((name) => name.endsWith('.part')),
    ).toEqual([]);
    const contents = await whole('content');
    expect((await whole('keys')).filter((time) => !contents.includes(time))).toEqual([]);
  });
});

describe('whoever has one part', () => {
  it('opens nothing', { timeout: 60_000 }, async () => {
    await mkdir(at('empty'));
    const without = { CARTULARY_BACKUP: at('content'), CARTULARY_BACKUP_KEYS: at('empty') };
    const args = ['restore', at('content'), '--kit', kit, '--archive', archiveId, '--data', at('stolen')];
    const { code, stderr } = await runCli(args, without);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/keys of the backup .* are gone/) as string]);
    const database = join(at('content'), 'content', archiveId, (await whole('content'))[0] ?? '', 'archive.db');
    expect((await readFile(database)).includes(TEXT)).toBe(false);
  });
});

describe('the warning that stays', () => {
  const inGoodHands = async (): Promise<Check | undefined> =>
    (await operate<{ checks: Check[] }>(service, 'doctor')).checks.find(({ name }) => name === 'in good hands');
  let source: { id: string; missing: { code: string }[] };

  it('is there when a source is added, and keeps nothing from coming in', { timeout: 60_000 }, async () => {
    source = await operate(service, 'source.add', {
      connector: 'twilio',
      name: 'main number',
      secret: TOKEN,
      owner: 'Ann Example',
      expires: '2027-03-31',
    });
    expect(source.missing.map(({ code }) => code)).toEqual(['owners', 'split-kit', 'drill']);
    expect(await inGoodHands()).toMatchObject({ state: 'warning' });
    await operate(service, 'care.change', {
      owners: ['Ann Example <ann@shop.example>', 'Bo Example'],
      keptAt: 'safe at the notary',
    });
    expect((await inGoodHands())?.text).not.toContain('owner');
  });

  it('goes when the kit is split and a drill was held with two shares', { timeout: 180_000 }, async () => {
    // What an export that is under way has outside must not be removed by a copy of the archive.
    await writeFile(at('export.part'), 'half an export');
    await writeFile(at('export'), '');
    const files = { part: at('export.part'), reserved: at('export') };
    await service.archive.noteUnfinished(files);
    await operate(service, 'backup.send');
    // The next start would take it for one that was cut off.
    await service.close();
    const split = ['key', 'split', '--data', place.data, '--out', at('shares'), '--holder', 'Ann', '--holder', 'Bo'];
    await rm(files.part);
    await rm(files.reserved);
    const { files: shares } = await runJson<{ files: string[] }>([...split, '--holder', 'The notary']);
    expect(shares).toHaveLength(3);
    await writeFile(files.part, 'half an export');
    await writeFile(files.reserved, '');
    const [, b = '', c = ''] = shares;
    const report = await runJson<{ drill: Drill }>(
      ['drill', '--backup', at('content'), '--kit', b, '--kit', c, '--data', place.data],
      env,
    );
    expect(report.drill).toMatchObject({ ok: true, faults: [], messages: 7, media: 7 });
    expect(report.drill.totalMs).toBeGreaterThan(0);
    expect(new Date(report.drill.newestMs ?? 0).toISOString()).toBe('2026-11-22T09:00:00.000Z');
    expect(await readFile(files.part, 'utf8')).toBe('half an export');
    service = await open();
    expect(await inGoodHands()).toMatchObject({ state: 'ok' });
    const events = await operate<MessagePage>(service, 'search', { q: '' });
    expect(events.total).toBe(7);
    // One share is not enough, and is told so.
    const alone = await runCli(['backup', 'check', at('content'), '--kit', b, '--data', at('none')], env);
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining('it takes 2 shares') as string]);
  });

  it('another machine restores with two shares, and what was destroyed stays so', { timeout: 120_000 }, async () => {
    const kits = ['--kit', at('shares/share-A.txt'), '--kit', at('shares/share-C.txt')];
    const check = await runJson<BackupCheck>(['backup', 'check', at('content'), ...kits, '--data', at('none')], env);
    expect(check).toMatchObject({ ok: true, faults: [], blobs: 7 });
    await runJson(['restore', at('content'), ...kits, '--data', at('restored')], env);
    expect(await runJson<VerifyReport>(['verify', '--data', at('restored')])).toMatchObject({ ok: true, blobs: 7 });
    const found = await runJson<MessagePage>(['search', '', '--data', at('restored')]);
    expect(found.items.map(({ text }) => text)).not.toContain(`${TEXT} 3`);
    expect(found.total).toBe(7);
  });

  it('the page for whoever takes over says all that and no secret', { timeout: 60_000 }, async () => {
    const page = await operate<Handover>(service, 'handover');
    expect(page).toMatchObject({
      missing: [],
      owners: ['Ann Example <ann@shop.example>', 'Bo Example'],
      sources: [
        {
          id: source.id,
          platform: expect.stringContaining('Twilio') as string,
          owner: 'Ann Example',
          tokenExpires: '2027-03-31',
        },
      ],
      deadlines: [{ on: '2027-03-31' }],
      keys: { keptAt: 'safe at the notary', kit: { shares: 3, threshold: 2, holders: ['Ann', 'Bo', 'The notary'] } },
      backups: { everyHours: 24, places: { keys: at('keys') }, lastDrill: { ok: true } },
    });
    await service.close();
    const { stdout } = await runCli(['handover', '--data', place.data], env);
    expect(stdout).toContain('2 of 3 shares');
    const secrets = [
      TOKEN,
      TEXT,
      'customer',
      ...((await readFile(kit, 'utf8')).match(/[0-9A-Z]{4}-[0-9A-Z]{4} {2}/g) ?? []),
    ];
    for (const secret of secrets)
      expect([secret, `${JSON.stringify(page)}${stdout}`.includes(secret)]).toEqual([secret, false]);
    service = await open();
  });
});
