/**
 * # The ledger
 *
 * Owns the Merkle log of an archive: the tree (this file), its tiles, leaves, signed checkpoints, witnesses, proofs, the
 * rules of the signer, and the verification of a whole log. It knows bytes, not messages: what an entry means, and
 * whether its record exists, is for others. Readers and writers are handed in; nothing here opens a file or a socket,
 * reads a clock, or draws a random number, so that all of it but `hash.ts` and `ed25519.ts` also runs in a browser.
 *
 * It must never: sign what it has not checked, guess at a format, accept two texts for one value, trust a byte that it
 * reads, or answer a verification with a bare boolean.
 *
 * ## The tree (RFC 6962 §2.1)
 *
 * A log is a list of entries. Its *root* is one hash that fixes all of them and their order:
 *
 *     root of nothing    SHA-256("")
 *     root of one entry  SHA-256(0x00 ‖ entry)            the leaf hash
 *     root of n entries  SHA-256(0x01 ‖ left ‖ right)     left = root of the first k, right = root of the rest,
 *                                                         k = the largest power of two below n
 *
 * The two prefixes keep a leaf from being passed off as a node. Because k is a power of two, the left part of a tree never
 * changes as the tree grows: a tree of n leaves is a row of *perfect* subtrees, one for each 1 in n written in binary, the
 * largest first. That row is all one needs to append, and to know the root:
 *
 *     n = 11 = 1011b       perfect subtrees over leaves 0–7, 8–9 and 10
 *     root = H(0–7, H(8–9, 10))
 *
 * It is called a *compact range* here: at most 53 hashes for any log, whatever its age. Appending a leaf is binary
 * addition of one: each carry merges two subtrees of equal size into the next.
 *
 * ## Proofs
 *
 * An *inclusion proof* lists the siblings on the way from a leaf to the root: whoever hashes the leaf with them, one after
 * the other, must arrive at the root. A *consistency proof* lists the subtrees with which both an old and a new root can
 * be computed: if both come out right, the old tree is a prefix of the new one, so nothing was changed, removed or
 * inserted. Both have about log2(n) hashes. Verification below is that of RFC 9162 §2.1.3.2 and §2.1.4.2, which describe
 * the same tree as loops; indexes are `bigint` there because they come from strangers.
 */
import { equalBytes, plainBytes } from './bytes.ts';
import { LedgerError, assertCount } from './error.ts';
import { HASH_BYTES, sha256, sha256Into } from './hash.ts';

/** Bytes of the longest entry: its length is a uint16 in an entry bundle (C2SP tlog-tiles, "Log entries"). */
export const ENTRY_BYTES_MAX = 65_535;
/** Hashes of the longest proof that can be valid for sizes below 2^64. */
export const PROOF_HASHES_MAX = 64;

const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;

/**
 * The perfect subtrees of a tree of `size` leaves, largest first: all that is needed to append and to compute the root.
 * A plain value that can be cloned between threads; `encodeRange` writes it as bytes.
 */
export type CompactRange = { readonly size: number; readonly nodes: readonly Uint8Array[] };

/** The root of a log without entries: SHA-256 of nothing. */
export function emptyRoot(): Uint8Array {
  return sha256();
}

// Entries of one log mostly have one length, so that the buffer of the last one fits again: making one for each entry
// costs more than hashing it.
let leafInput = new Uint8Array(1);

/** The leaf hash of an entry: SHA-256(0x00 ‖ entry). Throws `limit` for an entry of more than 65,535 bytes. */
export function leafHash(entry: Uint8Array): Uint8Array {
  if (entry.length > ENTRY_BYTES_MAX) throw new LedgerError('limit', `an entry has at most ${ENTRY_BYTES_MAX} bytes`);
  if (leafInput.length !== 1 + entry.length) leafInput = new Uint8Array(1 + entry.length);
  leafInput[0] = LEAF_PREFIX;
  leafInput.set(entry, 1);
  return sha256(leafInput);
}

// One buffer for all nodes: hashing is synchronous, so that no two calls can meet in it.
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = NODE_PREFIX;

/** The hash of an inner node: SHA-256(0x01 ‖ left ‖ right). Throws `bad-format` unless both have 32 bytes. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  assertHash(left, 'the left hash');
  assertHash(right, 'the right hash');
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/**
 * `nodeHash` over two neighbouring hashes: the 64 bytes of `pairs` from `pairOffset`, written into `target` from `offset`.
 * For the inner loops of the tiles; `target` may be `pairs`.
 */
export function nodeHashInto(target: Uint8Array, offset: number, pairs: Uint8Array, pairOffset: number): void {
  nodeInput.set(pairs.subarray(pairOffset, pairOffset + 2 * HASH_BYTES), 1);
  sha256Into(target, offset, nodeInput);
}

/** The compact range of a log without entries. */
export function emptyRange(): CompactRange {
  return { size: 0, nodes: [] };
}

/** The range with one more leaf, by its leaf hash. The range passed in stays as it is. Throws `bad-argument`. */
export function appendLeafHash(range: CompactRange, hash: Uint8Array): CompactRange {
  return appendLeafHashes(range, [hash]);
}

/** The range with more leaves, in their order. The range passed in stays as it is. Throws `bad-argument`. */
export function appendLeafHashes(range: CompactRange, hashes: readonly Uint8Array[]): CompactRange {
  assertCount(range.size + hashes.length, 'the size of the tree');
  const nodes = [...range.nodes];
  let size = range.size;
  for (const hash of hashes) {
    assertHash(hash, 'a leaf hash');
    pushLeaf(nodes, size, hash);
    size += 1;
  }
  return { size, nodes: copyHashes(nodes) };
}

/** Copies of hashes, so that a range does not hang on memory that its caller may use again. */
export function copyHashes(hashes: readonly Uint8Array[]): Uint8Array[] {
  return hashes.map((hash) => plainBytes(hash).slice());
}

/**
 * Appends a leaf to `nodes`, the row of perfect subtrees of a tree of `size` leaves, in place. `onNode` hears of each
 * merged subtree: its height (1 = two leaves) and hash.
 */
export function pushLeaf(
  nodes: Uint8Array[],
  size: number,
  hash: Uint8Array,
  onNode?: (height: number, node: Uint8Array) => void,
): void {
  let node = hash;
  let height = 0;
  // Each trailing 1 of the size is a carry. Halving in place of shifting: sizes may pass 2^31, where `>>` wraps.
  for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) {
    const left = nodes.pop();
    if (left === undefined) throw new LedgerError('bad-argument', 'the range has fewer nodes than its size needs');
    node = nodeHash(left, node);
    height += 1;
    onNode?.(height, node);
  }
  nodes.push(node);
}

/** The number of leaves of the range. */
export function rangeSize(range: CompactRange): number {
  return range.size;
}

/** The root of the tree of which this is the range (32 bytes). */
export function rangeRoot(range: CompactRange): Uint8Array {
  return foldNodes(range.nodes);
}

/** Folds a row of subtrees, largest first, into their root: from the right, since small trees hang below large ones. */
export function foldNodes(nodes: readonly Uint8Array[]): Uint8Array {
  return nodes.length === 0 ? emptyRoot() : nodes.reduceRight((root, node) => nodeHash(node, root));
}

/** The range as bytes: the size as a big-endian uint64, then its hashes, largest subtree first. */
export function encodeRange(range: CompactRange): Uint8Array {
  const bytes = new Uint8Array(8 + HASH_BYTES * range.nodes.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(range.size));
  for (const [index, node] of range.nodes.entries()) bytes.set(node, 8 + HASH_BYTES * index);
  return bytes;
}

/** Reads what `encodeRange` wrote. Throws `bad-format` when the number of hashes does not fit the size. */
export function decodeRange(bytes: Uint8Array): CompactRange {
  if (bytes.length < 8) throw new LedgerError('bad-format', 'a range begins with its size in eight bytes');
  const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0));
  if (!Number.isSafeInteger(size)) throw new LedgerError('limit', 'the size of the range is larger than 2^53 - 1');
  let subtrees = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) subtrees += rest % 2;
  if (bytes.length !== 8 + HASH_BYTES * subtrees) {
    throw new LedgerError('bad-format', `a range of ${size} leaves has ${subtrees} hashes`);
  }
  const hashes = plainBytes(bytes).subarray(8);
  const nodes = Array.from({ length: subtrees }, (_, index) =>
    hashes.slice(HASH_BYTES * index, HASH_BYTES * (index + 1)),
  );
  return { size, nodes };
}

/** What `verifyInclusion` looks at; whoever hands over a proof controls all of it but the root. */
export type InclusionClaim = {
  /** Position of the leaf, from 0. */
  index: bigint | number;
  /** Leaves of the tree whose root is `root`. */
  size: bigint | number;
  leafHash: Uint8Array;
  root: Uint8Array;
  /** The siblings from the leaf up. */
  proof: readonly Uint8Array[];
};

/**
 * Verifies that the leaf stands at `index` in the tree of `size` leaves with this root (RFC 9162 §2.1.3.2). Returns when
 * it does. Throws `bad-proof` when it does not, `bad-format` when a hash is not 32 bytes, `bad-argument` for an index or
 * size that cannot be.
 */
export function verifyInclusion(claim: InclusionClaim): void {
  const index = parseBig(claim.index, 'the index');
  const size = parseBig(claim.size, 'the size');
  if (index >= size) throw new LedgerError('bad-proof', 'the index lies outside the tree');
  assertHash(claim.leafHash, 'the leaf hash');
  assertHash(claim.root, 'the root');
  assertProof(claim.proof);
  let node = claim.leafHash;
  let position = index;
  let last = size - 1n;
  for (const sibling of claim.proof) {
    if (last === 0n) throw new LedgerError('bad-proof', 'the proof is too long for this tree');
    if (position % 2n === 1n || position === last) {
      node = nodeHash(sibling, node);
      // The last node of a level without a right sibling moves up unhashed until it has a left one.
      while (position % 2n === 0n && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    } else {
      node = nodeHash(node, sibling);
    }
    position >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new LedgerError('bad-proof', 'the proof is too short for this tree');
  if (!equalBytes(node, claim.root))
    throw new LedgerError('bad-proof', 'the leaf and the proof do not lead to the root');
}

/** What `verifyConsistency` looks at. */
export type ConsistencyClaim = {
  oldSize: bigint | number;
  newSize: bigint | number;
  oldRoot: Uint8Array;
  newRoot: Uint8Array;
  proof: readonly Uint8Array[];
};

/**
 * Verifies that the old tree is a prefix of the new one (RFC 9162 §2.1.4.2). Returns when it is. Equal sizes need equal
 * roots and an empty proof. An empty old tree is a prefix of every tree, so that no proof can say anything: that claim is
 * refused unless the new tree is empty, too. Throws `bad-proof`, `bad-format`, `bad-argument`.
 */
export function verifyConsistency(claim: ConsistencyClaim): void {
  const oldSize = parseBig(claim.oldSize, 'the old size');
  const newSize = parseBig(claim.newSize, 'the new size');
  assertHash(claim.oldRoot, 'the old root');
  assertHash(claim.newRoot, 'the new root');
  assertProof(claim.proof);
  if (oldSize > newSize) throw new LedgerError('bad-proof', 'the old tree is larger than the new one');
  if (oldSize === newSize) {
    if (claim.proof.length > 0) throw new LedgerError('bad-proof', 'trees of equal size need no proof');
    if (!equalBytes(claim.oldRoot, claim.newRoot))
      throw new LedgerError('bad-proof', 'equal sizes with different roots');
    return;
  }
  if (oldSize === 0n) throw new LedgerError('bad-proof', 'nothing can be proven from an empty tree');
  const roots = foldConsistency(oldSize, newSize, claim.oldRoot, claim.proof);
  if (!equalBytes(roots.old, claim.oldRoot))
    throw new LedgerError('bad-proof', 'the proof does not lead to the old root');
  if (!equalBytes(roots.new, claim.newRoot))
    throw new LedgerError('bad-proof', 'the proof does not lead to the new root');
}

/** Computes the old and the new root from a consistency proof, for 0 < oldSize < newSize. */
function foldConsistency(
  oldSize: bigint,
  newSize: bigint,
  oldRoot: Uint8Array,
  proof: readonly Uint8Array[],
): { old: Uint8Array; new: Uint8Array } {
  let position = oldSize - 1n;
  let last = newSize - 1n;
  while (position % 2n === 1n) {
    position >>= 1n;
    last >>= 1n;
  }
  // An old tree that is perfect is itself the first subtree, and its root is left out of the proof.
  const [seed, ...rest] = position === 0n ? [oldRoot, ...proof] : proof;
  if (seed === undefined) throw new LedgerError('bad-proof', 'the proof is empty');
  let old = seed;
  let grown = seed;
  for (const sibling of rest) {
    if (last === 0n) throw new LedgerError('bad-proof', 'the proof is too long for these trees');
    if (position % 2n === 1n || position === last) {
      old = nodeHash(sibling, old);
      grown = nodeHash(sibling, grown);
      while (position % 2n === 0n && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    } else {
      grown = nodeHash(grown, sibling);
    }
    position >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new LedgerError('bad-proof', 'the proof is too short for these trees');
  return { old, new: grown };
}

function parseBig(value: bigint | number, name: string): bigint {
  if (typeof value === 'number') assertCount(value, name);
  else if (value < 0n) throw new LedgerError('bad-argument', `${name} must not be negative`);
  return BigInt(value);
}

/** Asserts the length of a hash. Throws `bad-format`. */
export function assertHash(hash: Uint8Array, name: string): void {
  if (hash.length !== HASH_BYTES) throw new LedgerError('bad-format', `${name} must have ${HASH_BYTES} bytes`);
}

function assertProof(proof: readonly Uint8Array[]): void {
  if (proof.length > PROOF_HASHES_MAX) throw new LedgerError('limit', `a proof has at most ${PROOF_HASHES_MAX} hashes`);
  for (const hash of proof) assertHash(hash, 'each hash of a proof');
}
