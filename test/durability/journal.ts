/**
 * A client's journal: an append-only file on another file system than the archive, one line for each thing that happened to a message:
 *
 *     client n sid payload-hash what ms
 *
 * `what` is `sent` (about to be sent; once for each attempt), `again` (sent although it was acknowledged before), `acked`, `error:STATUS` (refused:
 * nothing was promised) or `unknown` (the connection broke before an answer). A line `sent` stands before the first byte leaves.
 */
import { closeSync, openSync, readFileSync, readdirSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What happened to a message. */
export type What = 'sent' | 'again' | 'acked' | 'unknown' | `error:${number}`;

/** A journal that is being written. */
export type Journal = {
  write(n: number, sid: string, hash: string, what: What): void;
  close(): void;
};

/** Opens the journal of one client for appending. */
export function openJournal(directory: string, client: string): Journal {
  const file = openSync(join(directory, `${client}.journal`), 'a', 0o600);
  return {
    write(n, sid, hash, what) {
      writeSync(file, `${client} ${n} ${sid} ${hash} ${what} ${Date.now()}\n`);
    },
    close: () => closeSync(file),
  };
}

/** What a journal says of one message, all its lines together. */
export type Told = {
  readonly client: string;
  readonly n: number;
  readonly sid: string;
  readonly hash: string;
  /** When its first acknowledgement was read, ms since 1970; undefined where there was none. */
  ackedAtMs: number | undefined;
  attempts: number;
  /** How often it was sent although it had been acknowledged. */
  again: number;
};

/** All journals of a directory, by sid. */
export function readJournals(directory: string): Map<string, Told> {
  const told = new Map<string, Told>();
  for (const name of readdirSync(directory).sort()) {
    if (!name.endsWith('.journal')) continue;
    for (const line of readFileSync(join(directory, name), 'utf8').split('\n')) {
      if (line !== '') note(told, line);
    }
  }
  return told;
}

function note(told: Map<string, Told>, line: string): void {
  const [client = '', number = '', sid = '', hash = '', what = '', ms = ''] = line.split(' ');
  const known = told.get(sid) ?? { client, n: Number(number), sid, hash, ackedAtMs: undefined, attempts: 0, again: 0 };
  if (known.client !== client || known.n !== Number(number) || known.hash !== hash)
    throw new Error(`journal: two messages under one sid: ${line}`);
  if (what === 'sent' || what === 'again') known.attempts += 1;
  if (what === 'again') known.again += 1;
  if (what === 'acked') known.ackedAtMs ??= Number(ms);
  told.set(sid, known);
}

/**
 * Asserts that two paths lie on different file systems: what a power cut takes from one it must not take from the other.
 * @throws Error naming both
 */
export function assertOtherFileSystem(journal: string, data: string): void {
  if (deviceOf(journal) === deviceOf(data))
    throw new Error(
      `the journal (${journal}) must lie on another file system than the archive (${data}); see --journal`,
    );
}

/** Of the nearest directory that exists. */
function deviceOf(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? deviceOf(dirname(path)) : found.dev;
}
