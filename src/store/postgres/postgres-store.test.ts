import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, untilReady } from '../../../bench/baselines/postgres-server.ts';
import type { PostgresServer } from '../../../bench/baselines/postgres-server.ts';
import { describeStore } from '../testing/conformance.ts';
import { openPostgresStore } from './postgres-store.ts';

const key = randomBytes(32);
let server: PostgresServer | undefined;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cartulary-pg-'));
  server = await startPostgres(directory);
  await untilReady(async () => { const c = new Client(server?.url); await c.connect(); await c.end(); });
}, 60000);
afterAll(async () => { await server?.stop(); await rm(directory, { recursive: true, force: true }); });
describeStore({
  name: 'PostgreSQL',
  newPlace: async () => randomBytes(16).toString('hex'),
  open: (place) => openPostgresStore({ url: server?.url ?? '', archiveId: Buffer.from(place, 'hex'), key }),
});
