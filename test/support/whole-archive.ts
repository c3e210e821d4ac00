/**
 * An archive with a file of every kind in it, made through the product's own operations: two platforms, an import with media, edits, a medium that waits to be fetched, a
 * refused envelope, a destruction, an export, a backup. Its directories are copied while it is open and quiet: what a kill leaves, write-ahead logs included.
 */
import { chmodSync, cpSync, existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { localContext } from '../../src/api/operation.ts';
import { OPERATIONS } from '../../src/api/operations/list.ts';
import { buildApp } from '../../src/api/server.ts';
import { openService } from '../../src/api/service.ts';
import type { Service, ServiceOptions } from '../../src/api/service.ts';
import { initHouse } from '../../src/archive/house.ts';
import type { Initialised } from '../../src/archive/house.ts';
import { archiveLayout, dataLayout } from '../../src/archive/layout.ts';
import { parseSignedCheckpoint } from '../../src/ledger/checkpoint.ts';
import { workJobs } from '../../src/capture/work.ts';
import type { ArchiveId } from '../../src/model/ids.ts';
import { readSettings } from '../../src/settings.ts';
import { openEncryptedDatabase } from '../../src/vault/page-encryption.ts';
import { takeDatabaseKey } from './change-rows.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from './twilio.ts';

export type WholeArchive = Initialised & {
  /** The data directory as a clean stop leaves it. */
  readonly closed: string;
  /** The data directory as a kill would have left it; `.signer` lies beside it. */
  readonly data: string;
  /** Text of the recovery kit, in a file. */
  readonly kit: string;
  /** Directory in which the backup lies. */
  readonly backups: string;
  readonly backup: string;
  readonly bundle: string;
  /** Texts that were acknowledged. */
  readonly texts: number;
};

const TEXTS = 320;
const PUBLIC_URL = 'https://archive.example';
const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;

/** Opens a data directory as the command line does. */
export function openData(data: string, options: ServiceOptions = {}): Promise<Service> {
  const settings = readSettings({
    CARTULARY_DATA: data,
    CARTULARY_PUBLIC_URL: PUBLIC_URL,
    CARTULARY_LOG_LEVEL: 'silent',
  });
  return openService(settings, { onFatal: () => undefined, ...options });
}

/** Runs one of the product's operations on an open archive. */
export async function operate<Result>(service: Service, name: string, args: object = {}): Promise<Result> {
  const operation = OPERATIONS.find((known) => known.name === name);
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  const context = localContext(service, new AbortController().signal, () => undefined);
  return (await operation.run(args, context)) as Result;
}

/** One event a line, as `import jsonl` takes it. */
function eventLine(type: string, data: object): string {
  return JSON.stringify({ type, timestamp: '2026-11-22T10:00:00Z', data });
}

function messageLine(index: number): string {
  const picture = Buffer.from(`a picture ${index} `.repeat(40)).toString('base64');
  return eventLine('message.created', {
    id: `m${index}`,
    channel: 'chat',
    direction: 'inbound',
    from: { address: `c${index % 7}` },
    to: [{ address: 'shop' }],
    sentAt: `2026-${String((index % 3) + 8).padStart(2, '0')}-15T10:00:00Z`,
    text: `parcel number ${index}`,
    media: index % 40 === 0 ? [{ base64: picture, mimeType: 'text/plain' }] : [],
  });
}

/** Makes it. @param path an empty directory */
export async function makeWholeArchive(path: string): Promise<WholeArchive> {
  const live = join(path, 'live');
  const made = await initHouse({ directory: live, name: 'Whole' });
  const kit = join(path, 'kit.txt');
  await writeFile(kit, made.recoveryKit);
  const service = await openData(live);
  try {
    return { ...made, kit, closed: live, ...(await fill(service, path, live, made.archiveId)) };
  } finally {
    await service.close();
  }
}

async function fill(service: Service, path: string, live: string, archiveId: ArchiveId) {
  const lines = join(path, 'lines.jsonl');
  const events = [
    ...Array.from({ length: 120 }, (_none, index) => messageLine(index)),
    ...[3, 4, 5].map((index) => eventLine('message.edited', { id: `m${index}`, text: `parcel ${index}, changed` })),
    ...[3, 9].map((index) => eventLine('message.deleted', { id: `m${index}`, by: 'sender', scope: 'everyone' })),
  ];
  await writeFile(lines, events.join('\n'));
  await operate(service, 'import', { importer: 'jsonl', path: lines });
  await workJobs(service.work);
  const { hookUrl } = await operate<{ hookUrl: string }>(service, 'source.add', {
    connector: 'twilio',
    name: 'texts',
    secret: AUTH_TOKEN,
  });
  await operate(service, 'source.add', { connector: 'standard-webhooks', name: 'events', secret: SECRET });
  const app = buildApp(service, { hooks: true, api: false });
  const send = async (fields: Record<string, string>, token = AUTH_TOKEN): Promise<boolean> => {
    const { body, headers } = signedForm(hookUrl, fields, token);
    const url = new URL(hookUrl).pathname;
    return (
      (await app.inject({ method: 'POST', url, payload: body, headers: headers as Record<string, string> }))
        .statusCode === 200
    );
  };
  let texts = 0;
  await inParallel(
    Array.from({ length: TEXTS }, (_none, index) => index),
    8,
    async (index) => {
      const media = { NumMedia: '1', MediaUrl0: 'https://127.0.0.1:9/medium', MediaContentType0: 'image/png' };
      const fields = inboundFields(`SM${String(index).padStart(32, '0')}`, `refund number ${index}`);
      // Jobs are not begun here, so that media go on waiting.
      if (await send(index % 50 === 0 ? { ...fields, ...media } : fields)) texts += 1;
    },
  );
  await send(inboundFields(`SM${'f'.repeat(32)}`, 'refused'), 'another token');
  const page = await operate<{ items: { id: string }[] }>(service, 'search', { q: '"number 7"' });
  await operate(service, 'destroy', { id: page.items[0]?.id ?? '' });
  const bundle = join(path, 'bundle.zip');
  await operate(service, 'export', { q: 'parcel', path: bundle });
  const backups = join(path, 'backups');
  const { path: backup } = await operate<{ path: string }>(service, 'backup', { into: backups });
  const data = join(path, 'data');
  const { database } = archiveLayout(dataLayout(live), archiveId);
  await whileRead(database, await takeDatabaseKey(live, archiveId), async () => {
    await send(inboundFields(`SM${'a'.repeat(32)}`, 'after the backup'));
    await untilQuiet(service);
    copyData(live, data);
  });
  await app.close();
  return { data, backups, backup, bundle, texts };
}

/** Acts while somebody reads the database as it is: what is written meanwhile is in the write-ahead log only. */
async function whileRead(path: string, key: Uint8Array, act: () => Promise<void>): Promise<void> {
  const reading = openEncryptedDatabase(path, { key, mustExist: true });
  try {
    reading.exec('BEGIN');
    reading.prepare('SELECT count(*) FROM sqlite_schema').get();
    await act();
  } finally {
    reading.close();
  }
}

/** Waits until all that is in the store is in the index and under a published head. */
async function untilQuiet({ archive }: Service): Promise<void> {
  await archive.reachIndex();
  if (parseSignedCheckpoint(await archive.publish()).size !== (await archive.size()))
    throw new Error('the log is not published up to its end');
}

/** Copies a data directory with what lies beside it: with the modes that the key files must have. */
export function copyData(from: string, to: string): void {
  for (const suffix of ['', '.signer'])
    cpSync(from + suffix, to + suffix, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  for (const part of ['', 'keys']) if (existsSync(join(to, part))) chmodSync(join(to, part), 0o700);
}

/** All files under a directory, by their path in it. */
export function listAllFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
