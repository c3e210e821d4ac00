/** A service within the test's own process: its clock, its jobs and its records are at hand; requests go in without a socket. */
import type { FastifyInstance } from 'fastify';

import { buildApp } from '../../src/api/server.ts';
import { openService } from '../../src/api/service.ts';
import type { Service, ServiceOptions } from '../../src/api/service.ts';
import { initHouse } from '../../src/archive/house.ts';
import type { Source } from '../../src/archive/registry.ts';
import type { MessageDetail } from '../../src/archive/views.ts';
import { parseId } from '../../src/model/ids.ts';
import { readSettings } from '../../src/settings.ts';
import { makePlace } from './cli.ts';

/** The public URL of services under test. */
export const PUBLIC_URL = 'https://archive.example';
/** Somebody on this machine. */
export const LOCAL_CALLER = { kind: 'local', user: 'test' } as const;

export type TestService = {
  readonly service: Service;
  readonly app: FastifyInstance;
  /** Milliseconds since 1970; moved by the test. */
  readonly clock: { ms: number };
  addSource(source: Pick<Source, 'connector' | 'secrets'> & Partial<Source>): Promise<Source>;
  /** The messages that a query finds, opened. */
  open(query: string): Promise<MessageDetail[]>;
  close(): Promise<void>;
};

/** Opens a new archive in a directory of its own. */
export async function openTestService(name: string, options: Omit<ServiceOptions, 'now'> = {}): Promise<TestService> {
  const place = await makePlace(name);
  await initHouse({ directory: place.data, name });
  const settings = readSettings({
    CARTULARY_DATA: place.data,
    CARTULARY_PUBLIC_URL: PUBLIC_URL,
    CARTULARY_LOG_LEVEL: 'silent',
  });
  const clock = { ms: Date.parse('2026-11-22T12:00:00Z') };
  const service = await openService(settings, { ...options, now: () => clock.ms });
  const { archive } = service;
  return {
    service,
    app: buildApp(service, { hooks: true, api: false }),
    clock,
    async addSource(source) {
      const whole: Source = {
        id: archive.newSourceId(),
        name,
        settings: {},
        maskOneTimeCodes: false,
        createdAtMs: clock.ms,
        ...source,
      };
      await archive.putSource(LOCAL_CALLER, whole);
      return whole;
    },
    async open(query) {
      await archive.reachIndex();
      await archive.threads.read.call('refresh', undefined);
      const { items } = await archive.search(LOCAL_CALLER, { q: query, limit: 200 });
      return Promise.all(items.map(({ id }) => archive.openMessage(LOCAL_CALLER, parseId('message', id))));
    },
    async close() {
      await service.close();
      await place.remove();
    },
  };
}
