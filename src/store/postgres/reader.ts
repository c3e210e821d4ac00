/** Reading of the PostgreSQL engine, over a connection of its own in whichever thread reads. Each call sees one state of the database. */
import { CartularyError } from '../../model/errors.ts';
import type { MessageRow, RecordRow, StoreReader } from '../store.ts';
import { keepConnected, uuidOf } from './connection.ts';
import type { PostgresLocation } from './connection.ts';
import { openEpochs } from './epochs.ts';
import { unwrapSecret } from './secret-wrap.ts';

/** Rows one call may ask for. */
const ROWS_MAX = 20_000;
/** Records of one message that are read at most; more than that is damage or attack. */
const CHAIN_MAX = 100_000;

type WrappedColumns = { secret: Buffer | null; epoch: number | null };
type RecordColumns = WrappedColumns & {
  seq: number;
  no: number;
  id: Buffer;
  prev_seq: number | null;
  leaf: Buffer;
  sealed: Buffer | null;
};
type HeadColumns = WrappedColumns & {
  no: number;
  id: Buffer;
  last_seq: number;
  closed: boolean | null;
  version: number | null;
  state: Buffer | null;
};
type ChainColumns = { start: number; seq: number; prev_seq: number | null; leaf: Buffer; sealed: Buffer | null };

/** Asks with the id of the archive as first value. */
type Ask = <Row extends object>(name: string, text: string, values: readonly unknown[]) => Promise<Row[]>;

type Parts = { readonly ask: Ask; readonly unwrap: (row: WrappedColumns) => Buffer | undefined };

/** Opens a reader; it connects with its first call, and again after its connection broke. */
export function openPostgresReader(location: PostgresLocation): StoreReader {
  const archive = uuidOf(location.archiveId);
  const epochs = openEpochs(location);
  const connection = keepConnected(location);
  const ask: Ask = async <Row extends object>(name: string, text: string, values: readonly unknown[]) => {
    const { rows } = await connection.use((client) => client.query<Row>({ name, text, values: [archive, ...values] }));
    return rows;
  };
  const unwrap = ({ secret, epoch }: WrappedColumns): Buffer | undefined =>
    secret === null || epoch === null ? undefined : unwrapSecret(epochs.get(epoch), secret);
  const parts = { ask, unwrap };
  return {
    ...readsOfLog(parts),
    ...readsOfLists(ask),
    readMessages: (numbers, options = {}) => readMessages(parts, numbers, options.stateOnly === true),
    async findMessageNo(messageId) {
      return (await findSeen(ask, messageId))?.no;
    },
    async findSeqByUnique(unique) {
      return (await findSeen(ask, unique))?.seq ?? undefined;
    },
    close: () => connection.close(),
  };
}

/** Records and leaves in the order of the log. */
function readsOfLog({ ask, unwrap }: Parts): Pick<StoreReader, 'size' | 'readLog' | 'readLeaves'> {
  const months = createMonths(ask);
  return {
    async size() {
      const [row] = await ask<{ size: number }>('size', 'SELECT size FROM log_head WHERE archive = $1', []);
      return row?.size ?? 0;
    },
    async readLog(fromSeq, limit) {
      const count = Math.min(limit, ROWS_MAX);
      const rows = await ask<RecordColumns>(
        'read-log',
        `SELECT r.seq, r.no, uuid_send(m.id) AS id, k.secret, k.epoch, r.prev_seq, r.leaf, r.sealed FROM record r
         JOIN message m ON m.archive = r.archive AND m.no = r.no LEFT JOIN message_key k ON k.archive = r.archive AND k.no = r.no
         WHERE r.archive = $1 AND r.month BETWEEN $2 AND $3 AND r.seq >= $4 ORDER BY r.month, r.seq LIMIT $5`,
        [...(await months.around(fromSeq, fromSeq + count)), fromSeq, count],
      );
      return rows.map((row): RecordRow => ({
        seq: row.seq,
        messageNo: row.no,
        messageId: row.id,
        secret: unwrap(row),
        previousSeq: row.prev_seq ?? undefined,
        leaf: row.leaf,
        sealed: row.sealed ?? undefined,
      }));
    },
    async readLeaves(fromSeq, limit) {
      const count = Math.min(limit, ROWS_MAX);
      const rows = await ask<{ leaf: Buffer }>(
        'read-leaves',
        `SELECT r.leaf FROM record r WHERE r.archive = $1 AND r.month BETWEEN $2 AND $3 AND r.seq >= $4 ORDER BY r.month, r.seq LIMIT $5`,
        [...(await months.around(fromSeq, fromSeq + count)), fromSeq, count],
      );
      return rows.map(({ leaf }) => leaf);
    },
  };
}

/** Numbers, settings and jobs; and whether what is seldom read can be. */
function readsOfLists(
  ask: Ask,
): Pick<
  StoreReader,
  'listMessageNos' | 'listLastSeqs' | 'listStateNos' | 'isSound' | 'readSetting' | 'listSettings' | 'countJobs'
> {
  return {
    async listMessageNos(fromNo, limit) {
      const text = 'SELECT no FROM message_key WHERE archive = $1 AND no >= $2 ORDER BY no LIMIT $3';
      return (await ask<{ no: number }>('list-nos', text, [fromNo, Math.min(limit, ROWS_MAX)])).map(({ no }) => no);
    },
    async listLastSeqs(fromNo, limit) {
      const text = 'SELECT no, last_seq FROM message WHERE archive = $1 AND no >= $2 ORDER BY no LIMIT $3';
      const rows = await ask<{ no: number; last_seq: number }>('list-last', text, [fromNo, Math.min(limit, ROWS_MAX)]);
      return rows.map(({ no, last_seq }) => ({ messageNo: no, lastSeq: last_seq }));
    },
    async listStateNos(fromNo, limit) {
      const text = 'SELECT no FROM state WHERE archive = $1 AND no >= $2 ORDER BY no LIMIT $3';
      return (await ask<{ no: number }>('list-states', text, [fromNo, Math.min(limit, ROWS_MAX)])).map(({ no }) => no);
    },
    async isSound() {
      // PostgreSQL checks each page as it is read, where the cluster was made with checksums; a page that cannot be read is an error.
      for (const table of ['seen', 'state', 'job', 'setting', 'pin'])
        await ask(`count-${table}`, `SELECT count(t.*) FROM ${table} t WHERE archive = $1`, []);
      return true;
    },
    async readSetting(name) {
      const text = 'SELECT value FROM setting WHERE archive = $1 AND name = $2';
      return (await ask<{ value: Buffer }>('read-setting', text, [name]))[0]?.value;
    },
    async listSettings(prefix) {
      const text = 'SELECT name, value FROM setting WHERE archive = $1 AND starts_with(name, $2) ORDER BY name';
      return ask<{ name: string; value: Buffer }>('list-settings', text, [prefix]);
    },
    async countJobs() {
      const text =
        'SELECT kind, count(*) AS waiting, min(due_at) AS due FROM job WHERE archive = $1 GROUP BY kind ORDER BY kind';
      const rows = await ask<{ kind: string; waiting: number; due: number | null }>('count-jobs', text, []);
      return rows.map(({ kind, waiting, due }) => ({ kind, waiting, oldestDueAtMs: due ?? undefined }));
    },
  };
}

async function findSeen(ask: Ask, key: Uint8Array): Promise<{ no: number; seq: number | null } | undefined> {
  const text = 'SELECT no, seq FROM seen WHERE archive = $1 AND key = $2';
  return (await ask<{ no: number; seq: number | null }>('find-one', text, [uuidOf(key)]))[0];
}

/** Records are followed from the last one back; a message whose state is of its last record needs none. */
async function readMessages(
  { ask, unwrap }: Parts,
  numbers: readonly number[],
  stateOnly: boolean,
): Promise<MessageRow[]> {
  const heads = await ask<HeadColumns>(
    'read-heads',
    `SELECT m.no, uuid_send(m.id) AS id, m.last_seq, k.secret, k.epoch, k.closed, s.version, s.sealed AS state FROM message m
     LEFT JOIN message_key k ON k.archive = m.archive AND k.no = m.no LEFT JOIN state s ON s.archive = m.archive AND s.no = m.no
     WHERE m.archive = $1 AND m.no = ANY($2::bigint[])`,
    [numbers],
  );
  const isOpen = ({ version, last_seq }: HeadColumns): boolean => !stateOnly || version !== last_seq;
  const chains = await readChains(
    ask,
    heads.filter(isOpen).map(({ last_seq }) => last_seq),
  );
  const byNo = new Map(heads.map((head) => [head.no, head]));
  return numbers.flatMap((no): MessageRow[] => {
    const head = byNo.get(no);
    if (head === undefined) return [];
    const records = isOpen(head) ? (chains.get(head.last_seq) ?? []) : [];
    if (isOpen(head) && records.at(-1)?.seq !== head.last_seq)
      throw new CartularyError('corrupt', 'the chain of a message is broken');
    const { version, state } = head;
    return [
      {
        messageNo: no,
        messageId: head.id,
        secret: unwrap(head),
        closed: head.closed !== false,
        records,
        state: state === null || version === null ? undefined : { messageNo: no, version, sealed: state },
      },
    ];
  });
}

/** Records of messages, oldest first, by the number of their last. */
async function readChains(
  ask: Ask,
  lasts: readonly number[],
): Promise<ReadonlyMap<number, readonly MessageRow['records'][number][]>> {
  const chains = new Map<number, MessageRow['records'][number][]>();
  if (lasts.length === 0) return chains;
  const rows = await ask<ChainColumns>(
    'read-chains',
    `WITH RECURSIVE chain AS (
       SELECT u.seq AS start, r.seq, r.prev_seq, r.leaf, r.sealed FROM unnest($2::bigint[]) AS u(seq) JOIN record r ON r.archive = $1 AND r.seq = u.seq
       UNION ALL
       SELECT c.start, r.seq, r.prev_seq, r.leaf, r.sealed FROM chain c JOIN record r ON r.archive = $1 AND r.seq = c.prev_seq
     ) SELECT * FROM chain ORDER BY seq LIMIT ${CHAIN_MAX + 1}`,
    [lasts],
  );
  if (rows.length > CHAIN_MAX) throw new CartularyError('corrupt', 'the chain of a message is broken');
  for (const { start, seq, leaf, sealed } of rows) {
    const records = chains.get(start) ?? [];
    records.push({ seq, leaf, sealed: sealed ?? undefined });
    chains.set(start, records);
  }
  return chains;
}

/** Which months hold which numbers, so that a read looks into few partitions. What is known stays so: a month's first number never changes. */
function createMonths(ask: Ask) {
  let known: { month: number; from_seq: number }[] = [];
  return {
    /** The first and the last month that may hold numbers between two. */
    async around(from: number, to: number): Promise<[first: number, last: number]> {
      if (known.length === 0 || to > (known.at(-1)?.from_seq ?? 0))
        known = await ask('months', 'SELECT month, from_seq FROM log_month WHERE archive = $1 ORDER BY month', []);
      const first = known.findLast(({ from_seq }) => from_seq <= from)?.month ?? 0;
      const last = known.findLast(({ from_seq }) => from_seq <= to)?.month ?? 0;
      return [first, last];
    },
  };
}
