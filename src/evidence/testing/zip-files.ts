/**
 * Bundles taken apart and put together again as a forger would: with every hash set right that can be without the log's key.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';

import { fromBufferPromise } from 'yauzl';
import { ZipFile } from 'yazl';

import { formatManifest, formatSums } from '../bundle-format.ts';
import type { BundleManifest } from '../bundle-format.ts';

/** The files of a ZIP, in their order. */
export async function unzip(bytes: Buffer): Promise<Map<string, Buffer>> {
  const zip = await fromBufferPromise(bytes);
  const files = new Map<string, Buffer>();
  for await (const entry of zip.eachEntry())
    files.set(entry.fileName, await buffer(await zip.openReadStreamPromise(entry)));
  return files;
}

/** A ZIP of these files; a name may be there twice. */
export async function zipOf(files: Iterable<readonly [string, Buffer]>, { compress = true } = {}): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, bytes] of files)
    zip.addBuffer(bytes, name, { mtime: new Date(0), forceDosTimestamp: true, compress });
  zip.end();
  return buffer(zip.outputStream);
}

/** The lines of a file, without their ends. */
export function linesOf(files: ReadonlyMap<string, Buffer>, name: string): string[] {
  return (files.get(name)?.toString('utf8') ?? '').split('\n').slice(0, -1);
}

/** Writes lines to a file. */
export function putLines(files: Map<string, Buffer>, name: string, lines: readonly string[]): void {
  files.set(name, Buffer.from(lines.map((line) => `${line}\n`).join('')));
}

/** Makes the manifest and the sums say what the files are now; `change` may lie on top of it. */
export function forgeManifest(
  files: Map<string, Buffer>,
  change: (manifest: BundleManifest) => void = () => undefined,
): void {
  const manifest = JSON.parse(files.get('manifest.json')?.toString('utf8') ?? '') as BundleManifest;
  const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  manifest.files = [...files]
    .filter(([name]) => name !== 'manifest.json' && name !== 'SHA256SUMS')
    .map(([name, bytes]) => ({ name, bytes: bytes.length, sha256: sha256(bytes) }));
  manifest.counts = {
    messages: linesOf(files, 'messages.jsonl').length,
    records: linesOf(files, 'records.jsonl').length,
    media: [...files.keys()].filter((name) => name.startsWith('media/')).length,
    gaps: linesOf(files, 'gaps.jsonl').length,
  };
  change(manifest);
  const text = Buffer.from(formatManifest(manifest));
  files.set('manifest.json', text);
  files.set(
    'SHA256SUMS',
    Buffer.from(formatSums([...manifest.files, { name: 'manifest.json', sha256: sha256(text) }])),
  );
}
