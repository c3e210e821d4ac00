/**
 * What is known of who cares for an archive and how well that is provided for: owners, the split kit, who owns the token of each source, restore drills, backups and what became of
 * them. Kept sealed, each change on record. Never: a secret, a message's text, or an address of a customer.
 */
import { z } from 'zod';

import { CartularyError } from '../model/errors.ts';
import type { AuditAct } from '../model/event.ts';
import type { SourceId } from '../model/ids.ts';
import { callerActor } from './caller.ts';
import type { Caller } from './caller.ts';
import type { SplitKit } from './key-care.ts';
import type { Watching, WatchSetting } from './watching.ts';

const text = z.string().min(1).max(200);
const kitSchema = z.strictObject({
  rootId: z.string(),
  shares: z.number(),
  threshold: z.number(),
  holders: z.array(text).max(16),
  atMs: z.number(),
});
const ownSchema = z.strictObject({
  /** People who answer for the archive, with how they are reached. */
  owners: z.array(text).max(20),
  /** Where kits and keys are kept, in the words of those who keep them. */
  keptAt: z.string().max(2000).exactOptional(),
});
const sourceSchema = z.strictObject({
  /** Who owns the account and its token. */
  owner: text.exactOptional(),
  /** Day on which the token stops working, YYYY-MM-DD. */
  expires: z.iso.date().exactOptional(),
});
const drillSchema = z.strictObject({
  atMs: z.number(),
  ok: z.boolean(),
  /** When the backup was made. */
  backupMs: z.number(),
  /** Time of the newest message in it; undefined where it holds none. */
  newestMs: z.number().exactOptional(),
  records: z.number(),
  messages: z.number(),
  media: z.number(),
  size: z.number(),
  root: z.string(),
  fetchMs: z.number(),
  checkMs: z.number(),
  searchMs: z.number(),
  exportMs: z.number(),
  totalMs: z.number(),
  faults: z.array(z.string()).max(100),
});
const backupSchema = z.strictObject({
  /** As in its name. */
  time: z.string(),
  atMs: z.number(),
  records: z.number(),
  bytes: z.number(),
  ms: z.number(),
  checkMs: z.number(),
  /** Can it be restored? Found out right after it was made. */
  ok: z.boolean(),
  faults: z.array(z.string()).max(20),
});
const failureSchema = z.strictObject({ sinceMs: z.number(), atMs: z.number(), times: z.number(), cause: z.string() });

/** A restore drill and its figures; times in ms. */
export type Drill = z.infer<typeof drillSchema>;
/** The shape of a drill, for whoever puts one on record. */
export const drillShape = drillSchema;
/** A backup that was made by itself. */
export type KnownBackup = z.infer<typeof backupSchema>;
/** Backups that fail. */
export type BackupFailure = z.infer<typeof failureSchema>;
/** Who owns the token of a source, and until when it works. */
export type SourceCare = z.infer<typeof sourceSchema>;

/** All that is known. */
export type Care = {
  readonly owners: readonly string[];
  readonly keptAt?: string;
  readonly kit?: z.infer<typeof kitSchema>;
  readonly sources: ReadonlyMap<string, SourceCare>;
  /** Newest first. */
  readonly drills: readonly Drill[];
  /** Newest first. */
  readonly backups: readonly KnownBackup[];
  readonly failure?: BackupFailure;
};

/** A change of what people say. */
export type CareChange = { readonly owners?: readonly string[]; readonly keptAt?: string };

const PREFIX = 'care/';
const SOURCE = `${PREFIX}source/`;
const DRILLS_MAX = 20;
const BACKUPS_MAX = 200;

type Allow = (caller: Caller, scope: 'settings:write' | 'operate', action: string) => Promise<void>;

/** What the door offers of it. */
export function caring(now: () => number, allow: Allow, watch: Watching) {
  const findCare = async (): Promise<Care> => readCare(await watch.listWatchSettings(PREFIX));
  const desk: Desk = {
    now,
    allow,
    watch,
    findCare,
    record: (caller, act, changes) =>
      watch.recordWatch([{ actor: callerActor(caller), body: { kind: 'audit', act } }], changes),
  };
  return { findCare, ...said(desk), ...found(desk) };
}

type Desk = {
  readonly now: () => number;
  readonly allow: Allow;
  readonly watch: Watching;
  readonly findCare: () => Promise<Care>;
  readonly record: (caller: Caller, act: AuditAct, changes: readonly WatchSetting[]) => Promise<void>;
};

/** One that is damaged counts as not given: it is asked for again, and keeps nothing from starting. */
function readCare(settings: readonly { readonly name: string; readonly value: unknown }[]): Care {
  const known = new Map(settings.map(({ name, value }) => [name, value]));
  const get = <Value>(name: string, schema: z.ZodType<Value>): Value | undefined => {
    const parsed = schema.safeParse(known.get(name));
    return parsed.success ? parsed.data : undefined;
  };
  const own = get(`${PREFIX}own`, ownSchema);
  const kit = get(`${PREFIX}kit`, kitSchema);
  const failure = get(`${PREFIX}failure`, failureSchema);
  const sources = [...known.keys()]
    .filter((name) => name.startsWith(SOURCE))
    .flatMap((name): [string, SourceCare][] => {
      const care = get(name, sourceSchema);
      return care === undefined ? [] : [[name.slice(SOURCE.length), care]];
    });
  return {
    owners: own?.owners ?? [],
    ...(own?.keptAt === undefined ? {} : { keptAt: own.keptAt }),
    ...(kit === undefined ? {} : { kit }),
    sources: new Map(sources),
    drills: get(`${PREFIX}drills`, z.array(drillSchema)) ?? [],
    backups: get(`${PREFIX}backups`, z.array(backupSchema)) ?? [],
    ...(failure === undefined ? {} : { failure }),
  };
}

/** What people say. */
function said({ allow, findCare, record }: Desk) {
  return {
    /** Says who owns the archive and where kits and keys are. @throws CartularyError `bad-input` */
    async changeCare(caller: Caller, change: CareChange): Promise<void> {
      await allow(caller, 'settings:write', 'change-care');
      const known = await findCare();
      const keptAt = change.keptAt ?? known.keptAt;
      const owners = [...(change.owners ?? known.owners)];
      const value = ownSchema.safeParse({ owners, ...(keptAt === undefined ? {} : { keptAt }) });
      if (!value.success) throw new CartularyError('bad-input', 'there may be 20 owners of 200 characters each');
      await record(caller, { action: 'care-changed', outcome: 'allowed', detail: { owners: owners.length } }, [
        { name: `${PREFIX}own`, value: value.data },
      ]);
    },

    /** Says who owns the token of a source. */
    async changeSourceCare(caller: Caller, id: SourceId, change: SourceCare): Promise<SourceCare> {
      await allow(caller, 'settings:write', 'change-source-owner');
      const value = { ...(await findCare()).sources.get(id), ...change };
      await record(caller, { action: 'source-owner-changed', outcome: 'allowed', detail: { source: id } }, [
        { name: SOURCE + id, value },
      ]);
      return value;
    },
  };
}

/** What was done. */
function found({ now, allow, watch, findCare, record }: Desk) {
  return {
    /** Puts on record that the kit was printed in shares. */
    async noteKit(caller: Caller, kit: SplitKit): Promise<void> {
      await allow(caller, 'operate', 'split-kit');
      const { rootId, shares, threshold } = kit;
      await record(caller, { action: 'kit-split', outcome: 'allowed', detail: { rootId, shares, threshold } }, [
        { name: `${PREFIX}kit`, value: { ...kit, atMs: now() } },
      ]);
    },

    /** Puts a restore drill on record. */
    async noteDrill(caller: Caller, drill: Drill): Promise<void> {
      await allow(caller, 'operate', 'note-drill');
      const { drills } = await findCare();
      const { ok, ...figures } = drill;
      await record(caller, { action: 'restore-drill', outcome: ok ? 'allowed' : 'failed', detail: figures }, [
        { name: `${PREFIX}drills`, value: [drill, ...drills].slice(0, DRILLS_MAX) },
      ]);
    },

    /** Notes a backup that was made and tried; the audit records say the same. */
    async noteKnownBackup(backup: KnownBackup): Promise<void> {
      const { backups } = await findCare();
      await watch.writeWatchSettings([
        { name: `${PREFIX}backups`, value: [backup, ...backups].slice(0, BACKUPS_MAX) },
        ...(backup.ok ? [{ name: `${PREFIX}failure`, value: undefined }] : []),
      ]);
    },

    /** Notes that backups fail. @param cause a code */
    async noteBackupFailure(cause: string): Promise<void> {
      const { failure } = await findCare();
      const atMs = now();
      const value = { sinceMs: failure?.sinceMs ?? atMs, atMs, times: (failure?.times ?? 0) + 1, cause };
      await watch.writeWatchSettings([{ name: `${PREFIX}failure`, value }]);
    },
  };
}
