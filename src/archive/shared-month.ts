/** What is known of a month of the search index that was shared; `share-months.ts` says what for. */
import { z } from 'zod';

import { checkShape } from '../model/check-shape.ts';
import { idBytes } from '../model/ids.ts';
import type { ArchiveId } from '../model/ids.ts';
import { INDEX_VERSION } from '../search/index-version.ts';
import type { Month } from '../search/months.ts';
import { BESIDE_SETTINGS } from '../store/store.ts';
import type { StoreReader } from '../store/store.ts';
import { openSetting } from '../vault/secrets.ts';
import type { Sealer } from '../vault/seal.ts';

/** Settings about months that were shared, by name; and the fences before months. */
export const SHARED = `${BESIDE_SETTINGS}month/`;
export const FENCE = `${BESIDE_SETTINGS}fence/`;

const schema = z.strictObject({
  /** `INDEX_VERSION` of the program that wrote the file. */
  version: z.int(),
  /** Name of the blob. */
  object: z.string(),
  /** 32 bytes in hexadecimal. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  /** The records before this place in the log are in it. */
  followed: z.int().nonnegative(),
  messages: z.int().nonnegative(),
  /** The fence that stood before it, empty where there was none. */
  fence: z.string(),
  sharedAtMs: z.number(),
});

/** A month that was shared. */
export type SharedMonth = Readonly<z.infer<typeof schema>>;

/** What was made of a month, as the thread that has the index says it. */
export type MonthCopy = Pick<SharedMonth, 'object' | 'key' | 'followed'>;

/** What a copy is bound to besides its key: a copy of another month or archive does not open. */
export function monthContext(archiveId: ArchiveId, month: Month): Uint8Array {
  return Buffer.concat([Buffer.from('cartulary/month/v1', 'latin1'), idBytes(archiveId), Buffer.from(month, 'latin1')]);
}

/** Months that may be taken, by name; those that this program cannot read, or that were withdrawn, are not among them. */
export async function findSharedMonths(parts: {
  readonly reader: Pick<StoreReader, 'listSettings'>;
  readonly sealer: Sealer;
}): Promise<Map<Month, SharedMonth>> {
  // In this order: a fence that is put up in between is seen.
  const settings = await parts.reader.listSettings(SHARED);
  const fences = new Map(
    (await parts.reader.listSettings(FENCE)).map(({ name, value }) => [name.slice(FENCE.length), fenceOf(value)]),
  );
  const found = new Map<Month, SharedMonth>();
  for (const { name, value } of settings) {
    const month = name.slice(SHARED.length);
    const shared = openShared(parts.sealer, name, value);
    if (shared?.version === INDEX_VERSION && shared.fence === (fences.get(month) ?? '')) found.set(month, shared);
  }
  return found;
}

/** Undefined for what this program cannot read: then it is as if nobody had shared it. */
function openShared(sealer: Sealer, name: string, value: Uint8Array): SharedMonth | undefined {
  try {
    const checked = checkShape(schema, JSON.parse(Buffer.from(openSetting(sealer, name, value)).toString('utf8')));
    return checked.success ? checked.data : undefined;
  } catch {
    return undefined;
  }
}

/** A fence as it is compared; empty where there is none. */
export const fenceOf = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('hex');
