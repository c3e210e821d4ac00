/**
 * An export: the hits of a query with the exact bytes of their records, their media and proofs to one checkpoint, in a file. That it happens is on record before the
 * first byte leaves; what left is on record when it is done.
 */
import { createWriteStream } from 'node:fs';
import { access, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Archive, Progress } from '../archive/archive.ts';
import { callerActor } from '../archive/caller.ts';
import type { Caller } from '../archive/caller.ts';
import type { BundledMessage } from '../archive/threads/read-thread.ts';
import { parseSignedCheckpoint } from '../ledger/checkpoint.ts';
import { leafKindOf, LEAF_KINDS } from '../ledger/leaf.ts';
import { CartularyError } from '../model/errors.ts';
import { parseRecord } from '../model/record.ts';
import { syncDirectory } from '../vault/durable-file.ts';
import { releaseBuffer } from '../store/growing-buffer.ts';
import type { Exporter, ExportRecord, ExportSummary } from './exports/exporter.ts';

/** Messages that are read at once; with more, what is on its way between threads is most of the memory of an export. */
const PAGE = 50;

/**
 * Writes an export to `path`.
 * @throws CartularyError `forbidden`, `bad-query`, `conflict` where the file exists
 */
export async function exportMessages(
  archive: Archive,
  caller: Caller,
  request: { readonly exporter: Exporter; readonly q: string; readonly path: string },
  context: {
    readonly now: () => number;
    readonly signal: AbortSignal;
    readonly onProgress: (progress: Progress) => void;
  },
): Promise<ExportSummary> {
  const { exporter, q, path } = request;
  await archive.allow(caller, 'export', 'export', { format: exporter.name });
  await access(dirname(path));
  await assertFree(path);
  const part = `${path}.part`;
  // A process that is killed leaves what can be read, and an empty file; the next start removes what was noted, so it is noted first.
  const forgetFiles = await archive.noteUnfinished({ part, reserved: path });
  await reserve(path).catch(async (cause: unknown) => {
    await forgetFiles();
    throw cause;
  });
  try {
    await archive.reachIndex();
    const { query } = await archive.threads.read.call('normalise', q);
    const { total } = await archive.threads.read.call('search', { q, limit: 1, cursor: undefined });
    await archive.audit(caller, {
      action: 'export',
      outcome: 'allowed',
      detail: { query, format: exporter.name, total },
    });
    const checkpoint = await archive.publish();
    const summary = await exporter.write(
      {
        archive: { id: archive.id, name: archive.name },
        logKey: archive.vkey,
        checkpoint,
        query,
        exportedAtMs: context.now(),
        exportedBy: callerActor(caller).name,
        messages: readMessages(archive, { q, checkpoint, total }, context),
      },
      createWriteStream(part, { mode: 0o600, flush: true }),
      { spoolDirectory: dirname(path) },
    );
    await rename(part, path);
    await syncDirectory(dirname(path));
    await forgetFiles();
    await archive.audit(caller, {
      action: 'export-done',
      outcome: 'allowed',
      detail: {
        query,
        messages: summary.messages,
        records: summary.records,
        media: summary.media,
        manifest: summary.manifestSha256,
        file: summary.sha256,
      },
    });
    return summary;
  } catch (cause) {
    for (const file of [part, path]) await rm(file, { force: true });
    await forgetFiles();
    throw cause;
  }
}

/** Takes the name before there is anything to put under it, so that no export replaces what is there, another export included. */
async function reserve(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o600)).close();
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'EEXIST') throw cause;
    throw isTaken(path);
  }
}

/** What is there already is refused before it is noted as ours. */
async function assertFree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined) throw isTaken(path);
}

function isTaken(path: string): CartularyError {
  return new CartularyError('conflict', `${path} is there already; an export replaces nothing, name another file`);
}

async function* readMessages(
  archive: Archive,
  request: { readonly q: string; readonly checkpoint: string; readonly total: number },
  context: { readonly signal: AbortSignal; readonly onProgress: (progress: Progress) => void },
): AsyncIterable<readonly ExportRecord[]> {
  const { size } = parseSignedCheckpoint(request.checkpoint);
  const readPage = async (cursor: string | undefined) => {
    const page = await archive.threads.read.call('numbers', { q: request.q, limit: PAGE, cursor });
    const bundle = await archive.threads.read.call('bundle', page.messageNos);
    const { proofs, buffer } = await proveRecords(archive, bundle.messages, request.checkpoint, size);
    return {
      messages: toExport(archive, bundle.messages, proofs),
      release: () => {
        for (const done of [bundle.buffer, buffer]) releaseBuffer(done);
      },
      next: page.nextCursor,
    };
  };
  let done = 0;
  let reading: ReturnType<typeof readPage> | undefined = readPage(undefined);
  while (reading !== undefined) {
    if (context.signal.aborted) throw new CartularyError('stopping', 'the export was stopped');
    const { messages, release, next }: Awaited<ReturnType<typeof readPage>> = await reading;
    // The next page is read while this one is being written.
    reading = next === undefined ? undefined : readPage(next);
    // Its failure is met where it is awaited, be it never.
    reading?.catch(() => undefined);
    for (const records of messages) {
      // What came after the checkpoint is not yet provable, and belongs to the next export.
      if (records.length > 0) yield records;
      done += 1;
    }
    release();
    context.onProgress({ done, total: Math.max(done, request.total) });
  }
}

/** Proofs of all records that the checkpoint covers, by their places in the log, made in one go. */
async function proveRecords(
  archive: Archive,
  bundled: readonly BundledMessage[],
  checkpoint: string,
  size: number,
): Promise<{ readonly proofs: ReadonlyMap<number, readonly Uint8Array[]>; readonly buffer: ArrayBuffer }> {
  const indices = bundled.flatMap(({ records }) => records.map(({ seq }) => seq)).filter((seq) => seq < size);
  const { proofs, buffer } = await archive.threads.log.call('prove', { indices, checkpoint });
  return { proofs: new Map(proofs.map(({ index, hashes }) => [index, hashes])), buffer };
}

/** The records of each message that are proven. */
function toExport(
  archive: Archive,
  bundled: readonly BundledMessage[],
  proofs: ReadonlyMap<number, readonly Uint8Array[]>,
): ExportRecord[][] {
  return bundled.map(({ owner, records }) =>
    records.flatMap(({ seq, leaf, bytes, r }) => {
      const proof = proofs.get(seq);
      return proof === undefined
        ? []
        : [{ seq, leaf, recordBytes: bytes, r, proof, ...openerOf(archive, owner, leaf, bytes) }];
    }),
  );
}

/** How the medium of a record is opened, where it has one. */
function openerOf(
  archive: Archive,
  owner: BundledMessage['owner'],
  leaf: Uint8Array,
  bytes: Uint8Array,
): Pick<ExportRecord, 'openMedium'> {
  if (leafKindOf(leaf) !== LEAF_KINDS['media.stored']) return {};
  const { event } = parseRecord(bytes);
  if (event.kind !== 'media.stored') return {};
  const { blob } = event.media;
  return { openMedium: () => archive.openBlob(owner, blob) };
}
