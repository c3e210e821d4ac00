/** What a node of an archive is called: a name of its own in its own directory, so that what it has begun is told apart from what the others are at. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { writeFileDurably } from '../vault/durable-file.ts';
import type { DataLayout } from './layout.ts';

const NAME = /^node_[0-9a-f]{16}$/;

/** Was something begun by this node, or before there were several? @param by what it noted as its name, empty where it had none */
export function isOwn(node: string | undefined, by: string): boolean {
  return by === '' || by === node;
}

/** The name of this node, which is made at its first start; undefined where the archive has but one. */
export async function nameNode({ node: path }: Pick<DataLayout, 'node'>): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const known = (await readFile(path, 'utf8').catch(() => '')).trim();
  if (NAME.test(known)) return known;
  const name = `node_${randomBytes(8).toString('hex')}`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFileDurably(path, Buffer.from(`${name}\n`), 0o600);
  return name;
}
