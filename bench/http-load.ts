/** Loads a server from a process of its own with genuine signatures, one message a request. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { Served } from '../test/support/cli.ts';
import { AUTH_TOKEN, savePlace } from './place.ts';
import type { Place } from './place.ts';

export type Load = {
  readonly url: string;
  readonly signUrl: string;
  readonly token: string;
  readonly requests: number;
  readonly connections: number;
  readonly perSecond?: number;
  readonly seed: number;
};

export type LoadResult = {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly bytes: number;
  readonly failed: number;
};

/** Far from the seeds that archives are made with. */
const LOAD_SEED = 1_000_000;

/** Loads the product's server with texts that it has not yet. @throws Error where a request was not acknowledged */
export async function loadServer(
  server: Served,
  place: Place,
  plan: Pick<Load, 'requests' | 'connections' | 'perSecond'>,
): Promise<LoadResult> {
  const { known } = place;
  const url = `${server.url}/hooks/${known.sourceId}`;
  known.loads += 1;
  savePlace(place);
  const result = await load({ ...plan, url, signUrl: url, token: AUTH_TOKEN, seed: LOAD_SEED + known.loads });
  if (result.failed > 0) throw new Error(`${result.failed} requests were not acknowledged`);
  known.messages += plan.requests;
  known.envelopeBytes += result.bytes;
  savePlace(place);
  return result;
}

/** Runs a load to its end. */
export async function load(plan: Load): Promise<LoadResult> {
  const child = fork(fileURLToPath(new URL('./load.ts', import.meta.url)), { serialization: 'advanced' });
  try {
    return await new Promise<LoadResult>((resolve, reject) => {
      child.once('message', (result) => resolve(result as LoadResult));
      child.once('exit', (code) => reject(new Error(`the load generator ended (${code})`)));
      child.send(plan);
    });
  } finally {
    child.kill();
  }
}
