/**
 * A medium and the record that names it. The medium lies in a file before its record is committed, so a process that ends in between would leave a file that nothing names,
 * which is just what somebody who added one would leave. Hence its name is noted before it has it, and the note goes in the transaction of the record: whatever a start finds
 * noted was never put on record, and is removed.
 */
import type { StoredMedia } from '../model/event.ts';
import { CartularyError } from '../model/errors.ts';
import { isOwn } from './node-name.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { STORING } from './media.ts';
import type { MediaOwner } from './media.ts';
import type { RecordDraft, RecordOutcome } from './recorder.ts';

/** A medium as it comes: its bytes, and what its record will say. */
export type IncomingMedium = {
  readonly owner: MediaOwner;
  readonly source: AsyncIterable<Uint8Array>;
  /** Bytes beyond which it is refused. */
  readonly bytesMax: number;
  /** @param head first bytes, which tell what it is */
  readonly describe: (stored: StoredMedia, head: Uint8Array) => Promise<RecordDraft>;
};

/**
 * Stores a medium and puts it on record. Where its record is not kept (known already, or the message was destroyed meanwhile) nothing of it stays.
 * @throws CartularyError `too-large`; whatever the source throws
 */
export async function keepMedium(
  parts: Pick<ArchiveParts, 'blobs' | 'media' | 'node' | 'recorder' | 'writer'>,
  { owner, source, bytesMax, describe }: IncomingMedium,
): Promise<RecordOutcome> {
  const { stored, head } = await parts.media.store(owner, source, bytesMax, (name) =>
    parts.writer.putSettings([{ name: STORING + name, value: Buffer.from(parts.node ?? '') }]),
  );
  const forgotten = { name: STORING + stored.blob, value: undefined };
  const draft = await describe(stored, head);
  const [outcome] = await parts.recorder.record([{ ...draft, settings: [forgotten] }]);
  if (outcome === undefined) throw new CartularyError('internal', 'nothing was answered about a medium');
  if (outcome.status !== 'stored') {
    await parts.blobs.remove(stored.blob);
    await parts.writer.putSettings([forgotten]);
  }
  return outcome;
}

/** Removes media that were being stored when the last process ended, and what it left half written. */
export async function sweepMedia(parts: Pick<ArchiveParts, 'blobs' | 'node' | 'reader' | 'writer'>): Promise<void> {
  await parts.blobs.sweep();
  for (const { name, value } of await parts.reader.listSettings(STORING)) {
    // Other nodes are at work.
    if (!isOwn(parts.node, Buffer.from(value).toString('utf8'))) continue;
    await parts.blobs.remove(name.slice(STORING.length));
    await parts.writer.putSettings([{ name, value: undefined }]);
  }
}
