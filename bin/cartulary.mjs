#!/usr/bin/env node
/**
 * The launcher: plain JavaScript for whatever Node (20.19 or newer) a machine has. It finds the Node the product is
 * pinned to and hands over to it: to src/cli/main.ts in a checkout (Node strips the types), to dist/cli/main.js in an
 * installed package. In a checkout it first sees to it that the dependencies are there.
 *
 * It owns nothing but this hand-over: arguments, standard streams, signals and the exit code pass through unchanged.
 * Where the running Node can put another program in its place it does, so that there is no second process to watch over.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMPILE_CACHE, compileAhead } from './lib/compile-ahead.mjs';
import { ensureInstalled } from './lib/ensure-installed.mjs';
import { findNode } from './lib/pinned-node.mjs';
import { ENVIRONMENT, NODE_FLAGS } from './lib/process-settings.mjs';
import { endLike, runChild } from './lib/run-child.mjs';

/** Says in one line what is wrong and what to do, and ends with exit code 1. */
function stop(text) {
  process.stderr.write(`cartulary: ${text}\n`);
  process.exit(1);
}

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const source = path.join(root, 'src', 'cli', 'main.ts');
const built = path.join(root, 'dist', 'cli', 'main.js');
const inCheckout = existsSync(source);
if (!inCheckout && !existsSync(built)) stop(`${built} is missing: install the package again.`);
if (inCheckout) await ensureInstalled(root, { needsDev: false }).catch((error) => stop(error.message));

const main = inCheckout ? source : built;
const node = findNode(root);
if (node === undefined) {
  stop(
    `Node 24 or newer is needed, this is ${process.versions.node}: install the package again without --omit=optional (it brings its own Node), or install Node 24.`,
  );
}

// Eight threads of the product load much the same modules; what was compiled once need not be again. In a checkout only, whose
// directory belongs to who runs it: a cache that others can write to would run their code.
if (inCheckout) {
  process.env.NODE_COMPILE_CACHE ??= path.join(root, COMPILE_CACHE);
  if (['start', 'demo'].includes(process.argv[2])) compileAhead(root, node, process.env.NODE_COMPILE_CACHE);
}

Object.assign(process.env, { ...ENVIRONMENT, ...process.env });
const args = [...process.execArgv, ...NODE_FLAGS, main, ...process.argv.slice(2)];
if (process.execve !== undefined && process.platform !== 'win32') process.execve(node.path, [node.path, ...args]);
endLike(await runChild(node.path, args).catch((error) => stop(error.message)));
