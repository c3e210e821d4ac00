/**
 * An import: a file's rows go the ordinary way, guarded, sealed, logged; bad rows are listed and the good ones kept; running it again keeps nothing twice.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

import type { Archive, Progress } from '../archive/archive.ts';
import { callerActor } from '../archive/caller.ts';
import type { Caller } from '../archive/caller.ts';
import type { RecordDraft } from '../archive/recorder.ts';
import { CartularyError } from '../model/errors.ts';
import type { Envelope } from '../model/envelope.ts';
import type { MessageId } from '../model/ids.ts';
import { receiptInstant } from '../model/time.ts';
import { STANDARD_WEBHOOKS } from './connectors/standard-webhooks.ts';
import { guardEnvelope } from './guard/guard.ts';
import { guardEvent } from './guard-event.ts';
import type { ImportItem, ImportMedium, ImportOptions, Importer } from './imports/importer.ts';
import { makeRawSlice } from './raw-slice.ts';
import { jobsOf } from './receive.ts';
import { guardMedium } from './media/guard-medium.ts';
import { sniffMime } from './media/sniff.ts';
import { hashFile } from '../vault/hash-file.ts';

/** What an import gave. `read` counts rows, good and bad. */
export type ImportReport = {
  read: number;
  sealed: number;
  duplicates: number;
  /** The first of the bad rows; `rejectedTotal` counts all. */
  rejected: { position: number; reason: string }[];
  rejectedTotal: number;
  media: number;
  /** What a person should know that lost nothing. */
  warnings: { position: number; reason: string }[];
};

/** Rows that share a commit, and bad rows that are listed. */
const BATCH_ROWS = 500;
const REJECTED_LISTED_MAX = 10_000;
const MEDIUM_BYTES_MAX = 100 * 1024 * 1024;

type EventItem = Extract<ImportItem, { kind: 'event' }>;
type Run = {
  readonly archive: Archive;
  readonly caller: Caller;
  readonly importer: Importer;
  readonly fileSha256: string;
  readonly nowMs: () => number;
  readonly report: ImportReport;
};

/**
 * Imports a file.
 * @throws CartularyError `file` where it is no file, `forbidden`; what the operating system says of it
 */
export async function importFile(
  archive: Archive,
  caller: Caller,
  request: { readonly importer: Importer; readonly path: string; readonly options: ImportOptions },
  context: {
    readonly now: () => number;
    readonly signal: AbortSignal;
    readonly onProgress: (progress: Progress) => void;
  },
): Promise<ImportReport> {
  const { importer, path, options } = request;
  await archive.allow(caller, 'records:write', 'import', { importer: importer.name });
  const found = await stat(path);
  if (!found.isFile()) throw new CartularyError('file', `${path}: it is no file`);
  const fileSha256 = await hashFile(path);
  const report: ImportReport = {
    read: 0,
    sealed: 0,
    duplicates: 0,
    rejected: [],
    rejectedTotal: 0,
    media: 0,
    warnings: [],
  };
  const run: Run = { archive, caller, importer, fileSha256, nowMs: context.now, report };
  await archive.audit(caller, {
    action: 'import',
    outcome: 'allowed',
    detail: { importer: importer.name, file: fileSha256, bytes: found.size },
  });
  let batch: EventItem[] = [];
  const source = { chunks: createReadStream(path, { highWaterMark: 256 * 1024 }), fileSha256, bytesTotal: found.size };
  for await (const item of importer.read(source, options)) {
    if (context.signal.aborted)
      throw new CartularyError('stopping', 'the import was stopped; run it again, nothing is kept twice');
    if (item.kind === 'progress') context.onProgress({ done: item.bytesRead, total: found.size });
    else if (item.kind === 'rejected') reject(report, item);
    else if (item.kind === 'warning') {
      if (report.warnings.length < REJECTED_LISTED_MAX)
        report.warnings.push({ position: item.position, reason: item.reason });
    } else {
      report.read += 1;
      batch.push(item);
      // Media can be read only before the next row is asked for.
      if (batch.length >= BATCH_ROWS || (item.media?.length ?? 0) > 0) {
        await keepBatch(run, batch);
        batch = [];
      }
    }
  }
  await keepBatch(run, batch);
  context.onProgress({ done: found.size, total: found.size });
  await archive.audit(caller, {
    action: 'import-done',
    outcome: 'allowed',
    detail: {
      file: fileSha256,
      read: report.read,
      sealed: report.sealed,
      duplicates: report.duplicates,
      rejected: report.rejectedTotal,
    },
  });
  return report;
}

function reject(
  report: ImportReport,
  item: { readonly position: number; readonly reason: string; readonly partial?: true },
): void {
  if (item.partial !== true) report.read += 1;
  report.rejectedTotal += 1;
  if (report.rejected.length < REJECTED_LISTED_MAX)
    report.rejected.push({ position: item.position, reason: item.reason });
}

async function keepBatch(run: Run, items: readonly EventItem[]): Promise<void> {
  if (items.length === 0) return;
  const drafts = items.map((item) => draftsOf(run, item));
  const outcomes = await run.archive.record(drafts.flat());
  let at = 0;
  for (const [index, item] of items.entries()) {
    const count = drafts[index]?.length ?? 0;
    const [first, ...rest] = outcomes.slice(at, at + count);
    at += count;
    if (first === undefined) continue;
    const failed = [first, ...rest].find((outcome) => outcome.status === 'failed');
    if (failed?.status === 'failed')
      reject(run.report, { position: item.position, reason: `it could not be kept (${failed.reason})`, partial: true });
    else if (first.status === 'duplicate') run.report.duplicates += 1;
    else if (first.status === 'stored') run.report.sealed += 1;
    if (first.status === 'stored' || first.status === 'duplicate') {
      for (const medium of item.media ?? [])
        await keepMedium(run, item, medium, first.messageId, first.status === 'duplicate');
    }
  }
}

function draftsOf(run: Run, item: EventItem): RecordDraft[] {
  const nowMs = run.nowMs();
  const envelope: Envelope = {
    transport: 'import',
    method: 'PUT',
    url: '',
    headers: [],
    body: item.part.body,
    receivedAtMs: nowMs,
  };
  const guarded = guardEnvelope(envelope, { oneTimeCodes: false });
  const raw = {
    ...makeRawSlice(guarded.envelope, undefined, guarded.findings === undefined ? {} : { findings: guarded.findings }),
    provenance: {
      fileSha256: run.fileSha256,
      importer: run.importer.name,
      version: run.importer.version,
      position: item.position,
    },
  };
  return item.part.events.map((event) => {
    const clean = guardEvent(event, { oneTimeCodes: false });
    return {
      event: clean,
      actor: callerActor(run.caller),
      capturedAtMs: nowMs,
      connector: { name: run.importer.name, version: run.importer.version },
      raw,
      jobs: (item.media?.length ?? 0) > 0 ? [] : jobsOf(clean, undefined, STANDARD_WEBHOOKS, nowMs),
    };
  });
}

/** A medium that lies in the file. Of a row that is known already it may be known, too; then its bytes are read and let go. */
async function keepMedium(
  run: Run,
  item: EventItem,
  medium: ImportMedium,
  messageId: MessageId,
  isKnown: boolean,
): Promise<void> {
  const owner = await run.archive.findOwner(messageId);
  const created = item.part.events[0];
  if (owner === undefined || created === undefined) return;
  const dedupe = `media|${medium.part}|${medium.sha256}|${created.target.id}`;
  if (isKnown && (await run.archive.isKnownEvent(created.target, dedupe))) {
    await drain(medium);
    return;
  }
  const guarded = guardMedium(chunksOf(medium), { oneTimeCodes: false });
  const nowMs = run.nowMs();
  await run.archive.keepMedium({
    owner,
    source: guarded.body,
    bytesMax: MEDIUM_BYTES_MAX,
    async describe(stored, head) {
      const findings = guarded.findings();
      const mimeSniffed = await sniffMime(head);
      return {
        actor: callerActor(run.caller),
        capturedAtMs: nowMs,
        event: {
          kind: 'media.stored',
          part: medium.part,
          target: created.target,
          occurredAt: receiptInstant(nowMs),
          dedupe,
          ...(findings === undefined ? {} : { extra: { guarded: findings } }),
          media: {
            ...stored,
            ...(mimeSniffed === undefined ? {} : { mimeSniffed }),
            ...(medium.mimeDeclared === undefined ? {} : { mimeDeclared: medium.mimeDeclared }),
          },
        },
      };
    },
  });
  run.report.media += 1;
}

async function* chunksOf(medium: ImportMedium): AsyncIterable<Uint8Array> {
  if (medium.bytes instanceof Uint8Array) yield medium.bytes;
  else yield* medium.bytes;
}

async function drain(medium: ImportMedium): Promise<void> {
  for await (const chunk of chunksOf(medium)) void chunk;
}
