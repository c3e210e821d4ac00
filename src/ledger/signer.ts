/**
 * # The signer
 *
 * A log's whole worth is one promise: it never signs two histories. A bug, a restored backup or a second process breaks
 * that promise as surely as a thief does, so that the signer trusts none of them. It keeps a *memory* of the last head it
 * signed, apart from the data (another directory, another user, another machine), and before each signature it
 *
 *   1. reads its memory,
 *   2. refuses a head that is smaller, or of the same size with another root,
 *   3. makes a consistency proof from the remembered head out of the tiles at hand, and verifies it,
 *   4. writes the new head to its memory, durably,
 *   5. and only then signs.
 *
 * Step 4 before 5: a crash between the two leaves a remembered head that nobody has seen, which harms nothing, since the
 * same head is signed again. The other order would leave a signed head that nobody remembers.
 *
 * ## After a restore
 *
 * A backup is older than the log it was made of. Signing on from it would fork the log: heads beyond it are already with
 * mirrors, witnesses and auditors. `adoptHead` weighs all heads that are known against the tree at hand:
 *
 *   - the tree holds the highest of them, or more, and its history agrees with all: **continue**;
 *   - the tree is too short, but a source that has the missing leaves (a mirror) reaches the highest: **catch up**, ask again;
 *   - leaves are gone for good, or histories disagree: **open a successor**: a new log under a new origin. It begins with the
 *     leaves that were saved, at their old places; the next one commits to the old head, so that the old log can be neither
 *     denied nor continued. The lost range is a gap.
 */
import { equalBytes, utf8 } from './bytes.ts';
import { formatCheckpoint, isSameHead, signCheckpoint } from './checkpoint.ts';
import type { Head } from './checkpoint.ts';
import { LedgerError } from './error.ts';
import { sha256 } from './hash.ts';
import { LEAF_KINDS, decodeLeaf } from './leaf.ts';
import { SIGNATURE_ED25519 } from './note.ts';
import type { NoteSigner } from './note.ts';
import { consistencyProof, rootAt } from './tiles.ts';
import type { ReadTile } from './tiles.ts';
import { verifyConsistency } from './tree.ts';

export type { Head } from './checkpoint.ts';

/** Where a signer remembers the last head it signed: one memory for each log. `write` resolves once it is durable. */
export type SignerMemory = {
  read: () => Promise<Head | undefined>;
  write: (head: Head) => Promise<void>;
};

/** What `signHead` is asked to sign, and what it checks it with. */
export type SignRequest = Head & {
  /** Reads the tiles of the tree at hand. */
  readTile: ReadTile;
  memory: SignerMemory;
  /** The log's key, or several of them; their names are the origin. */
  key: NoteSigner | readonly NoteSigner[];
  /** When set, an empty memory is refused: for every log that is not new. */
  isMemoryExpected?: boolean;
};

// Two requests at once must not both read the memory before either writes it.
const turns = new WeakMap<SignerMemory, Promise<unknown>>();

/**
 * Signs a head if it continues the last one (see the head of this file). Signing the remembered head again gives the same
 * text. Calls with one memory take turns; two *processes* with one memory are for the caller to prevent.
 *
 * @returns the signed checkpoint; by then the head is remembered.
 * @throws {LedgerError} `head-smaller`, `head-forked`, `head-inconsistent`, `root-mismatch` (the tiles at hand do not lead
 *   to `root`), `wrong-origin` (the memory or a key is of another log), `memory-missing`, `bad-key`,
 *   `bad-tile`. What the memory
 *   throws goes through, and then nothing was signed.
 */
export async function signHead(request: SignRequest): Promise<string> {
  const before = turns.get(request.memory) ?? Promise.resolve();
  const turn = before.then(() => signInTurn(request));
  turns.set(
    request.memory,
    turn.catch(() => undefined),
  );
  return turn;
}

async function signInTurn(request: SignRequest): Promise<string> {
  const { origin, size, root, memory } = request;
  const head: Head = { origin, size, root };
  const keys = 'sign' in request.key ? [request.key] : request.key;
  if (keys.length === 0 || keys.some(({ name }) => name !== origin)) {
    throw new LedgerError('wrong-origin', 'the keys that sign a log bear its origin as their name');
  }
  if (keys.some(({ type }) => type !== SIGNATURE_ED25519)) {
    throw new LedgerError('bad-key', 'a log signs with keys of type 0x01');
  }
  // Formats the head before anything is remembered, so that a head that cannot be written is not remembered.
  formatCheckpoint(head);
  const last = await memory.read();
  if (last === undefined && request.isMemoryExpected === true) {
    throw new LedgerError('memory-missing', 'the signer has no memory of a log that is not new');
  }
  await assertContinues(head, last, request.readTile);
  if (last === undefined || !isSameHead(last, head)) await memory.write(head);
  return signCheckpoint(head, keys);
}

/** Asserts that the tiles at hand hold `head`, and that it continues `last`. */
async function assertContinues(head: Head, last: Head | undefined, readTile: ReadTile): Promise<void> {
  if (last !== undefined && last.origin !== head.origin) {
    throw new LedgerError('wrong-origin', 'the memory of this signer belongs to another log');
  }
  if (last !== undefined && head.size < last.size) {
    throw new LedgerError('head-smaller', `a head of ${last.size} entries was signed, this one has ${head.size}`);
  }
  if (last !== undefined && head.size === last.size) {
    if (equalBytes(head.root, last.root)) return;
    throw new LedgerError('head-forked', `another head of ${last.size} entries was signed before`);
  }
  if (last === undefined || last.size === 0) {
    if (equalBytes(await rootAt(head.size, readTile), head.root)) return;
    throw new LedgerError('root-mismatch', `the tiles at hand do not lead to the root of ${head.size} entries`);
  }
  const sizes = { oldSize: last.size, newSize: head.size };
  const proof = await consistencyProof({ ...sizes, readTile });
  try {
    verifyConsistency({ ...sizes, oldRoot: last.root, newRoot: head.root, proof });
  } catch (cause) {
    throw new LedgerError('head-inconsistent', `the tree at hand does not continue the head of ${last.size} entries`, {
      cause,
    });
  }
}

/** A head that is known from somewhere; its signature was verified by the caller. */
export type KnownHead = {
  readonly head: Head;
  /** Where it is known from, for the report. */
  readonly source: 'memory' | 'backup' | 'mirror' | 'witness' | 'auditor';
  /** Whether that source can also give the leaves up to this head. */
  readonly hasLeaves?: boolean;
};

/** Leaves `from` to `to - 1`. */
export type LeafRange = { readonly from: number; readonly to: number };

/** What to do before signing again. */
export type Adoption =
  /** Remember `head` (write it to the signer's memory), then sign on. `undefined` when no head is known at all. */
  | { decision: 'continue'; head: Head | undefined }
  /** Fetch these leaves from `source`, integrate them, and ask again. */
  | { decision: 'catch-up-needed'; range: LeafRange; source: KnownHead }
  /**
   * Open a successor of the log with `oldHead`. `lost` are the leaves that the old head covers and that nobody can give, or
   * whose history is disputed; `catchUp` are leaves to be fetched first, and kept as what is left of the old log.
   */
  | {
      decision: 'successor-needed';
      reason: 'leaves-lost' | 'history-differs';
      oldHead: Head;
      lost: LeafRange;
      catchUp?: { range: LeafRange; source: KnownHead };
    };

/**
 * Decides how a log goes on with the tree at hand, given every head of it that is known. The tree at hand must be readable
 * at `size`, and at the size of each smaller head. Throws `bad-tile` when it is not, `wrong-origin` for a head of another
 * log.
 */
export async function adoptHead(options: {
  origin: string;
  size: number;
  readTile: ReadTile;
  known: readonly KnownHead[];
}): Promise<Adoption> {
  const { origin, size, readTile, known } = options;
  if (known.some(({ head }) => head.origin !== origin)) {
    throw new LedgerError('wrong-origin', 'a known head belongs to another log');
  }
  const heads = known.toSorted((left, right) => left.head.size - right.head.size);
  const highest = heads.at(-1);
  if (highest === undefined) return { decision: 'continue', head: undefined };
  const differs = await findDifference(heads, size, readTile);
  if (differs !== undefined) {
    const lost = { from: Math.min(differs.lastAgreed, size), to: highest.head.size };
    return { decision: 'successor-needed', reason: 'history-differs', oldHead: highest.head, lost };
  }
  if (highest.head.size <= size) return { decision: 'continue', head: highest.head };
  const source = heads.findLast(({ head, hasLeaves }) => hasLeaves === true && head.size > size);
  const catchUp = source === undefined ? undefined : { range: { from: size, to: source.head.size }, source };
  if (catchUp !== undefined && catchUp.range.to === highest.head.size) {
    return { decision: 'catch-up-needed', ...catchUp };
  }
  const lost = { from: catchUp?.range.to ?? size, to: highest.head.size };
  const base = { decision: 'successor-needed', reason: 'leaves-lost', oldHead: highest.head, lost } as const;
  return catchUp === undefined ? base : { ...base, catchUp };
}

/** Finds where histories part: a head the tree at hand contradicts, or two heads of one size. Heads come smallest first. */
async function findDifference(
  heads: readonly KnownHead[],
  size: number,
  readTile: ReadTile,
): Promise<{ lastAgreed: number } | undefined> {
  let lastAgreed = 0;
  let before: Head | undefined;
  for (const { head } of heads) {
    if (before !== undefined && before.size < head.size) lastAgreed = before.size;
    const isTwin = before?.size === head.size;
    const isFork = isTwin && before !== undefined && !equalBytes(before.root, head.root);
    const isContradicted = !isTwin && head.size <= size && !equalBytes(await rootAt(head.size, readTile), head.root);
    if (isFork || isContradicted) return { lastAgreed };
    before = head;
  }
  return undefined;
}

const SUCCESSION_TAG = 'cartulary/log-succeeded/v1\n';

/** What the leaf of kind `log.succeeded` of a successor log commits to: SHA-256 of a tag and the text of the old head's checkpoint. */
export function commitToHead(oldHead: Head): Uint8Array {
  // A plain hash is right here, unlike in other leaves: a head is public and must be checkable by whoever holds it.
  return sha256(utf8(SUCCESSION_TAG), utf8(formatCheckpoint(oldHead)));
}

/**
 * Verifies that an entry says that its log continues the one that ended with `oldHead`: the first entry after those that were saved of the old log. Throws `bad-leaf` when
 * it is no such leaf, `root-mismatch` when it commits to another head.
 */
export function verifySuccessorEntry(entry: Uint8Array, oldHead: Head): void {
  const leaf = decodeLeaf(entry);
  if (leaf.kind !== LEAF_KINDS['log.succeeded']) {
    throw new LedgerError('bad-leaf', 'this leaf is not of kind log.succeeded');
  }
  if (!equalBytes(leaf.commitment, commitToHead(oldHead))) {
    throw new LedgerError('root-mismatch', 'the successor log commits to another head');
  }
}
