/** A directory with an archive that is measured: the archive as the product makes it, the baseline with the same messages, and what is known of both. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { openService } from '../src/api/service.ts';
import type { Service } from '../src/api/service.ts';
import { initHouse } from '../src/archive/house.ts';
import type { Source } from '../src/archive/registry.ts';
import type { Envelope } from '../src/model/envelope.ts';
import { readSettings } from '../src/settings.ts';
import type { Mix, Told } from './texts/shop.ts';

export const AUTH_TOKEN = '12345678901234567890123456789012';

/** What is known of the archive: kept beside it, so that a later command can go on. */
export type Known = {
  readonly seed: number;
  readonly mix: Mix;
  readonly sourceId: string;
  readonly apiKey: string;
  /** Texts, and bytes of all envelopes that told of them. */
  messages: number;
  envelopeBytes: number;
  /** Bytes of those of them that the baseline has as well. */
  baselineBytes: number;
  /** Loads sent to it over HTTP: each has texts of its own. */
  loads: number;
};

export type Place = {
  readonly directory: string;
  readonly data: string;
  readonly baselinePath: string;
  readonly known: Known;
};

const KNOWN = 'bench.json';

/** Makes an empty archive below `directory` and opens it. */
export async function makePlace(
  directory: string,
  { database, ...about }: { readonly seed: number; readonly mix: Mix; readonly database?: string },
): Promise<{ readonly place: Place; readonly service: Service; readonly source: Source }> {
  const data = join(directory, 'data');
  const { apiKey } = await initHouse({
    directory: data,
    name: 'Bench',
    ...(database === undefined ? {} : { database }),
  });
  const service = await openPlace(data, database);
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
  const known = { ...about, sourceId: source.id, apiKey, messages: 0, envelopeBytes: 0, baselineBytes: 0, loads: 0 };
  const place = { ...placesIn(directory), known };
  savePlace(place);
  return { place, service, source };
}

/** Finds an archive that an earlier run has kept. @throws Error where there is none */
export function findPlace(directory: string): Place {
  const path = join(directory, KNOWN);
  if (!existsSync(path)) throw new Error(`${directory} holds no archive that a run with --keep has left`);
  return { ...placesIn(directory), known: JSON.parse(readFileSync(path, 'utf8')) as Known };
}

/** Keeps what is known. */
export function savePlace({ directory, known }: Place): void {
  writeFileSync(join(directory, KNOWN), JSON.stringify(known, null, 2));
}

/** Opens a data directory as the product would. */
export function openPlace(data: string, database?: string): Promise<Service> {
  const more = database === undefined ? {} : { database };
  return openService(readSettings({}, { data, listen: '127.0.0.1:0', logLevel: 'error', ...more }));
}

function placesIn(directory: string): Omit<Place, 'known'> {
  return { directory, data: join(directory, 'data'), baselinePath: join(directory, 'baseline.db') };
}

const FORM_TYPE = 'application/x-www-form-urlencoded; charset=UTF-8';

/** An envelope as it would arrive, with the headers that the platform sends. */
export function makeEnvelope(sourceId: string, { transport, body, atMs }: Told): Envelope {
  const isFetch = transport === 'fetch';
  const length = String(body.length);
  return {
    transport,
    method: isFetch ? 'GET' : 'POST',
    url: isFetch ? 'https://api.twilio.com/2010-04-01/Messages.json' : `http://archive.example/hooks/${sourceId}`,
    headers: isFetch
      ? [
          ['content-type', 'application/json;charset=utf-8'],
          ['content-length', length],
        ]
      : [
          ['Host', 'archive.example'],
          ['User-Agent', 'TwilioProxy/1.1'],
          ['Content-Length', length],
          ['Content-Type', FORM_TYPE],
          ['Accept', '*/*'],
          ['X-Twilio-Signature', 'AAAAAAAAAAAAAAAAAAAAAAAAAAA='],
          ['I-Twilio-Idempotency-Token', '6d4e5a1c-0b1f-4b6e-9d2a-2f7c1b0a9e8d'],
        ],
    body,
    receivedAtMs: atMs,
  };
}

/** Size of an envelope as it came over the wire. */
export function envelopeBytes({ method, url, headers, body }: Envelope): number {
  return (
    method.length +
    url.length +
    body.length +
    headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)
  );
}
