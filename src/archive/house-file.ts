/**
 * `cartulary.json`: which archives a data directory holds. Nothing in it is secret.
 */
import { readFile, stat } from 'node:fs/promises';

import { z } from 'zod';

import { checkShape } from '../model/check-shape.ts';
import { CartularyError } from '../model/errors.ts';
import { checksumOf } from '../vault/hash.ts';
import { writeFileDurably } from '../vault/durable-file.ts';
import type { DataLayout } from './layout.ts';

/** The log that the archive's log succeeds (`succession.ts`). */
const successionSchema = z.strictObject({
  origin: z.string(),
  size: z.number().int(),
  root: z.string(),
  lostFrom: z.number().int(),
  destructionsAsOf: z.number().int(),
});
const houseSchema = z.strictObject({
  version: z.literal(1),
  /** Of the archives, so that a damaged name is no new one. */
  check: z.string().optional(),
  archives: z
    .array(
      z.strictObject({
        id: z.string(),
        name: z.string(),
        origin: z.string(),
        createdAt: z.string(),
        /** What keeps the records; in the data directory where nothing is said. */
        engine: z.enum(['postgres']).optional(),
        /** What keeps the media; the data directory where nothing is said. */
        blobs: z.enum(['s3']).optional(),
        succeeds: successionSchema.optional(),
      }),
    )
    .min(1),
});
/** The file's content. */
type HouseFile = z.infer<typeof houseSchema>;

/** What is said of an archive. */
export type HouseEntry = HouseFile['archives'][number];

function sumOf(archives: HouseFile['archives']): string {
  // In the order of the schema, whatever that of the caller is.
  const inOrder = houseSchema.shape.archives.parse(archives);
  return checksumOf(JSON.stringify(inOrder));
}

/** Is there an archive? */
export async function isInitialised({ house }: Pick<DataLayout, 'house'>): Promise<boolean> {
  return (await stat(house).catch(() => undefined)) !== undefined;
}

/** Reads which archives a data directory holds. @throws CartularyError `corrupt`, `data-newer` */
export async function readHouseFile(layout: Pick<DataLayout, 'house'>): Promise<HouseEntry> {
  const value = parseJson(await readFile(layout.house, 'utf8'));
  assertNotNewer(layout.house, value, houseSchema);
  const parsed = checkShape(houseSchema, value);
  const { archives, check } = parsed.success ? parsed.data : { archives: [], check: undefined };
  const [first] = archives;
  if (first !== undefined && (check === undefined || check === sumOf(archives))) return first;
  throw new CartularyError(
    'corrupt',
    `${layout.house} cannot be read; copy content/cartulary.json of the newest backup to its place`,
  );
}

/**
 * Every file that says its version says 1 today.
 * @param schema of version 1: where nothing but the number is another, the number is damaged
 * @throws CartularyError `data-newer` where it says more
 */
export function assertNotNewer(path: string, value: unknown, schema: z.ZodType): void {
  if (typeof value !== 'object' || value === null || !('version' in value)) return;
  const { version } = value;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version <= 1) return;
  if (!checkShape(schema, { ...value, version: 1 }).success)
    throw new CartularyError('data-newer', `${path} was written by a newer version (${version}, this program knows 1)`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Writes which archive a data directory holds. */
export async function writeHouseFile(layout: DataLayout, archive: HouseEntry): Promise<void> {
  const file: HouseFile = { version: 1, check: sumOf([archive]), archives: [archive] };
  await writeFileDurably(layout.house, Buffer.from(`${JSON.stringify(file, null, 2)}\n`), 0o600);
}
