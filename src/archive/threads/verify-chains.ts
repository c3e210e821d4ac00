/**
 * Do the store's own tables tell of every record, and of no more? A message leads to its last record, each record to the one before it, and so does each
 * leaf; whoever edits the tables could otherwise hide a record from its message, put one in twice, or take a key away unseen.
 */
import { isFirstLeaf, LEAF_PREVIOUS_OFFSET, leafRecordIdOf } from '../../ledger/leaf.ts';
import { ID_BYTES, idBytes } from '../../model/ids.ts';
import type { MessageId } from '../../model/ids.ts';
import type { RecordRow, StoreReader } from '../../store/store.ts';

/** Told of what is wrong. */
type Report = (code: string, text: string, leafIndex?: number) => void;

const CHUNK = 10_000;
const BROKEN = 'chain-broken';

/** Holds the records before `size` against each other and against the messages; five bytes a record, whatever the archive holds. */
export function createChainCheck(reader: StoreReader, size: number, report: Report) {
  /** Number of the message of each record; 0: not seen. */
  const owners = new Uint32Array(size);
  /** Is there something that leads to this record: the record after it, or its message? */
  const isReached = new Uint8Array(Math.ceil(size / 8));
  const reach = (seq: number): boolean => {
    const bit = 1 << (seq & 7);
    const at = seq >> 3;
    const before = ((isReached[at] ?? 0) & bit) !== 0;
    isReached[at] = (isReached[at] ?? 0) | bit;
    return !before;
  };

  /** The record before, by the store, must be the one before by the leaf, of the same message, and followed by nobody else. */
  const checkPrevious = async (row: RecordRow, previousSeq: number): Promise<void> => {
    const isOwn = previousSeq >= 0 && previousSeq < row.seq && owners[previousSeq] === row.messageNo;
    const [leaf] = isOwn ? await reader.readLeaves(previousSeq, 1) : [];
    const named = row.leaf.subarray(LEAF_PREVIOUS_OFFSET, LEAF_PREVIOUS_OFFSET + ID_BYTES);
    if (leaf === undefined || Buffer.compare(leafRecordIdOf(leaf), named) !== 0 || !reach(previousSeq))
      reportPrevious(row);
  };
  const reportPrevious = ({ seq }: RecordRow): void =>
    report(BROKEN, 'the record before this one is not the one that its leaf names', seq);

  /** Each message leads to its last record; afterwards a record that nothing leads to is hidden, or was put in. */
  const checkMessages = async (): Promise<void> => {
    for (let from = 0; ;) {
      const heads = await reader.listLastSeqs(from, CHUNK);
      for (const { messageNo, lastSeq } of heads) {
        // A message to which records were added meanwhile leads to them first.
        const last = lastSeq < size ? lastSeq : await findBefore(reader, messageNo, size);
        if (last === undefined) continue;
        if (last === BROKEN || owners[last] !== messageNo || !reach(last))
          report(BROKEN, 'a message does not lead to its last record', lastSeq);
      }
      const end = heads.at(-1);
      if (end === undefined) break;
      from = end.messageNo + 1;
    }
    for (let seq = 0; seq < size; seq += 1) {
      if (owners[seq] !== 0 && reach(seq)) report(BROKEN, 'no message leads to this record', seq);
    }
  };

  return {
    /** Answers nothing where nothing has to be read: most records are the first of their message. */
    add(row: RecordRow): Promise<void> | undefined {
      if (row.seq >= size || row.seq < 0) return undefined;
      owners[row.seq] = row.messageNo;
      if (row.previousSeq !== undefined) return checkPrevious(row, row.previousSeq);
      if (!isFirstLeaf(row.leaf)) reportPrevious(row);
      return undefined;
    },
    checkMessages,
    /** Where the first record of a message stands. */
    firstSeqOf: (messageNo: number): number | undefined => {
      const seq = owners.indexOf(messageNo);
      return seq < 0 ? undefined : seq;
    },
  };
}

/** The last record of a message before a size; undefined where it has none. */
async function findBefore(
  reader: StoreReader,
  messageNo: number,
  size: number,
): Promise<number | typeof BROKEN | undefined> {
  try {
    const [row] = await reader.readMessages([messageNo]);
    return row?.records.findLast(({ seq }) => seq < size)?.seq;
  } catch {
    return BROKEN;
  }
}

/** Which keys are gone, and which destructions are on record: the two must be the same. */
export function createKeyCheck(reader: StoreReader, report: Report) {
  const gone = openNumberSet();
  const destroyed = openNumberSet();
  return {
    addKeyless: (messageNo: number): void => gone.add(messageNo),
    async addDestruction(subject: string): Promise<void> {
      const messageNo = await reader.findMessageNo(idBytes(subject as MessageId));
      if (messageNo !== undefined) destroyed.add(messageNo);
    },
    async finish(seqOf: (messageNo: number) => number | undefined): Promise<void> {
      for (const messageNo of gone.list()) {
        if (!destroyed.has(messageNo))
          report('key-missing', 'the key of this record is gone, and no destruction is on record', seqOf(messageNo));
      }
      for (const messageNo of destroyed.list()) {
        if (gone.has(messageNo)) continue;
        // A destruction stands in the log just before its key goes.
        const [row] = await reader.readMessages([messageNo], { stateOnly: true });
        if (row?.secret !== undefined)
          report('key-not-destroyed', 'the destruction of this is on record, and its key is there', seqOf(messageNo));
      }
    },
  };
}

/** Numbers from 1 on, a bit each. */
function openNumberSet() {
  let bits = new Uint8Array(1024);
  return {
    add(value: number): void {
      const at = value >>> 3;
      if (at >= bits.length) {
        const wider = new Uint8Array(Math.max(at + 1, bits.length * 2));
        wider.set(bits);
        bits = wider;
      }
      bits[at] = (bits[at] ?? 0) | (1 << (value & 7));
    },
    has: (value: number): boolean => ((bits[value >>> 3] ?? 0) & (1 << (value & 7))) !== 0,
    *list(): Iterable<number> {
      for (const [at, byte] of bits.entries()) {
        for (let bit = 0; byte >> bit !== 0; bit += 1) if (((byte >> bit) & 1) === 1) yield at * 8 + bit;
      }
    },
  };
}
