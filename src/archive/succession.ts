/**
 * When a log cannot go on (DESIGN §5.6): a restore brought back less than was signed, or the database lost it. The archive then opens a successor, a log of another name. It holds again all leaves
 * that were saved, at the same places, so that every proof of them has its like in it; a leaf after them (the first one, after a restore) commits to the head of the old log, which can so be
 * neither denied nor continued, and a gap says which range is lost.
 */
import { readFile, rename, rm } from 'node:fs/promises';

import { CartularyError } from '../model/errors.ts';
import { createNoteSigner, formatVkey } from '../ledger/note.ts';
import type { ArchiveId } from '../model/ids.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { firstOriginOf } from './layout.ts';
import type { ArchiveLayout } from './layout.ts';
import { SYSTEM_ACTOR } from './recorder.ts';
import { systemDraft } from './system-draft.ts';

/** What the house file keeps of a succession until it is on record. */
export type Succession = {
  /** The head of the old log, its root in Base64. */
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  /** Leaves of the old log from here on are lost. */
  readonly lostFrom: number;
  /** How new the destruction list was that the restore replayed. */
  readonly destructionsAsOf: number;
};

const GENERATION = /^(.*)\/(\d{1,6})$/;

/** How many logs an archive has had with this one: its origin is `cartulary/<archive>`, then `cartulary/<archive>/2` and so on. */
export function generationOf(origin: string, firstOrigin: string): number {
  const [, base, number] = GENERATION.exec(origin) ?? [];
  return base === firstOrigin && Number(number) > 1 ? Number(number) : 1;
}

/** The origin of a generation. */
export function originOf(firstOrigin: string, generation: number): string {
  return generation === 1 ? firstOrigin : `${firstOrigin}/${generation}`;
}

/** The keys of the logs that the one of this origin succeeds: the same key under another name. */
export function formerVkeysOf(archiveId: ArchiveId, origin: string, seed: Uint8Array): string[] {
  const first = firstOriginOf(archiveId);
  const count = generationOf(origin, first) - 1;
  return Array.from({ length: count }, (_none, index) =>
    formatVkey(createNoteSigner({ name: originOf(first, index + 1), seed })),
  );
}

/** Puts a succession on record, before anything else and once. */
export async function recordSuccession(
  parts: Pick<ArchiveParts, 'id' | 'now' | 'origin' | 'random' | 'reader' | 'recorder'>,
  succession: Succession,
): Promise<void> {
  const name = `succession/${parts.origin}`;
  if ((await parts.reader.readSetting(name)) !== undefined) return;
  const { origin, size, root, lostFrom, destructionsAsOf } = succession;
  const done = { name, value: Buffer.from('on record') };
  const extra = { lostFrom, lostTo: size, destructionsAsOf };
  const outcomes = await parts.recorder.record([
    systemDraft(parts, SYSTEM_ACTOR, { kind: 'log.succeeded', origin, size, root }, { settings: [done], extra }),
    systemDraft(parts, SYSTEM_ACTOR, { kind: 'gap.opened', reason: 'log-range-lost', asked: [origin] }, { extra }),
  ]);
  if (outcomes.some(({ status }) => status !== 'stored'))
    throw new CartularyError('internal', 'the succession of the log could not be put on record');
}

/**
 * Puts the files of a log that was succeeded aside, before a node opens: they stay beside the new ones, since they prove what is lost. The index goes: it has words of records that are
 * not there, and lacks some that are.
 */
export async function leaveFormerLog(layout: ArchiveLayout, archiveId: ArchiveId, origin: string): Promise<void> {
  const vkey = await readFile(layout.vkey, 'utf8').catch(() => undefined);
  const name = vkey?.slice(0, vkey.indexOf('+'));
  const first = firstOriginOf(archiveId);
  if (name === undefined || generationOf(name, first) >= generationOf(origin, first)) return;
  await rm(layout.index, { recursive: true, force: true });
  await rename(layout.log, `${layout.log}.${generationOf(name, first)}`);
}
