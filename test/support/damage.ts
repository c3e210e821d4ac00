/** Damage to files, every kind of file in a data directory and beside it, and what the product says of them. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

import type { Check } from '../../src/api/operations/doctor.ts';
import type { Service } from '../../src/api/service.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import { CartularyError } from '../../src/model/errors.ts';
import { openData, operate } from './whole-archive.ts';

/** Every kind of file, by its path beside `closed`, `data`, the backups and the bundle. A file of no kind fails the test that lists them. */
export const KINDS: readonly (readonly [kind: string, path: RegExp])[] = [
  ['house', /^data\/cartulary\.json$/],
  ['root key', /^data\/keys\/root\.key$/],
  ['keyring', /^data\/keys\/arc_\w+\.keyring\.json$/],
  // Made anew at each start.
  ['passing', /^data\/run\/(lock|lock-journal|cartulary\.sock)$|-shm$/],
  ['database', /^data\/archives\/arc_\w+\/archive\.db$/],
  ['database wal', /^data\/archives\/arc_\w+\/archive\.db-wal$/],
  ['index month', /^data\/archives\/arc_\w+\/index\/index-\d{4}-\d\d\.db$/],
  ['index state', /^data\/archives\/arc_\w+\/index\/index-state\.db$/],
  ['index wal', /^data\/archives\/arc_\w+\/index\/index-.*\.db-wal$/],
  ['checkpoint', /^data\/archives\/arc_\w+\/log\/checkpoint$/],
  ['log key', /^data\/archives\/arc_\w+\/log\/vkey$/],
  ['tile', /^data\/archives\/arc_\w+\/log\/tile\/\d+\/[\dx/]+(\.p\/\d+)?$/],
  ['entries', /^data\/archives\/arc_\w+\/log\/tile\/entries\/[\dx/]+(\.p\/\d+)?$/],
  ['medium', /^data\/archives\/arc_\w+\/blobs\/[0-9a-f]{2}\/[0-9a-f]{64}$/],
  ['refused', /^data\/archives\/arc_\w+\/ring\/src_\w+\/\d+-[0-9a-f]+$/],
  ['signer memory', /^data\.signer\/arc_\w+\.head\.json$/],
  ['destruction list', /^data\.signer\/arc_\w+\.destroyed\.jsonl$/],
  ['head beside backups', /^backups\/arc_\w+\.head\.json$/],
  ['list beside backups', /^backups\/arc_\w+\.destroyed\.jsonl$/],
  ['backup', /^backups\/cartulary-arc_[^/]+\//],
  ['bundle', /^bundle\.zip$/],
  // On paper; what is mistyped is named by its line (src/vault/recovery-kit.test.ts).
  ['kit', /^kit\.txt$/],
];

/** The kind of a file; undefined where it is of none. */
export function kindOf(path: string): string | undefined {
  return KINDS.find(([, pattern]) => pattern.test(path))?.[0];
}

export type DamageName = 'flip' | 'half' | 'zeroes' | 'empty' | 'gone';
export const DAMAGES: readonly DamageName[] = ['flip', 'half', 'zeroes', 'empty', 'gone'];

/** Damages a file. @param at 0 to 1: where in the file */
export function damage(path: string, name: DamageName, at = 0.5): void {
  if (name === 'gone') return rmSync(path);
  const bytes = readFileSync(path);
  const place = Math.min(bytes.length - 1, Math.floor(bytes.length * at));
  if (name === 'flip') bytes[place] = (bytes[place] ?? 0) ^ (1 << (place & 7));
  else if (name === 'zeroes') bytes.fill(0, Math.max(0, place), Math.min(bytes.length, place + 4096));
  writeFileSync(path, name === 'half' ? bytes.subarray(0, bytes.length / 2) : name === 'empty' ? '' : bytes);
}

/** What the product says of a data directory. */
export type Said = {
  /** Why it does not start. */
  readonly start?: string;
  /** Checks of `doctor` that failed. */
  readonly doctor: readonly string[];
  /** Codes of `verify`. */
  readonly verify: readonly string[];
  readonly texts: readonly string[];
};

/**
 * Starts, runs `doctor` and `verify`, then whatever is asked, and stops.
 * @throws whatever is no error of the catalogue: a person could not read it
 */
export async function look(
  data: string,
  then: (service: Service) => Promise<void> = async () => undefined,
): Promise<Said> {
  let service: Service;
  try {
    service = await openData(data);
  } catch (cause) {
    if (!(cause instanceof CartularyError)) throw cause;
    return { start: `${cause.code}: ${cause.message}`, doctor: [], verify: [], texts: [] };
  }
  try {
    const { checks } = await operate<{ checks: Check[] }>(service, 'doctor');
    const { faults } = await operate<VerifyReport>(service, 'verify');
    await then(service);
    return {
      doctor: checks
        .filter(({ state, name }) => state === 'failed' && !name.startsWith('way in'))
        .map(({ name }) => name),
      verify: [...new Set(faults.map(({ code }) => code))],
      texts: faults.map(({ text }) => text),
    };
  } finally {
    await service.close();
  }
}
