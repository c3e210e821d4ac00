/** Runs the product's commands as its users do, however long they take. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** Runs a command with `--json` and reads its result. @throws Error where it failed */
export async function runLong<Result>(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args, '--json'], {
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout) as Result;
}
