/**
 * The destruction list: which messages were destroyed, kept beside the data and beside the backups, so that no restore brings one back. A line names a message when its
 * destruction begins, and again, with the place of the record, when it stands in the log. An empty list is a statement, a missing one is not.
 */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { z } from 'zod';

import { CartularyError } from '../model/errors.ts';
import { checksumOf } from '../vault/hash.ts';
import { writeFileDurably } from '../vault/durable-file.ts';
import type { ArchiveLayout } from './layout.ts';

const lineSchema = z.object({
  message: z.string().regex(/^msg_[0-9a-f]{32}$/),
  seq: z.number().int().nonnegative().optional(),
  check: z.string().optional(),
});

/** A destroyed message; `seq` is where its destruction stands in the log, undefined until it does. */
export type Destruction = { readonly message: string; readonly seq?: number | undefined };

/** Where the list lies: beside the data, with the signer's memory, whose size says how new the list is. */
export function destructionListPath(layout: Pick<ArchiveLayout, 'signerMemory'>): string {
  return layout.signerMemory.replace(/\.head\.json$/, '.destroyed.jsonl');
}

/** A line of the list: it bears a sum of its own, since a damaged id would be one that nobody knows. */
function formatLine({ message, seq }: Destruction): string {
  return `${JSON.stringify({ message, ...(seq === undefined ? {} : { seq }), check: sumOf({ message, seq }) })}\n`;
}

function sumOf({ message, seq }: Destruction): string {
  return checksumOf(`${message} ${seq ?? ''}`);
}

/** Adds a line; durable when it answers. */
export async function noteDestruction(path: string, entry: Destruction): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await appendFile(path, formatLine(entry), { mode: 0o600, flush: true });
}

/** Writes a list as a whole. */
export async function writeDestructionList(path: string, entries: Iterable<Destruction>): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const lines = Array.from(entries, formatLine);
  await writeFileDurably(path, Buffer.from(lines.join('')), 0o600);
}

/**
 * The list by message; undefined where there is none.
 * @param options `skipDamaged`: lines that cannot be read are left out
 * @throws CartularyError `corrupt` where a line other than the last, which a power cut may have cut off, cannot be read
 */
export async function findDestructionList(
  path: string,
  options: { readonly skipDamaged?: boolean } = {},
): Promise<Map<string, Destruction> | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const entries = new Map<string, Destruction>();
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (line === '') continue;
    const parsed = parseLine(line);
    if (parsed !== undefined) addDestruction(entries, parsed);
    else if (index < lines.length - 1 && options.skipDamaged !== true)
      throw new CartularyError(
        'corrupt',
        `line ${index + 1} of the destruction list ${path} cannot be read; beside the data, "cartulary key remember" writes it again`,
      );
  }
  return entries;
}

/** Puts a destruction into a list; one that says where it stands in the log is kept. */
export function addDestruction(entries: Map<string, Destruction>, entry: Destruction): void {
  const known = entries.get(entry.message);
  if (known === undefined || entry.seq !== undefined) entries.set(entry.message, entry);
}

function parseLine(line: string): Destruction | undefined {
  try {
    const { check, ...entry } = lineSchema.parse(JSON.parse(line));
    return check === undefined || check === sumOf(entry) ? entry : undefined;
  } catch {
    return undefined;
  }
}
