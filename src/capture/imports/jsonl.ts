/**
 * # JSON Lines: events, or records of an export
 *
 * One JSON object a line, UTF-8, ended by LF or CRLF; the last line needs no end; a byte order mark and empty lines are skipped. Two kinds
 * of lines, also mixed:
 *
 * - **records** of an export's `records.jsonl`: an object with `leaf`, `r` and `record` (Base 64 of the exact record bytes). The original
 *   event is kept with its message key and dedupe text, so that what is still here is known as a duplicate. A medium that is not beside
 *   the file is a `media.lost`, because the ciphertext that the event names belongs to another archive.
 * - **events** in the form of our Standard Webhooks connector, read by the function that is handed in.
 *
 * The raw slice of an item is the line without its end. Of a record that is the leaf, the blinding value and the record: what one needs to
 * prove it against the log it came from.
 */
import { hash } from 'node:crypto';

import { checkShape } from '../../model/check-shape.ts';
import { CartularyError } from '../../model/errors.ts';
import type { Event } from '../../model/event.ts';
import { UnreadableEnvelope } from '../unreadable.ts';
import { importedEvent, OWN_KINDS } from './event-schema.ts';
import { bufferOf, meterChunk } from './importer.ts';
import type { Importer, ImportItem, ImportOptions, ImportSource, ProgressMeter } from './importer.ts';
import { createLineSplitter, finishLines, splitLines } from './line-splitter.ts';
import type { Line } from './line-splitter.ts';

/** Bytes of one line that is an event. */
export const LINE_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of one line that is a record: a record holds what arrived, up to 10 MiB, in Base 64 twice. */
export const RECORD_LINE_BYTES_MAX = 24 * 1024 * 1024;

/**
 * Reads a line that is an event.
 * @param line its bytes, valid UTF-8 and a JSON object
 * @throws UnreadableEnvelope or CartularyError where it cannot be read; their texts become the reason and must not quote the line
 */
export type EventLineParser = (line: Uint8Array, options: ImportOptions) => readonly Event[];

/** Makes the importer. */
export function createJsonlImporter(parseEventLine: EventLineParser): Importer {
  return {
    name: 'jsonl',
    version: 2,
    title: 'JSON Lines: events, or records of an export',
    read: (source, options) => readJsonl(parseEventLine, source, options),
  };
}

async function* readJsonl(
  parseEventLine: EventLineParser,
  source: ImportSource,
  options: ImportOptions,
): AsyncGenerator<ImportItem> {
  const splitter = createLineSplitter(RECORD_LINE_BYTES_MAX);
  const meter: ProgressMeter = { bytesRead: 0, reported: 0 };
  let head: Buffer = Buffer.alloc(0);
  for await (const bytes of source.chunks) {
    const chunk = bufferOf(bytes);
    if (head.length < 2) {
      head = Buffer.concat([head, chunk.subarray(0, 2 - head.length)]);
      if (head.equals(Buffer.of(0xff, 0xfe)) || head.equals(Buffer.of(0xfe, 0xff))) {
        const reason = 'the file is UTF-16: convert it to UTF-8 and import it again';
        return yield { kind: 'rejected', position: 0, offset: 0, reason };
      }
    }
    for (const line of splitLines(splitter, chunk)) yield* convertLine(parseEventLine, line, options);
    const progress = meterChunk(meter, bytes.length);
    if (progress !== undefined) yield progress;
  }
  for (const line of finishLines(splitter)) yield* convertLine(parseEventLine, line, options);
}

function* convertLine(parseEventLine: EventLineParser, line: Line, options: ImportOptions): Generator<ImportItem> {
  const { position, offset } = line;
  let item: ImportItem;
  try {
    const body = withoutMark(line);
    if (body === undefined) return;
    item = { kind: 'event', position, offset, part: { body, events: readLine(parseEventLine, body, options) } };
  } catch (error) {
    item = { kind: 'rejected', position, offset, reason: reasonOf(error) };
  }
  yield item;
}

function reasonOf(error: unknown): string {
  if (error instanceof UnreadableEnvelope) return error.reason;
  if (error instanceof CartularyError) return error.message;
  throw error;
}

/** The line without a byte order mark; undefined where it is empty but for white space. */
function withoutMark({ bytes, position }: Line): Buffer | undefined {
  if (bytes === undefined) throw new CartularyError('bad-input', `a line longer than ${RECORD_LINE_BYTES_MAX} bytes`);
  const marked = position === 1 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const line = marked ? bytes.subarray(3) : bytes;
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d) ? undefined : line;
}

function readLine(parseEventLine: EventLineParser, bytes: Buffer, options: ImportOptions): readonly Event[] {
  // Files that were being written when the power failed end in zeros.
  if (bytes.includes(0)) throw new CartularyError('bad-input', 'the line holds NUL bytes');
  const value = parseJson(bytes, 'the line');
  if (!isObject(value)) throw new CartularyError('bad-input', 'the line is not a JSON object');
  if ('leaf' in value && 'r' in value && 'record' in value) return [readRecordLine(value)];
  if (bytes.length > LINE_BYTES_MAX)
    throw new CartularyError('bad-input', `a line longer than ${LINE_BYTES_MAX} bytes`);
  const events = parseEventLine(bytes, options);
  return events.map((event, index) => withDedupe(event, () => `line|${hash('sha256', bytes, 'hex')}|${index}`));
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function parseJson(bytes: Uint8Array, what: string): unknown {
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    throw new CartularyError('bad-input', `${what} is not UTF-8`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new CartularyError('bad-input', `${what} is not JSON`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readRecordLine(value: Record<string, unknown>): Event {
  const encoded = value['record'];
  if (typeof encoded !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded) || encoded.length % 4 !== 0) {
    throw new CartularyError('bad-input', 'the record is not Base 64');
  }
  const record = parseJson(Buffer.from(encoded, 'base64'), 'the record');
  if (!isObject(record) || record['v'] !== 1)
    throw new CartularyError('bad-input', 'the record has an unknown version');
  const id = record['record'];
  if (typeof id !== 'string' || !/^rec_[0-9a-f]{32}$/.test(id)) {
    throw new CartularyError('bad-input', 'the record has no record id');
  }
  const event = withDedupe(parseEvent(record['event']), () => `record|${id}`);
  return event.kind === 'media.stored' ? loseMedium(event) : event;
}

function parseEvent(value: unknown): Event {
  const kind = isObject(value) ? value['kind'] : undefined;
  if (typeof kind === 'string' && OWN_KINDS.has(kind)) {
    throw new CartularyError('bad-input', `a record of kind ${kind} can only come from the archive itself`);
  }
  const parsed = checkShape(importedEvent, value);
  if (parsed.success) return parsed.data;
  const path = parsed.error.issues[0]?.path ?? [];
  // Field names are ours but for the names inside these two, which the file chooses.
  const free = path.findIndex((step) => step === 'extra' || step === 'times');
  const named = free < 0 ? path : path.slice(0, free + 1);
  throw new CartularyError(
    'bad-input',
    `the event is not valid at ${named.length === 0 ? 'its top' : named.join('.')}`,
  );
}

/** The ciphertext that the event names lies in the archive that exported it. The dedupe text stays: where the medium is here, this is known. */
function loseMedium(event: Extract<Event, { kind: 'media.stored' }>): Event {
  const { media, ...rest } = event;
  return {
    ...rest,
    kind: 'media.lost',
    reason: 'media-unavailable',
    attempts: 1,
    extra: { ...rest.extra, sha256: media.sha256, bytes: media.bytes },
  };
}

/** An event that can be recognised when it comes again. */
function withDedupe<Kind extends Event>(event: Kind, dedupe: () => string): Kind {
  return event.dedupe === undefined ? { ...event, dedupe: dedupe() } : event;
}
