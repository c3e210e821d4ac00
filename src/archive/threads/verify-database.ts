/**
 * What of the database neither the log nor the records tell: pages that nothing of a verification reads (the table of duplicates, jobs, settings), and state rows, which are
 * read in the place of records.
 */
import { isDeepStrictEqual } from 'node:util';

import { CartularyError } from '../../model/errors.ts';
import { foldMessage } from '../../model/fold.ts';
import type { MessageRow, StoreReader } from '../../store/store.ts';
import type { Sealer } from '../../vault/seal.ts';
import { openMessageRecords, openState } from '../opening.ts';
import { breathe } from './workspace.ts';

/** Told of what is wrong. */
type Report = (code: string, text: string, leafIndex?: number) => void;

const CHUNK = 500;

/** What is told of pages that cannot be read. */
export const DAMAGED = 'pages of the database cannot be read, or do not fit together';

/** Every page that no record, message or key stands on. @returns can all of them be read, and do they fit together? */
export async function verifyPages(reader: StoreReader, report: Report): Promise<boolean> {
  const isSound = await reader.isSound();
  if (!isSound) report('database-damaged', DAMAGED);
  return isSound;
}

/** Every state row against the records it was folded from. One that is behind its message is not read, so it is no fault. */
export async function verifyStates(
  reader: StoreReader,
  sealer: Sealer,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; !signal.aborted;) {
    const messageNos = await reader.listStateNos(from, CHUNK);
    const last = messageNos.at(-1);
    if (last === undefined) return;
    for (const messageNo of messageNos) {
      const row = await findWhole(reader, messageNo);
      if (row !== undefined && !isFolded(sealer, row))
        report('state-damaged', 'the state of a message is not what its records come to', row.state?.version);
    }
    from = last + 1;
    await breathe();
  }
}

/** A message; nothing where its chain is broken, which the check of the chains tells. */
async function findWhole(reader: StoreReader, messageNo: number): Promise<MessageRow | undefined> {
  try {
    const [row] = await reader.readMessages([messageNo]);
    return row;
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code === 'corrupt') return undefined;
    throw cause;
  }
}

function isFolded(sealer: Sealer, row: MessageRow): boolean {
  const { state, secret, messageId } = row;
  // Destroyed, or written, since it was listed.
  if (state === undefined || secret === undefined) return true;
  const newest = row.records.at(-1)?.seq ?? -1;
  if (state.version < newest) return true;
  try {
    const told = openState(sealer, messageId, secret, state.sealed);
    // The state went through JSON, which knows no undefined.
    return isDeepStrictEqual(told, JSON.parse(JSON.stringify(foldMessage(openMessageRecords(sealer, row)))));
  } catch {
    return false;
  }
}
