/**
 * What must hold after any fault (reference: the invariants are lettered as in the report):
 *
 * (a) what was acknowledged is there once, with the bytes that were sent; (b) what was cut off is there once or not at all; (c) what was never sent is
 * not there; (d) the log's order is the records' order, without a gap; (e) every checkpoint published before is continued; (f) each record has its leaf
 * and each leaf its record, or a destroyed key; (g) what was sent twice is there once; (h) no checkpoint covers a leaf that a fault took back.
 *
 * (a)–(c) and (g) compare the client's journal with an export; (d) the export with the log's public files; (e) and (h) are judged by Go's verifier of such
 * logs, which shares no line with ours; (f) by the product's own `verify`. What is acknowledged, lost and captured anew with a second sending is seen by
 * its time of capture, which is then later than the acknowledgement.
 */
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import type { MessagePage } from '../../src/archive/views.ts';
import { entriesPath, parseEntryBundle, TILE_WIDTH } from '../../src/ledger/tiles.ts';
import { parseSignedCheckpoint } from '../../src/ledger/checkpoint.ts';
import { fsckWithGo } from '../judges/go-tlog.ts';
import { runCli, runJson } from '../support/cli.ts';
import { readExport } from './export-reader.ts';
import type { ExportedRecord } from './export-reader.ts';
import { readJournals } from './journal.ts';
import type { Told } from './journal.ts';
import { blockWord, BLOCK, makePayload } from './payload.ts';
import { askApi, readPublished } from './product.ts';
import type { Product } from './product.ts';

/** What was checked and what was found. */
export type CheckResult = {
  sent: number;
  acknowledged: number;
  /** Sent, never acknowledged, and yet there: allowed. */
  unacknowledgedKept: number;
  /** Sent again although acknowledged. */
  again: number;
  lost: number;
  doubled: number;
  checkpoints: number;
  leaves: number;
  /** Media that are there, each with the bytes that its record names. */
  blobs: number;
  /** Who checked the log; says why where Go did not. */
  judge: string;
  /** One line for each thing that is not as it must be; the first of them. */
  violations: string[];
};

/** Of a check that has not begun. */
export function emptyResult(): CheckResult {
  return {
    sent: 0,
    acknowledged: 0,
    unacknowledgedKept: 0,
    again: 0,
    lost: 0,
    doubled: 0,
    checkpoints: 0,
    leaves: 0,
    blobs: 0,
    judge: '',
    violations: [],
  };
}

const VIOLATIONS_MAX = 50;
/** Milliseconds that the index may take to have what was acknowledged. */
const INDEX_MS_MAX = 120_000;
/** Milliseconds that a capture may lie after the acknowledgement that was read: none, but for the coarseness of two clocks. */
const CLOCK_MS = 5;
/** Earlier checkpoints that the product's own verifier is given; Go's is given all. */
const OWN_CHECKPOINTS_MAX = 40;

export type Checker = {
  /** Keeps the newest published checkpoint beside the journal, for the checks to come. */
  keepCheckpoint(text?: string): Promise<void>;
  /** Cheap, while the server runs: what was acknowledged since the last such check is found, once, with its text. Answers what is not as it must be. */
  checkNew(): Promise<string[]>;
  /** Everything. Server running at the call, clients paused; it is stopped by `stop` before the files are read. */
  checkAll(stop: () => Promise<unknown>): Promise<CheckResult>;
};

/**
 * A checker of one archive.
 * @param directory where journals lie, on another file system; kept checkpoints go there, too
 * @param options `clocksAgree`: false where the server's clock was moved, so that times of capture say nothing
 */
export async function createChecker(
  product: Product,
  directory: string,
  options: { readonly clocksAgree?: boolean } = {},
): Promise<Checker> {
  const checkpoints = join(directory, 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  const kept = new Set<string>();
  const checked = new Set<string>();
  return {
    async keepCheckpoint(text) {
      const found = text ?? (await readPublished(product));
      if (found === undefined || kept.has(found)) return;
      kept.add(found);
      await writeFile(join(checkpoints, String(kept.size).padStart(6, '0')), found);
    },
    async checkNew() {
      const fresh = [...readJournals(directory).values()].filter(
        ({ ackedAtMs, sid }) => ackedAtMs !== undefined && !checked.has(sid),
      );
      const complaints = await findAll(product, fresh);
      for (const { sid } of fresh) checked.add(sid);
      return complaints;
    },
    async checkAll(stop) {
      const told = readJournals(directory);
      const bundle = join(directory, 'export.zip');
      await runJson(['export', '--data', product.data, '--out', bundle], product.env);
      const records = await readExport(bundle);
      await rm(bundle);
      await stop();
      const result = compare(told, records, options.clocksAgree ?? true);
      await checkLog(product, checkpoints, records, result);
      return { ...result, violations: result.violations.slice(0, VIOLATIONS_MAX) };
    },
  };
}

/** Looks for messages by the words of their blocks, a page a block. */
async function findAll(product: Product, wanted: readonly Told[]): Promise<string[]> {
  const blocks = new Map<string, Told[]>();
  for (const told of wanted) {
    const word = blockWord(told.client, told.n);
    blocks.set(word, [...(blocks.get(word) ?? []), told]);
  }
  const complaints: string[] = [];
  const deadline = performance.now() + INDEX_MS_MAX;
  for (const [word, block] of blocks) {
    for (;;) {
      const found = await findBlock(product, word);
      const missing = block.filter((told) => found.get(makePayload(told.client, told.n).text) === undefined);
      if (missing.length > 0 && performance.now() < deadline) {
        await pause(100);
        continue;
      }
      complaints.push(...missing.map(({ sid }) => `(a) ${sid} was acknowledged and is not found by search`));
      for (const [text, times] of found) if (times > 1) complaints.push(`(g) found ${times} times: ${text}`);
      break;
    }
  }
  return complaints;
}

async function findBlock(product: Product, word: string): Promise<Map<string, number>> {
  const page = await askApi<MessagePage>(product, `/api/v1/messages?q=${word}&limit=${BLOCK}`);
  const found = new Map<string, number>();
  for (const { text } of page.items) if (text !== null) found.set(text, (found.get(text) ?? 0) + 1);
  return found;
}

/** (a), (b), (c), (g): the journal against what was exported. */
function compare(
  told: ReadonlyMap<string, Told>,
  records: readonly ExportedRecord[],
  clocksAgree: boolean,
): CheckResult {
  const result: CheckResult = { ...emptyResult(), sent: told.size };
  const { violations } = result;
  const bySid = new Map<string, ExportedRecord[]>();
  for (const record of records) bySid.set(record.sid, [...(bySid.get(record.sid) ?? []), record]);
  for (const sid of bySid.keys()) if (!told.has(sid)) violations.push(`(c) ${sid} was never sent and is there`);
  for (const { sid, hash, ackedAtMs, attempts, again } of told.values()) {
    const found = bySid.get(sid) ?? [];
    const [first] = found;
    result.again += again;
    if (ackedAtMs !== undefined) result.acknowledged += 1;
    else if (first !== undefined) result.unacknowledgedKept += 1;
    if (found.length > 1) {
      result.doubled += 1;
      violations.push(`(g) ${sid} is there ${found.length} times`);
    }
    if (first !== undefined && first.bodyHash !== hash) violations.push(`(a) ${sid} has other bytes than were sent`);
    if (ackedAtMs === undefined) continue;
    const isAnew = first !== undefined && clocksAgree && first.capturedAtMs > ackedAtMs + CLOCK_MS;
    if (first !== undefined && !isAnew) continue;
    result.lost += 1;
    const when = `at ${new Date(ackedAtMs).toISOString()} (attempt ${attempts})`;
    violations.push(
      `(a) ${sid} was acknowledged ${when} and ${isAnew ? 'was captured anew afterwards' : 'is not there'}`,
    );
  }
  return result;
}

/** (d), (e), (f), (h): the log. */
async function checkLog(
  product: Product,
  checkpoints: string,
  records: readonly ExportedRecord[],
  result: CheckResult,
): Promise<void> {
  const { violations } = result;
  const names = (await readdir(checkpoints)).sort();
  result.checkpoints = names.length;
  const published = await readPublished(product);
  if (published === undefined) {
    violations.push('(e) there is no checkpoint');
    return;
  }
  result.leaves = parseSignedCheckpoint(published).size;
  const verdict = await fsckWithGo({
    directory: product.logDirectory,
    vkey: product.vkey,
    every: 997,
    oldCheckpointFiles: checkpoints,
  });
  if ('skipped' in verdict) result.judge = verdict.skipped;
  else {
    result.judge = 'Go';
    if (!verdict.ok) violations.push(`(e) Go says: ${verdict.problem}`);
    else if (verdict.report.olds !== names.length) violations.push(`(e) Go saw ${verdict.report.olds} checkpoints`);
  }
  await compareLeaves(product, records, result);
  const sample = names.filter(
    (_name, index) => (names.length - 1 - index) % Math.ceil(names.length / OWN_CHECKPOINTS_MAX) === 0,
  );
  const earlier = sample.flatMap((name) => ['--checkpoint', join(checkpoints, name)]);
  const { code, stdout, stderr } = await runCli(['verify', '--data', product.data, '--json', ...earlier], {
    ...product.env,
  });
  const report = code === 0 || code === 1 ? (parseReport(stdout) ?? undefined) : undefined;
  result.blobs = report?.blobs ?? 0;
  if (report === undefined) violations.push(`(f) verify ended with ${code}: ${stderr}`);
  else if (!report.ok) violations.push(...report.faults.map((fault) => `(f) verify: ${JSON.stringify(fault)}`));
  else if (report.checked + report.destroyed !== report.size)
    violations.push(`(f) ${report.size} leaves, ${report.checked} records opened, ${report.destroyed} destroyed`);
}

function parseReport(text: string): VerifyReport | undefined {
  try {
    return JSON.parse(text) as VerifyReport;
  } catch {
    return undefined;
  }
}

/** (d): each exported record's leaf is the entry at its place, as outsiders read it. */
async function compareLeaves(product: Product, records: readonly ExportedRecord[], result: CheckResult): Promise<void> {
  const { violations, leaves } = result;
  let bundle: { n: number; entries: readonly Uint8Array[] } | undefined;
  for (const { seq, leaf, sid } of records.toSorted((one, other) => one.seq - other.seq)) {
    const n = Math.floor(seq / TILE_WIDTH);
    if (seq >= leaves) {
      violations.push(`(f) ${sid} has no leaf: ${seq} of ${leaves}`);
      continue;
    }
    if (bundle?.n !== n) {
      const width = Math.min(TILE_WIDTH, leaves - n * TILE_WIDTH);
      bundle = { n, entries: parseEntryBundle(await readFile(join(product.logDirectory, entriesPath(n, width)))) };
    }
    const entry = bundle.entries[seq % TILE_WIDTH];
    if (entry === undefined || !leaf.equals(entry)) violations.push(`(d) ${sid}: the entry at ${seq} is another`);
  }
}
