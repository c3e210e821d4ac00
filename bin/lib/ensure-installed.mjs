/**
 * Makes sure that a checkout has the dependencies its lock file names, so that a fresh clone needs no second command.
 *
 * A stamp file in node_modules holds the hash of the lock file it was installed from. No stamp, or another hash: if npm's
 * own record of what it installed agrees with the lock file (somebody ran `npm ci` or `npm install` by hand), it is
 * stamped; otherwise `npm ci` runs. No package's install script is run: those that we use need none.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pinnedPackage } from './pinned-node.mjs';
import { runChild } from './run-child.mjs';

/**
 * Makes it true that the dependencies of a checkout are installed. Nothing to do where there is no lock file.
 * @param {string} root folder of package.json and package-lock.json
 * @param {{ needsDev: boolean }} options whether the development dependencies must be there too; an installation by
 *   hand without them is left alone otherwise
 * @throws {Error} when `npm ci` cannot be run or fails; the text says what to do
 */
export async function ensureInstalled(root, { needsDev }) {
  const lockFile = path.join(root, 'package-lock.json');
  if (!existsSync(lockFile)) return;
  const lockText = readFileSync(lockFile, 'utf8');
  const hash = createHash('sha256').update(lockText).digest('hex');
  const stampFile = path.join(root, 'node_modules', '.cartulary-installed');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8').trim() === hash) return;

  const missing = findMissing(root, JSON.parse(lockText));
  if (missing.required) {
    await install(root);
  } else if (missing.dev) {
    if (!needsDev) return;
    await install(root);
  }
  try {
    writeFileSync(stampFile, `${hash}\n`);
  } catch {
    // A checkout that may only be read is as good; the comparison is merely made again next time.
  }
}

/** Which kinds of packages in the lock file are not, or not in that version, in node_modules. */
function findMissing(root, lock) {
  const recordFile = path.join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(recordFile)) return { required: true, dev: true };
  const installed = JSON.parse(readFileSync(recordFile, 'utf8')).packages ?? {};
  const missing = { required: false, dev: false };
  for (const [folder, wanted] of Object.entries(lock.packages)) {
    if (folder === '') continue;
    const found = installed[folder];
    const same = found?.version === wanted.version && found?.integrity === wanted.integrity;
    if (same && existsSync(path.join(root, folder, 'package.json'))) continue;
    // Optional packages are mostly those of other platforms. Only the pinned Node of this one must be there.
    if (wanted.optional === true && found === undefined && folder !== `node_modules/${pinnedPackage()}`) continue;
    if (wanted.dev === true || wanted.devOptional === true) missing.dev = true;
    else missing.required = true;
  }
  return missing;
}

async function install(root) {
  process.stderr.write('cartulary: installing the dependencies with "npm ci", which takes about half a minute ...\n');
  // Settings of the user or the machine (NODE_ENV=production, omit=optional) would leave out the pinned Node or the tools.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--include=dev', '--include=optional'];
  const npm = process.env.npm_execpath ?? '';
  const [file, first] = npm.endsWith('npm-cli.js') ? [process.execPath, [npm]] : ['npm', []];
  // npm's own lines go to standard error too: standard output belongs to the command that is about to run.
  const options = { cwd: root, stdio: ['ignore', 2, 2] };
  const end = await runChild(file, [...first, ...args, '--loglevel=error', '--no-progress'], options).catch((error) => {
    throw new Error(`npm could not be started (${error.code}): install npm, then run "npm ci" in ${root}.`);
  });
  if (end.code !== 0) {
    throw new Error(`"npm ci" failed, see above: put it right, then try again or run "npm ci" in ${root}.`);
  }
}
