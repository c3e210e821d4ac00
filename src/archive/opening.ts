/**
 * From rows to records: opened, checked against their leaves, parsed.
 */
import { leafCommitmentOf, leafKindOf, leafRecordIdOf } from '../ledger/leaf.ts';
import { CartularyError } from '../model/errors.ts';
import { foldMessage } from '../model/fold.ts';
import type { Message } from '../model/fold.ts';
import { formatId, ID_BYTES } from '../model/ids.ts';
import { parseRecord, parseRecordHead } from '../model/record.ts';
import type { ArchiveRecord, LoggedRecord, RecordHead } from '../model/record.ts';
import type { MessageRow } from '../store/store.ts';
import { commitmentOf, unpackRecord } from './record-codec.ts';
import { equalConstantTime } from '../vault/hash.ts';
import type { Sealer } from '../vault/seal.ts';

/** What opening a record gives: the exact bytes, the blinding value, and what they say. */
export type OpenedRecord = { readonly bytes: Uint8Array; readonly r: Uint8Array; readonly record: ArchiveRecord };

/**
 * Opens one record and checks that it is what its leaf committed to.
 * @throws CartularyError `key-destroyed` where its key is gone, `corrupt` where it is not what was logged
 */
export function openRecord(sealer: Sealer, row: SealedRow): OpenedRecord {
  const { bytes, r } = openBytes(sealer, row);
  return { bytes, r, record: parseRecord(bytes) };
}

type SealedRow = {
  readonly messageId: Uint8Array;
  readonly secret: Uint8Array | undefined;
  readonly leaf: Uint8Array;
  readonly sealed: Uint8Array | undefined;
};

/**
 * The exact bytes of a record, held against the commitment in its leaf.
 * @throws CartularyError as `openRecord`
 */
export function openBytes(sealer: Sealer, row: SealedRow): { readonly bytes: Uint8Array; readonly r: Uint8Array } {
  if (row.secret === undefined || row.sealed === undefined)
    throw new CartularyError('key-destroyed', 'the key of this record was destroyed');
  const opened = sealer.openRecord({
    messageId: row.messageId,
    recordId: leafRecordIdOf(row.leaf),
    secret: row.secret,
    sealed: row.sealed,
  });
  const bytes = unpackRecord(opened.plaintext);
  if (!equalConstantTime(commitmentOf(leafKindOf(row.leaf), opened.r, bytes), leafCommitmentOf(row.leaf))) {
    throw new CartularyError('corrupt', 'a record is not what its leaf committed to');
  }
  return { bytes, r: opened.r };
}

/**
 * Opens one record for what is derived from it (index, states). The cipher's own tag is checked, the commitment is not: what is derived is no evidence, and the check
 * would cost the follower a third of its time.
 */
export function openForDerivation(
  sealer: Sealer,
  row: {
    readonly messageId: Uint8Array;
    readonly secret: Uint8Array;
    readonly leaf: Uint8Array;
    readonly sealed: Uint8Array;
  },
): RecordHead {
  const { plaintext } = sealer.openRecord({
    messageId: row.messageId,
    recordId: leafRecordIdOf(row.leaf),
    secret: row.secret,
    sealed: row.sealed,
  });
  return parseRecordHead(unpackRecord(plaintext));
}

/** Opens all records of a message. */
export function openMessageRecords(sealer: Sealer, row: MessageRow): LoggedRecord[] {
  return row.records.map(({ seq, leaf, sealed }) => ({
    seq,
    record: openRecord(sealer, { messageId: row.messageId, secret: row.secret, leaf, sealed }).record,
  }));
}

/** The current state of a message: from its state row where that is up to date, else folded from its records. */
export function openMessage(sealer: Sealer, row: MessageRow): Message | undefined {
  if (row.secret === undefined) return undefined;
  if (row.records.length > 0 || row.state === undefined) return foldMessage(openMessageRecords(sealer, row));
  return openState(sealer, row.messageId, row.secret, row.state.sealed);
}

/** Seals a state: 16 bytes that name this sealing, then the ciphertext. */
export function sealState(
  sealer: Sealer,
  row: { messageId: Uint8Array; secret: Uint8Array },
  recordId: Uint8Array,
  message: Message,
): Uint8Array {
  const plaintext = Buffer.from(JSON.stringify(message), 'utf8');
  return Buffer.concat([
    recordId,
    sealer.seal({ purpose: 'state', messageId: row.messageId, recordId, secret: row.secret, plaintext }),
  ]);
}

/** Opens a state row. @throws CartularyError `corrupt` */
export function openState(sealer: Sealer, messageId: Uint8Array, secret: Uint8Array, sealed: Uint8Array): Message {
  const recordId = sealed.subarray(0, ID_BYTES);
  const plaintext = sealer.open({ purpose: 'state', messageId, recordId, secret, sealed: sealed.subarray(ID_BYTES) });
  const message = JSON.parse(Buffer.from(plaintext).toString('utf8')) as Message;
  if (message.id !== formatId('message', messageId))
    throw new CartularyError('corrupt', 'a state belongs to another message');
  return message;
}

/** Opens a job's payload. */
export function openJobPayload(
  sealer: Sealer,
  row: { messageId: Uint8Array; secret: Uint8Array },
  payload: Uint8Array,
): Record<string, unknown> {
  const recordId = payload.subarray(0, ID_BYTES);
  const plaintext = sealer.open({
    purpose: 'job',
    messageId: row.messageId,
    recordId,
    secret: row.secret,
    sealed: payload.subarray(ID_BYTES),
  });
  return JSON.parse(Buffer.from(plaintext).toString('utf8')) as Record<string, unknown>;
}
