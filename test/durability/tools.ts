/** Programs that faults are made with, and whether they are there. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { whyNoServer } from '../support/postgres.ts';
import type { Need } from './scenario.ts';

const execFileAsync = promisify(execFile);
const TOOL_MS_MAX = 60_000;
/** Debian keeps these out of the path of ordinary users. */
const FURTHER = ['/usr/sbin', '/sbin', '/usr/local/sbin'];

/** The path of a program; undefined where it is not installed. */
export function findTool(name: string): string | undefined {
  for (const directory of [...(process.env['PATH'] ?? '').split(':'), ...FURTHER]) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // It is not here.
    }
  }
  return undefined;
}

/** Where Debian's libfaketime lies; undefined where it is not installed. */
export function findFaketimeLibrary(): string | undefined {
  for (const machine of ['x86_64', 'aarch64']) {
    const path = `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`;
    try {
      accessSync(path, constants.R_OK);
      return path;
    } catch {
      // Another machine's.
    }
  }
  return undefined;
}

/** Why a scenario cannot run here; undefined where it can. */
export function missingNeed(needs: readonly Need[]): string | undefined {
  for (const need of needs) {
    if (need === 'postgres') {
      const reason = whyNoServer();
      if (reason !== undefined) return reason;
    } else if (
      need === 'root' ? process.getuid?.() !== 0 : need === 'linux' ? process.platform !== 'linux' : !isInstalled(need)
    )
      return need === 'root' || need === 'linux' ? `needs ${need}` : `${need} is not installed`;
  }
  return undefined;
}

function isInstalled(need: Exclude<Need, 'postgres'>): boolean {
  return (need === 'faketime' ? findFaketimeLibrary() : findTool(need)) !== undefined;
}

/** Runs a program to its end. @throws Error with what it said */
export async function runTool(name: string, args: readonly string[]): Promise<string> {
  const path = findTool(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  const { stdout } = await execFileAsync(path, args, { timeout: TOOL_MS_MAX });
  return stdout;
}
