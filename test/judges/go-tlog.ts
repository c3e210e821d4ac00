/**
 * Runs the outside judge of the log: a small Go program (`go-tlog/main.go`) over `golang.org/x/mod/sumdb`, built once for
 * each process into the directory for temporary files. On Debian: `apt-get install --no-install-recommends golang-go
 * golang-golang-x-mod-dev`. Where Go or the package is missing, it says so, and tests skip with that reason.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** Where Debian puts the sources of Go packages. */
const GOPATH = '/usr/share/gocode';
const BUILD_MS_MAX = 240_000;
const RUN_MS_MAX = 240_000;

/** The judge, or why there is none. */
export type GoTlog = { readonly binary: string } | { readonly skipped: string };

let built: Promise<GoTlog> | undefined;

/** Builds the judge, once; `removeGoTlog` cleans up after the tests. Without Go it answers `skipped: …` with the reason. */
export function buildGoTlog(): Promise<GoTlog> {
  built ??= build();
  return built;
}

/** Deletes what was built; the next call builds it again. */
export async function removeGoTlog(): Promise<void> {
  const judge = await built;
  built = undefined;
  if (judge !== undefined && 'binary' in judge) await rm(dirname(judge.binary), { recursive: true, force: true });
}

async function build(): Promise<GoTlog> {
  try {
    await execFileAsync('go', ['version'], { timeout: BUILD_MS_MAX });
  } catch {
    return { skipped: 'skipped: Go is not installed' };
  }
  try {
    const directory = await mkdtemp(join(tmpdir(), 'cartulary-go-tlog-'));
    const binary = join(directory, 'go-tlog');
    // The ordinary build cache saves half a minute for the standard library; without a home there is none.
    const cache = process.env['HOME'] === undefined ? { GOCACHE: join(directory, 'cache') } : {};
    await execFileAsync('go', ['build', '-o', binary, join(import.meta.dirname, 'go-tlog', 'main.go')], {
      timeout: BUILD_MS_MAX,
      env: { ...process.env, GO111MODULE: 'off', GOPATH, GOFLAGS: '', ...cache },
    });
    return { binary };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n').slice(0, 3).join(' ') : 'unknown';
    return { skipped: `skipped: the Go judge cannot be built (is golang-golang-x-mod-dev installed?): ${reason}` };
  }
}

/** What the judge found; `report` is set when all is right, and `problem` when it is not. */
export type GoVerdict =
  | { readonly ok: true; readonly report: GoReport }
  | { readonly ok: false; readonly problem: string }
  | { readonly skipped: string };

/** What the judge checked. */
export type GoReport = {
  origin: string;
  size: number;
  /** Base64. */
  root: string;
  entries: number;
  tiles: number;
  inclusions: number;
  cosignatures: number;
  oldSize: number;
  /** How many files of `oldCheckpointFiles` it checked. */
  olds: number;
};

/** What is to be judged. Paths are of files on disk. */
export type GoFsck = {
  /** Directory in the form of C2SP tlog-tiles. */
  directory: string;
  /** The log's verifier key. */
  vkey: string;
  /** A witness's verifier key, whose cosignature must then be there. */
  witness?: string;
  /** Inclusion is proven for every k-th entry: 1 by default. */
  every?: number;
  /** The checkpoint; `<directory>/checkpoint` by default. */
  checkpointFile?: string;
  /** An older checkpoint, which the newer one must continue. */
  oldCheckpointFile?: string;
  /** A directory of older checkpoints, each of which the newer one must continue. */
  oldCheckpointFiles?: string;
};

/** Lets the judge check a whole directory. */
export async function fsckWithGo(options: GoFsck): Promise<GoVerdict> {
  const judge = await buildGoTlog();
  if ('skipped' in judge) return judge;
  const flags = ['fsck', '-dir', options.directory, '-vkey', options.vkey, '-every', String(options.every ?? 1)];
  if (options.witness !== undefined) flags.push('-witness', options.witness);
  if (options.checkpointFile !== undefined) flags.push('-checkpoint', options.checkpointFile);
  if (options.oldCheckpointFile !== undefined) flags.push('-old', options.oldCheckpointFile);
  if (options.oldCheckpointFiles !== undefined) flags.push('-olds', options.oldCheckpointFiles);
  const { code, output } = await run(judge.binary, flags, '');
  return code === 0 ? { ok: true, report: JSON.parse(output) } : { ok: false, problem: output.trim() };
}

/** A claim for `checkProofsWithGo`; hashes in Base64. */
export type GoClaim =
  | { index: number; size: number; leafHash: string; root: string; proof: string[] }
  | { oldSize: number; size: number; oldRoot: string; root: string; proof: string[] };

/** Lets the judge check proofs; one answer for each claim: `ok`, or what is wrong. */
export async function checkProofsWithGo(claims: readonly GoClaim[]): Promise<string[] | { skipped: string }> {
  const judge = await buildGoTlog();
  if ('skipped' in judge) return judge;
  const { code, output } = await run(
    judge.binary,
    ['proofs'],
    claims.map((claim) => `${JSON.stringify(claim)}\n`).join(''),
  );
  if (code !== 0) throw new Error(`the Go judge failed: ${output}`);
  return output.trimEnd().split('\n');
}

function run(binary: string, flags: readonly string[], input: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, flags, { stdio: ['pipe', 'pipe', 'pipe'], timeout: RUN_MS_MAX });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, output }));
    // A judge that ends before it has read everything says why by its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** Writes files under their paths below a new directory, with the checkpoint, as the judge wants them. */
export async function writeLogDirectory(files: ReadonlyMap<string, Uint8Array>, checkpoint: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cartulary-log-'));
  for (const [path, bytes] of files) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes);
  }
  await writeFile(join(directory, 'checkpoint'), checkpoint);
  return directory;
}
