/** Opens a real archive in a directory of its own, with a Twilio source, as the product would. */
import { join } from 'node:path';

import type { Source } from '../src/archive/registry.ts';
import { initHouse } from '../src/archive/house.ts';
import { openService } from '../src/api/service.ts';
import type { Service } from '../src/api/service.ts';
import { readSettings } from '../src/settings.ts';

export const AUTH_TOKEN = '12345678901234567890123456789012';

/** An open service and its source. */
export type Bench = {
  readonly service: Service;
  readonly source: Source;
  readonly data: string;
  readonly apiKey: string;
};

/** Makes and opens an archive below `directory`. */
export async function openBench(directory: string): Promise<Bench> {
  const data = join(directory, 'data');
  const settings = readSettings({}, { data, listen: '127.0.0.1:0', logLevel: 'error' });
  const { apiKey } = await initHouse({ directory: data, name: 'Bench' });
  const service = await openService(settings);
  const source: Source = {
    id: service.archive.newSourceId(),
    connector: 'twilio',
    name: 'bench',
    secrets: [AUTH_TOKEN],
    settings: {},
    maskOneTimeCodes: false,
    createdAtMs: Date.now(),
  };
  await service.archive.putSource({ kind: 'local', user: 'bench' }, source);
  return { service, source, data, apiKey };
}

/** Opens it again. */
export function reopenBench(data: string): Promise<Service> {
  return openService(readSettings({}, { data, listen: '127.0.0.1:0', logLevel: 'error' }));
}

const CONSTANT_HEADERS = {
  host: ['Host', 'archive.example'],
  agent: ['User-Agent', 'TwilioProxy/1.1'],
  type: ['Content-Type', 'application/x-www-form-urlencoded; charset=UTF-8'],
  accept: ['Accept', '*/*'],
  token: ['I-Twilio-Idempotency-Token', '6d4e5a1c-0b1f-4b6e-9d2a-2f7c1b0a9e8d'],
} as const satisfies Record<string, readonly [string, string]>;

/** The headers that Twilio sends. */
export function twilioHeaders(body: Buffer, signature: string): (readonly [string, string])[] {
  const { host, agent, type, accept, token } = CONSTANT_HEADERS;
  return [host, agent, ['Content-Length', String(body.length)], type, accept, ['X-Twilio-Signature', signature], token];
}
