/**
 * What an archive does before it serves. After a crash: media without a record are removed. After a restore: a succession of its log is put on record, and destructions
 * that came after the backup.
 */
import type { ArchiveParts } from './archive-parts.ts';
import { LISTED, recordDestruction } from './destroy.ts';
import { destructionListPath, findDestructionList } from './destruction-list.ts';
import { sweepMedia } from './keep-medium.ts';
import { idBytes } from '../model/ids.ts';
import type { MessageId } from '../model/ids.ts';
import { SYSTEM_ACTOR } from './recorder.ts';
import { recordSuccession } from './succession.ts';
import type { Succession } from './succession.ts';

/** Finishes what a process that ended, or a restore, has left. */
export async function finishWhatWasBegun(parts: ArchiveParts, succession: Succession | undefined): Promise<void> {
  await sweepMedia(parts);
  if (succession !== undefined) await recordSuccession(parts, succession);
  for (const { message, seq } of (await findDestructionList(destructionListPath(parts.layout)))?.values() ?? []) {
    if (seq !== undefined) continue;
    const id = message as MessageId;
    const messageNo = await parts.reader.findMessageNo(idBytes(id));
    // Captured after the backup that was restored: there is nothing to destroy.
    if (messageNo === undefined) continue;
    const [row] = await parts.reader.readMessages([messageNo], { stateOnly: true });
    // One whose key is there is destroyed as any other (`finishDestructions`).
    if (row?.secret === undefined) await recordDestruction(parts, SYSTEM_ACTOR, { id, reason: LISTED });
  }
}
