/**
 * # Verifying a whole log
 *
 * Reads everything once, from the first entry to the last, and believes only the keys (and the earlier heads) that the
 * caller brings: hashes each entry, compares the hashes with the tile of level 0, the roots of full tiles with the tile
 * of level 1, and so on up to the signed root. Memory stays bounded: one tile a level, and a limited list of findings.
 *
 * When something differs, the question is which side is right. The signed root decides: it fixes the tiles at the right
 * edge, these fix the full tiles below them, and so on down (`isAuthentic`). So
 *
 *   - a tile that the levels above confirm convicts the entries below it, position by position;
 *   - a tile that they contradict is itself damaged, and the entries are taken in its place;
 *   - a tile of level 1 or more that is confirmed convicts a subtree whose entries *and* tiles were changed together;
 *   - when all levels were changed together, only the root differs; then the earlier checkpoints narrow the range.
 *
 * After each finding the walk goes on with the side that was confirmed, so that one change is one finding, and a second
 * change elsewhere is found, too.
 *
 * A log that was rewritten as a whole and signed with the stolen key verifies in itself. Only a head from before can show
 * it, which is why earlier checkpoints, pinned roots and witnesses matter: hand in all that are known.
 */
import { equalBytes } from './bytes.ts';
import { parseVkeys, verifyCheckpoint } from './checkpoint.ts';
import type { Head, VerifiedCheckpoint, Vkeys } from './checkpoint.ts';
import { LedgerError } from './error.ts';
import { HASH_BYTES } from './hash.ts';
import { SHIFT_MAX, addFault, compareBundle, noDifferences, reportDifferences } from './log-faults.ts';
import type { Differences, FaultList, LogFault } from './log-faults.ts';
import type { VerifierKey } from './note.ts';
import { TILE_WIDTH, readTileHashes, tilePath, tileWidth } from './tile-geometry.ts';
import type { ReadTile, TileAddress } from './tile-geometry.ts';
import { entriesPath, perfectRoot, perfectRoots, rootAt, splitEntryBundle } from './tiles.ts';
import { emptyRoot, foldNodes, leafHash } from './tree.ts';

export type { LogFault } from './log-faults.ts';

/** Findings listed in a report; more are counted. */
export const FAULTS_MAX = 1_000;
/** Earlier checkpoints that one verification takes. */
export const EARLIER_CHECKPOINTS_MAX = 10_000;

/**
 * Gives a bundle of entries; a reader that only has a wider bundle may answer a partial request with that one. Rejects when
 * there is none.
 */
export type ReadEntries = (n: number, width: number) => Promise<Uint8Array>;

/** What is verified, and against what. */
export type LogVerification = {
  /** The signed checkpoint. */
  checkpointText: string;
  /** The keys of the log (0x01), and those of witnesses if their cosignatures shall be checked. */
  vkeys: Vkeys;
  readTile: ReadTile;
  readEntries: ReadEntries;
  /** Hears of every entry that is found, faulty or not, in order; what it throws ends the verification. */
  onEntry?: (index: number, entry: Uint8Array, leafHash: Uint8Array) => void | Promise<void>;
  /** Signed checkpoints, or heads, that are known from elsewhere: remembered, pinned, cosigned, e-mailed. */
  earlierCheckpoints?: readonly (string | Head)[];
  /** Ends the verification with the signal's reason. */
  signal?: AbortSignal;
};

/** The verdict. `ok` means: not one finding. */
export type LogReport = {
  readonly ok: boolean;
  /** The checkpoint that was verified; missing when it could not be read. */
  readonly checkpoint?: VerifiedCheckpoint;
  /** Size and root that the checkpoint states; 0 and the root of the empty tree when it could not be read. */
  readonly size: number;
  readonly root: Uint8Array;
  /** Entries that were read and hashed. */
  readonly checkedLeaves: number;
  /** Earlier heads that this log continues. */
  readonly checkedEarlier: number;
  /** In the order of positions; at most `FAULTS_MAX`. */
  readonly faults: readonly LogFault[];
  /** Findings before joining and cutting off. */
  readonly faultsTotal: number;
};

/** A level under construction: the hashes computed so far, and which of them stand for something found faulty already. */
type Row = { hashes: Uint8Array; width: number; isSuspect: Uint8Array };

type Run = {
  readonly head: Head;
  readonly readTile: ReadTile;
  readonly list: FaultList;
  readonly differences: Differences;
  readonly rows: Row[];
  /** Earlier heads not yet reached, smallest first. */
  readonly pins: Head[];
  pinsAgreed: number;
  lastAgreedSize: number;
  checkedLeaves: number;
  /** Whether the tiles at the right edge lead to the signed root. */
  isEdgeAuthentic: boolean;
  /** For each level the tile last looked up, and its hashes if it is authentic. */
  readonly authentic: Map<number, { n: number; hashes: Uint8Array | undefined }>;
};

/**
 * Verifies a log (see the head of this file). Never throws for bad data, whoever wrote it: whatever is wrong is a finding.
 * Throws only what `onEntry` and `signal` throw, and `bad-key` or `limit` for keys and checkpoints the caller brings.
 */
export async function verifyLog(options: LogVerification): Promise<LogReport> {
  const vkeys = parseVkeys(options.vkeys);
  const list: FaultList = { faults: [], faultsMax: FAULTS_MAX, total: 0 };
  const earlier = options.earlierCheckpoints ?? [];
  if (earlier.length > EARLIER_CHECKPOINTS_MAX) {
    throw new LedgerError('limit', `one verification takes ${EARLIER_CHECKPOINTS_MAX} earlier checkpoints`);
  }
  const checkpoint = findCheckpoint(options.checkpointText, vkeys);
  if (checkpoint instanceof LedgerError) {
    addFault(list, 'checkpoint-invalid', { detail: checkpoint.message });
    return makeReport(list, { size: 0, root: emptyRoot() });
  }
  const run = startRun(options, checkpoint, list, selectPins(earlier, checkpoint, vkeys, list));
  run.isEdgeAuthentic = await isEdgeRight(run);
  await walkEntries(run, options);
  await closeEdge(run);
  reportDifferences(list, run.differences);
  const { size, root } = checkpoint;
  return makeReport(list, { checkpoint, size, root, checkedLeaves: run.checkedLeaves, checkedEarlier: run.pinsAgreed });
}

function makeReport(
  { faults, total }: FaultList,
  facts: Pick<LogReport, 'size' | 'root'> & Partial<Pick<LogReport, 'checkpoint' | 'checkedLeaves' | 'checkedEarlier'>>,
): LogReport {
  const sorted = faults.toSorted((left, right) => (left.position ?? -1) - (right.position ?? -1));
  return { ok: total === 0, checkedLeaves: 0, checkedEarlier: 0, ...facts, faults: sorted, faultsTotal: total };
}

function startRun(options: LogVerification, head: Head, list: FaultList, pins: Head[]): Run {
  return {
    head,
    readTile: options.readTile,
    list,
    differences: noDifferences(),
    rows: [openRow()],
    pins,
    pinsAgreed: 0,
    lastAgreedSize: 0,
    checkedLeaves: 0,
    isEdgeAuthentic: false,
    authentic: new Map(),
  };
}

function findCheckpoint(text: string, vkeys: readonly VerifierKey[]): VerifiedCheckpoint | LedgerError {
  try {
    return verifyCheckpoint(text, vkeys);
  } catch (error) {
    if (error instanceof LedgerError) return error;
    throw error;
  }
}

/** The earlier heads this tree must hold, smallest first. Those it cannot hold, and those that are invalid, are findings. */
function selectPins(
  earlier: readonly (string | Head)[],
  checkpoint: Head,
  vkeys: readonly VerifierKey[],
  list: FaultList,
): Head[] {
  const pins: Head[] = [];
  for (const item of earlier) {
    const head = typeof item === 'string' ? findCheckpoint(item, vkeys) : item;
    if (head instanceof LedgerError) {
      addFault(list, 'earlier-checkpoint-invalid', { detail: head.message });
    } else if (head.origin !== checkpoint.origin) {
      addFault(list, 'earlier-checkpoint-invalid', { detail: 'it is of another log' });
    } else if (head.size > checkpoint.size) {
      addFault(list, 'rolled-back', { position: checkpoint.size, count: head.size - checkpoint.size });
    } else {
      pins.push(head);
    }
  }
  return pins.sort((left, right) => left.size - right.size);
}

async function isEdgeRight({ head, readTile }: Run): Promise<boolean> {
  try {
    return equalBytes(await rootAt(head.size, readTile), head.root);
  } catch {
    // A tile that cannot be read is reported where the walk comes to it.
    return false;
  }
}

/** What was read of a place: bytes, or why not. */
type Found = { bytes: Uint8Array } | { fault: 'missing' | 'damaged' };

async function findTile(readTile: ReadTile, address: TileAddress): Promise<Found> {
  try {
    return { bytes: await readTileHashes(readTile, address) };
  } catch (error) {
    return { fault: error instanceof Error && error.cause !== undefined ? 'missing' : 'damaged' };
  }
}

async function findEntries(readEntries: ReadEntries, n: number, width: number): Promise<Found> {
  try {
    return { bytes: await readEntries(n, width) };
  } catch {
    return { fault: 'missing' };
  }
}

/** Walks over all bundles; the next one is read while this one is hashed. */
async function walkEntries(run: Run, options: LogVerification): Promise<void> {
  const bundles = Math.ceil(run.head.size / TILE_WIDTH);
  const read = (n: number): Promise<[Found, Found]> | undefined => {
    if (n >= bundles) return undefined;
    const width = tileWidth(run.head.size, 0, n);
    return Promise.all([findEntries(options.readEntries, n, width), findTile(run.readTile, { level: 0, n, width })]);
  };
  let next = read(0);
  for (let n = 0; next !== undefined; n += 1) {
    const [bundle, tile] = await next;
    options.signal?.throwIfAborted();
    next = read(n + 1);
    const hashed = await hashBundle(run, options, n, bundle);
    const { chosen, isSuspect } = await chooseLeaves(run, n, hashed, tile);
    checkPins(run, n * TILE_WIDTH, chosen);
    await appendTile(run, 0, n, chosen, isSuspect);
  }
}

/** The leaf hashes of a bundle, at most as many as the tree has there, and of some that stand after them. */
type HashedBundle = { hashes: Uint8Array[]; surplus: Uint8Array[] };

/** Hashes the entries of a bundle; `undefined` when there is none. */
async function hashBundle(
  run: Run,
  { onEntry }: LogVerification,
  n: number,
  bundle: Found,
): Promise<HashedBundle | undefined> {
  const width = tileWidth(run.head.size, 0, n);
  const place = { position: n * TILE_WIDTH, count: width, path: entriesPath(n, width) };
  if ('fault' in bundle) {
    addFault(run.list, 'entries-missing', place);
    return undefined;
  }
  let entries: Uint8Array[];
  try {
    // After a partial bundle may stand entries that no checkpoint covers yet; after a full one, nothing.
    ({ entries } = splitEntryBundle(bundle.bytes, width === TILE_WIDTH ? TILE_WIDTH + SHIFT_MAX : width));
  } catch {
    addFault(run.list, 'entries-damaged', place);
    return undefined;
  }
  const hashes: Uint8Array[] = [];
  for (const entry of entries.slice(0, width)) {
    const hash = leafHash(entry);
    // Awaits only a promise: most callers answer at once, and a turn of the event loop for each entry is dear.
    const waiting = onEntry?.(n * TILE_WIDTH + hashes.length, entry, hash);
    if (waiting !== undefined) await waiting;
    hashes.push(hash);
  }
  run.checkedLeaves += hashes.length;
  return { hashes, surplus: entries.slice(width).map(leafHash) };
}

/** Compares the leaf hashes of a bundle with its tile; returns those to go on with. */
async function chooseLeaves(
  run: Run,
  n: number,
  hashed: HashedBundle | undefined,
  tile: Found,
): Promise<{ chosen: Uint8Array; isSuspect: boolean }> {
  const width = tileWidth(run.head.size, 0, n);
  const computed = packHashes(hashed?.hashes ?? [], width);
  const isComplete = hashed?.hashes.length === width;
  const place = { position: n * TILE_WIDTH, count: width, path: tilePath(0, n, width) };
  if ('fault' in tile) {
    addFault(run.list, `tile-${tile.fault}`, place);
    if (hashed !== undefined && !isComplete) {
      addFault(run.list, 'entries-damaged', { ...place, path: entriesPath(n, width) });
    }
    return { chosen: computed, isSuspect: !isComplete };
  }
  const stored = tile.bytes;
  if (hashed === undefined) return { chosen: stored, isSuspect: false };
  if (isComplete && equalBytes(computed, stored)) {
    run.differences.shift = 0;
    const count = hashed.surplus.length;
    if (count > 0) addFault(run.list, 'entry-added', { position: (n + 1) * TILE_WIDTH, count });
    return { chosen: computed, isSuspect: false };
  }
  if (await isAuthentic(run, 0, n, stored)) {
    const found = [...hashed.hashes, ...hashed.surplus];
    const bundle = { base: n * TILE_WIDTH, found, wanted: unpackHashes(stored) };
    compareBundle(run.list, run.differences, bundle);
    return { chosen: stored, isSuspect: false };
  }
  const isTileWrong = isComplete && (await isAuthentic(run, 0, n, computed));
  addFault(run.list, isTileWrong ? 'tile-damaged' : 'entries-tile-differ', place);
  return { chosen: isComplete ? computed : stored, isSuspect: !isComplete };
}

function unpackHashes(packed: Uint8Array): Uint8Array[] {
  return Array.from({ length: packed.length / HASH_BYTES }, (_, index) =>
    packed.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES),
  );
}

function packHashes(hashes: readonly Uint8Array[], width: number): Uint8Array {
  const packed = new Uint8Array(width * HASH_BYTES);
  for (const [index, hash] of hashes.entries()) packed.set(hash, index * HASH_BYTES);
  return packed;
}

/** Whether the signed root confirms these hashes as tile `n` of a level: see the head of this file. */
async function isAuthentic(run: Run, level: number, n: number, hashes: Uint8Array): Promise<boolean> {
  const width = hashes.length / HASH_BYTES;
  if (width < TILE_WIDTH) {
    if (!run.isEdgeAuthentic) return false;
    const stored = await findTile(run.readTile, { level, n, width });
    return 'bytes' in stored && equalBytes(stored.bytes, hashes);
  }
  const parent = await findAuthenticTile(run, level + 1, Math.floor(n / TILE_WIDTH));
  const index = n % TILE_WIDTH;
  return (
    parent !== undefined &&
    equalBytes(parent.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES), perfectRoot(hashes))
  );
}

/** The stored tile, if the signed root confirms it. The walk asks in order, so that the last answer of a level is kept. */
async function findAuthenticTile(run: Run, level: number, n: number): Promise<Uint8Array | undefined> {
  const known = run.authentic.get(level);
  if (known?.n === n) return known.hashes;
  const stored = await findTile(run.readTile, { level, n, width: tileWidth(run.head.size, level, n) });
  const isRight = 'bytes' in stored && (await isAuthentic(run, level, n, stored.bytes));
  const hashes = isRight ? stored.bytes.slice() : undefined;
  run.authentic.set(level, { n, hashes });
  return hashes;
}

/** Takes over a tile: a partial one becomes its level's row, the root of a full one goes to the level above. */
async function appendTile(run: Run, level: number, n: number, hashes: Uint8Array, isSuspect: boolean): Promise<void> {
  if (hashes.length < TILE_WIDTH * HASH_BYTES) {
    const row = rowAt(run, level);
    row.hashes.set(hashes);
    row.width = hashes.length / HASH_BYTES;
    return;
  }
  const above = rowAt(run, level + 1);
  above.hashes.set(perfectRoot(hashes), above.width * HASH_BYTES);
  above.isSuspect[above.width] = isSuspect ? 1 : 0;
  above.width += 1;
  if (above.width < TILE_WIDTH) return;
  const parent = Math.floor(n / TILE_WIDTH);
  const { chosen, isSuspect: isParentSuspect } = await chooseNodes(run, level + 1, parent);
  above.width = 0;
  await appendTile(run, level + 1, parent, chosen, isParentSuspect);
}

function rowAt(run: Run, level: number): Row {
  return (run.rows[level] ??= openRow());
}

function openRow(): Row {
  return { hashes: new Uint8Array(TILE_WIDTH * HASH_BYTES), width: 0, isSuspect: new Uint8Array(TILE_WIDTH) };
}

/** Compares the row of a level (1 or more) with its tile; returns the hashes to go on with. */
async function chooseNodes(run: Run, level: number, n: number): Promise<{ chosen: Uint8Array; isSuspect: boolean }> {
  const row = rowAt(run, level);
  const computed = row.hashes.slice(0, row.width * HASH_BYTES);
  const isSuspect = row.isSuspect.subarray(0, row.width).includes(1);
  const leaves = TILE_WIDTH ** level;
  const first = n * TILE_WIDTH;
  const place = { position: first * leaves, count: row.width * leaves, path: tilePath(level, n, row.width) };
  const tile = await findTile(run.readTile, { level, n, width: row.width });
  if ('fault' in tile) {
    addFault(run.list, `tile-${tile.fault}`, place);
    return { chosen: computed, isSuspect };
  }
  if (equalBytes(computed, tile.bytes)) return { chosen: computed, isSuspect: false };
  if (!(await isAuthentic(run, level, n, tile.bytes))) {
    // Where something below is faulty already, only a confirmed tile above can tell that this one is, too.
    const isConvicted = (await findAuthenticTile(run, level + 1, Math.floor(n / TILE_WIDTH))) !== undefined;
    if (!isSuspect || isConvicted) addFault(run.list, 'tile-damaged', place);
    return { chosen: computed, isSuspect };
  }
  for (let index = 0; index < row.width; index += 1) {
    const [from, to] = [index * HASH_BYTES, (index + 1) * HASH_BYTES];
    if (row.isSuspect[index] === 1 || equalBytes(computed.subarray(from, to), tile.bytes.subarray(from, to))) continue;
    addFault(run.list, 'subtree-altered', { position: (first + index) * leaves, count: leaves });
  }
  return { chosen: tile.bytes.slice(), isSuspect: false };
}

/** Compares the partial tiles at the right edge, from the bottom up, then the root. */
async function closeEdge(run: Run): Promise<void> {
  for (const [level, row] of run.rows.entries()) {
    if (level === 0 || row.width === 0) continue;
    const n = Math.floor(run.head.size / TILE_WIDTH ** (level + 1));
    const { chosen } = await chooseNodes(run, level, n);
    row.hashes.set(chosen);
  }
  if (run.head.size % TILE_WIDTH === 0) checkPins(run, run.head.size, new Uint8Array(0));
  if (equalBytes(rootOf(run.rows.map(hashesOf)), run.head.root)) return;
  const position = run.lastAgreedSize;
  addFault(run.list, 'root-mismatch', { position, count: run.head.size - position });
}

function hashesOf({ hashes, width }: Row): Uint8Array {
  return hashes.subarray(0, width * HASH_BYTES);
}

/** The root of a tree with these partial tiles (fewer than 256 hashes each), from level 0 up. */
function rootOf(partials: readonly Uint8Array[]): Uint8Array {
  return foldNodes(partials.toReversed().flatMap(perfectRoots));
}

/** Compares the earlier heads whose size lies in the tile that begins at `base`, before its root goes up. */
function checkPins(run: Run, base: number, leaves: Uint8Array): void {
  for (let pin = run.pins[0]; pin !== undefined && pin.size < base + TILE_WIDTH; pin = run.pins[0]) {
    run.pins.shift();
    const above = run.rows.slice(1).map(hashesOf);
    const root = rootOf([leaves.subarray(0, (pin.size - base) * HASH_BYTES), ...above]);
    if (equalBytes(root, pin.root)) {
      run.lastAgreedSize = pin.size;
      run.pinsAgreed += 1;
    } else {
      addFault(run.list, 'history-rewritten', { position: run.lastAgreedSize, count: pin.size - run.lastAgreedSize });
    }
  }
}
