/** Programs that faults are made with, and whether they are there. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { whyNoNamespace } from '../support/net-namespace.ts';
import { whyNoServer, whyNoStandby } from '../support/postgres.ts';
import { whyNoS3 } from '../support/s3.ts';
import type { Need, Tool } from './scenario.ts';

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

/** Why what is no program is not there; undefined where it is. */
const REASONS: Readonly<Record<Exclude<Need, Tool>, () => string | undefined>> = {
  root: () => (process.getuid?.() === 0 ? undefined : 'needs root'),
  linux: () => (process.platform === 'linux' ? undefined : 'needs linux'),
  faketime: () => (findFaketimeLibrary() === undefined ? 'faketime is not installed' : undefined),
  postgres: whyNoServer,
  standby: whyNoStandby,
  namespace: whyNoNamespace,
  s3: whyNoS3,
};

/** Why a scenario cannot run here; undefined where it can. */
export function missingNeed(needs: readonly Need[]): string | undefined {
  for (const need of needs) {
    const reason = isTool(need) ? missingTool(need) : REASONS[need]();
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function isTool(need: Need): need is Tool {
  return !Object.hasOwn(REASONS, need);
}

function missingTool(name: Tool): string | undefined {
  return findTool(name) === undefined ? `${name} is not installed` : undefined;
}

/** Runs a program to its end. @throws Error with what it said */
export async function runTool(name: string, args: readonly string[]): Promise<string> {
  const path = findTool(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  const { stdout } = await execFileAsync(path, args, { timeout: TOOL_MS_MAX });
  return stdout;
}
