/**
 * What a watch over the archive needs of it: signs of life that cost little, and settings of its own that are kept sealed, where it must be with a record of the log in the same
 * transaction. Never: content; the leaves that are looked through hold kinds, times and who caused them.
 */
import { decodeLeaf } from '../ledger/leaf.ts';
import { CartularyError } from '../model/errors.ts';
import type { EventBody } from '../model/event.ts';
import { openSetting, sealSetting } from '../vault/secrets.ts';
import type { ArchiveParts } from './archive-parts.ts';
import type { RecordActor } from './recorder.ts';
import { systemDraft } from './system-draft.ts';
import type { VerifyReport } from './threads/verify-thread.ts';

/** A setting of the watch; `value` undefined removes it. */
export type WatchSetting = { readonly name: string; readonly value: unknown };

/** What is put on record with it. */
export type WatchRecord = {
  readonly actor: RecordActor;
  readonly body: Extract<EventBody, { readonly kind: 'audit' | 'settings.changed' }>;
};

/** The last verification, as far as a watch must know it. */
export type LastVerification = { readonly atMs: number; readonly ok: boolean; readonly faults: number };

/** Its settings begin so, whatever they are called. */
const PREFIX = 'watch/';
const ALIVE = 'position/alive';
const BACKUP = 'position/backup';
const VERIFIED = 'position/verified';

/** What the door offers to a watch. */
export function watching(parts: ArchiveParts) {
  const { reader, writer, threads, sealer, random } = parts;
  const box: { verified?: LastVerification } = {};
  const seal = ({ name, value }: WatchSetting) => ({
    name: PREFIX + name,
    value:
      value === undefined ? undefined : sealSetting(sealer, PREFIX + name, Buffer.from(JSON.stringify(value)), random),
  });
  const open = (name: string, sealed: Uint8Array): unknown => {
    try {
      return JSON.parse(Buffer.from(openSetting(sealer, name, sealed)).toString('utf8'));
    } catch {
      return undefined;
    }
  };
  const readText = async (name: string): Promise<string | undefined> => {
    const value = await reader.readSetting(name);
    return value === undefined ? undefined : Buffer.from(value).toString('utf8');
  };
  const writeText = (name: string, value: string): Promise<void> =>
    writer.putSettings([{ name, value: Buffer.from(value, 'utf8') }]);
  return {
    /** Settings of the watch whose names begin so; `value` is undefined where it is damaged. */
    async listWatchSettings(prefix: string): Promise<{ name: string; value: unknown }[]> {
      const rows = await reader.listSettings(PREFIX + prefix);
      return rows.map(({ name, value }) => ({ name: name.slice(PREFIX.length), value: open(name, value) }));
    },

    /** Writes settings of the watch that need no record. */
    writeWatchSettings: (changes: readonly WatchSetting[]): Promise<void> => writer.putSettings(changes.map(seal)),

    /** Puts on record, and with the first of the records the settings that say the same. @throws CartularyError `internal` where one could not be kept */
    async recordWatch(records: readonly WatchRecord[], changes: readonly WatchSetting[]): Promise<void> {
      const drafts = records.map(({ actor, body }, index) =>
        systemDraft(parts, actor, body, index === 0 ? { settings: changes.map(seal) } : {}),
      );
      const outcomes = await parts.recorder.record(drafts);
      if (outcomes.some(({ status }) => status !== 'stored'))
        throw new CartularyError('internal', 'a record of the watch could not be kept');
    },

    /** Commits something, durably, through the one writer: whether anything still can be. */
    async proveWriting(): Promise<void> {
      await writeText(ALIVE, String(parts.now()));
      // The write-ahead log is moved after records only, and an archive that takes in nothing must not grow by its own watch.
      threads.onCommitted(0);
    },

    /** How far the index has followed the log. */
    indexPosition: (): Promise<number> => threads.follow.call('position', undefined),

    /** What a person should hear of, from a place in the log on. */
    scanEvents: (from: number) => threads.read.call('events', { from }),

    /** When the first record came in. */
    async firstRecordMs(): Promise<number | undefined> {
      const [leaf] = await reader.readLeaves(0, 1);
      return leaf === undefined ? undefined : decodeLeaf(leaf).timeMs;
    },

    /** When the last backup was finished. */
    async lastBackupMs(): Promise<number | undefined> {
      const text = await readText(BACKUP);
      return text === undefined ? undefined : Number(text);
    },
    noteBackup: (): Promise<void> => writeText(BACKUP, String(parts.now())),

    async lastVerification(): Promise<LastVerification | undefined> {
      if (box.verified !== undefined) return box.verified;
      const text = await readText(VERIFIED);
      return text === undefined ? undefined : (JSON.parse(text) as LastVerification);
    },
    /** A damaged database takes no note, which must not keep anybody from being told: it is held in memory as well. */
    async noteVerification({ ok, faults }: VerifyReport): Promise<void> {
      box.verified = { atMs: parts.now(), ok, faults: faults.length };
      if (!faults.some(({ code }) => code === 'database-damaged' || code === 'audit-not-kept'))
        await writeText(VERIFIED, JSON.stringify(box.verified)).catch(() => undefined);
    },
  };
}

/** What the door offers to a watch. */
export type Watching = ReturnType<typeof watching>;
