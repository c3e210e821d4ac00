/**
 * The contract of store.ts as a suite that every engine must pass.
 */
import { createHash, randomBytes } from 'node:crypto';

import { afterEach, describe, expect, it } from 'vitest';

import { decodeLeaf, encodeLeaf, LEAF_KINDS } from '../../ledger/leaf.ts';
import type { AppendEntry, StoreReader, StoreWriter } from '../store.ts';

/** An engine under test: opens a fresh archive, or the same one again. */
export type EngineUnderTest = {
  readonly name: string;
  open(place: string): Promise<{ writer: StoreWriter; reader: StoreReader }>;
  newPlace(): Promise<string>;
};

const bytes = (text: string, length: number): Buffer => createHash('sha512').update(text).digest().subarray(0, length);

/** A made-up entry; equal names give equal ids. */
export function makeEntry(message: string, options: Partial<AppendEntry> & { event?: string } = {}): AppendEntry {
  const sealed = options.sealed ?? randomBytes(80);
  return {
    messageId: bytes(`message ${message}`, 16),
    secret: bytes(`secret ${message}`, 32),
    unique: options.event === undefined ? 'message' : bytes(`event ${options.event}`, 16),
    sealed,
    leaf: encodeLeaf({
      version: 1,
      kind: LEAF_KINDS['message.created'],
      archiveId: bytes('archive', 16),
      recordId: randomBytes(16),
      previous: new Uint8Array(16),
      commitment: randomBytes(32),
      ciphertextHash: createHash('sha256').update(sealed).digest(),
      timeMs: 1_700_000_000_000,
      actor: new Uint8Array(16),
    }),
    ...options,
  };
}

/** Runs the suite on an engine. */
export function describeStore(engine: EngineUnderTest): void {
  describe(`store on ${engine.name}`, () => {
    const opened: { writer: StoreWriter; reader: StoreReader }[] = [];
    const open = async (place?: string) => {
      const store = await engine.open(place ?? (await engine.newPlace()));
      opened.push(store);
      return store;
    };
    afterEach(async () => {
      for (const store of opened.splice(0)) {
        await store.reader.close();
        await store.writer.close();
      }
    });

    it('numbers records without holes and gives back their bytes', async () => {
      const { writer, reader } = await open();
      const entries = ['a', 'b', 'c'].map((name) => makeEntry(name));
      const results = await writer.append(entries);
      expect(results.map((result) => result.status === 'stored' && result.seq)).toEqual([0, 1, 2]);
      expect(await reader.size()).toBe(3);
      const rows = await reader.readLog(0, 10);
      expect(rows.map((row) => Buffer.from(row.sealed ?? []))).toEqual(
        entries.map((entry) => Buffer.from(entry.sealed)),
      );
      expect(rows.map((row) => Buffer.from(row.secret ?? []))).toEqual(
        entries.map((entry) => Buffer.from(entry.secret)),
      );
      expect(await reader.readLeaves(1, 1)).toEqual([Buffer.from(entries[1]?.leaf ?? [])]);
    });

    it('says how the records of a message lead to each other', async () => {
      const { writer, reader } = await open();
      await writer.append([makeEntry('a'), makeEntry('b'), makeEntry('a', { event: 'read' })]);
      expect((await reader.readLog(0, 10)).map(({ previousSeq }) => previousSeq)).toEqual([undefined, undefined, 0]);
      expect(await reader.isSound()).toBe(true);
      const heads = await reader.listLastSeqs(0, 10);
      expect(heads.map(({ lastSeq }) => lastSeq)).toEqual([2, 1]);
      expect(await reader.listLastSeqs((heads[0]?.messageNo ?? 0) + 1, 10)).toEqual(heads.slice(1));
    });

    it('keeps the content of a message once, and says where', async () => {
      const { writer, reader } = await open();
      const [first] = await writer.append([makeEntry('a')]);
      const [again, other] = await writer.append([makeEntry('a'), makeEntry('b')]);
      expect(first).toMatchObject({ status: 'stored', seq: 0 });
      expect(again).toMatchObject({ status: 'duplicate', seq: 0 });
      expect(other).toMatchObject({ status: 'stored', seq: 1 });
      expect(await reader.size()).toBe(2);
    });

    it('keeps an event once, also within one batch', async () => {
      const { writer } = await open();
      const results = await writer.append([
        makeEntry('a', { event: 'x' }),
        makeEntry('a', { event: 'x' }),
        makeEntry('a', { event: 'y' }),
      ]);
      expect(results.map((result) => result.status)).toEqual(['stored', 'duplicate', 'stored']);
    });

    it('takes content after a report came first, and chains the records of a message', async () => {
      const { writer, reader } = await open();
      const status = makeEntry('a', { event: 'delivered' });
      const content = makeEntry('a');
      expect((await writer.append([status, makeEntry('z'), content])).map((result) => result.status)).toEqual([
        'stored',
        'stored',
        'stored',
      ]);
      const no = await reader.findMessageNo(content.messageId);
      const [message] = await reader.readMessages([no ?? -1]);
      expect(message?.records.map((record) => record.seq)).toEqual([0, 2]);
      const [firstLeaf, secondLeaf] = (message?.records ?? []).map((record) => decodeLeaf(record.leaf));
      expect([...(firstLeaf?.previous ?? [1])]).toEqual([...new Uint8Array(16)]);
      expect(Buffer.from(secondLeaf?.previous ?? [])).toEqual(Buffer.from(firstLeaf?.recordId ?? []));
      expect((await writer.append([makeEntry('a')]))[0]).toMatchObject({ status: 'duplicate', seq: 2 });
    });

    it('answers with the secret of a message that was sealed under another', async () => {
      const { writer, reader } = await open();
      await writer.append([makeEntry('a')]);
      const [result] = await writer.append([makeEntry('a', { event: 'read', secret: randomBytes(32) })]);
      expect(result?.status).toBe('rekey');
      expect(Buffer.from(result?.status === 'rekey' ? result.secret : [])).toEqual(bytes('secret a', 32));
      expect(await reader.size()).toBe(1);
    });

    it('refuses a bad entry alone', async () => {
      const { writer, reader } = await open();
      const bad = makeEntry('bad', { jobs: [{ kind: 'media', dueAtMs: Number.NaN, payload: new Uint8Array() }] });
      const results = await writer.append([makeEntry('a'), bad, makeEntry('b')]);
      expect(results.map((result) => result.status)).toEqual(['stored', 'failed', 'stored']);
      expect(await reader.size()).toBe(2);
      expect(await reader.findMessageNo(bad.messageId)).toBeUndefined();
    });

    it('survives being closed and opened again', async () => {
      const place = await engine.newPlace();
      const first = await open(place);
      await first.writer.append([makeEntry('a'), makeEntry('b')]);
      opened.splice(0);
      await first.reader.close();
      await first.writer.close();
      const second = await open(place);
      expect(await second.reader.size()).toBe(2);
      expect((await second.writer.append([makeEntry('b'), makeEntry('c')])).map((result) => result.status)).toEqual([
        'duplicate',
        'stored',
      ]);
    });

    it('collapses the same content sent a hundred times at once', async () => {
      const { writer, reader } = await open();
      const results = await Promise.all(Array.from({ length: 100 }, () => writer.append([makeEntry('a')])));
      expect(results.flat().filter((result) => result.status === 'stored')).toHaveLength(1);
      expect(results.flat().filter((result) => result.status === 'duplicate')).toHaveLength(99);
      expect(await reader.size()).toBe(1);
    });

    it('gives out jobs by time to loss, leases them, and brings back what was not finished', async () => {
      const { writer } = await open();
      const job = (lossAtMs?: number) => ({
        kind: 'media',
        dueAtMs: 100,
        payload: Buffer.from('p'),
        ...(lossAtMs === undefined ? {} : { lossAtMs }),
      });
      await writer.append([
        makeEntry('a', { jobs: [job()] }),
        makeEntry('b', { jobs: [job(9000)] }),
        makeEntry('c', { jobs: [job(500)] }),
      ]);
      expect(await writer.claimJobs(['media'], 10, 99, 1000)).toEqual([]);
      const claimed = await writer.claimJobs(['media'], 10, 200, 1000);
      expect(claimed.map((row) => row.lossAtMs)).toEqual([500, 9000, undefined]);
      expect(await writer.claimJobs(['media'], 10, 300, 1000)).toEqual([]);
      await writer.finishJob(claimed[0]?.id ?? -1);
      await writer.retryJob(claimed[1]?.id ?? -1, 5000);
      const later = await writer.claimJobs(['media'], 10, 1300, 1000);
      expect(later.map((row) => [row.id, row.attempts])).toEqual([[claimed[2]?.id, 2]]);
      expect((await writer.claimJobs(['media'], 10, 6000, 1000)).map((row) => row.id)).toContain(claimed[1]?.id);
    });

    it('asks for missing content once, and not at all where it is known', async () => {
      const { writer, reader } = await open();
      const ask = { kind: 'content', dueAtMs: 1, payload: new Uint8Array(), onlyWithoutContent: true };
      await writer.append([
        makeEntry('a', { event: 'sent', jobs: [ask] }),
        makeEntry('a', { event: 'delivered', jobs: [ask] }),
        makeEntry('b'),
        makeEntry('b', { event: 'b delivered', jobs: [ask] }),
      ]);
      expect(await reader.countJobs()).toEqual([{ kind: 'content', waiting: 1, oldestDueAtMs: 1 }]);
    });

    it('writes settings in the transaction of their record, and lists them by prefix', async () => {
      const { writer, reader } = await open();
      await writer.append([makeEntry('a', { settings: [{ name: 'source/1', value: Buffer.from('one') }] })]);
      await writer.putSettings([
        { name: 'source/2', value: Buffer.from('two') },
        { name: 'sourcf', value: Buffer.from('no') },
      ]);
      expect((await reader.listSettings('source/')).map(({ name }) => name)).toEqual(['source/1', 'source/2']);
      await writer.append([makeEntry('b', { settings: [{ name: 'source/1', value: undefined }] })]);
      expect(await reader.readSetting('source/1')).toBeUndefined();
      expect(Buffer.from((await reader.readSetting('source/2')) ?? [])).toEqual(Buffer.from('two'));
    });

    it('never replaces a state by an older one', async () => {
      const { writer, reader } = await open();
      await writer.append([makeEntry('a'), makeEntry('a', { event: 'x' })]);
      await writer.putStates([{ messageNo: 1, version: 1, sealed: Buffer.from('new') }]);
      await writer.putStates([{ messageNo: 1, version: 0, sealed: Buffer.from('old') }]);
      const [message] = await reader.readMessages([1], { stateOnly: true });
      expect(Buffer.from(message?.state?.sealed ?? []).toString()).toBe('new');
      expect(message?.records).toEqual([]);
    });

    describe('keys', () => {
      it('are destroyed only when closed, and take state and jobs with them', async () => {
        const { writer, reader } = await open();
        const entry = makeEntry('a', { jobs: [{ kind: 'media', dueAtMs: 1, payload: new Uint8Array() }] });
        await writer.append([entry]);
        await expect(writer.destroyKey(entry.messageId)).rejects.toMatchObject({ code: 'conflict' });
        await writer.closeKey(entry.messageId);
        expect((await writer.append([makeEntry('a', { event: 'late' })]))[0]?.status).toBe('closed');
        await writer.destroyKey(entry.messageId);
        const [row] = await reader.readLog(0, 1);
        expect(row?.secret).toBeUndefined();
        expect(await reader.countJobs()).toEqual([]);
        expect(await reader.listMessageNos(0, 10)).toEqual([]);
        expect(
          (await writer.append([makeEntry('a'), makeEntry('a', { event: 'later' })])).map((result) => result.status),
        ).toEqual(['duplicate', 'closed']);
        await expect(writer.closeKey(entry.messageId)).rejects.toMatchObject({ code: 'key-destroyed' });
      });

      it('that a hold pins are neither closed nor destroyed until the last pin is gone', async () => {
        const { writer, reader } = await open();
        const { messageId } = makeEntry('a');
        await writer.append([makeEntry('a')]);
        await writer.pinKey(messageId, 'hold-1');
        await writer.pinKey(messageId, 'hold-2');
        await expect(writer.closeKey(messageId)).rejects.toMatchObject({ code: 'key-pinned' });
        await writer.unpinKey(messageId, 'hold-1');
        await expect(writer.closeKey(messageId)).rejects.toMatchObject({ code: 'key-pinned' });
        await writer.unpinKey(messageId, 'hold-2');
        await writer.closeKey(messageId);
        await writer.pinKey(messageId, 'hold-3');
        await expect(writer.destroyKey(messageId)).rejects.toMatchObject({ code: 'key-pinned' });
        expect((await reader.readLog(0, 1))[0]?.secret).toBeDefined();
      });

      it('race: destruction and a late report end with the report refused or kept, never with a hole', async () => {
        const { writer, reader } = await open();
        for (let round = 0; round < 20; round += 1) {
          const name = `race ${round}`;
          await writer.append([makeEntry(name)]);
          const { messageId } = makeEntry(name);
          await Promise.all([
            writer.closeKey(messageId).then(() => writer.destroyKey(messageId)),
            writer.append([makeEntry(name, { event: `${name} late` })]),
          ]);
        }
        const rows = await reader.readLog(0, 1000);
        expect(rows.map((row) => row.seq)).toEqual(rows.map((_row, index) => index));
        expect(rows.every((row) => row.secret === undefined)).toBe(true);
      });
    });
  });
}
