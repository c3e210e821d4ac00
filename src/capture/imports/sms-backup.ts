/**
 * # SMS Backup & Restore (Android): XML of a phone's texts
 *
 * `<sms …/>` and `<mms …>` elements under `<smses count="…">` (reference: formats §4.1, integrations §5.3). Read element by element
 * (`element-scanner.ts`), so that a damaged element is one rejected row; meaning is given in `backup-message.ts`.
 *
 * - The raw slice of an item is the element's exact bytes; of an MMS the value of each part's `data` is left out (`data=""`), because the
 *   medium is stored as a medium and would be kept twice.
 * - The format has no message ids. A message is known by SHA-256 over what the phone's database holds of it, and by its ordinal among
 *   identical rows of the file: importing twice, or importing an overlapping later backup, gives no duplicates, and two truly identical
 *   rows stay two.
 * - A medium beyond the budget of an element (100 MiB), or one that is not Base 64, is a `rejected` piece; the message is kept with a
 *   `media.lost`.
 * - DOCTYPE and entity declarations end the reading; external entities and entity bombs need them.
 */
import { CartularyError } from '../../model/errors.ts';
import { createBackupContext, readBackupMessage } from './backup-message.ts';
import type { BackupContext } from './backup-message.ts';
import { ELEMENT_MEDIA_BYTES_MAX } from './element-scan.ts';
import type { PartData, Scan, ScanItem } from './element-scan.ts';
import { createScan, finishScan, scanChunk } from './element-scanner.ts';
import { parseElement } from './element-parser.ts';
import { bufferOf, meterChunk } from './importer.ts';
import type { Importer, ImportItem, ImportMedium, ImportOptions, ImportSource, ProgressMeter } from './importer.ts';

export const smsBackupImporter: Importer = {
  name: 'sms-backup',
  version: 1,
  title: 'SMS Backup & Restore (Android), XML',
  read: readSmsBackup,
};

/** What has been seen of the file as a whole. */
type Reading = {
  readonly scan: Scan;
  readonly context: BackupContext;
  /** Sum of the `count` attributes; undefined where no root gave one. */
  declared: number | undefined;
  roots: number;
  encodingChecked: boolean;
};

async function* readSmsBackup(source: ImportSource, options: ImportOptions): AsyncGenerator<ImportItem> {
  const reading: Reading = {
    scan: createScan(),
    context: createBackupContext(options),
    declared: undefined,
    roots: 0,
    encodingChecked: false,
  };
  const meter: ProgressMeter = { bytesRead: 0, reported: 0 };
  let head: Buffer = Buffer.alloc(0);
  for await (const bytes of source.chunks) {
    const chunk = bufferOf(bytes);
    if (head.length < 4) {
      head = Buffer.concat([head, chunk.subarray(0, 4 - head.length)]);
      const foreign = head.length < 4 ? undefined : nameForeignFile(head);
      if (foreign !== undefined) return yield rejectFile(foreign);
    }
    for (const found of scanChunk(reading.scan, chunk)) {
      const fatal = checkEncoding(reading);
      if (fatal !== undefined) return yield fatal;
      yield* convert(reading, found);
      if (reading.scan.stopped) return;
    }
    const progress = meterChunk(meter, bytes.length);
    if (progress !== undefined) yield progress;
  }
  const fatal = checkEncoding(reading);
  if (fatal !== undefined) return yield fatal;
  let cutInside = false;
  for (const found of finishScan(reading.scan)) {
    cutInside = true;
    yield* convert(reading, found);
  }
  yield* concludeFile(reading, cutInside);
}

/** What is wrong with the file when all of it was read. */
function* concludeFile({ scan, declared, roots }: Reading, cutInside: boolean): Generator<ImportItem> {
  if (scan.rootOpen && !cutInside) {
    const position = scan.ordinals + 1;
    const reason = 'the file ends before its end tag: what should follow is missing';
    yield { kind: 'rejected', position, offset: scan.base, reason };
  } else if (!scan.rootSeen) {
    if (scan.ordinals === 0) yield rejectFile('this is not an SMS Backup & Restore file: it has no element smses');
    else
      yield { kind: 'warning', position: 0, reason: 'the beginning of the file is missing: it has no element smses' };
  }
  if (roots > 1) yield { kind: 'warning', position: 0, reason: `the file holds ${roots} backups one after another` };
  if (declared !== undefined && declared !== scan.ordinals) {
    const reason = `the file says that it has ${declared} elements, and has ${scan.ordinals}`;
    yield { kind: 'warning', position: 0, reason };
  }
}

function* convert(reading: Reading, found: ScanItem): Generator<ImportItem> {
  switch (found.kind) {
    case 'root': {
      reading.roots += 1;
      const count = /\scount\s*=\s*["'](\d{1,15})["']/.exec(found.bytes.toString('latin1'))?.[1];
      if (count !== undefined) reading.declared = (reading.declared ?? 0) + Number(count);
      return;
    }
    case 'declaration':
      yield rejectFile('a document type or entity declaration: such files are refused from there on', found.offset);
      return;
    case 'foreign':
      yield rejectFile('the root element is not smses: this is another kind of file', found.offset);
      return;
    case 'broken':
      yield { kind: 'rejected', position: found.ordinal, offset: found.offset, reason: found.fault };
      return;
    case 'element':
      yield* convertElement(reading.context, found);
      return;
    default:
      found satisfies never;
  }
}

function* convertElement(context: BackupContext, found: Extract<ScanItem, { kind: 'element' }>): Generator<ImportItem> {
  const { ordinal: position, offset, name } = found;
  const reject = (reason: string): ImportItem => ({ kind: 'rejected', position, offset, reason });
  if (name !== 'sms' && name !== 'mms') return yield reject('an element that is neither sms nor mms');
  const element = parseElement(found.bytes);
  if (typeof element === 'string') return yield reject(element);
  let message;
  try {
    message = readBackupMessage(context, element, found.data);
  } catch (error) {
    if (error instanceof CartularyError) return yield reject(error.message);
    throw error;
  }
  const media = message.media.map(({ part, data, mimeDeclared }) => mediumOf(part, data, mimeDeclared));
  yield {
    kind: 'event',
    position,
    offset,
    part: { body: found.bytes, events: message.events },
    ...(media.length === 0 ? {} : { media }),
  };
  for (const { part, data } of message.damaged) {
    const reason =
      data.result.fault === 'too-large'
        ? `the media of one message are larger than ${ELEMENT_MEDIA_BYTES_MAX} bytes: part ${part} was left out`
        : `the data of part ${part} are not Base 64: it was left out`;
    yield { kind: 'rejected', position, offset, reason, partial: true };
  }
}

function mediumOf(part: number, { result }: PartData, mimeDeclared: string | undefined): ImportMedium {
  const [first, second] = result.chunks;
  return {
    part,
    bytes: first !== undefined && second === undefined ? first : drain(result.chunks),
    byteCount: result.byteCount,
    sha256: result.sha256,
    ...(mimeDeclared === undefined ? {} : { mimeDeclared }),
  };
}

/** Gives the chunks away one by one, so that what was taken can be freed. */
async function* drain(chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  chunks.reverse();
  for (let chunk = chunks.pop(); chunk !== undefined; chunk = chunks.pop()) yield chunk;
}

function rejectFile(reason: string, offset = 0): ImportItem {
  return { kind: 'rejected', position: 0, offset, reason };
}

/** Knows files that a person may take for a backup by their first bytes. */
function nameForeignFile(head: Buffer): string | undefined {
  if (head[0] === 0x50 && head[1] === 0x4b) return 'this is a ZIP file: unpack it and import the XML in it';
  if (head[0] === 0x1f && head[1] === 0x8b) return 'this is a gzip file: unpack it and import the XML in it';
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff) || head.includes(0)) {
    return 'the file is not UTF-8: convert it and import it again';
  }
  return undefined;
}

function checkEncoding(reading: Reading): ImportItem | undefined {
  if (reading.encodingChecked) return undefined;
  reading.encodingChecked = true;
  const declaration = reading.scan.declaration.slice(0, 1024);
  const encoding = /^xml\s[^?]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']/.exec(declaration)?.[1];
  if (encoding === undefined || /^(utf-?8|us-ascii)$/i.test(encoding)) return undefined;
  return rejectFile('the file is not UTF-8: convert it and import it again');
}
