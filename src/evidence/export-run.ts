/**
 * An export: the hits of a query with the exact bytes of their records, their media and proofs to one checkpoint, in a file. That it happens is on record before the
 * first byte leaves; what left is on record when it is done.
 */
import { createWriteStream } from 'node:fs';
import { access, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Archive, Progress } from '../archive/archive.ts';
import { callerActor } from '../archive/caller.ts';
import type { Caller } from '../archive/caller.ts';
import type { BundledMessage } from '../archive/threads/read-thread.ts';
import { parseSignedCheckpoint } from '../ledger/checkpoint.ts';
import { CartularyError } from '../model/errors.ts';
import { parseRecord } from '../model/record.ts';
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
  await archive.reachIndex();
  const { query } = await archive.threads.read.call('normalise', q);
  const { total } = await archive.threads.read.call('search', { q, limit: 1, cursor: undefined });
  await archive.audit(caller, {
    action: 'export',
    outcome: 'allowed',
    detail: { query, format: exporter.name, total },
  });
  const checkpoint = await archive.publish();
  const output = createWriteStream(`${path}.part`, { flags: 'wx', mode: 0o600 });
  try {
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
      output,
      { spoolDirectory: dirname(path) },
    );
    await rename(`${path}.part`, path);
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
    await rm(`${path}.part`, { force: true });
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') {
      throw new CartularyError('conflict', `an export to ${path} is under way or was cut off; remove ${path}.part`, {
        cause,
      });
    }
    throw cause;
  }
}

async function* readMessages(
  archive: Archive,
  request: { readonly q: string; readonly checkpoint: string; readonly total: number },
  context: { readonly signal: AbortSignal; readonly onProgress: (progress: Progress) => void },
): AsyncIterable<readonly ExportRecord[]> {
  const { size } = parseSignedCheckpoint(request.checkpoint);
  const readPage = async (cursor: string | undefined) => {
    const page = await archive.threads.read.call('numbers', { q: request.q, limit: PAGE, cursor });
    const bundles = await archive.threads.read.call('bundle', page.messageNos);
    return {
      messages: await proveRecords(archive, bundles, request.checkpoint, size),
      next: page.nextCursor,
    };
  };
  let done = 0;
  let reading: ReturnType<typeof readPage> | undefined = readPage(undefined);
  while (reading !== undefined) {
    if (context.signal.aborted) throw new CartularyError('stopping', 'the export was stopped');
    const { messages, next }: Awaited<ReturnType<typeof readPage>> = await reading;
    // The next page is read while this one is being written.
    reading = next === undefined ? undefined : readPage(next);
    // Its failure is met where it is awaited, be it never.
    reading?.catch(() => undefined);
    for (const records of messages) {
      // What came after the checkpoint is not yet provable, and belongs to the next export.
      if (records.length > 0) yield records;
      done += 1;
    }
    context.onProgress({ done, total: Math.max(done, request.total) });
  }
}

/** The records of each message with their proofs, all of which are made in one go. */
async function proveRecords(
  archive: Archive,
  bundles: readonly BundledMessage[],
  checkpoint: string,
  size: number,
): Promise<ExportRecord[][]> {
  const covered = bundles.map(({ owner, records }) => ({ owner, records: records.filter(({ seq }) => seq < size) }));
  const indices = covered.flatMap(({ records }) => records.map(({ seq }) => seq));
  const { proofs } = await archive.threads.log.call('prove', { indices, checkpoint });
  const hashes = new Map(proofs.map((proof) => [proof.index, proof.hashes]));
  return covered.map(({ owner, records }) =>
    records.map(({ seq, leaf, bytes, r }) => {
      const { event } = parseRecord(bytes);
      return {
        seq,
        leaf,
        recordBytes: bytes,
        r,
        proof: hashes.get(seq) ?? [],
        ...(event.kind === 'media.stored' ? { openMedium: () => archive.openBlob(owner, event.media.blob) } : {}),
      };
    }),
  );
}
