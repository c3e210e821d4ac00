/**
 * The command line. Exit codes: 0 done, 1 it failed or found something, 2 the command was not understood.
 */
import { CommanderError } from 'commander';

import { asSystemError, CartularyError, ERRORS } from '../model/errors.ts';
import { paint, say } from './output.ts';
import { buildProgram } from './program.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** Milliseconds after a failure at which the process ends, whatever still runs. */
const LINGER_MS_MAX = 2000;

async function main(): Promise<number> {
  try {
    const program = await buildProgram((name) => process.argv.includes(name));
    await program.parseAsync(process.argv);
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (cause) {
    // Threads that were up before another failed would keep the process alive.
    setTimeout(() => process.exit(), LINGER_MS_MAX).unref();
    return report(cause);
  }
}

function report(thrown: unknown): number {
  const cause = asSystemError(thrown) ?? thrown;
  if (cause instanceof CommanderError) return cause.exitCode === 0 ? 0 : EXIT_USAGE;
  if (cause instanceof CartularyError) {
    say(`${paint('red', 'cartulary:')} ${cause.message}`);
    say(ERRORS[cause.code].hint);
    return cause.code === 'bad-input' || cause.code === 'bad-query' || cause.code === 'setting'
      ? EXIT_USAGE
      : EXIT_FAILED;
  }
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  say(
    `${paint('red', 'cartulary:')} something failed here${code}: ${cause instanceof Error ? cause.name : typeof cause}`,
  );
  if (process.env['CARTULARY_LOG_LEVEL'] === 'debug' && cause instanceof Error) say(cause.stack ?? '');
  return EXIT_FAILED;
}

process.exitCode = await main();
