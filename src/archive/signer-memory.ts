/** What the signer remembers of the last head it signed: a small file beside the data (DESIGN §5.6). */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { z } from 'zod';

import { checkShape } from '../model/check-shape.ts';
import { HASH_BYTES } from '../ledger/hash.ts';
import type { Head, SignerMemory } from '../ledger/signer.ts';
import { writeFileDurably } from '../vault/durable-file.ts';

const headSchema = z.object({
  origin: z.string(),
  size: z.number().int().nonnegative(),
  root: z.base64().transform((text) => Buffer.from(text, 'base64')),
});

/** The remembered head; undefined where there is none that can be read. */
export async function readSignerMemory(path: string): Promise<Head | undefined> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
  const parsed = checkShape(headSchema, json);
  return parsed.success && parsed.data.root.length === HASH_BYTES ? parsed.data : undefined;
}

/** Remembers a head; durable when it answers. */
export async function writeSignerMemory(path: string, { origin, size, root }: Head): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const text = JSON.stringify({ origin, size, root: Buffer.from(root).toString('base64') });
  await writeFileDurably(path, Buffer.from(text), 0o600);
}

/** The memory as the signer wants it. */
export function openSignerMemory(path: string): SignerMemory {
  return { read: () => readSignerMemory(path), write: (head) => writeSignerMemory(path, head) };
}
