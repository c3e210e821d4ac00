/** What the signer remembers of the last head it signed: a small file beside the data (DESIGN §5.6). */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { HASH_BYTES } from '../ledger/hash.ts';
import type { Head, SignerMemory } from '../ledger/signer.ts';
import { writeFileDurably } from '../vault/durable-file.ts';

/** The remembered head; undefined where there is none that can be read. */
export async function readSignerMemory(path: string): Promise<Head | undefined> {
  try {
    return parseHead(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/** By hand, since threads read it that need no schema for anything else. */
function parseHead(json: unknown): Head | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { origin, size, root } = json as Partial<Record<keyof Head, unknown>>;
  if (typeof origin !== 'string' || typeof size !== 'number' || typeof root !== 'string') return undefined;
  const bytes = Buffer.from(root, 'base64');
  const isWhole = Number.isSafeInteger(size) && size >= 0 && bytes.length === HASH_BYTES;
  return isWhole && bytes.toString('base64') === root ? { origin, size, root: bytes } : undefined;
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
