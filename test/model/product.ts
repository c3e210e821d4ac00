/** The real product in this process, as a sequence of commands drives it: closed and opened again, with other keys, from a backup, on the same directory or another. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { openService } from '../../src/api/service.ts';
import type { Service } from '../../src/api/service.ts';
import { restoreBackup } from '../../src/archive/backup.ts';
import { initHouse } from '../../src/archive/house.ts';
import { rotateRoot, rotateSealKey } from '../../src/archive/key-care.ts';
import { receiveRecords } from '../../src/capture/ingest.ts';
import { workJobs } from '../../src/capture/work.ts';
import { exportMessages } from '../../src/evidence/export-run.ts';
import { findExporter } from '../../src/evidence/exports/list.ts';
import { verifyBundle } from '../../src/evidence/verify-bundle.ts';
import type { BundleReport } from '../../src/evidence/verify-bundle.ts';
import { readSettings } from '../../src/settings.ts';
import { makePlace } from '../support/cli.ts';
import { LOCAL_CALLER } from '../support/service.ts';

/** What a sequence may do with the product. */
export type Product = {
  readonly service: Service;
  readonly clock: { ms: number };
  send(event: unknown): Promise<{ stored: number; duplicates: number; messageIds: string[] }>;
  work(): Promise<void>;
  export(q: string): Promise<BundleReport>;
  restart(): Promise<void>;
  rotate(which: 'root' | 'archive'): Promise<void>;
  /** Backs up and restores into another directory, from which it goes on. */
  move(): Promise<void>;
  close(): Promise<void>;
};

/** A time before all that happens. */
export const BEGUN_MS = Date.parse('2026-11-22T12:00:00Z');

/** Opens a new archive. */
export async function openProduct(): Promise<Product> {
  const place = await makePlace('model');
  const clock = { ms: BEGUN_MS };
  const now = (): number => clock.ms;
  let data = place.data;
  let kit = (await initHouse({ directory: data, name: 'model', now })).recoveryKit;
  const open = (): Promise<Service> =>
    openService(readSettings({ CARTULARY_DATA: data, CARTULARY_LOG_LEVEL: 'silent' }), { now });
  let service = await open();
  let files = 0;
  const nextPath = (name: string): string => join(place.path, `${name}-${(files += 1)}`);
  const closed = async (act: () => Promise<void>): Promise<void> => {
    await service.close();
    await act();
    service = await open();
  };
  return {
    get service() {
      return service;
    },
    clock,
    send: (event) =>
      receiveRecords(service.receive, LOCAL_CALLER, {
        transport: 'ingest',
        method: 'POST',
        url: 'https://archive.example/api/v1/records',
        headers: [['content-type', 'application/json']],
        body: Buffer.from(JSON.stringify(event)),
        receivedAtMs: clock.ms,
      }),
    work: () => workJobs(service.work),
    async export(q) {
      const exporter = findExporter('jsonl');
      if (exporter === undefined) throw new Error('there is no such format');
      const path = nextPath('bundle');
      const context = { now, signal: new AbortController().signal, onProgress: () => undefined };
      await exportMessages(service.archive, LOCAL_CALLER, { exporter, q, path }, context);
      const report = await verifyBundle(path, { logKey: service.archive.vkey });
      await rm(path);
      return report;
    },
    restart: () => closed(async () => undefined),
    rotate: (which) =>
      closed(async () => {
        if (which === 'root') kit = (await rotateRoot({ directory: data })).recoveryKit;
        else await rotateSealKey({ directory: data });
      }),
    async move() {
      const into = nextPath('backups');
      const { path } = await service.archive.backup(LOCAL_CALLER, into, service.house.layout, () => undefined);
      const directory = nextPath('moved');
      await closed(async () => {
        // The machine is lost with all that is on it.
        await rm(data, { recursive: true });
        await rm(`${data}.signer`, { recursive: true });
        await restoreBackup({ from: path, directory, kit, onProgress: () => undefined });
        data = directory;
      });
    },
    async close() {
      await service.close();
      await place.remove();
    },
  };
}
