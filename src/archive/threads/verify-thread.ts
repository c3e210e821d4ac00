/**
 * The thread that checks an archive against itself and against what is remembered of it. It trusts nothing it reads: the log is checked from its
 * files, the records against the log, each record is opened and compared with the commitment in its leaf, each blob with its name.
 */
import { setTimeout as pause } from 'node:timers/promises';

import { makeSealer } from '../make-sealer.ts';
import {
  findLeafKind,
  LEAF_BYTES,
  leafCiphertextHashOf,
  leafKindOf,
  leafRecordIdOf,
  leafTimeOf,
} from '../../ledger/leaf.ts';
import { parseEntryBundle, TILE_WIDTH } from '../../ledger/tiles.ts';
import { verifyCheckpoint } from '../../ledger/checkpoint.ts';
import { rootAt } from '../../ledger/prove.ts';
import type { Head } from '../../ledger/signer.ts';
import { verifyLog } from '../../ledger/verify-log.ts';
import { CartularyError } from '../../model/errors.ts';
import { formatId } from '../../model/ids.ts';
import { parseRecordHead, parseRecordLabel } from '../../model/record.ts';
import { openBlobs } from '../../store/blob-engine.ts';
import type { BlobStore } from '../../store/blobs.ts';
import type { RecordRow } from '../../store/store.ts';
import { openTileFiles } from '../../store/tile-files.ts';
import { servePort, takePlace } from '../../store/thread.ts';
import type { CallContext } from '../../store/thread.ts';
import { equalConstantTime, sha256 } from '../../vault/hash.ts';
import { openBytes } from '../opening.ts';
import { lostFromOf, succeededHead } from '../record-codec.ts';
import { readSignerMemory } from '../signer-memory.ts';
import { destructionListPath, findDestructionList } from '../destruction-list.ts';
import { DAMAGED, verifyPages, verifyStates } from './verify-database.ts';
import { createChainCheck, createKeyCheck } from './verify-chains.ts';
import { STORING } from '../media.ts';
import { breathe, openReader } from './workspace.ts';
import type { ThreadSetup } from './workspace.ts';
import { isDatabaseDamage } from '../../vault/database-damage.ts';

/** One finding; `leafIndex` where it concerns one record. */
export type Fault = { readonly code: string; readonly leafIndex?: number; readonly text: string };

/** The verdict on an archive. */
export type VerifyReport = {
  readonly ok: boolean;
  /** Size and root of the checkpoint that was checked. */
  readonly size: number;
  readonly root: string;
  /** Records that were opened and compared with their leaves. */
  readonly checked: number;
  /** Records whose key was destroyed: their leaves are proven, their content is gone. */
  readonly destroyed: number;
  readonly blobs: number;
  /** Logs that this one succeeds, with what of them is lost: leaves `from` to `size - 1`. */
  readonly succeeds: readonly { readonly origin: string; readonly size: number; readonly from: number }[];
  readonly faults: readonly Fault[];
};

/** Calls of this thread. */
export type VerifyCalls = {
  ready: { args: undefined; result: undefined };
  /**
   * `earlier`: signed checkpoints known from elsewhere; `vkey`: the log's public key, if not the archive's own is to be trusted; `formerVkeys`: those of the logs that it
   * succeeds; `refusal`: why the signer would not sign what is there now; `remembered`: what the signer remembered before this node published, where other nodes sign meanwhile.
   */
  verify: {
    args: {
      vkey: string;
      formerVkeys: readonly string[];
      earlier: readonly string[];
      refusal?: string;
      remembered?: { readonly head: Head | undefined };
    };
    result: VerifyReport;
  };
  close: { args: undefined; result: undefined };
};

const FAULTS_MAX = 1000;
const CHUNK = 200;
/** How long the record of a medium that was just stored may take to come. */
const MEDIA_WAIT_MS = 2000;

const { setup, port } = takePlace<ThreadSetup>();
const reader = await openReader(setup);
const sealer = makeSealer(setup.archiveId, setup);
const blobs = await openBlobs(setup.blobs);
const files = openTileFiles(setup.layout.log);

type Run = {
  faults: Fault[];
  checked: number;
  destroyed: number;
  /** Messages whose destruction is in the log. */
  destroyedIds: string[];
  blobs: number;
  succeeds: { head: Head; from: number }[];
};

async function verify(args: VerifyCalls['verify']['args'], context: CallContext): Promise<VerifyReport> {
  const run: Run = { faults: [], checked: 0, destroyed: 0, destroyedIds: [], blobs: 0, succeeds: [] };
  // Capture goes on meanwhile, so what was written first is read last: records, then the signer's memory, then the checkpoint.
  const remembered =
    args.remembered === undefined ? await readSignerMemory(setup.layout.signerMemory) : args.remembered.head;
  const checkpointText = await readCheckpointOf(remembered?.size ?? 0);
  const stored = await reader.size();
  const isFormer = (text: string): boolean => originOf(text) !== setup.origin && args.formerVkeys.length > 0;
  const log = await verifyPublished(
    { ...args, earlier: args.earlier.filter((text) => !isFormer(text)) },
    { checkpointText, remembered },
    run,
    context.signal,
  );
  if (log.size > stored)
    fault(run, 'records-missing', `the log has ${log.size} leaves, the store ${stored} records: the tail was cut off`);
  if (args.refusal !== undefined)
    fault(run, 'signing-refused', `the signer does not sign what the store holds now: ${args.refusal}`);
  if (remembered === undefined) {
    const text = 'what the signer remembers is gone: an older head than the last one would not be noticed';
    fault(run, 'memory-missing', text);
  } else if (remembered.size > stored) {
    fault(
      run,
      'rolled-back',
      `the signer remembers ${remembered.size} leaves, the store has ${stored}: an old copy was put in place`,
    );
  }
  const report = (code: string, text: string, leafIndex?: number): void => fault(run, code, text, leafIndex);
  const isReadable = await verifyPages(reader, report);
  try {
    await verifyRecords(run, log, context);
    await verifyStates(reader, sealer, report, context.signal);
    await verifyList(run);
  } catch (cause) {
    // Of what cannot be read nothing more can be said.
    if (context.signal.aborted || (isReadable && !isDatabaseDamage(cause))) throw cause;
    if (isReadable) report('database-damaged', DAMAGED);
  }
  for (const text of args.earlier) if (isFormer(text)) await verifyFormer(run, text, args.formerVkeys);
  return {
    ok: run.faults.length === 0,
    size: log.size,
    root: log.root,
    checked: run.checked,
    destroyed: run.destroyed,
    blobs: run.blobs,
    succeeds: run.succeeds.map(({ head, from }) => ({ origin: head.origin, size: head.size, from })),
    faults: run.faults,
  };
}

type Heads = {
  readonly checkpointText: string | undefined;
  readonly remembered: Awaited<ReturnType<typeof readSignerMemory>>;
};

/** Milliseconds within which a head that is remembered is published, and between two looks. */
const PUBLISH_MS_MAX = 2000;
const LOOK_EVERY_MS = 20;

/** The published checkpoint. The signer remembers a head before it publishes it: one that is about to be is waited for. */
async function readCheckpointOf(size: number): Promise<string | undefined> {
  const deadline = performance.now() + PUBLISH_MS_MAX;
  for (;;) {
    const text = await files.readCheckpoint();
    // The size is the second line (C2SP tlog-checkpoint); whether it is signed is seen afterwards.
    if (text === undefined || Number(text.split('\n', 2)[1]) >= size || performance.now() > deadline) return text;
    await pause(LOOK_EVERY_MS);
  }
}

/** The public files: entries, tiles, checkpoint, and every head that is known from before. */
async function verifyPublished(
  args: VerifyCalls['verify']['args'],
  { checkpointText, remembered }: Heads,
  run: Run,
  signal: AbortSignal,
): Promise<{ readonly size: number; readonly root: string }> {
  if (checkpointText === undefined) {
    if ((await reader.size()) > 0) fault(run, 'checkpoint-missing', 'there is no checkpoint');
    return { size: 0, root: '' };
  }
  const report = await verifyLog({
    checkpointText,
    vkeys: args.vkey,
    readTile: (level, n, width) => files.readTile(level, n, width),
    readEntries: (n, width) => files.readEntries(n, width),
    earlierCheckpoints: [...args.earlier, ...(remembered === undefined ? [] : [remembered])],
    signal,
  });
  for (const { code, position, text } of report.faults) fault(run, code, text, position);
  return { size: report.size, root: Buffer.from(report.root).toString('base64') };
}

function originOf(note: string): string {
  return note.slice(0, note.indexOf('\n'));
}

/** An earlier checkpoint of a log that this one succeeds: what was saved of that log must be at its old places, what is lost must be declared. */
async function verifyFormer(run: Run, text: string, vkeys: readonly string[]): Promise<void> {
  let head: Head;
  try {
    head = verifyCheckpoint(text, vkeys);
  } catch {
    return fault(
      run,
      'earlier-checkpoint-invalid',
      'an earlier checkpoint is not signed by a log that this one succeeds',
    );
  }
  const succession = run.succeeds.find((one) => one.head.origin === head.origin);
  if (succession === undefined) {
    const what = `the log ${head.origin} has no successor on record`;
    fault(run, 'earlier-checkpoint-invalid', what);
  } else if (head.size > succession.head.size) {
    const what = `${head.origin} had ${head.size} leaves, more than the ${succession.head.size} of which this log knows`;
    fault(run, 'rolled-back', what);
  } else if (head.size <= succession.from) {
    const root = await rootAt(head.size, files.readTile).catch(() => undefined);
    if (root === undefined || !equalConstantTime(root, head.root))
      fault(run, 'history-rewritten', 'an earlier checkpoint has another root for its size', head.size - 1);
  }
}

/** The records: each row against its leaf in the published bundles, opened, compared with the commitment; then what only all of them together show. */
async function verifyRecords(run: Run, log: { readonly size: number }, context: CallContext): Promise<void> {
  const total = await reader.size();
  const report = (code: string, text: string, leafIndex?: number): void => fault(run, code, text, leafIndex);
  const chains = createChainCheck(reader, total, report);
  const keys = createKeyCheck(reader, report);
  // Media are listed before the records are read, since a medium is stored before the record that names it.
  const present = new Set(await Array.fromAsync(blobs.list()));
  let next = 0;
  const readOn = async (): Promise<boolean> => {
    const rows = await reader.readLog(next, CHUNK);
    for (const row of rows) {
      if (row.seq !== next) fault(run, 'record-missing', 'a record is missing from the store', next);
      next = row.seq + 1;
      if (row.secret === undefined) keys.addKeyless(row.messageNo);
      const { blob, destroyed, succeeded } = verifyRow(run, row);
      if (blob !== undefined) {
        present.delete(blob);
        await verifyBlob(run, blobs, blob, row.seq);
      }
      if (destroyed !== undefined) {
        run.destroyedIds.push(destroyed);
        await keys.addDestruction(destroyed);
      }
      if (succeeded !== undefined) run.succeeds.push({ ...succeeded, from: Math.min(succeeded.from, row.seq) });
      const checking = chains.add(row);
      if (checking !== undefined) await checking;
    }
    await compareWithLog(run, rows, log.size);
    context.progress({ done: next, total });
    await breathe();
    return rows.length > 0;
  };
  while (await readOn()) {
    if (context.signal.aborted) throw new CartularyError('stopping', 'the verification was stopped');
  }
  if (next < total) fault(run, 'record-missing', 'records are missing from the store', next);
  await chains.checkMessages();
  await keys.finish(chains.firstSeqOf);
  for (const deadline = performance.now() + MEDIA_WAIT_MS; present.size > 0 && performance.now() < deadline;) {
    await new Promise((resolve) => setTimeout(resolve, MEDIA_WAIT_MS / 20));
    await readOn();
  }
  // One that is being stored is noted until its record is committed, and removed at the next start where that never comes.
  for (const { name } of await reader.listSettings(STORING)) present.delete(name.slice(STORING.length));
  for (const name of present) fault(run, 'blob-not-logged', `no record names the medium ${name}: it was put there`);
}

/** Every destruction in the log must stand on the list that a restore replays. */
async function verifyList(run: Run): Promise<void> {
  if (run.destroyedIds.length === 0) return;
  const list = await findDestructionList(destructionListPath(setup.layout)).catch(() => undefined);
  const missing = run.destroyedIds.filter((message) => list?.has(message) !== true).length;
  if (missing > 0)
    fault(run, 'list-incomplete', `${missing} destruction(s) of the log are not on the list beside the data`);
}

/** What the store calls the leaf must be what the log published as entry. */
async function compareWithLog(run: Run, rows: readonly RecordRow[], size: number): Promise<void> {
  let bundle: { n: number; entries: readonly Uint8Array[] } | undefined;
  for (const row of rows) {
    if (row.seq >= size) return;
    const n = Math.floor(row.seq / TILE_WIDTH);
    if (bundle?.n !== n) bundle = { n, entries: await readBundle(n, size) };
    const entry = bundle.entries[row.seq % TILE_WIDTH];
    // Whoever edits the database may have put anything there, also what is no bytes.
    if (entry === undefined || !(row.leaf instanceof Uint8Array) || Buffer.compare(entry, row.leaf) !== 0)
      fault(run, 'leaf-differs', 'the leaf in the store is not the one in the log', row.seq);
  }
}

async function readBundle(n: number, size: number): Promise<readonly Uint8Array[]> {
  try {
    return parseEntryBundle(await files.readEntries(n, Math.min(TILE_WIDTH, size - n * TILE_WIDTH)));
  } catch {
    return [];
  }
}

/** What a record says that concerns others: the medium that it names, the message whose destruction it states, the log that this one succeeds and from where on it is lost. */
type Named = {
  readonly blob?: string;
  readonly destroyed?: string;
  readonly succeeded?: { readonly head: Head; readonly from: number };
};
const NOTHING: Named = {};

/** Everything of a row that can be checked without its medium. */
function verifyRow(run: Run, row: RecordRow): Named {
  try {
    if (row.leaf.length !== LEAF_BYTES) throw new CartularyError('corrupt', 'a leaf has the wrong length');
    if (row.sealed !== undefined && !equalConstantTime(sha256(row.sealed), leafCiphertextHashOf(row.leaf))) {
      fault(run, 'ciphertext-altered', 'the sealed record is not the one that was logged', row.seq);
      return NOTHING;
    }
    if (row.secret === undefined) {
      run.destroyed += 1;
      return NOTHING;
    }
    const { bytes } = openBytes(sealer, row);
    const label = parseRecordLabel(bytes);
    const isConsistent =
      label.record === formatId('record', leafRecordIdOf(row.leaf)) &&
      label.message === formatId('message', row.messageId) &&
      label.archive === setup.archiveId &&
      label.kind === findLeafKind(leafKindOf(row.leaf)) &&
      label.capturedAtMs === leafTimeOf(row.leaf);
    if (!isConsistent) fault(run, 'metadata-differs', 'a record does not say what its leaf or its row say', row.seq);
    run.checked += 1;
    if (label.kind === 'log.succeeded') return { succeeded: { head: succeededHead(bytes), from: lostFromOf(bytes) } };
    if (label.kind !== 'media.stored' && label.kind !== 'key.destroyed') return NOTHING;
    const { event } = parseRecordHead(bytes);
    if (event.kind === 'media.stored') return { blob: event.media.blob };
    return event.kind === 'key.destroyed' ? { destroyed: event.subject } : NOTHING;
  } catch (cause) {
    const code = cause instanceof CartularyError ? cause.code : 'corrupt';
    const text = cause instanceof CartularyError ? cause.message : 'a record cannot be read';
    fault(run, `record-${code}`, text, row.seq);
    return NOTHING;
  }
}

async function verifyBlob(run: Run, store: BlobStore, name: string, seq: number): Promise<void> {
  try {
    for await (const chunk of store.get(name)) void chunk;
    run.blobs += 1;
  } catch (cause) {
    // What cannot be reached is neither missing nor altered: nothing is said of it.
    if (cause instanceof CartularyError && ['overloaded', 'setting'].includes(cause.code)) throw cause;
    const missing = cause instanceof CartularyError && cause.code === 'not-found';
    fault(
      run,
      missing ? 'blob-missing' : 'blob-altered',
      missing ? `the medium ${name} is missing` : `the medium ${name} is not the one that was stored`,
      seq,
    );
  }
}

function fault(run: Run, code: string, text: string, leafIndex?: number): void {
  if (run.faults.length < FAULTS_MAX)
    run.faults.push({ code, text, ...(leafIndex === undefined ? {} : { leafIndex }) });
}

servePort<VerifyCalls>(port, {
  async ready() {
    return undefined;
  },
  verify,
  async close() {
    await reader.close();
    return undefined;
  },
});
