/**
 * A small log with real leaves, proofs and a signed checkpoint, made without an archive around it, and the export of it.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';

import { LEAF_KINDS, encodeLeaf } from '../../ledger/leaf.ts';
import { formatVkey } from '../../ledger/note.ts';
import { createTileCache, inclusionProof } from '../../ledger/prove.ts';
import { appendEntries, createMemoryLog, signMemoryLog, testEntries } from '../../ledger/testing/memory-log.ts';
import type { MemoryLog } from '../../ledger/testing/memory-log.ts';
import type { EventBody } from '../../model/event.ts';
import { formatId, idBytes } from '../../model/ids.ts';
import { formatRecord } from '../../model/record.ts';
import type { ArchiveRecord } from '../../model/record.ts';
import { commitRecord } from '../../vault/seal.ts';
import type { ExportInput, ExportRecord, ExportSummary } from '../exports/exporter.ts';
import { jsonlBundleExporter } from '../exports/jsonl-bundle.ts';

const ARCHIVE = formatId('archive', Buffer.alloc(16, 0xa1));
const START_MS = 1_700_000_000_000;

/** A medium of the sample. */
export const SAMPLE_MEDIUM = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(3000, 0x42)]);

/** Bytes that look random and are the same in every run. */
function fixedBytes(name: string, length: number): Buffer {
  return createHash('sha512').update(name).digest().subarray(0, length);
}

/** Events of one message: `[message number, event]`, in the order of the log. */
export type SampleEvent = readonly [message: number, body: EventBody];

/** One of everything: three messages whose records stand between each other, a medium, an edit, a gap, a lone surrogate. */
export function sampleEvents(): SampleEvent[] {
  const created = (text: string, media = false): EventBody => ({
    kind: 'message.created',
    content: {
      channel: 'sms',
      direction: 'inbound',
      directionBasis: 'provider',
      from: { kind: 'customer', address: { scheme: 'e164', value: '+4930123456' }, name: 'Jane' },
      to: [{ kind: 'shop', address: { scheme: 'short_code', value: '12345' }, role: 'to' }],
      thread: ['12345', '+4930123456'],
      threadKind: 'direct',
      body: { text, format: 'plain' },
      parts: media ? [{ kind: 'media', index: 0, mimeDeclared: 'image/png' }] : [],
      contentState: 'present',
      origin: 'provider-api',
    },
  });
  return [
    [0, created('Where is my order? \ud83d', true)],
    [1, created('Hello')],
    [0, { kind: 'media.stored', part: 0, media: storedSample(SAMPLE_MEDIUM) }],
    [2, { kind: 'gap.opened', reason: 'content-not-given', asked: ['twilio'] }],
    [1, { kind: 'message.edited', body: { text: 'Hello again', format: 'plain' } }],
    [0, { kind: 'message.status', state: 'delivered', rawState: 'delivered' }],
    [
      1,
      {
        kind: 'reaction.added',
        emoji: '👍',
        by: { kind: 'customer', address: { scheme: 'e164', value: '+4930123456' } },
      },
    ],
    [2, { kind: 'gap.closed', reason: 'content-not-given' }],
  ];
}

export function storedSample(bytes: Buffer): Extract<EventBody, { kind: 'media.stored' }>['media'] {
  return {
    blob: createHash('sha256').update('ciphertext').update(bytes).digest('hex'),
    blobBytes: bytes.length + 100,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    mimeDeclared: 'image/png',
  };
}

/** A log with records in it. */
export type SampleArchive = {
  readonly log: MemoryLog;
  readonly checkpoint: string;
  readonly logKey: string;
  /** By message, in order of their first record. */
  readonly messages: readonly (readonly ExportRecord[])[];
};

/**
 * Builds a log of these events, with foreign entries before and after them.
 * @param media bytes by hex SHA-256
 */
export async function buildSampleArchive(
  events: readonly SampleEvent[] = sampleEvents(),
  media: ReadonlyMap<string, Buffer> = new Map([[storedSample(SAMPLE_MEDIUM).sha256, SAMPLE_MEDIUM]]),
): Promise<SampleArchive> {
  const log = createMemoryLog('archive.example/log');
  await appendEntries(log, testEntries(0, 3));
  const previous = new Map<number, Uint8Array>();
  const made: { message: number; record: Omit<ExportRecord, 'proof'> }[] = [];
  const leaves: Uint8Array[] = [];
  for (const [index, [message, body]] of events.entries()) {
    const record = makeRecord(index, message, body, previous.get(message));
    previous.set(message, idBytes(formatId('record', recordId(index))));
    leaves.push(record.leaf);
    const open = body.kind === 'media.stored' ? media.get(body.media.sha256) : undefined;
    made.push({
      message,
      record: { seq: 3 + index, ...record, ...(open === undefined ? {} : { openMedium: () => once(open) }) },
    });
  }
  await appendEntries(log, leaves);
  await appendEntries(log, testEntries(3, 9));
  const cache = createTileCache(1000);
  const messages = new Map<number, ExportRecord[]>();
  for (const { message, record } of made) {
    const proof = await inclusionProof({ index: record.seq, size: log.size, readTile: log.readTile, cache });
    const records = messages.get(message) ?? [];
    records.push({ ...record, proof });
    messages.set(message, records);
  }
  return { log, checkpoint: signMemoryLog(log), logKey: formatVkey(log.signer), messages: [...messages.values()] };
}

function recordId(index: number): Uint8Array {
  return fixedBytes(`record ${index}`, 16);
}

function makeRecord(
  index: number,
  message: number,
  body: EventBody,
  previous: Uint8Array | undefined,
): Omit<ExportRecord, 'proof' | 'seq'> {
  const timeMs = START_MS + 1000 * index;
  const record: ArchiveRecord = {
    v: 1,
    archive: ARCHIVE,
    record: formatId('record', recordId(index)),
    message: formatId('message', fixedBytes(`message ${message}`, 16)),
    actor: 'src_test',
    capturedAt: { ms: timeMs, precision: 'ms', zone: 'utc', origin: 'receipt' },
    event: {
      target: { platform: 'test', account: 'a', id: `m${message}` },
      occurredAt: { ms: timeMs - 10, precision: 'ms', zone: 'utc', origin: 'provider' },
      dedupe: `${body.kind}|${index}`,
      ...body,
    },
  };
  const recordBytes = formatRecord(record);
  const r = fixedBytes(`r ${index}`, 32);
  const leaf = encodeLeaf({
    version: 1,
    kind: LEAF_KINDS[body.kind],
    archiveId: idBytes(ARCHIVE),
    recordId: recordId(index),
    previous: previous ?? new Uint8Array(16),
    commitment: commitRecord(r, recordBytes),
    ciphertextHash: fixedBytes(`ciphertext ${index}`, 32),
    timeMs,
    actor: new Uint8Array(16),
  });
  return { leaf, recordBytes, r };
}

async function* once<Value>(...values: Value[]): AsyncGenerator<Value> {
  yield* values;
}

/** What to export of a sample. */
export function exportInput(archive: SampleArchive, more: Partial<ExportInput> = {}): ExportInput {
  return {
    archive: { id: ARCHIVE, name: 'Sample shop' },
    logKey: archive.logKey,
    checkpoint: archive.checkpoint,
    query: 'from:+4930123456',
    exportedAtMs: START_MS + 86_400_123,
    exportedBy: `key_${'0'.repeat(32)}`,
    messages: once(...archive.messages),
    ...more,
  };
}

/** Writes the bundle into memory. */
export async function exportToMemory(input: ExportInput): Promise<{ bytes: Buffer; summary: ExportSummary }> {
  const chunks: Buffer[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  const spoolDirectory = await mkdtemp(join(tmpdir(), 'cartulary-bundle-'));
  try {
    const summary = await jsonlBundleExporter.write(input, output, { spoolDirectory });
    return { bytes: Buffer.concat(chunks), summary };
  } finally {
    await rm(spoolDirectory, { recursive: true });
  }
}
