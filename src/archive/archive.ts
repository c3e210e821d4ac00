/**
 * The one door to an archive. Every face and every job goes through it: ask → allowed? → do → audit record.
 *
 * Owns: what may be done and that it is on record. Never: speaks HTTP, reads a platform's format, knows a file format.
 * Invariants: content leaves only after the audit record that says so is durable; nothing is acknowledged before it is; what the door does
 * not offer cannot be done.
 */
import { stat } from 'node:fs/promises';

import type { ArchiveParts } from './archive-parts.ts';
import type { ApiKey, Scope } from '../access/api-keys.ts';
import { findBlobReport } from './blob-care.ts';
import type { BlobReport } from './blob-care.ts';
import { formatProofFile } from '../ledger/proof-file.ts';
import { CartularyError } from '../model/errors.ts';
import type { AuditAct, MessageKey } from '../model/event.ts';
import { formatId, idBytes } from '../model/ids.ts';
import type { ApiKeyId, ConversationId, MessageId, SourceId } from '../model/ids.ts';
import type { EpochRotation } from '../store/engine.ts';
import type { SettingChange } from '../store/store.ts';
import { writeBackup } from './backup.ts';
import type { BackupReport } from './backup.ts';
import { assertAllowed, callerActor } from './caller.ts';
import { caring } from './care.ts';
import type { Care, KnownBackup } from './care.ts';
import type { Caller } from './caller.ts';
import { describeVerification, runVerification, UnrecordedError, verifyOnRecord } from './verification.ts';
import { noteUnfinished } from './unfinished-files.ts';
import { destroyMessage, finishDestructions } from './destroy.ts';
import { destructionListPath } from './destruction-list.ts';
import { beginEpoch, endEpochs, findEpochStep } from './epoch-care.ts';
import { keepMedium } from './keep-medium.ts';
import type { IncomingMedium } from './keep-medium.ts';
import type { DataLayout } from './layout.ts';
import type { MediaOwner } from './media.ts';
import { followOthers, listNodes, sayNode } from './nodes.ts';
import type { KnownNode, NodeSign } from './nodes.ts';
import { jobs } from './jobs.ts';
import type { RecordActor, RecordDraft, RecordOutcome } from './recorder.ts';
import { SYSTEM_ACTOR } from './recorder.ts';
import type { Source } from './registry.ts';
import { relayCare } from './relay-care.ts';
import { sendApart, sendBackup } from './send-backup.ts';
import type { SendRequest, SentBackup } from './send-backup.ts';
import { reachPlaces } from './backup-places.ts';
import type { BackupPlaces } from './backup-places.ts';
import { shareLog } from './share-log.ts';
import { shareMonths } from './share-months.ts';
import { systemDraft } from './system-draft.ts';
import type { IndexComparison } from './threads/compare-index.ts';
import type { MediaPlace } from './threads/read-thread.ts';
import type { VerifyReport } from './threads/verify-thread.ts';
import type { ConversationView, FacetsView, MessageDetail, MessagePage } from './views.ts';
import { watching } from './watching.ts';
import type { Watching } from './watching.ts';

/** Progress of long work. */
export type Progress = { readonly done: number; readonly total: number };

/** An open archive. */
export type Archive = ReturnType<typeof createArchive>;

/** Hits of one page at most. */
export const PAGE_LIMIT_MAX = 200;

/** Puts the door before the parts. */
export function createArchive(parts: ArchiveParts) {
  const watch = watching(parts);
  const audit = createAuditor(parts);
  const others = followOthers(parts);
  /** Ask → allowed? A refusal is on record before it is told. */
  const allow = async (
    caller: Caller,
    scope: Scope,
    action: string,
    detail: AuditAct['detail'] = {},
  ): Promise<void> => {
    try {
      assertAllowed(caller, scope);
    } catch (cause) {
      await audit(callerActor(caller), { action, outcome: 'denied', detail: { ...detail, scope } });
      throw cause;
    }
  };
  /** Ask → allowed? → do → audit record. The result is handed over only when the record stands. */
  const act = async <Result>(
    caller: Caller,
    scope: Scope,
    action: string,
    detail: AuditAct['detail'],
    work: () => Promise<Result>,
    describe: (result: Result) => AuditAct['detail'] = () => ({}),
  ): Promise<Result> => {
    await allow(caller, scope, action, detail);
    let result: Result;
    try {
      result = await work();
    } catch (cause) {
      if (cause instanceof UnrecordedError) throw cause;
      await audit(callerActor(caller), {
        action,
        outcome: 'failed',
        detail: { ...detail, error: cause instanceof CartularyError ? cause.code : 'internal' },
      });
      throw cause;
    }
    await audit(callerActor(caller), { action, outcome: 'allowed', detail: { ...detail, ...describe(result) } });
    return result;
  };

  const care = caring(parts.now, allow, watch);
  return {
    id: parts.id,
    name: parts.name,
    origin: parts.origin,
    vkey: parts.vkey,
    layout: parts.layout,
    registry: parts.registry,
    node: parts.node,
    /** Are the records where they can be away? */
    isRemote: parts.store.engine === 'postgres',
    blobs: parts.blobs,
    threads: parts.threads,
    act,
    allow,
    ...watch,
    ...lookups(parts, act, watch),
    ...changes(parts, { act, allow, audit }),
    ...upkeep(parts, act, watch),
    ...care,
    ...sending(parts, act, { ...watch, ...care }),
    ...capturing(parts),
    ...jobs(parts),

    /** What is known of the bucket in which the media are; undefined where they are in the data directory. */
    findBlobReport: (): Promise<BlobReport | undefined> => findBlobReport(parts),

    /** What only this archive can answer: by it `doctor` knows its own server from another. @returns 32 hexadecimal digits */
    answerChallenge: (text: string): string =>
      Buffer.from(
        parts.identifier.uniqueId({ platform: 'cartulary', account: parts.id, id: 'challenge' }, `challenge ${text}`),
      ).toString('hex'),

    /** Number of records, which is the size of the log. */
    size: (): Promise<number> => parts.reader.size(),

    /** The archive's public key for sealing what must wait outside (ring, spool), and how to open it again. */
    spool: parts.spool,

    async close(): Promise<void> {
      await others.stop();
      await parts.threads.close();
      await parts.writer.close();
      await parts.link.close();
      parts.sealer.destroy();
    },
  };
}

/** What capture, imports and exports need: records and media, which they have verified or put on record themselves. */
function capturing(parts: ArchiveParts) {
  return {
    /** Keeps records. The caller of this is capture, which has verified whose they are. */
    record: (drafts: readonly RecordDraft[]): Promise<RecordOutcome[]> => parts.recorder.record(drafts),

    /** Stores a medium of a message and puts it on record. Errors: `too-large`. */
    keepMedium: (medium: IncomingMedium): Promise<RecordOutcome> => keepMedium(parts, medium),

    /** Notes files outside that are about to be written, so that the next start removes them where this process is killed. */
    noteUnfinished: (files: { part: string; reserved: string }): Promise<() => Promise<void>> =>
      noteUnfinished(parts, files),

    /** Opens a medium for an export that is on record already. */
    openBlob: (owner: MediaOwner, blob: string): AsyncIterable<Uint8Array> => parts.media.open(owner, blob),

    /** Is an event of this natural key kept already? */
    async isKnownEvent(target: MessageKey, dedupe: string): Promise<boolean> {
      return (await parts.reader.findSeqByUnique(parts.identifier.uniqueId(target, dedupe))) !== undefined;
    },

    /** The message's secret, for media that come with an import. */
    async findOwner(messageId: MessageId): Promise<MediaOwner | undefined> {
      const messageNo = await parts.reader.findMessageNo(idBytes(messageId));
      const [row] = messageNo === undefined ? [] : await parts.reader.readMessages([messageNo]);
      return row?.secret === undefined ? undefined : { messageId: row.messageId, secret: row.secret };
    },
  };
}

type Act = <Result>(
  caller: Caller,
  scope: Scope,
  action: string,
  detail: AuditAct['detail'],
  work: () => Promise<Result>,
  describe?: (result: Result) => AuditAct['detail'],
) => Promise<Result>;
type Allow = (caller: Caller, scope: Scope, action: string, detail?: AuditAct['detail']) => Promise<void>;
type Auditor = (actor: RecordActor, act: AuditAct) => Promise<void>;

function createAuditor(parts: ArchiveParts): Auditor {
  return async (actor, act) => {
    const [outcome] = await parts.recorder.record([systemDraft(parts, actor, { kind: 'audit', act })]);
    if (outcome?.status !== 'stored')
      throw new CartularyError('internal', 'the audit record could not be kept, so nothing was handed out');
  };
}

function lookups(parts: ArchiveParts, act: Act, watch: Watching) {
  const { read } = parts.threads;
  const reachIndex = async (): Promise<number> => parts.threads.follow.call('reach', await parts.reader.size());
  return {
    /** Searches. `limit` 1 to 200. Errors: `bad-query` with a column, `forbidden`. */
    search: (
      caller: Caller,
      request: { q: string; limit: number; cursor?: string | undefined },
    ): Promise<MessagePage> =>
      act(
        caller,
        'messages:read',
        'search',
        { query: request.q.slice(0, 4096) },
        () =>
          read.call('search', {
            q: request.q,
            limit: Math.min(Math.max(request.limit, 1), PAGE_LIMIT_MAX),
            cursor: request.cursor,
          }),
        (page) => ({ total: page.total, returned: page.items.length }),
      ),

    facets: (caller: Caller, q: string): Promise<FacetsView> =>
      act(caller, 'messages:read', 'facets', { query: q.slice(0, 4096) }, () => read.call('facets', { q })),

    /** Opens a message, now or as it was known at a time (ms since 1970). Errors: `not-found`, `key-destroyed`. */
    openMessage: (caller: Caller, id: MessageId, atMs?: number): Promise<MessageDetail> =>
      act(caller, 'messages:read', 'open', { message: id }, async () =>
        getFound(await read.call('message', { id, atMs }), 'message'),
      ),

    openConversation: (
      caller: Caller,
      id: ConversationId,
      request: { limit: number; cursor?: string | undefined },
    ): Promise<ConversationView> =>
      act(caller, 'messages:read', 'open-conversation', { conversation: id }, async () =>
        getFound(
          await read.call('conversation', {
            id,
            limit: Math.min(request.limit, PAGE_LIMIT_MAX),
            cursor: request.cursor,
          }),
          'conversation',
        ),
      ),

    /** Opens a medium: what it is, and its bytes, each chunk checked before it is given out. */
    openMedia: (
      caller: Caller,
      id: MessageId,
      part: number,
    ): Promise<{ place: MediaPlace; bytes: AsyncIterable<Uint8Array> }> =>
      act(caller, 'messages:read', 'open-media', { message: id, part }, async () => {
        const place = getFound(await read.call('media', { id, part }), 'medium');
        return { place, bytes: parts.media.open({ messageId: place.messageId, secret: place.secret }, place.blob) };
      }),

    /** Inclusion proofs of all records of a message, as `.tlog-proof` files over one checkpoint. */
    prove: (
      caller: Caller,
      id: MessageId,
    ): Promise<{ checkpoint: string; proofs: { leafIndex: number; file: string }[] }> =>
      act(caller, 'log:read', 'prove', { message: id }, async () => {
        const leaves = await read.call('leaves', id);
        if (leaves.length === 0) throw new CartularyError('not-found', 'there is no such message');
        const { checkpoint, proofs } = await parts.threads.log.call('prove', { indices: leaves });
        const files = proofs.map(({ index, hashes }) => ({
          leafIndex: index,
          file: formatProofFile({ index, proof: hashes, checkpoint }),
        }));
        return { checkpoint, proofs: files };
      }),

    /** Checks the whole archive against itself, its log, and what the signer remembers. */
    async verify(
      caller: Caller,
      request: { vkey?: string; earlier?: readonly string[] },
      context: { signal?: AbortSignal; onProgress?: (progress: Progress) => void } = {},
    ): Promise<VerifyReport> {
      const report = await verifyOnRecord(
        (work) => act(caller, 'log:read', 'verify', {}, work, describeVerification),
        () => runVerification(parts, request, context),
      );
      await watch.noteVerification(report);
      return report;
    },

    /** The signed head of the log, brought up to date. */
    publish: (): Promise<string> => parts.threads.log.call('publish', undefined),

    /** A public file of the log by its path; undefined where it has none such. */
    async findLogFile(path: string): Promise<Uint8Array | undefined> {
      const found = await parts.tiles.findPublic(path);
      if (found !== undefined || parts.node === undefined) return found;
      // Another node may have signed further than the files of this one reach.
      await parts.threads.log.call('publish', undefined);
      return parts.tiles.findPublic(path);
    },

    /** Waits until what is durable now can be found. */
    reachIndex,

    /** Completeness of the index as it is now, by comparing sets. */
    compareIndex: async (): Promise<IndexComparison> => read.call('compare', { followed: await reachIndex() }),
  };
}

function upkeep(parts: ArchiveParts, act: Act, watch: Watching) {
  const describe = ({ epoch, rewrapped, destroyed }: EpochRotation): AuditAct['detail'] => ({
    epoch,
    rewrapped,
    destroyed,
  });
  /**
   * Begins a new epoch, where the records are in PostgreSQL: what was erased is in no older copy of the database any more.
   * @param keepsFormer not before a day has passed
   */
  const rotateEpoch = (caller: Caller, keepsFormer: boolean): Promise<EpochRotation> =>
    act(caller, 'operate', 'rotate-epoch', {}, () => beginEpoch(parts.store, parts.now(), keepsFormer), describe);
  return {
    /** Builds again from the records what is derived of them: the files of the log, the search index, the states of messages. */
    rebuild: (
      caller: Caller,
      onProgress?: (progress: Progress) => void,
    ): Promise<{ records: number; leaves: number }> =>
      act(caller, 'operate', 'rebuild', {}, async () => {
        const index = await parts.threads.follow.call(
          'rebuild',
          undefined,
          onProgress === undefined ? {} : { onProgress: (value) => onProgress(value as Progress) },
        );
        // Last, since it is refused where the records are not those that were signed.
        const { size } = await parts.threads.log.call('rebuild', undefined);
        return { ...index, leaves: size };
      }),

    /** Writes a backup into a new directory under `into`, while capture goes on. */
    backup: (
      caller: Caller,
      into: string,
      data: DataLayout,
      onProgress: (done: number, total: number) => void,
    ): Promise<BackupReport> =>
      act(
        caller,
        'operate',
        'backup',
        {},
        async () => {
          const report = await writeBackup(data, parts, {
            into,
            nowMs: parts.now(),
            publish: () => parts.threads.log.call('publish', undefined),
            onProgress,
          });
          await watch.noteBackup();
          return report;
        },
        (report) => ({ records: report.records, bytes: report.bytes }),
      ),

    rotateEpoch,

    /** Does with the epochs what it is time for. */
    async careForEpochs(caller: Caller): Promise<void> {
      const step = await findEpochStep(parts.store, parts.now());
      if (step === 'begin') await rotateEpoch(caller, true);
      if (step === 'end') await act(caller, 'operate', 'end-epochs', {}, () => endEpochs(parts.store), describe);
    },

    /** Finishes destructions that a crash cut off. @returns how many there were */
    finishDestructions: (): Promise<number> => parts.link.alone('destroy', () => finishDestructions(parts)),

    /** Is this the node that does what only one may do? */
    leads: (): Promise<boolean> => parts.link.leads(),

    /** Puts months of the index that are over where other nodes find them, those that were left alone for `quietMs`. Only for the node that leads. */
    shareMonths: (options: Parameters<typeof shareMonths>[1]) => shareMonths(parts, options),
    /** Puts full tiles of the log into the bucket. Only for the node that leads. @returns up to which size of the log; undefined without a bucket */
    shareLog: (signal?: AbortSignal): Promise<number | undefined> => shareLog(parts, signal),

    /** Says to the other nodes that this one is there. */
    sayNode: (sign: NodeSign): Promise<void> => sayNode(parts, sign),

    /** Nodes that were heard of lately; none where the archive has but one. */
    listNodes: (): Promise<KnownNode[]> => listNodes(parts),
  };
}

/** Backups that are made by themselves. */
function sending(
  parts: ArchiveParts,
  act: Act,
  known: Pick<Watching, 'noteBackup'> & {
    readonly findCare: () => Promise<Care>;
    readonly noteKnownBackup: (backup: KnownBackup) => Promise<void>;
  },
) {
  return {
    /** Makes a backup, sends its parts to their places, tries it, removes old ones. It is on record whether it can be restored. */
    backupTo: (caller: Caller, request: Omit<SendRequest, 'sound'>): Promise<SentBackup> =>
      act(
        caller,
        'operate',
        'backup',
        { sent: true },
        async () => {
          const { backups } = await known.findCare();
          const sound = new Set(backups.filter(({ ok }) => ok).map(({ time }) => time));
          const { check, removed, ...backup } = await sendBackup(parts, { ...request, sound });
          if (backup.ok) await known.noteBackup();
          await known.noteKnownBackup(backup);
          return { ...backup, check, removed };
        },
        ({ check, atMs: _atMs, ...figures }) => ({ ...figures, size: check.size, root: check.root }),
      ),

    /** Sends the newest signed head and the list of destructions to where backups find them. @param work a directory that may be written to */
    sendHead: async (places: BackupPlaces, work: string): Promise<number> =>
      sendApart(parts, await reachPlaces(places), work),

    /** What changes when a message is destroyed: size of the list of destructions, bytes. */
    destructionBytes: async (): Promise<number> => (await stat(destructionListPath(parts.layout))).size,
  };
}

function changes(parts: ArchiveParts, { act, allow, audit }: { act: Act; allow: Allow; audit: Auditor }) {
  const { registry, link } = parts;
  const commitSetting = async (
    caller: Caller,
    name: string,
    value: Record<string, unknown>,
    change: SettingChange,
  ): Promise<void> => {
    const draft = systemDraft(
      parts,
      callerActor(caller),
      { kind: 'settings.changed', name, value },
      { settings: [change, registry.noteChange()] },
    );
    const [outcome] = await parts.recorder.record([draft]);
    if (outcome?.status !== 'stored') throw new CartularyError('internal', 'the setting could not be kept');
  };
  return {
    /** Adds a source or changes one. Secrets are sealed; the log says that, not what. */
    async putSource(caller: Caller, source: Source): Promise<void> {
      await allow(caller, 'settings:write', 'change-source');
      const { secrets, settings, ...shown } = source;
      const value = { ...shown, secrets: secrets.length, settings: Object.keys(settings) };
      await commitSetting(caller, `source/${source.id}`, value, registry.changeSource(source));
      registry.adopt({ source });
    },

    /** Adds or revokes an API key. */
    async putKey(caller: Caller, key: ApiKey): Promise<void> {
      await allow(caller, 'settings:write', 'change-key');
      const { hash: _hash, ...value } = key;
      await commitSetting(caller, `key/${key.id}`, value, registry.changeKey(key));
      registry.adopt({ key });
    },

    ...relayCare(registry, allow, commitSetting),
    newSourceId: (): SourceId => formatId('source', parts.random.take(16)),
    randomBytes: (bytes: number): Uint8Array => parts.random.take(bytes),
    findKey: (id: ApiKeyId): ApiKey | undefined => registry.findKey(id),

    /**
     * Destroys a message because content was found in it that must not be kept (card security codes). A hold refuses it.
     * @param reason a code, which stands in the log
     */
    destroyMessage: (caller: Caller, id: MessageId, reason: string): Promise<void> =>
      act(caller, 'operate', 'destroy', { message: id, reason }, () =>
        link.alone('destroy', () => destroyMessage(parts, callerActor(caller), id, reason)),
      ),

    /** The same, where guard found it later by itself; the destruction's own record says so. */
    destroyFound: (id: MessageId, reason: string): Promise<void> =>
      link.alone('destroy', () => destroyMessage(parts, SYSTEM_ACTOR, id, reason)),

    /** Puts an act of another module on record (imports, exports, backups). */
    audit: (caller: Caller, entry: AuditAct): Promise<void> => audit(callerActor(caller), entry),
  };
}

function getFound<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new CartularyError('not-found', `there is no such ${what}`);
  return value;
}
