/**
 * The thread that publishes the log: leaves from the database into tiles, then a signed checkpoint.
 *
 * Owns: tiles, entry bundles, checkpoint, the signer's memory. Never: stands in capture's way; when signing stalls, capture goes on.
 * Invariant: no checkpoint covers a leaf that is not durable in the database, and none is published before its tiles are.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { createNoteSigner, formatVkey } from '../../ledger/note.ts';
import { parseSignedCheckpoint, verifyCheckpoint } from '../../ledger/checkpoint.ts';
import { signHead } from '../../ledger/signer.ts';
import type { Head } from '../../ledger/signer.ts';
import { createTileCache, inclusionProof, parseEntryBundle, TILE_WIDTH } from '../../ledger/tiles.ts';
import type { TreeEdge } from '../../ledger/tiles.ts';
import { CartularyError } from '../../model/errors.ts';
import { openPlace } from '../../store/blob-engine.ts';
import { openNodeLink } from '../../store/engine.ts';
import { gatherBytes } from '../../store/growing-buffer.ts';
import { openTileFiles } from '../../store/tile-files.ts';
import { servePort, takePlace } from '../../store/thread.ts';
import { removeTemporaries, writeFileDurably } from '../../vault/durable-file.ts';
import { growLog } from '../grow-log.ts';
import { logPlace } from '../house-place.ts';
import { openSignerMemory } from '../signer-memory.ts';
import { openReader } from './workspace.ts';
import type { ThreadSetup } from './workspace.ts';

/** Calls of this thread. */
export type LogCalls = {
  ready: { args: undefined; result: undefined };
  /** Publishes up to all that is durable now; answers the checkpoint. */
  publish: { args: undefined; result: string };
  /** Writes all files of the log again from the records. */
  rebuild: { args: undefined; result: { readonly size: number } };
  /**
   * Inclusion of leaves in a checkpoint: the given one, which this log has published, or else the newest, which is brought up to date first where
   * it must be.
   */
  prove: {
    args: { readonly indices: readonly number[]; readonly checkpoint?: string };
    result: {
      readonly checkpoint: string;
      readonly proofs: { readonly index: number; readonly hashes: readonly Uint8Array[] }[];
      /** Holds all hashes; may be released when they are done with. */
      readonly buffer: ArrayBuffer;
    };
  };
  /** Size of the log that this node has published. */
  published: { args: undefined; result: number };
  /** Sends files of the log to the bucket, by their paths. */
  share: { args: readonly string[]; result: undefined };
  close: { args: undefined; result: undefined };
};

/** Files that are sent at the same time. */
const SENT = 4;

const { setup, port } = takePlace<ThreadSetup>();
if (setup.logKey === undefined) throw new CartularyError('internal', 'the log thread needs the log key');
const signer = createNoteSigner({ name: setup.origin, seed: setup.logKey });
const reader = await openReader(setup);
await mkdir(setup.layout.log, { recursive: true, mode: 0o700 });
const files = openTileFiles(setup.layout.log);
const cache = createTileCache(512);
const memory = openSignerMemory(setup.layout.signerMemory);
const link = await openNodeLink(setup.store);
// Whoever writes it has the turn, so that nobody else is in the middle of it.
await link.alone('sign', () => removeTemporaries(setup.layout.signerMemory));
await writeFileDurably(setup.layout.vkey, Buffer.from(`${formatVkey(signer)}\n`), 0o644);

/** What to do where records are not those that were signed. */
const REMEDY =
  'Nothing more is signed. Stop all nodes; "cartulary key successor" says what is lost, and how the log goes on';

let edge: TreeEdge | undefined;
/** The last leaf that was published, once this thread has published. */
let lastLeaf: Uint8Array | undefined;
let isDamaged = false;
let checkpoint = await readOwnCheckpoint();
let published = checkpoint === undefined ? 0 : parseSignedCheckpoint(checkpoint).size;
let turn: Promise<unknown> = Promise.resolve();

/**
 * The published checkpoint. One that this log has not signed is left for whoever looks for damage; nothing is signed beside it.
 */
async function readOwnCheckpoint(): Promise<string | undefined> {
  const text = await files.readCheckpoint();
  try {
    if (text !== undefined) verifyCheckpoint(text, [signer]);
    return text;
  } catch {
    isDamaged = true;
    return undefined;
  }
}

/** Writes all tiles and entry bundles again from the records, and signs what they come to where it continues what was signed. */
async function rebuild(): Promise<{ readonly size: number }> {
  checkpoint = undefined;
  published = 0;
  edge = undefined;
  lastLeaf = undefined;
  isDamaged = false;
  return { size: parseSignedCheckpoint(await publish()).size };
}

/** One publication at a time. */
function inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
  const mine = turn.then(act);
  turn = mine.catch(() => undefined);
  return mine;
}

async function publish(): Promise<string> {
  if (isDamaged)
    throw new CartularyError('log-damaged', 'the published checkpoint is not one that this log has signed');
  const size = await reader.size();
  if (size < published) {
    throw new CartularyError(
      'corrupt',
      `the data are older than the log that was published from them: an old copy was put in place, or a database without the last records took over. ${REMEDY}`,
      {
        detail: { size, published },
      },
    );
  }
  await assertContinues();
  if (checkpoint !== undefined && size === published) return checkpoint;
  const grown = await grow(size);
  // The memory is one for all nodes, which sign the same log in turns. What another has signed, this one does not go back behind.
  const [signed, text] = await link.alone('sign', async () => {
    const last = (await memory.read())?.size ?? 0;
    const head = last > grown.size ? await grow(await reader.size()) : grown;
    return [head.size, await sign(head)] as const;
  });
  await files.writeCheckpoint(text);
  checkpoint = text;
  published = signed;
  [lastLeaf] = signed === 0 ? [] : await reader.readLeaves(signed - 1, 1);
  return text;
}

/** Brings the files of this node to a size of the log. */
async function grow(size: number): Promise<Head> {
  const grown = await growLog({ reader, files, from: published, size, ...(edge === undefined ? {} : { edge }) });
  edge = grown.edge;
  return { origin: setup.origin, size, root: grown.root };
}

function sign(head: Head): Promise<string> {
  // `init` and `restore` give the signer its first memory, so none at all means that it was lost.
  return signHead({ ...head, readTile: files.readTile, memory, key: signer, isMemoryExpected: true });
}

/**
 * The last leaf that was published must still be the store's. After a database failed over to a copy that lacks what it had acknowledged, other records come to the places of those
 * that were lost; a tree that went on over them would be one that no record fits.
 * @throws CartularyError `corrupt`
 */
async function assertContinues(): Promise<void> {
  if (published === 0) return;
  const at = published - 1;
  const [leaf] = await reader.readLeaves(at, 1);
  const entry = lastLeaf ?? (await readEntry(at));
  if (entry !== undefined && (leaf === undefined || Buffer.compare(leaf, entry) !== 0))
    throw new CartularyError(
      'corrupt',
      `the records are not those that were published: an old copy was put in place, or a database without the last records took over. ${REMEDY}`,
    );
}

/** A published leaf; undefined where the file cannot be read, which whoever looks for damage will find. */
async function readEntry(at: number): Promise<Uint8Array | undefined> {
  try {
    const bundle = await files.readEntries(Math.floor(at / TILE_WIDTH), (at % TILE_WIDTH) + 1);
    return parseEntryBundle(bundle)[at % TILE_WIDTH];
  } catch {
    return undefined;
  }
}

async function prove(indices: readonly number[], wanted: string | undefined): Promise<LogCalls['prove']['result']> {
  const isCovered = checkpoint !== undefined && indices.every((index) => index < published);
  const over = wanted ?? (isCovered && checkpoint !== undefined ? checkpoint : await publish());
  const { size } = parseSignedCheckpoint(over);
  // Another node has published it.
  if (size > published) await publish();
  const proofs = [];
  for (const index of indices) {
    if (index >= size) throw new CartularyError('not-found', 'there is no such leaf');
    const hashes = await inclusionProof({ index, size, readTile: files.readTile, cache });
    proofs.push({ index, hashes });
  }
  const { buffer, views } = gatherBytes(proofs.flatMap(({ hashes }) => hashes));
  let at = 0;
  const gathered = proofs.map(({ index, hashes }) => ({ index, hashes: views.slice(at, (at += hashes.length)) }));
  return { checkpoint: over, proofs: gathered, buffer };
}

async function share(paths: readonly string[]): Promise<void> {
  if (setup.blobs.engine !== 's3') return;
  const place = await openPlace(logPlace(setup.blobs));
  const left = [...paths];
  const sendAll = async (): Promise<void> => {
    for (let path = left.pop(); path !== undefined; path = left.pop())
      await place.put(path, join(setup.layout.log, path));
  };
  await Promise.all(Array.from({ length: SENT }, sendAll));
}

servePort<LogCalls>(port, {
  async ready() {
    return undefined;
  },
  async published() {
    return published;
  },
  async share(paths) {
    await share(paths);
    return undefined;
  },
  publish: () => inTurn(publish),
  rebuild: () => inTurn(rebuild),
  prove: ({ indices, checkpoint: wanted }) => inTurn(() => prove(indices, wanted)),
  async close() {
    await turn;
    await link.close();
    await reader.close();
    return undefined;
  },
});
