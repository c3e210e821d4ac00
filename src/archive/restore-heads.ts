/**
 * What a restore must know besides the backup: every head that was signed (from the backup, the memory beside the data, the place beside the backups, checkpoints that
 * others hold), and every message that was destroyed. From these it is decided how the log goes on.
 */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { verifyCheckpoint } from '../ledger/checkpoint.ts';
import { createNoteSigner } from '../ledger/note.ts';
import { adoptHead } from '../ledger/signer.ts';
import type { Head, KnownHead } from '../ledger/signer.ts';
import type { ReadTile } from '../ledger/tiles.ts';
import { CartularyError } from '../model/errors.ts';
import type { ArchiveId } from '../model/ids.ts';
import { addDestruction, destructionListPath, findDestructionList } from './destruction-list.ts';
import type { Destruction } from './destruction-list.ts';
import { firstOriginOf } from './layout.ts';
import type { ArchiveLayout } from './layout.ts';
import { readSignerMemory } from './signer-memory.ts';
import { generationOf, originOf } from './succession.ts';
import type { Succession } from './succession.ts';

/** Logs that an archive can have had at most, for looking up the key of an old checkpoint. */
const GENERATIONS_MAX = 100;

/** What is known of an archive besides a backup of it. */
export type KnownBesides = {
  readonly heads: readonly KnownHead[];
  readonly destroyed: ReadonlyMap<string, Destruction>;
  /** The size of the log up to which the lists of destructions are known to be whole. */
  readonly destructionsAsOf: number;
};

/**
 * Gathers heads and destruction lists.
 * @param options `from`: the backup; `records`: size of its log; `checkpoint`: its own; `checkpoints`: signed ones that others hold; `destroyed`: path of a newer list, beside
 *   which the file of the head lies that it was current at
 * @throws CartularyError `bad-input` where a checkpoint is not one of this archive's, `corrupt` where a list cannot be read
 */
export async function gatherKnown(options: {
  readonly place: ArchiveLayout;
  readonly archiveId: ArchiveId;
  readonly logKey: Uint8Array;
  readonly from: string;
  readonly records: number;
  readonly checkpoint: string;
  readonly checkpoints: readonly string[];
  readonly destroyed: string | undefined;
}): Promise<KnownBesides> {
  const { archiveId, place, logKey } = options;
  const heads: KnownHead[] = [
    { head: verifyOwn(options.checkpoint, archiveId, logKey), source: 'backup' },
    ...options.checkpoints.map((text) => ({ head: verifyOwn(text, archiveId, logKey), source: 'auditor' as const })),
  ];
  const destroyed = new Map<string, Destruction>();
  let destructionsAsOf = 0;
  const takeList = async (path: string, asOf: number | undefined): Promise<void> => {
    const list = await findDestructionList(path);
    if (list === undefined) return;
    for (const entry of list.values()) addDestruction(destroyed, entry);
    destructionsAsOf = Math.max(destructionsAsOf, asOf ?? 0);
  };
  await takeList(join(options.from, 'content', 'destroyed.jsonl'), options.records);
  for (const path of [
    destructionListPath(place),
    besideBackups(dirname(options.from), archiveId).destroyed,
    ...(options.destroyed === undefined ? [] : [options.destroyed]),
  ]) {
    const headPath = path.replace(/\.destroyed\.jsonl$/, '.head.json');
    const head = await readSignerMemory(headPath);
    if (head === undefined && (await stat(headPath).catch(() => undefined)) !== undefined)
      throw new CartularyError(
        'corrupt',
        `${headPath} cannot be read: it says how far the log had gone. Copy it anew from DATA.signer/, or remove it and give the newest signed checkpoint that you can get with --checkpoint FILE`,
      );
    if (head !== undefined) heads.push({ head, source: 'memory' });
    await takeList(path, head?.size);
  }
  return { heads, destroyed, destructionsAsOf };
}

/** Where the newest head and the newest list of destructions lie beside the backups. */
export function besideBackups(into: string, archiveId: string): { readonly head: string; readonly destroyed: string } {
  return { head: join(into, `${archiveId}.head.json`), destroyed: join(into, `${archiveId}.destroyed.jsonl`) };
}

/** How the log goes on: with the newest head that is known, or as the successor of a log that went further than what was saved. */
export type Continuation = { readonly head: Head; readonly succeeds?: Omit<Succession, 'destructionsAsOf'> };

/**
 * Decides how the log goes on.
 * @param options `origin`, `size`: of the log in the backup; `readTile`: its tiles
 */
export async function decideContinuation(options: {
  readonly archiveId: ArchiveId;
  readonly origin: string;
  readonly size: number;
  readonly readTile: ReadTile;
  readonly heads: readonly KnownHead[];
}): Promise<Continuation> {
  const { origin, size, readTile, heads } = options;
  const first = firstOriginOf(options.archiveId);
  const generation = Math.max(...heads.map(({ head }) => generationOf(head.origin, first)));
  const newest = originOf(first, generation);
  const known = heads.filter(({ head }) => head.origin === newest);
  const highest = known.reduce<Head | undefined>(
    (best, { head }) => (best === undefined || head.size > best.size ? head : best),
    undefined,
  );
  if (highest === undefined) throw new CartularyError('corrupt', 'the backup holds no head of its log');
  const succeed = (lostFrom: number): Continuation => ({
    head: { origin: originOf(first, generation + 1), size: 0, root: new Uint8Array() },
    succeeds: { origin: newest, size: highest.size, root: Buffer.from(highest.root).toString('base64'), lostFrom },
  });
  // The backup is older than the succession itself.
  if (newest !== origin) return succeed(size);
  const adoption = await adoptHead({ origin, size, readTile, known });
  if (adoption.decision === 'continue') return { head: adoption.head ?? highest };
  return succeed(adoption.decision === 'successor-needed' ? adoption.lost.from : size);
}

/** A checkpoint that one of the archive's logs has signed. @throws CartularyError `bad-input` */
export function verifyOwn(text: string, archiveId: ArchiveId, seed: Uint8Array): Head {
  const origin = text.slice(0, text.indexOf('\n'));
  const first = firstOriginOf(archiveId);
  const generation = generationOf(origin, first);
  try {
    if (generation > GENERATIONS_MAX || originOf(first, generation) !== origin) throw new Error('another origin');
    const { size, root } = verifyCheckpoint(text, [createNoteSigner({ name: origin, seed })]);
    return { origin, size, root };
  } catch (cause) {
    throw new CartularyError('bad-input', 'a checkpoint is not signed by a log of this archive', { cause });
  }
}
