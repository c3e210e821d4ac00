/**
 * Destroying a message because of what was found in it (card security codes): its key is closed, the destruction is put in the log and on the list beside the data, the key's
 * row is deleted. From then on nothing of it can be read, and the log still proves that it existed.
 *
 * What was begun is finished, whatever falls in between: that it was begun stands in a setting from before the key is closed until all is done, and each step may be
 * repeated.
 */
import { CartularyError } from '../model/errors.ts';
import { formatId, idBytes } from '../model/ids.ts';
import type { MessageId } from '../model/ids.ts';
import { monthOf } from '../search/months.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { destructionListPath, findDestructionList } from './destruction-list.ts';
import type { RecordActor } from './recorder.ts';
import { SYSTEM_ACTOR } from './recorder.ts';
import { removeWithdrawn, withdrawMonths } from './share-months.ts';
import { systemDraft } from './system-draft.ts';
import { toUnderWay, UNDER_WAY } from './under-way.ts';
import type { UnderWay } from './under-way.ts';
import type { MessageDetail } from './views.ts';

/** How long a destruction waits for who reads, and how often it tries. */
const SCRUB_MS_MAX = 3000;
const SCRUB_EVERY_MS = 50;
/** Why a message was destroyed that the list beside the data names. */
export const LISTED = 'on-destruction-list';

/**
 * Destroys a message.
 * @param reason a code such as `card-security-code`, which stands in the log
 * @throws CartularyError `not-found`, `key-pinned` where a hold keeps it (nothing was changed then)
 */
export async function destroyMessage(
  parts: ArchiveParts,
  actor: RecordActor,
  id: MessageId,
  reason: string,
): Promise<void> {
  const messageId = idBytes(id);
  const messageNo = await parts.reader.findMessageNo(messageId);
  if (messageNo === undefined) throw new CartularyError('not-found', 'there is no such message');
  if (!(await hasKey(parts, messageNo)))
    throw new CartularyError('key-destroyed', 'the key of this message was destroyed already');
  underWayOf(parts).add(id);
  try {
    const underWay = { reason, size: await parts.reader.size() };
    await note(parts, id, underWay);
    await closeKey(parts, messageId);
    await finish(parts, actor, { id, messageNo, underWay });
  } catch (cause) {
    if (cause instanceof CartularyError && cause.code === 'key-pinned') await forget(parts, id);
    throw cause;
  } finally {
    underWayOf(parts).delete(id);
  }
}

/** Destructions that this process is at, which nobody else finishes at the same time. */
const atWork = new WeakMap<ArchiveParts, Set<MessageId>>();

function underWayOf(parts: ArchiveParts): Set<MessageId> {
  const known = atWork.get(parts) ?? new Set();
  atWork.set(parts, known);
  return known;
}

/** Finishes destructions that were begun and not finished, as after a power cut. @returns how many */
export async function finishDestructions(parts: ArchiveParts): Promise<number> {
  const begun = await parts.reader.listSettings(UNDER_WAY);
  for (const { name, value } of begun) {
    const id = formatId('message', Buffer.from(name.slice(UNDER_WAY.length), 'hex'));
    if (underWayOf(parts).has(id)) continue;
    const messageId = idBytes(id);
    const messageNo = await parts.reader.findMessageNo(messageId);
    const underWay = toUnderWay(value);
    if (messageNo === undefined || (underWay.sentAtMs === undefined && !(await hasKey(parts, messageNo)))) {
      await forget(parts, id);
      continue;
    }
    try {
      await closeKey(parts, messageId);
    } catch (cause) {
      // A hold that was placed before the key was closed goes first.
      if (!(cause instanceof CartularyError) || cause.code !== 'key-pinned') throw cause;
      await forget(parts, id);
      continue;
    }
    await finish(parts, SYSTEM_ACTOR, { id, messageNo, underWay });
  }
  return begun.length + (await destroyListed(parts));
}

/** Messages that the list names and that came back all the same: read again from their platform after a restore of a backup that did not know them. */
async function destroyListed(parts: ArchiveParts): Promise<number> {
  let count = 0;
  for (const { id, isReadable } of await findListed(parts)) {
    if (!isReadable) continue;
    await destroyMessage(parts, SYSTEM_ACTOR, id, LISTED);
    count += 1;
  }
  return count;
}

/** Messages of this archive whose destruction stands on the list and not in the log. `isReadable`: their key is there. */
export async function findListed(
  parts: Pick<ArchiveParts, 'layout' | 'reader'>,
): Promise<{ readonly id: MessageId; readonly isReadable: boolean }[]> {
  const found = [];
  for (const { message, seq } of (await findDestructionList(destructionListPath(parts.layout)))?.values() ?? []) {
    if (seq !== undefined) continue;
    const id = message as MessageId;
    const messageNo = await parts.reader.findMessageNo(idBytes(id));
    // Captured after the backup that was restored: there is nothing to destroy.
    if (messageNo !== undefined) found.push({ id, isReadable: await hasKey(parts, messageNo) });
  }
  return found;
}

async function finish(
  parts: ArchiveParts,
  actor: RecordActor,
  target: { readonly id: MessageId; readonly messageNo: number; readonly underWay: UnderWay },
): Promise<void> {
  const { id, messageNo } = target;
  const { reason, sentAtMs, formerMs, blobs } = await look(parts, target);
  const seq = await recordDestruction(parts, actor, { id, reason, place: { messageNo, sentAtMs, formerMs } });
  await withdrawMonths(parts, new Set([sentAtMs, ...formerMs].map(monthOf)));
  await destroyKey(parts, idBytes(id));
  await scrub(parts);
  await parts.threads.follow.call('reach', seq + 1);
  await parts.threads.read.call('refresh', undefined);
  // Last, since media may be where they cannot be reached for a while; without the key nobody can read them.
  for (const blob of blobs) await parts.blobs.remove(blob);
  await removeWithdrawn(parts);
  await forget(parts, id);
}

/**
 * Puts a destruction in the log and on the list beside the data. The list comes first, so that it is never older than a signed head.
 * @param destruction `place`: where the index has the message
 * @returns where it stands in the log
 */
export async function recordDestruction(
  parts: ArchiveParts,
  actor: RecordActor,
  destruction: {
    readonly id: MessageId;
    readonly reason: string;
    readonly place?: {
      readonly messageNo: number;
      readonly sentAtMs: number;
      readonly formerMs: readonly number[];
    };
  },
): Promise<number> {
  const { id, reason, place } = destruction;
  await parts.threads.noteDestruction({ message: id });
  const draft = systemDraft(
    parts,
    actor,
    { kind: 'key.destroyed', subject: id, reason },
    // The same destruction is in the log once, however often it had to be finished.
    {
      id: `key.destroyed:${id}`,
      dedupe: `key.destroyed|${id}`,
      ...(place === undefined ? {} : { extra: { ...place } }),
    },
  );
  const [outcome] = await parts.recorder.record([draft]);
  if (outcome?.status !== 'stored' && outcome?.status !== 'duplicate')
    throw new CartularyError('internal', 'the destruction could not be put on record');
  await parts.threads.noteDestruction({ message: id, seq: outcome.seq });
  return outcome.seq;
}

/**
 * What must be known of the message after its key is gone: where the index has it, and its media. Looked up once the key is closed, since until then a medium may still be
 * added.
 */
async function look(
  parts: ArchiveParts,
  { id, underWay }: { readonly id: MessageId; readonly underWay: UnderWay },
): Promise<Required<UnderWay>> {
  const { sentAtMs, size = 0, formerMs = [], blobs = [] } = underWay;
  if (sentAtMs !== undefined) return { ...underWay, sentAtMs, size, formerMs, blobs };
  const detail = await parts.threads.read.call('message', { id, atMs: undefined });
  const [now, ...former] = await parts.threads.read.call('places', id);
  const found = { ...underWay, size, sentAtMs: now, formerMs: former, blobs: blobsOf(detail) };
  await note(parts, id, found);
  return found;
}

async function hasKey(parts: Pick<ArchiveParts, 'reader'>, messageNo: number): Promise<boolean> {
  const [row] = await parts.reader.readMessages([messageNo], { stateOnly: true });
  return row?.secret !== undefined;
}

function blobsOf(detail: MessageDetail | undefined): string[] {
  return (detail?.history ?? []).flatMap((entry) => {
    const event = entry.event as { kind: string; media?: { blob?: string } };
    return event.kind === 'media.stored' && event.media?.blob !== undefined ? [event.media.blob] : [];
  });
}

async function closeKey(parts: ArchiveParts, messageId: Uint8Array): Promise<void> {
  await ignoreDestroyed(parts.writer.closeKey(messageId));
}

async function destroyKey(parts: ArchiveParts, messageId: Uint8Array): Promise<void> {
  await ignoreDestroyed(parts.writer.destroyKey(messageId));
}

/**
 * The secret must not outlive its row in the write-ahead log. A backup or a verification may read for long; the destruction then stays noted as under way, and is finished
 * later.
 * @throws CartularyError `overloaded`
 */
async function scrub({ writer }: ArchiveParts): Promise<void> {
  const deadline = performance.now() + SCRUB_MS_MAX;
  while (!(await writer.scrub())) {
    if (performance.now() >= deadline)
      throw new CartularyError(
        'overloaded',
        'the key is taken away; its last copy goes when what reads the archive now (a backup, a verification) is done, by itself',
      );
    await new Promise((resolve) => setTimeout(resolve, SCRUB_EVERY_MS));
  }
}

async function ignoreDestroyed(act: Promise<void>): Promise<void> {
  try {
    await act;
  } catch (cause) {
    if (!(cause instanceof CartularyError) || cause.code !== 'key-destroyed') throw cause;
  }
}

function settingOf(id: MessageId): string {
  return UNDER_WAY + Buffer.from(idBytes(id)).toString('hex');
}

function note(parts: ArchiveParts, id: MessageId, underWay: UnderWay): Promise<void> {
  return parts.writer.putSettings([{ name: settingOf(id), value: Buffer.from(JSON.stringify(underWay), 'utf8') }]);
}

function forget(parts: ArchiveParts, id: MessageId): Promise<void> {
  return parts.writer.putSettings([{ name: settingOf(id), value: undefined }]);
}
