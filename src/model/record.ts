/**
 * A record: an event as it is kept, sealed and logged, never changed. Its bytes are the UTF-8 JSON written once by `formatRecord`; they are
 * never re-serialised, and every hash is over these bytes (DESIGN §5.1).
 */
import { CartularyError } from './errors.ts';
import type { Event } from './event.ts';
import type { ArchiveId, ConversationId, MessageId, RecordId, SourceId } from './ids.ts';
import type { Instant } from './time.ts';

/** Pairs in the order and spelling in which they arrived. */
export type Headers = readonly (readonly [name: string, value: string])[];

/** How the bytes reached us. */
export type Transport = 'webhook' | 'poll' | 'fetch' | 'proxy' | 'smtp' | 'smpp' | 'import' | 'ingest' | 'system';

/** What was found when the signature was checked. */
export type SignatureVerdict = {
  readonly scheme: string;
  readonly result: 'valid' | 'absent' | 'not-applicable';
  /** Which of the source's secrets fitted, counted from 0; the secret itself is never kept here. */
  readonly key?: number;
  /** Public key or certificate, where the scheme can be checked by anybody. */
  readonly publicKey?: string;
};

/** What guard took out, by kind and count; never the values. */
export type GuardFindings = Readonly<Record<string, number>>;

/**
 * What arrived, as far as it belongs to this record. `cut` means that the envelope spoke of several customers and this is only their slice;
 * then, and where guard took something out, neither a hash of the whole nor a header derived from the body is kept.
 */
export type RawSlice = {
  readonly transport: Transport;
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Headers;
  readonly body: string;
  readonly encoding: 'utf8' | 'base64';
  readonly cut?: boolean;
  readonly guarded?: GuardFindings;
  readonly verdict?: SignatureVerdict;
  /** Where in which file, for imports: SHA-256 of the file, its name's extension, byte offset or row. */
  readonly provenance?: {
    readonly fileSha256: string;
    readonly importer: string;
    readonly version: number;
    readonly position: number;
  };
};

/** A record as JSON. */
export type ArchiveRecord = {
  readonly v: 1;
  readonly archive: ArchiveId;
  readonly record: RecordId;
  /** The message (or other subject) it belongs to: the unit of keys, retention and destruction. */
  readonly message: MessageId;
  readonly conversation?: ConversationId;
  readonly source?: SourceId;
  readonly connector?: { readonly name: string; readonly version: number };
  /** Who caused it: an API key, the system; absent where it was the source itself. */
  readonly actor?: string;
  readonly capturedAt: Instant;
  readonly event: Event;
  readonly raw?: RawSlice;
};

/** A record with its place in the log. */
export type LoggedRecord = { readonly seq: number; readonly record: ArchiveRecord };

/** Writes the bytes of a record, once. Lone surrogates are escaped by JSON and survive. */
export function formatRecord({ raw, ...head }: ArchiveRecord): Uint8Array {
  const text = JSON.stringify(head);
  return Buffer.from(raw === undefined ? text : `${text.slice(0, -1)},"raw":${JSON.stringify(raw)}}`, 'utf8');
}

/** How the raw slice begins, which `formatRecord` writes last. Inside of JSON strings its quotes would be escaped, so it cannot stand in a text. */
const RAW_BEGINS = Buffer.from(',"raw":{"transport":"', 'latin1');

/** A record without its raw slice. */
export type RecordHead = Omit<ArchiveRecord, 'raw'>;

/**
 * Reads a record without what arrived: half the bytes, and for indexing and verifying all that is needed.
 * @throws CartularyError `corrupt`
 */
export function parseRecordHead(bytes: Uint8Array): RecordHead {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = buffer.lastIndexOf(RAW_BEGINS);
  if (at < 0) return parseRecord(bytes);
  try {
    return assertRecord(JSON.parse(`${buffer.toString('utf8', 0, at)}}`));
  } catch {
    // What was found belongs to something else (an object of the sender's that looks like a raw slice).
    return parseRecord(bytes);
  }
}

/** What a record says of itself before its content. */
export type RecordLabel = Pick<RecordHead, 'archive' | 'record' | 'message'> & {
  readonly capturedAtMs: number;
  readonly kind: string;
};

/** The beginning of a record as `formatRecord` and capture write it: ids and names, none of which can hold a quotation mark. */
const LABEL =
  /^\{"v":1,"archive":"(arc_[0-9a-f]{32})","record":"(rec_[0-9a-f]{32})","message":"(msg_[0-9a-f]{32})"(?:,"conversation":"[^"\\]*")?(?:,"source":"[^"\\]*")?(?:,"connector":\{"name":"[^"\\]*","version":\d+\})?(?:,"actor":"[^"\\]*")?,"capturedAt":\{"ms":(-?\d+),[^{}]*\},"event":\{"kind":"([a-z._-]+)"/;
/** The longest beginning that is looked at. */
const LABEL_BYTES_MAX = 1024;

/**
 * Reads what a record says of itself without parsing the rest: a fifth of the time. A record that begins in another way is parsed whole.
 * @throws CartularyError `corrupt`
 */
export function parseRecordLabel(bytes: Uint8Array): RecordLabel {
  const beginning = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, LABEL_BYTES_MAX));
  const match = LABEL.exec(beginning.toString('latin1'));
  if (match === null) {
    const { archive, record, message, capturedAt, event } = parseRecordHead(bytes);
    const { ms } = (capturedAt ?? {}) as { readonly ms?: unknown };
    if (typeof ms !== 'number' || typeof event.kind !== 'string')
      throw new CartularyError('corrupt', 'a record lacks its time or the kind of its event');
    return { archive, record, message, capturedAtMs: ms, kind: event.kind };
  }
  const [, archive, record, message, ms, kind = ''] = match;
  return {
    archive: archive as ArchiveId,
    record: record as RecordId,
    message: message as MessageId,
    capturedAtMs: Number(ms),
    kind,
  };
}

/**
 * Reads the bytes of a record that this archive wrote.
 * @throws CartularyError `corrupt`
 */
export function parseRecord(bytes: Uint8Array): ArchiveRecord {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (cause) {
    throw new CartularyError('corrupt', 'a record is not JSON', { cause });
  }
  return assertRecord(value);
}

/** The rest of it stands under the commitment in its leaf: who wrote the record wrote that. */
function assertRecord(value: unknown): ArchiveRecord {
  const { v, event } = (value ?? {}) as { readonly [Name in keyof ArchiveRecord]?: unknown };
  if (v !== 1) throw new CartularyError('corrupt', 'a record has an unknown version');
  if (typeof event !== 'object' || event === null) throw new CartularyError('corrupt', 'a record has no event');
  return value as ArchiveRecord;
}
