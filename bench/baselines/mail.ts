/** The same texts as mails: what indexers of mail make of them. Each message is a file of its own, as they want it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { readFields } from './sqlite.ts';
import type { Arrival } from './sqlite.ts';

/** Files in one folder at most. */
const FILES_A_FOLDER = 10_000;

/** Is a program installed? */
export function isInstalled(program: string): boolean {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Writes texts as mails below `directory`; answers how many. */
export function writeMails(directory: string, arrivals: readonly Arrival[]): number {
  let written = 0;
  for (const { told } of arrivals) {
    const { sender, text } = readFields(told);
    if (text === null) continue;
    const folder = join(directory, String(Math.floor(written / FILES_A_FOLDER)), 'cur');
    if (written % FILES_A_FOLDER === 0)
      for (const name of ['cur', 'new', 'tmp']) mkdirSync(join(folder, '..', name), { recursive: true });
    writeFileSync(join(folder, `${written}:2,S`), makeMail(told.key, sender ?? '', told.atMs, text));
    written += 1;
  }
  return written;
}

/** A mail. @source RFC 5322 §3.6 */
export function makeMail(id: string, sender: string, atMs: number, text: string): string {
  const date = new Date(atMs).toUTCString().replace('GMT', '+0000');
  return `From: <${sender.slice(1)}@sms.example>\nTo: <shop@sms.example>\nSubject: sms\nMessage-ID: <${id}@sms.example>\nDate: ${date}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n${text}\n`;
}
