/**
 * What commands stand on: settings, and a way to run an operation whether this process opens the data directory itself or another holds it.
 */
import { existsSync } from 'node:fs';

import type { Command } from 'commander';

import { dataLayout } from '../archive/layout.ts';
import { localContext } from '../api/operation.ts';
import { loadOperation } from '../api/operations/find.ts';
import { CartularyError } from '../model/errors.ts';
import { readSettings } from '../settings.ts';
import type { Settings } from '../settings.ts';
import { createThreadStarter } from '../store/thread-sharing.ts';
import { createProgress } from './output.ts';

/** Options that every command has. */
export type CommonOptions = { readonly data?: string; readonly json?: boolean };

/** Adds the options that every command has. */
export function withCommonOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'data directory (default: CARTULARY_DATA, or ./data)')
    .option('--json', 'print the result as JSON');
}

/**
 * A whole number that was given as an option.
 * @throws CartularyError `bad-input` naming the option
 */
export function parseCount(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new CartularyError('bad-input', `${option} is a whole number`);
  return Number(text);
}

/** Settings of a command. @param isLockable may the passphrase be given later? */
export function settingsOf(options: CommonOptions, isLockable = false): Settings {
  return readSettings(process.env, options.data === undefined ? {} : { data: options.data }, undefined, isLockable);
}

/**
 * Runs an operation: in the process that holds the data directory, if there is one, else here.
 * @param what shown with the progress of long work
 */
export async function runOperation<Result>(
  options: CommonOptions,
  name: string,
  args: unknown,
  what = 'working',
): Promise<Result> {
  const settings = settingsOf(options, true);
  const { socket } = dataLayout(settings.data);
  const progress = createProgress(what);
  try {
    if (existsSync(socket)) {
      const { callLocalSocket } = await import('../api/local-socket.ts');
      const answer = await callLocalSocket(socket, name, args, (value) => progress.update(value));
      if (answer !== undefined) return answer.result as Result;
    }
    return (await runHere(settingsOf(options), name, args, (value) => progress.update(value))) as Result;
  } finally {
    progress.end();
  }
}

async function runHere(
  settings: Settings,
  name: string,
  args: unknown,
  onProgress: (progress: { done: number; total: number }) => void,
): Promise<unknown> {
  // An import keeps several threads busy; everything else asks one after the other. First, since it comes up while the rest is loaded.
  const threads = createThreadStarter(name === 'import' ? 'on-use' : 'shared');
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  process.once('SIGINT', stop);
  try {
    const operation = await loadOperation(name);
    const { openService } = await import('../api/service.ts');
    const logLevel = settings.logLevel === 'info' ? 'warn' : settings.logLevel;
    const service = await openService({ ...settings, logLevel }, { threads });
    try {
      return await operation.run(args, localContext(service, abort.signal, onProgress));
    } finally {
      await service.close();
    }
  } finally {
    process.off('SIGINT', stop);
    await threads.end();
  }
}
