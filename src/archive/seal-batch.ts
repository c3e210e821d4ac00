/**
 * How filed records cross to the sealing thread: one buffer, transferred.
 */
import type { AppendEntry, SettingChange } from '../store/store.ts';
import type { DraftJob, SealItem } from './sealing.ts';

const UNIQUE_NONE = 0;
const UNIQUE_MESSAGE = 1;
const UNIQUE_EVENT = 2;
const HEAD_BYTES = 16 + 16 + 16 + 16 + 1 + 1 + 2 + 8 + 4 + 4;

type Extras = {
  readonly jobs: readonly DraftJob[];
  readonly settings: readonly { readonly name: string; readonly value?: string }[];
};

/** Packs items into one buffer that may be transferred. */
export function encodeSealBatch(items: readonly SealItem[]): ArrayBuffer {
  const extras = items.map(encodeExtras);
  let bytes = 4;
  for (const [index, item] of items.entries())
    bytes += HEAD_BYTES + item.recordBytes.length + (extras[index]?.length ?? 0);
  const buffer = new ArrayBuffer(bytes);
  const target = Buffer.from(buffer);
  let at = target.writeUInt32LE(items.length, 0);
  for (const [index, item] of items.entries()) at = encodeItem(target, at, item, extras[index]);
  return buffer;
}

function encodeItem(target: Buffer, start: number, item: SealItem, extras: Buffer | undefined): number {
  target.set(item.messageId, start);
  target.set(item.recordId, start + 16);
  target.set(item.actor, start + 32);
  if (item.unique instanceof Uint8Array) target.set(item.unique, start + 48);
  let at = start + 64;
  at = target.writeUInt8(
    item.unique === undefined ? UNIQUE_NONE : item.unique === 'message' ? UNIQUE_MESSAGE : UNIQUE_EVENT,
    at,
  );
  at = target.writeUInt8(item.fresh ? 1 : 0, at);
  at = target.writeUInt16LE(item.kind, at);
  at = target.writeDoubleLE(item.timeMs, at);
  at = target.writeUInt32LE(item.recordBytes.length, at);
  at = target.writeUInt32LE(extras?.length ?? 0, at);
  target.set(item.recordBytes, at);
  at += item.recordBytes.length;
  if (extras !== undefined) target.set(extras, at);
  return at + (extras?.length ?? 0);
}

function encodeExtras(item: SealItem): Buffer | undefined {
  if (item.jobs.length === 0 && item.settings.length === 0) return undefined;
  const settings = item.settings.map(({ name, value }) =>
    value === undefined ? { name } : { name, value: Buffer.from(value).toString('base64') },
  );
  return Buffer.from(JSON.stringify({ jobs: item.jobs, settings } satisfies Extras), 'utf8');
}

/** Unpacks what `encodeSealBatch` packed; byte strings are views into the buffer. */
export function decodeSealBatch(buffer: ArrayBuffer): SealItem[] {
  const source = Buffer.from(buffer);
  const items: SealItem[] = [];
  const count = source.readUInt32LE(0);
  let at = 4;
  for (let index = 0; index < count; index += 1) {
    const head = at + 64;
    const recordBytes = source.readUInt32LE(head + 12);
    const extraBytes = source.readUInt32LE(head + 16);
    const recordAt = at + HEAD_BYTES;
    const extraAt = recordAt + recordBytes;
    items.push({
      messageId: source.subarray(at, at + 16),
      recordId: source.subarray(at + 16, at + 32),
      actor: source.subarray(at + 32, at + 48),
      unique: decodeUnique(source.readUInt8(head), source.subarray(at + 48, at + 64)),
      fresh: source.readUInt8(head + 1) === 1,
      kind: source.readUInt16LE(head + 2),
      timeMs: source.readDoubleLE(head + 4),
      recordBytes: source.subarray(recordAt, extraAt),
      ...(extraBytes === 0 ? { jobs: [], settings: [] } : decodeExtras(source.subarray(extraAt, extraAt + extraBytes))),
    });
    at = extraAt + extraBytes;
  }
  return items;
}

function decodeUnique(kind: number, bytes: Uint8Array): AppendEntry['unique'] {
  if (kind === UNIQUE_NONE) return undefined;
  return kind === UNIQUE_MESSAGE ? 'message' : bytes;
}

function decodeExtras(bytes: Buffer): { jobs: readonly DraftJob[]; settings: SettingChange[] } {
  const extras = JSON.parse(bytes.toString('utf8')) as Extras;
  return {
    jobs: extras.jobs,
    settings: extras.settings.map(({ name, value }) => ({
      name,
      value: value === undefined ? undefined : Buffer.from(value, 'base64'),
    })),
  };
}
