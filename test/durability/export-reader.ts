/** Reads an export as an outsider would: ZIP, a line a record, Base 64, JSON. */
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import yauzl from 'yauzl';

/** A message as it was exported: its first record. */
export type ExportedRecord = {
  readonly seq: number;
  readonly leaf: Buffer;
  /** What the platform calls the message. */
  readonly sid: string;
  /** SHA-256 of the body as it arrived, hex. */
  readonly bodyHash: string;
  readonly capturedAtMs: number;
};

type RecordJson = {
  readonly capturedAt: { readonly ms: number };
  readonly event: { readonly kind: string };
  readonly raw?: { readonly body: string; readonly encoding: string };
};

/** The messages of an export that the clients sent. @throws Error where it has no records */
export async function readExport(path: string): Promise<ExportedRecord[]> {
  const zip = await promisify<string, yauzl.Options, yauzl.ZipFile>(yauzl.open)(path, { lazyEntries: true });
  try {
    const entry = await findEntry(zip, 'records.jsonl');
    const stream = await promisify(zip.openReadStream.bind(zip) as OpenStream)(entry);
    const records: ExportedRecord[] = [];
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      const record = parseLine(line);
      if (record !== undefined) records.push(record);
    }
    return records;
  } finally {
    zip.close();
  }
}

type OpenStream = (entry: yauzl.Entry, callback: (cause: Error | null, stream: NodeJS.ReadableStream) => void) => void;

function findEntry(zip: yauzl.ZipFile, name: string): Promise<yauzl.Entry> {
  return new Promise((resolve, reject) => {
    zip.on('entry', (entry: yauzl.Entry) => {
      if (entry.fileName === name) resolve(entry);
      else zip.readEntry();
    });
    zip.on('end', () => reject(new Error(`the export has no ${name}`)));
    zip.on('error', reject);
    zip.readEntry();
  });
}

function parseLine(line: string): ExportedRecord | undefined {
  const { seq, leaf, record } = JSON.parse(line) as { seq: number; leaf: string; record: string };
  const { event, raw, capturedAt } = JSON.parse(Buffer.from(record, 'base64').toString('utf8')) as RecordJson;
  if (event.kind !== 'message.created' || raw === undefined) return undefined;
  const body = Buffer.from(raw.body, raw.encoding === 'base64' ? 'base64' : 'utf8');
  const sid = new URLSearchParams(body.toString('utf8')).get('MessageSid');
  // What did not come from the clients is counted by whoever brought it in.
  if (sid === null) return undefined;
  return {
    seq,
    leaf: Buffer.from(leaf, 'base64'),
    sid,
    bodyHash: createHash('sha256').update(body).digest('hex'),
    capturedAtMs: capturedAt.ms,
  };
}
