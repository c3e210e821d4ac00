import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it, vi } from 'vitest';

import type { EventBody } from '../model/event.ts';
import type { MessageId } from '../model/ids.ts';
import { receiptInstant } from '../model/time.ts';
import { openMonthReader } from '../search/month-reader.ts';
import { createThreadStarter } from '../store/thread-sharing.ts';
import { unwrapKeyring } from '../vault/keyring.ts';
import { openEncryptedDatabase } from '../vault/page-encryption.ts';
import { openLocalRoot } from '../vault/root-provider.ts';
import { initHouse, openHouse } from './house.ts';
import type { House } from './house.ts';
import { archiveLayout, dataLayout } from './layout.ts';
import { SYSTEM_ACTOR } from './recorder.ts';
import type { RecordDraft } from './recorder.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-months-'));
afterAll(() => rm(place, { recursive: true, force: true }));

const PERSON = { kind: 'local', user: 'test' } as const;
const MONTHS = ['2023-01', '2023-02', '2023-03'] as const;
const TODAY = new Date().toISOString().slice(0, 7);
const AT_ONCE = { quietMs: 0 };

function draft(id: string, atMs: number, body: EventBody): RecordDraft {
  const target = { platform: 'p', account: 'a', id };
  return { actor: SYSTEM_ACTOR, capturedAtMs: atMs, event: { target, occurredAt: receiptInstant(atMs), ...body } };
}

function created(id: string, month: string, text: string): RecordDraft {
  const atMs = Date.parse(`${month}-10T10:00:00Z`) + Number(/\d+$/.exec(id)?.[0] ?? 0);
  return draft(id, atMs, {
    kind: 'message.created',
    content: {
      channel: 'sms',
      direction: 'inbound',
      directionBasis: 'provider',
      from: { kind: 'customer', address: { scheme: 'e164', value: '+4930123456' } },
      to: [{ kind: 'shop', address: { scheme: 'short_code', value: '12345' }, role: 'to' }],
      thread: ['12345', '+4930123456'],
      threadKind: 'direct',
      body: { text, format: 'plain' },
      parts: [],
      contentState: 'present',
      origin: 'provider-api',
      sentAt: receiptInstant(atMs),
    },
  });
}

const edited = (id: string, text: string): RecordDraft =>
  draft(id, 1_700_000_000_000, { kind: 'message.edited', body: { text, format: 'plain' } });

/** One node of an archive of its own, whose index may be lost. */
type Node = {
  readonly shared: string;
  open(): Promise<House>;
  /** The next start finds no index. */
  loseIndex(): Promise<void>;
  /** Transactions of a month's file: what was taken has those of who shared it. */
  changesOf(month: string): Promise<number>;
  /** All pages of a month's file in clear. */
  pagesOf(month: string): Promise<Buffer>;
  /** Settings about what lies beside the store, as they stand in the database. */
  settings(): Promise<{ name: string; value: Buffer }[]>;
  putSettings(rows: readonly { name: string; value: Buffer }[]): Promise<void>;
};

async function makeNode(name: string): Promise<Node> {
  const at = { directory: join(place, name), shared: join(place, `${name}-shared`) };
  const { archiveId } = await initHouse({ ...at, name });
  const data = dataLayout(at.directory, at.shared);
  const layout = archiveLayout(data, archiveId);
  const root = await openLocalRoot({ path: data.rootKey });
  const { indexKey, databaseKey } = await unwrapKeyring(await readFile(layout.keyring, 'utf8'), root);
  const withDatabase = async <Result>(work: (database: ReturnType<typeof openEncryptedDatabase>) => Result) => {
    const database = openEncryptedDatabase(layout.database, { key: databaseKey, mustExist: true });
    try {
      return work(database);
    } finally {
      database.close();
    }
  };
  const BESIDE = "FROM setting WHERE name >= 'beside/' AND name < 'beside0'";
  return {
    shared: join(at.shared, 'archives', archiveId, 'months'),
    // In one thread, since many are opened here.
    open: () => openHouse({ ...at, threads: createThreadStarter('shared') }),
    loseIndex: () => rm(layout.index, { recursive: true }),
    async changesOf(month) {
      const reader = openMonthReader(month, { directory: layout.index, key: indexKey, cacheKib: 64 });
      try {
        return reader.changes();
      } finally {
        reader.close();
      }
    },
    async pagesOf(month) {
      const path = join(layout.index, `index-${month}.db`);
      const database = openEncryptedDatabase(path, { key: indexKey, mustExist: true, synchronous: 'NORMAL' });
      try {
        return database.serialize();
      } finally {
        database.close();
      }
    },
    settings: () =>
      withDatabase((database) => database.prepare<[], never>(`SELECT name, value ${BESIDE} ORDER BY name`).all()),
    putSettings: (rows) =>
      withDatabase((database) => {
        database.exec(`DELETE ${BESIDE}`);
        for (const { name: one, value } of rows)
          database.prepare('INSERT INTO setting (name, value) VALUES (?, ?)').run(one, value);
      }),
  };
}

async function keep({ archive }: House, drafts: readonly RecordDraft[]): Promise<MessageId[]> {
  const outcomes = await archive.record(drafts);
  await archive.reachIndex();
  return outcomes.map(({ messageId }) => messageId);
}

/** Fills three months and begins a fourth, in so many transactions that a file which was indexed again is told apart. */
async function fill(house: House): Promise<Map<string, MessageId>> {
  const ids = new Map<string, MessageId>();
  for (const month of [...MONTHS, TODAY])
    for (let number = 0; number < 4; number += 1) {
      const [id] = await keep(house, [created(`${month}/${number}`, month, `heron ${month} word${number}`)]);
      if (id !== undefined) ids.set(`${month}/${number}`, id);
    }
  return ids;
}

/** Hits of one page: a total may be of a part of them on a busy machine. */
async function count({ archive }: House, q: string): Promise<number> {
  await archive.reachIndex();
  return (await archive.search(PERSON, { q, limit: 100 })).items.length;
}

async function expectWhole(house: House, herons: number): Promise<void> {
  expect(await count(house, 'heron')).toBe(herons);
  expect(await house.archive.compareIndex()).toMatchObject({ ok: true, expected: herons, indexed: herons });
}

const objectsOf = async ({ shared }: Node): Promise<string[]> =>
  (await readdir(shared, { recursive: true })).filter((name) => /[0-9a-f]{64}$/.test(name)).sort();

describe('months of the index that are shared', { timeout: 120_000 }, () => {
  it('are taken by a node that has none, which indexes only the rest', async () => {
    const node = await makeNode('taken');
    let house = await node.open();
    await fill(house);
    expect(await house.archive.shareMonths(AT_ONCE)).toEqual([...MONTHS]);
    // Nothing has changed.
    expect(await house.archive.shareMonths(AT_ONCE)).toEqual([]);
    expect(await objectsOf(node)).toHaveLength(3);
    // Each of these is known to no month: one that is new in a month that is shared, one that says something else, one that is of no month that is.
    await keep(house, [created('late9', MONTHS[1], 'heron late')]);
    await keep(house, [edited(`${MONTHS[0]}/2`, 'heron otherwise')]);
    await keep(house, [created('early1', '2022-12', 'heron early')]);
    await house.close();
    const before = await Promise.all([...MONTHS, TODAY].map((month) => node.changesOf(month)));

    await node.loseIndex();
    house = await node.open();
    await expectWhole(house, 18);
    expect(existsSync(`${house.archive.layout.index}.building`)).toBe(false);
    for (const [q, hits] of [
      ['late', 1],
      ['otherwise', 1],
      ['early', 1],
      [`"${MONTHS[2]} word3"`, 1],
      [`"${TODAY} word3"`, 1],
    ] as const)
      expect(await count(house, q)).toBe(hits);
    await house.close();
    const [first = 0, second = 0, third = 0, today = 0] = await Promise.all(
      [...MONTHS, TODAY].map((month) => node.changesOf(month)),
    );
    // As it was shared, and what came since in one more.
    expect([first, second, third]).toEqual(before.slice(0, 3));
    expect(today).toBeLessThan(before[3] ?? 0);

    // What was added is a reason to share a month again, by whichever node.
    house = await node.open();
    expect(await house.archive.shareMonths(AT_ONCE)).toEqual(['2022-12', MONTHS[1]]);
    expect(await objectsOf(node)).toHaveLength(4);
    await house.close();
  });

  it('are not taken where they are gone, altered or exchanged, and all is found all the same', async () => {
    const node = await makeNode('altered');
    let house = await node.open();
    await fill(house);
    await house.archive.shareMonths(AT_ONCE);
    await house.close();
    const before = await Promise.all(MONTHS.map((month) => node.changesOf(month)));
    const [one = '', two = '', three = ''] = await objectsOf(node);
    const paths = [one, two, three].map((name) => join(node.shared, name)) as [string, string, string];
    const harms: readonly (readonly [taken: number, harm: () => Promise<void>])[] = [
      // One bit.
      [
        2,
        async () => {
          const bytes = await readFile(paths[0]);
          bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
          await writeFile(paths[0], bytes);
        },
      ],
      // Cut where a chunk ends.
      [1, async () => writeFile(paths[1], (await readFile(paths[1])).subarray(0, 56 + 16_400))],
      // Another month under its name.
      [1, () => cp(paths[2], paths[0])],
      [0, () => rename(paths[2], paths[0])],
    ];
    for (const [taken, harm] of harms) {
      await harm();
      await node.loseIndex();
      house = await node.open();
      await expectWhole(house, 16);
      await house.close();
      const after = await Promise.all(MONTHS.map((month) => node.changesOf(month)));
      expect(after.filter((changes, at) => changes === before[at])).toHaveLength(taken);
    }
    // Who leads sees that one is not there, and shares it again.
    house = await node.open();
    expect(await house.archive.shareMonths(AT_ONCE)).toHaveLength(1);
    await house.close();
  });

  it('are withdrawn when a message in them is destroyed, and shared again without it', async () => {
    const node = await makeNode('destroyed');
    let house = await node.open();
    const ids = await fill(house);
    const [id] = await keep(house, [created('secret7', MONTHS[1], 'heron zebracanary')]);
    await house.archive.shareMonths(AT_ONCE);
    expect((await node.pagesOf(MONTHS[1])).includes('bracana')).toBe(true);
    const old = await node.settings();
    await cp(node.shared, `${node.shared}.old`, { recursive: true });
    expect(ids.size).toBe(16);
    await house.archive.destroyMessage(PERSON, id as MessageId, 'card-security-code');
    expect(await objectsOf(node)).toHaveLength(2);
    const names = (await node.settings()).map(({ name }) => name);
    expect(names).toContain(`beside/fence/${MONTHS[1]}`);
    expect(names).not.toContain(`beside/month/${MONTHS[1]}`);
    expect(await house.archive.shareMonths(AT_ONCE)).toEqual([MONTHS[1]]);
    await house.close();

    const expectGone = async (): Promise<void> => {
      await node.loseIndex();
      house = await node.open();
      await expectWhole(house, 16);
      expect(await count(house, 'zebracanary')).toBe(0);
      await house.close();
      const pages = await node.pagesOf(MONTHS[1]);
      expect([pages.includes('ero'), pages.includes('bracana')]).toEqual([true, false]);
    };
    await expectGone();
    // Somebody who has the bucket puts the old copies back: nothing names them.
    await cp(`${node.shared}.old`, node.shared, { recursive: true });
    await expectGone();
    // And who has the database as well, what named them: the month is taken, and the message taken out of it.
    await node.putSettings(old);
    await expectGone();
  });

  it('are not taken with a message whose destruction is under way, wherever it was cut off', async () => {
    const node = await makeNode('under-way');
    let house = await node.open();
    await fill(house);
    const [id] = await keep(house, [created('secret7', MONTHS[1], 'heron zebracanary')]);
    await house.archive.shareMonths(AT_ONCE);
    const { threads } = house.archive;
    const noted = threads.noteDestruction.bind(threads);
    // The power goes when the destruction stands in the log, and the key is still there.
    vi.spyOn(threads, 'noteDestruction').mockImplementation(async (entry) => {
      if (entry.seq !== undefined) throw new Error('cut off');
      await noted(entry);
    });
    await expect(house.archive.destroyMessage(PERSON, id as MessageId, 'card-security-code')).rejects.toThrow(
      'cut off',
    );
    await house.close();
    expect(await objectsOf(node)).toHaveLength(3);

    await node.loseIndex();
    house = await node.open();
    await house.archive.reachIndex();
    expect(await house.archive.finishDestructions()).toBe(1);
    await expectWhole(house, 16);
    await house.close();
    expect((await node.pagesOf(MONTHS[1])).includes('bracana')).toBe(false);
    expect(await objectsOf(node)).toHaveLength(2);
  });

  it('are not shared where a message is destroyed while they are sent', async () => {
    const node = await makeNode('raced');
    const house = await node.open();
    await fill(house);
    const [id] = await keep(house, [created('secret7', MONTHS[1], 'heron zebracanary')]);
    const { follow } = house.archive.threads;
    const call = follow.call.bind(follow) as (...args: unknown[]) => Promise<unknown>;
    vi.spyOn(follow, 'call').mockImplementation((async (...args: unknown[]) => {
      const result = await call(...args);
      const month = args[0] === 'shareMonth' ? (args[1] as { month: string }).month : '';
      if (month === MONTHS[1]) await house.archive.destroyMessage(PERSON, id as MessageId, 'card-security-code');
      return result;
    }) as typeof follow.call);
    expect(await house.archive.shareMonths(AT_ONCE)).toEqual([MONTHS[0], MONTHS[2]]);
    vi.restoreAllMocks();
    expect(await objectsOf(node)).toHaveLength(2);
    expect(await house.archive.shareMonths(AT_ONCE)).toEqual([MONTHS[1]]);
    await house.close();
    expect(existsSync(`${house.archive.layout.index}.sharing/${MONTHS[1]}.db`)).toBe(false);
  });
});
