/**
 * Guard once more, when more is known: a security code that came in a text of its own says nothing until it is read beside the text before it, and what this version
 * recognises an earlier one may have kept. What is found destroys the message's key, on record.
 */
import type { Archive } from '../archive/archive.ts';
import type { OpenJob } from '../archive/jobs.ts';
import type { Caller } from '../archive/caller.ts';
import type { MessageView } from '../archive/views.ts';
import type { BundledMessage } from '../archive/threads/read-thread.ts';
import { CartularyError } from '../model/errors.ts';
import type { Event } from '../model/event.ts';
import { foldMessage } from '../model/fold.ts';
import { parseRecord } from '../model/record.ts';
import { releaseBuffer } from '../store/growing-buffer.ts';
import { formatId } from '../model/ids.ts';
import type { MessageId } from '../model/ids.ts';
import type { DraftJob } from '../archive/filed-record.ts';
import type { GuardCounts } from './guard/guard.ts';
import { guardEnvelope, guardText } from './guard/guard.ts';
import { restoreEnvelope } from './raw-slice.ts';

/** Code of the reason in the log. */
export const FOUND_LATER = 'card-data-found-later';

/** Milliseconds until a short number is read beside its neighbours: by then those that were sent together are here. */
const WAIT_MS = 60_000;
/** Two texts further apart than this are not read as one. */
const NEIGHBOUR_MS = 15 * 60_000;
/** Longer texts with a number in them are seldom the second half of anything. */
const CHARS_MAX = 24;
const SHORT_NUMBER = /(?<![\d*])\d{3,4}(?![\d*])/;
const DAY_MS = 86_400_000;
/** Messages of a conversation that are looked through for neighbours. */
const LOOK_MAX = 200;

/** The job that reads a short number again beside its neighbours. */
export function guardLaterJobs(event: Event, nowMs: number): DraftJob[] {
  if (event.kind !== 'message.created' && event.kind !== 'message.edited') return [];
  const text = (event.kind === 'message.created' ? event.content.body : event.body)?.text ?? '';
  if (text.length > CHARS_MAX || !SHORT_NUMBER.test(text)) return [];
  return [{ kind: 'guard', dueAtMs: nowMs + WAIT_MS, payload: {} }];
}

/** Reads a message beside its neighbours and destroys it where it holds a security code. */
export async function workGuard(archive: Archive, job: OpenJob): Promise<void> {
  await archive.reachIndex();
  const message = await archive.threads.read.call('message', { id: job.messageId, atMs: undefined });
  if (message !== undefined && message.text !== null && (await isSecondHalf(archive, message, message.text))) {
    try {
      return await archive.destroyFound(job.messageId, FOUND_LATER);
    } catch (cause) {
      // A hold goes first: the message stays, and whoever lifts the hold can look again (`reprocess --guard`).
      if (!(cause instanceof CartularyError) || cause.code !== 'key-pinned') throw cause;
    }
  }
  return archive.finishJob(job.id);
}

async function isSecondHalf(archive: Archive, message: MessageView, text: string): Promise<boolean> {
  const sentAtMs = timeOf(message);
  if (message.conversationId === null) return false;
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const { items } = await archive.threads.read.call('search', {
    q: `conversation:${message.conversationId} date:${day(sentAtMs - DAY_MS)}..${day(sentAtMs + DAY_MS)}`,
    limit: LOOK_MAX,
    cursor: undefined,
  });
  const near = items.filter((item) => item.id !== message.id && Math.abs(timeOf(item) - sentAtMs) <= NEIGHBOUR_MS);
  return near.some(({ text: other }) => other !== null && other !== '' && isCodeBeside(text, other));
}

/** Does a text hold a security code once it is read behind, or before, another? */
export function isCodeBeside(text: string, other: string): boolean {
  const options = { oneTimeCodes: false };
  const behind = guardText(`${other}\n${text}`, options);
  const before = guardText(`${text}\n${other}`, options);
  return (
    (hasCode(behind.findings) && behind.text.slice(-text.length) !== text) ||
    (hasCode(before.findings) && before.text.slice(0, text.length) !== text)
  );
}

function timeOf(message: MessageView): number {
  return Date.parse(message.sentAt ?? message.capturedAt);
}

function hasCode(findings: GuardCounts | undefined): boolean {
  return (findings?.['card-security-code'] ?? 0) > 0 || (findings?.['track-data'] ?? 0) > 0;
}

/** What reading everything again found. */
export type GuardedAgain = {
  readonly messages: number;
  readonly found: readonly MessageId[];
  readonly destroyed: number;
};

const PAGE = 100;
/** Ids that are listed; a second run goes on where more was found. */
const FOUND_MAX = 1000;

/**
 * Reads every message with the guard of this version.
 * @param request `destroy`: destroys what is found, which a person must ask for; without it, it is only listed
 */
export async function guardAgain(
  archive: Archive,
  caller: Caller,
  request: { readonly destroy: boolean },
  context: { readonly signal: AbortSignal; readonly onProgress: (done: number, total: number) => void },
): Promise<GuardedAgain> {
  await archive.reachIndex();
  const { total } = await archive.threads.read.call('search', { q: '', limit: 1, cursor: undefined });
  const found: MessageId[] = [];
  let messages = 0;
  let cursor: string | undefined;
  do {
    const page = await archive.threads.read.call('numbers', { q: '', limit: PAGE, cursor });
    const bundle = await archive.threads.read.call('bundle', page.messageNos);
    for (const { owner, records } of bundle.messages) {
      messages += 1;
      if (holdsCardData(records)) found.push(formatId('message', owner.messageId));
    }
    releaseBuffer(bundle.buffer);
    context.onProgress(messages, Math.max(total, messages));
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < FOUND_MAX && !context.signal.aborted);
  let destroyed = 0;
  for (const id of request.destroy ? found : []) {
    await archive.destroyMessage(caller, id, FOUND_LATER);
    destroyed += 1;
  }
  return { messages, found, destroyed };
}

/** Looks at what a person wrote and at the envelopes it came in. */
function holdsCardData(records: BundledMessage['records']): boolean {
  const options = { oneTimeCodes: false };
  const logged = records.map(({ seq, bytes }) => ({ seq, record: parseRecord(bytes) }));
  if (hasCode(guardText(foldMessage(logged)?.body?.text ?? '', options).findings)) return true;
  return logged.some(({ record: { raw } }) => {
    return raw !== undefined && hasCode(guardEnvelope(restoreEnvelope(raw, 0), options).findings);
  });
}
