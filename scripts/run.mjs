/**
 * What `npm test`, `npm run test:durability`, `npm run check`, `npm run bench`, `npm run build` and `npm run release` run: plain JavaScript for any Node from 20.19,
 * which sees to the dependencies, then does the work with the pinned Node first in PATH.
 *
 *   node scripts/run.mjs test  [arguments for vitest]
 *   node scripts/run.mjs check [names of steps, all by default]
 *   node scripts/run.mjs durability [arguments for test/durability/main.ts]
 *   node scripts/run.mjs bench [arguments for bench/main.ts]
 *   node scripts/run.mjs build
 *   node scripts/run.mjs release [arguments for scripts/release.mjs]
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMPILE_CACHE, compileAhead } from '../bin/lib/compile-ahead.mjs';
import { ensureInstalled } from '../bin/lib/ensure-installed.mjs';
import { findNode } from '../bin/lib/pinned-node.mjs';
import { ENVIRONMENT, NODE_FLAGS } from '../bin/lib/process-settings.mjs';
import { endLike, runChild } from '../bin/lib/run-child.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modules = path.join(root, 'node_modules');
/** Files that are checked besides src/: everything that is run but not released. */
const BESIDE = ['test', 'bench', 'scripts', 'bin', 'packaging', 'vitest.config.ts'];

/** Steps of `check`: a program of node_modules with its arguments, or a function that returns lines of complaint. */
const STEPS = {
  types: ['typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit'],
  lint: ['oxlint/bin/oxlint', '--type-aware', '--deny-warnings', 'src', ...BESIDE],
  format: ['oxfmt/bin/oxfmt', '--check', '--no-error-on-unmatched-pattern', 'src', ...BESIDE],
  unused: ['knip/bin/knip.js', '--no-progress'],
  floors: ['../scripts/floors.mjs'],
  lock: findRegistryHosts,
};

const [task = '', ...args] = process.argv.slice(2);
const tasks = {
  test: () => runCompiled('vitest/vitest.mjs', ['run', ...args]),
  durability: () => runCompiled('../test/durability/main.ts', args),
  bench: () => runCompiled('../bench/main.ts', args, NODE_FLAGS),
  build: () => runProgram('../scripts/build.mjs', args),
  release: () => runProgram('../scripts/release.mjs', args),
  check,
};

try {
  if (!Object.hasOwn(tasks, task)) throw new Error(`"${task}" is none of ${Object.keys(tasks).join(', ')}.`);
  await ensureInstalled(root, { needsDev: true });
  endLike(await tasks[task]());
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

/** Runs a program that starts the product again and again, each time with threads that need not compile it. */
function runCompiled(file, programArgs, flags = []) {
  process.env.NODE_COMPILE_CACHE ??= path.join(root, COMPILE_CACHE);
  compileAhead(root, getNode(), process.env.NODE_COMPILE_CACHE);
  return runProgram(file, programArgs, flags);
}

function getNode() {
  const node = findNode(root);
  if (node === undefined) throw new Error('Node 24 is needed: run "npm ci", which brings it, or install it.');
  return node;
}

/** Runs a program of node_modules with the pinned Node, and that Node for whatever it starts in turn. */
async function runProgram(file, programArgs, flags = []) {
  const node = getNode();
  const paths = [path.dirname(node.path), path.join(modules, '.bin'), process.env.PATH];
  const env = { ...ENVIRONMENT, ...process.env, PATH: paths.join(path.delimiter) };
  return runChild(node.path, [...flags, path.join(modules, file), ...programArgs], { cwd: root, env });
}

/** Takes all steps, or those named, even after one has failed, and says at the end which did. */
async function check() {
  for (const name of args) {
    if (!Object.hasOwn(STEPS, name)) throw new Error(`"${name}" is none of ${Object.keys(STEPS).join(', ')}.`);
  }
  const failed = [];
  for (const name of args.length > 0 ? args : Object.keys(STEPS)) {
    process.stdout.write(`\n== ${name}\n`);
    const begun = performance.now();
    const good = await take(STEPS[name]);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    process.stdout.write(`== ${name}: ${good ? 'good' : 'FAILED'} (${seconds} s)\n`);
    if (!good) failed.push(name);
  }
  process.stdout.write(failed.length === 0 ? '\ncheck: all good\n' : `\ncheck: FAILED: ${failed.join(', ')}\n`);
  return { code: failed.length === 0 ? 0 : 1, signal: null };
}

async function take(step) {
  if (typeof step === 'function') {
    const complaints = step();
    for (const line of complaints) process.stdout.write(`${line}\n`);
    return complaints.length === 0;
  }
  const [file, ...programArgs] = step;
  const { code, signal } = await runProgram(file, programArgs);
  if (signal !== null) throw new Error(`check: stopped by ${signal}`);
  return code === 0;
}

/** The lock file must not bind anyone to the package registry of whoever wrote it last. */
function findRegistryHosts() {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const bound = Object.keys(packages).filter((folder) => Object.hasOwn(packages[folder], 'resolved'));
  const complaints = bound.map((folder) => `package-lock.json: ${folder || 'the root'} has a "resolved" field`);
  if (/registry\s*=|_authToken/.test(readFileSync(path.join(root, '.npmrc'), 'utf8'))) {
    complaints.push('.npmrc: names a registry');
  }
  return complaints;
}
