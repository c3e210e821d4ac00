/**
 * Months of the search index that were put where other nodes, or this one after it lost its disk, find them, so that they need not be indexed again.
 *
 * What lies there is a sealed copy of a month's file, named by its hash. What it is, how far the log was followed in it, and the key that opens it stand in a setting of the store, sealed
 * under the archive's key: whoever owns the bucket can neither alter a copy nor bring an older one back, and where a copy cannot be removed, the key is.
 *
 * Invariant: no copy is taken in which there may be words of a message that was destroyed since. Who destroys one puts up a fence before each month in which it stood, after the destruction
 * is in the log and before the key of the message goes. Who shares a month looks for its fence, then follows to the end of the log, then copies; the copy is good as long as the fence is
 * that one.
 */
import { CartularyError } from '../model/errors.ts';
import { INDEX_VERSION } from '../search/index-version.ts';
import type { MonthFacts } from '../search/month-writer.ts';
import { monthBounds } from '../search/months.ts';
import type { Month } from '../search/months.ts';
import type { BlobStore } from '../store/blobs.ts';
import { sealSetting } from '../vault/secrets.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { FENCE, fenceOf, findSharedMonths, SHARED } from './shared-month.ts';
import type { SharedMonth } from './shared-month.ts';

const DAY_MS = 86_400_000;
/** A month whose messages have become so many more or fewer, as part of all, is shared again at once; one that changes a little, seldom. */
const CHANGED_PART = 1 / 64;
/** Of how long a month was over when it was last shared, that much passes until it is shared again. */
const AGE_PART = 1 / 2;

type Parts = Pick<ArchiveParts, 'link' | 'months' | 'now' | 'random' | 'reader' | 'sealer' | 'threads' | 'writer'>;

/**
 * Shares months that are over, each once, and again when it has changed; removes what is not to be taken any more. Only for the node that leads.
 * @param options `quietMs`: only months that were left alone for so long
 * @returns the months that were shared now
 * @throws CartularyError `overloaded` where the server is away, `database-away`
 */
export async function shareMonths(
  parts: Parts,
  { quietMs, signal }: { readonly quietMs: number; readonly signal?: AbortSignal },
): Promise<Month[]> {
  const { months } = parts;
  if (months === undefined) return [];
  await months.sweep();
  const known = await findSharedMonths(parts);
  const there = await removeUnnamed(months, known);
  const shared: Month[] = [];
  for (const facts of await parts.threads.follow.call('pastMonths', { quietMs })) {
    const before = known.get(facts.month);
    if (before !== undefined && there.has(before.object) && !isDue(facts, before, parts.now())) continue;
    if (signal?.aborted === true || !(await parts.link.leads())) break;
    if (!(await shareMonth(parts, months, facts, signal))) continue;
    shared.push(facts.month);
    if (before !== undefined) await removeBlob(months, before.object);
  }
  return shared;
}

/** Is a month that was shared to be shared again? */
function isDue({ month, messages, changedAt, erasedAt }: MonthFacts, before: SharedMonth, nowMs: number): boolean {
  if (changedAt < before.followed) return false;
  // Where a node of an older program destroyed a message, nobody has withdrawn the month.
  if (erasedAt >= before.followed) return true;
  if (Math.abs(messages - before.messages) > before.messages * CHANGED_PART) return true;
  const age = before.sharedAtMs - monthBounds(month).endMs;
  return nowMs - before.sharedAtMs >= Math.max(DAY_MS, age * AGE_PART);
}

async function shareMonth(
  parts: Parts,
  months: BlobStore,
  { month, messages }: MonthFacts,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { reader, writer, threads } = parts;
  const fence = fenceOf(await reader.readSetting(FENCE + month));
  // After the fence: the destruction for which it was put up is among these records.
  const size = await reader.size();
  const copy = await threads.follow.call('shareMonth', { month, size }, signal === undefined ? {} : { signal });
  if (copy === undefined) return false;
  const name = SHARED + month;
  const shared: SharedMonth = { ...copy, messages, version: INDEX_VERSION, fence, sharedAtMs: parts.now() };
  const value = sealSetting(parts.sealer, name, Buffer.from(JSON.stringify(shared), 'utf8'), parts.random);
  await writer.putSettings([{ name, value }]);
  if (fenceOf(await reader.readSetting(FENCE + month)) === fence) return true;
  await writer.putSettings([{ name, value: undefined }]);
  await removeBlob(months, copy.object);
  return false;
}

/**
 * Puts up a fence before months in which a destroyed message stood, and destroys the keys of their copies. To be called when the destruction is in the log, and before the key of the
 * message goes.
 */
export async function withdrawMonths(
  { months, random, writer }: Pick<ArchiveParts, 'months' | 'random' | 'writer'>,
  names: ReadonlySet<Month>,
): Promise<void> {
  if (months === undefined) return;
  const changes = [...names].flatMap((month) => [
    { name: FENCE + month, value: random.take(16) },
    { name: SHARED + month, value: undefined },
  ]);
  await writer.putSettings(changes);
}

/** Removes every version of copies that are not to be taken any more. @throws CartularyError `overloaded` where the server is away */
export async function removeWithdrawn(parts: Pick<ArchiveParts, 'months' | 'reader' | 'sealer'>): Promise<void> {
  if (parts.months !== undefined) await removeUnnamed(parts.months, await findSharedMonths(parts));
}

/** @returns the blobs that are there and named */
async function removeUnnamed(months: BlobStore, known: ReadonlyMap<Month, SharedMonth>): Promise<Set<string>> {
  const named = new Set([...known.values()].map(({ object }) => object));
  const there = new Set<string>();
  for await (const name of months.list()) {
    if (named.has(name)) there.add(name);
    else await removeBlob(months, name);
  }
  return there;
}

/** A bucket may lock whatever it is given; its key is gone, and it is removed when the lock is. */
async function removeBlob(months: BlobStore, name: string): Promise<void> {
  try {
    await months.remove(name);
  } catch (cause) {
    if (!(cause instanceof CartularyError && cause.code === 'conflict')) throw cause;
  }
}
