/**
 * How filed records cross to the sealing thread: one buffer, written as records are filed and then transferred. A record is text only while it is being written, so that
 * nothing of it has to be carried through garbage collections until it is durable.
 */
import { CartularyError } from '../model/errors.ts';
import { openGrowingBuffer } from '../store/growing-buffer.ts';
import type { AppendEntry, SettingChange } from '../store/store.ts';
import type { DraftJob, FiledRecord, SealItem } from './filed-record.ts';

const UNIQUE_NONE = 0;
const UNIQUE_MESSAGE = 1;
const UNIQUE_EVENT = 2;
/** Ids (message, record, actor, unique), kind of unique, fresh, leaf kind, time, bytes of the record, of the document, of the extras. */
const HEAD_BYTES = 16 + 16 + 16 + 16 + 1 + 1 + 2 + 8 + 4 + 4 + 4;
const COUNT_BYTES = 4;
/** Above this many characters a record's bytes are counted rather than bounded. */
const BOUNDED_UNITS_MAX = 16 * 1024;

type Extras = {
  readonly jobs: readonly DraftJob[];
  readonly settings: readonly { readonly name: string; readonly value?: string }[];
};

/** A batch that is being written. */
export type SealBatch = {
  add(record: FiledRecord): void;
  /** The buffer, to be transferred; the batch is over. */
  finish(): ArrayBuffer;
};

/** Begins a batch. @param bytesExpected what it may come to; it grows where that is too little */
export function openSealBatch(bytesExpected: number): SealBatch {
  const growing = openGrowingBuffer(bytesExpected);
  let at = COUNT_BYTES;
  let count = 0;
  return {
    add(record) {
      const extras = encodeExtras(record);
      const target = growing.ensure(at, HEAD_BYTES + recordBytesMax(record) + (extras?.length ?? 0));
      at = writeRecord(target, at, record, extras);
      count += 1;
    },
    finish() {
      const target = growing.ensure(at, 0);
      target.writeUInt32LE(count, 0);
      return target.buffer as ArrayBuffer;
    },
  };
}

const RAW_NAME = ',"raw":';

/** What the record's text and document can come to; exact counting only where the bound is large. */
function recordBytesMax({ head, raw = '', document = '' }: FiledRecord): number {
  const units = head.length + raw.length + document.length;
  const bytes =
    units <= BOUNDED_UNITS_MAX
      ? units * 3
      : Buffer.byteLength(head) + Buffer.byteLength(raw) + Buffer.byteLength(document);
  return bytes + RAW_NAME.length + 1;
}

function writeRecord(target: Buffer, start: number, record: FiledRecord, extras: Buffer | undefined): number {
  const { unique, document = '' } = record;
  target.set(record.messageId, start);
  target.set(record.recordId, start + 16);
  target.set(record.actor, start + 32);
  if (unique instanceof Uint8Array) target.set(unique, start + 48);
  let at = start + 64;
  at = target.writeUInt8(unique === undefined ? UNIQUE_NONE : unique === 'message' ? UNIQUE_MESSAGE : UNIQUE_EVENT, at);
  at = target.writeUInt8(record.fresh ? 1 : 0, at);
  at = target.writeUInt16LE(record.kind, at);
  at = target.writeDoubleLE(record.timeMs, at);
  const textAt = start + HEAD_BYTES;
  const recordBytes = writeText(target, textAt, record);
  const documentBytes = target.write(document, textAt + recordBytes, 'utf8');
  at = target.writeUInt32LE(recordBytes, at);
  at = target.writeUInt32LE(documentBytes, at);
  target.writeUInt32LE(extras?.length ?? 0, at);
  const extrasAt = textAt + recordBytes + documentBytes;
  if (extras !== undefined) target.set(extras, extrasAt);
  return extrasAt + (extras?.length ?? 0);
}

/** The record's bytes: the head with the raw slice as its last member. */
function writeText(target: Buffer, start: number, { head, raw }: FiledRecord): number {
  let at = start + target.write(head, start, 'utf8');
  if (raw === undefined) return at - start;
  // The head's closing brace makes room for the raw slice.
  at -= 1;
  at += target.write(RAW_NAME, at, 'latin1');
  at += target.write(raw, at, 'utf8');
  at += target.write('}', at, 'latin1');
  return at - start;
}

function encodeExtras({ jobs, settings }: FiledRecord): Buffer | undefined {
  if (jobs.length === 0 && settings.length === 0) return undefined;
  const written = settings.map(({ name, value }) =>
    value === undefined ? { name } : { name, value: Buffer.from(value).toString('base64') },
  );
  return Buffer.from(JSON.stringify({ jobs, settings: written } satisfies Extras), 'utf8');
}

/**
 * Reads a batch record by record, so that of a thousand records no more than one is an object at a time; byte strings are views into the buffer.
 * @throws CartularyError `internal` where it is cut short
 */
export function* readSealBatch(buffer: ArrayBuffer): Generator<SealItem> {
  const source = Buffer.from(buffer);
  assertRoom(source, COUNT_BYTES);
  const count = source.readUInt32LE(0);
  let at = COUNT_BYTES;
  for (let index = 0; index < count; index += 1) {
    const head = at + 64;
    assertRoom(source, at + HEAD_BYTES);
    const recordBytes = source.readUInt32LE(head + 12);
    const documentBytes = source.readUInt32LE(head + 16);
    const extraBytes = source.readUInt32LE(head + 20);
    const recordAt = at + HEAD_BYTES;
    const documentAt = recordAt + recordBytes;
    const extraAt = documentAt + documentBytes;
    assertRoom(source, extraAt + extraBytes);
    yield {
      messageId: source.subarray(at, at + 16),
      recordId: source.subarray(at + 16, at + 32),
      actor: source.subarray(at + 32, at + 48),
      unique: decodeUnique(source.readUInt8(head), source.subarray(at + 48, at + 64)),
      fresh: source.readUInt8(head + 1) === 1,
      kind: source.readUInt16LE(head + 2),
      timeMs: source.readDoubleLE(head + 4),
      recordBytes: source.subarray(recordAt, documentAt),
      ...(documentBytes === 0 ? {} : { document: source.subarray(documentAt, extraAt) }),
      ...(extraBytes === 0 ? NO_EXTRAS : decodeExtras(source.subarray(extraAt, extraAt + extraBytes))),
    };
    at = extraAt + extraBytes;
  }
}

function assertRoom(source: Buffer, bytes: number): void {
  if (bytes > source.length) throw new CartularyError('internal', 'a batch is cut short');
}

const NO_EXTRAS: { readonly jobs: readonly DraftJob[]; readonly settings: readonly SettingChange[] } = {
  jobs: [],
  settings: [],
};

function decodeUnique(kind: number, bytes: Uint8Array): AppendEntry['unique'] {
  if (kind === UNIQUE_NONE) return undefined;
  return kind === UNIQUE_MESSAGE ? 'message' : bytes;
}

function decodeExtras(bytes: Buffer): { jobs: readonly DraftJob[]; settings: SettingChange[] } {
  try {
    const { jobs, settings } = JSON.parse(bytes.toString('utf8')) as Extras;
    return {
      jobs,
      settings: settings.map(({ name, value }) => ({
        name,
        value: value === undefined ? undefined : Buffer.from(value, 'base64'),
      })),
    };
  } catch (cause) {
    throw new CartularyError('internal', 'the extras of a batch cannot be read', { cause });
  }
}
