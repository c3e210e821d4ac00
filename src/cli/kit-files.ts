import { readFile } from 'node:fs/promises';

/** The text of a recovery kit, or of its shares, from as many files as were given; undefined where none was. */
export async function joinKitFiles(paths: readonly string[]): Promise<string | undefined> {
  if (paths.length === 0) return undefined;
  const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
  return texts.join('\n');
}
