/** Commands that are killed in the middle of what they do, seen by what they leave on the disk meanwhile. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const ENDED_MS_MAX = 120_000;

/**
 * Runs a command and kills it (SIGKILL) some time after a sign of its work.
 * @param program the command line, where it is no other; undefined stands for that, too
 * @param isBegun asked every millisecond; `afterMs` counts from when it first holds
 * @returns was it killed, rather than done before?
 */
export async function killDuring(
  args: readonly string[],
  isBegun: () => boolean,
  afterMs: number,
  program = MAIN,
  env: Record<string, string> = {},
): Promise<boolean> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  });
  const ended = new Promise<boolean>((resolve) => child.on('exit', (_code, signal) => resolve(signal === 'SIGKILL')));
  let begunAt: number | undefined;
  const startedAt = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    if (begunAt === undefined && isBegun()) begunAt = now;
    if ((begunAt !== undefined && now - begunAt >= afterMs) || now - startedAt > ENDED_MS_MAX) {
      clearInterval(timer);
      child.kill('SIGKILL');
    }
  }, 1);
  const wasKilled = await ended;
  clearInterval(timer);
  return wasKilled && begunAt !== undefined;
}
