/**
 * Files outside the data directory that are being written: what can be read of them must not stay where the process is killed. They are noted before they are begun; what a
 * start finds noted is removed.
 */
import { rm, stat } from 'node:fs/promises';

import type { ArchiveParts } from './archive-parts.ts';
import { isOwn } from './node-name.ts';

const PREFIX = 'unfinished/';

/** What is noted: the file that is filled, and the empty one that keeps the name for it. */
type Unfinished = { readonly part: string; readonly reserved: string };
/** With the node on whose machine they are. */
type Noted = Unfinished & { readonly node?: string };

/** Notes files before they are begun. @returns to be called when they are whole, or gone */
export async function noteUnfinished(
  { writer, random, node }: Pick<ArchiveParts, 'node' | 'random' | 'writer'>,
  files: Unfinished,
): Promise<() => Promise<void>> {
  const name = PREFIX + Buffer.from(random.take(16)).toString('hex');
  const noted: Noted = { ...files, ...(node === undefined ? {} : { node }) };
  await writer.putSettings([{ name, value: Buffer.from(JSON.stringify(noted), 'utf8') }]);
  return () => writer.putSettings([{ name, value: undefined }]);
}

/** Removes what the last process did not finish. */
export async function removeUnfinished({
  reader,
  writer,
  node,
}: Pick<ArchiveParts, 'node' | 'reader' | 'writer'>): Promise<void> {
  for (const { name, value } of await reader.listSettings(PREFIX)) {
    const { part, reserved, node: by = '' } = JSON.parse(Buffer.from(value).toString('utf8')) as Noted;
    if (!isOwn(node, by)) continue;
    await rm(part, { force: true });
    // One with something in it was finished, or is somebody else's.
    if ((await stat(reserved).catch(() => undefined))?.size === 0) await rm(reserved);
    await writer.putSettings([{ name, value: undefined }]);
  }
}
