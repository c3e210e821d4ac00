/**
 * Compiles a checkout's TypeScript before the product starts. Otherwise each of its ten threads would load the compiler for
 * what is not in the cache yet, and keep it: 20 MB a thread for as long as the server runs.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const COMPILE_MS_MAX = 60_000;

/** What nothing else imports, or only when it is needed. */
const ENTRIES = /(?:-thread|[\\/](?:worker|serve)|[\\/]commands[\\/]\w+|[\\/](?:poll|run|send|work))\.ts$/;

/** Where a checkout keeps compiled code, from its root. */
export const COMPILE_CACHE = path.join('node_modules', '.cache', 'compile');

/**
 * Fills the compile cache where a module is newer than the last time; takes two seconds then, and some milliseconds otherwise.
 * @param {string} root folder of the checkout
 * @param {{ path: string, version: string }} node who will run the modules: each Node has compiled code of its own
 * @param {string} cache folder of the cache (NODE_COMPILE_CACHE)
 */
export function compileAhead(root, node, cache) {
  const modules = modulesOf(path.join(root, 'src'));
  const stamp = path.join(cache, `compiled-for-${node.version}`);
  const compiledMs = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const begunAt = new Date();
  if (modules.every((file) => statSync(file).mtimeMs < compiledMs)) return;
  const entries = modules.filter((file) => ENTRIES.test(file));
  const script = fileURLToPath(new URL('./import-modules.mjs', import.meta.url));
  spawnSync(node.path, [script, ...entries], {
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
    stdio: 'ignore',
    timeout: COMPILE_MS_MAX,
  });
  try {
    mkdirSync(cache, { recursive: true });
    writeFileSync(stamp, '');
    // What was changed while it was being compiled is newer than the stamp.
    utimesSync(stamp, begunAt, begunAt);
  } catch {
    // A checkout that may only be read runs as well, with more memory.
  }
}

function modulesOf(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => path.join(folder, name));
}
