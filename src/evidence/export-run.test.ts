import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import type { Archive } from '../archive/archive.ts';
import { exportMessages } from './export-run.ts';
import { findExporter } from './exports/list.ts';

const place = await mkdtemp(join(tmpdir(), 'cartulary-export-run-'));
afterAll(() => rm(place, { recursive: true, force: true }));

/** An archive that notes which files are there when they are noted, and fails after. */
function makeArchive(): { archive: Archive; noted: string[] } {
  const noted: string[] = [];
  const archive = {
    allow: async () => undefined,
    async noteUnfinished({ part, reserved }: { part: string; reserved: string }) {
      noted.push(...[part, reserved].map((path) => String(existsSync(path))));
      return async () => void noted.push('forgotten');
    },
    reachIndex: () => Promise.reject(new Error('stop here')),
  };
  return { archive: archive as unknown as Archive, noted };
}

const run = (archive: Archive, path: string): Promise<unknown> => {
  const exporter = findExporter('jsonl');
  if (exporter === undefined) throw new Error('no exporter');
  const context = { now: Date.now, signal: new AbortController().signal, onProgress: () => undefined };
  return exportMessages(archive, { kind: 'local', user: 'test' }, { exporter, q: '', path }, context);
};

// Killed between the two, an export left an empty file that nobody removed.
it('the files of an export are noted before they are there', async () => {
  const { archive, noted } = makeArchive();
  await expect(run(archive, join(place, 'new.zip'))).rejects.toThrow('stop here');
  expect(noted).toEqual(['false', 'false', 'forgotten']);
  expect(readdirSync(place)).toEqual([]);
});

it('what is there already is not noted as ours', async () => {
  const { archive, noted } = makeArchive();
  const path = join(place, 'old.zip');
  await writeFile(path, '');
  await expect(run(archive, path)).rejects.toMatchObject({ code: 'conflict' });
  expect(noted).toEqual([]);
  expect(readdirSync(place)).toEqual(['old.zip']);
});
