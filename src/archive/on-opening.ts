/**
 * What an archive does before it serves. After a crash: media without a record are removed, and files outside that were not finished. After a restore: a succession of its log is put on record, and destructions
 * that came after the backup.
 */
import type { ArchiveParts } from './archive-parts.ts';
import { findListed, LISTED, recordDestruction } from './destroy.ts';
import { removeUnfinished } from './unfinished-files.ts';
import { sweepMedia } from './keep-medium.ts';
import { SYSTEM_ACTOR } from './recorder.ts';
import { recordSuccession } from './succession.ts';
import type { Succession } from './succession.ts';

/**
 * Finishes what a process that ended, or a restore, has left.
 * @param areMediaThere where they cannot be reached, a later start sees to them
 */
export async function finishWhatWasBegun(
  parts: ArchiveParts,
  succession: Succession | undefined,
  areMediaThere: boolean,
): Promise<void> {
  if (areMediaThere) await sweepMedia(parts);
  await removeUnfinished(parts);
  if (succession !== undefined) await recordSuccession(parts, succession);
  for (const { id, isReadable } of await findListed(parts))
    // One whose key is there is destroyed as any other (`finishDestructions`).
    if (!isReadable) await recordDestruction(parts, SYSTEM_ACTOR, { id, reason: LISTED });
}
