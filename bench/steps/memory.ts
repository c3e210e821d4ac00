/** Peak of a server's resident memory while it captures, searches and exports. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { serve } from '../../test/support/cli.ts';
import type { Served } from '../../test/support/cli.ts';
import { runLong } from '../product.ts';
import { loadServer } from '../http-load.ts';
import type { BenchRun } from '../run.ts';
import { exportQuery } from './export.ts';
import { KINDS } from './search.ts';

const REQUESTS_MAX = 40_000;
const CONNECTIONS = 256;
const SEARCHES = 200;

/** Measures one server after the other, each peak with what came before. */
export async function measureMemory({ options, place, scratch, note }: BenchRun): Promise<void> {
  const server = await serve(place.data);
  try {
    const peaks: [string, number][] = [['ready', peakMemory(server)]];
    await loadServer(server, place, {
      requests: Math.min(REQUESTS_MAX, 2 * options.messages),
      connections: CONNECTIONS,
    });
    peaks.push(['capturing', peakMemory(server)]);
    await searchOften(server, place.known.apiKey);
    peaks.push(['searching', peakMemory(server)]);
    await runLong([
      'export',
      exportQuery(place.known.messages),
      '--data',
      place.data,
      '--out',
      join(scratch, 'memory.zip'),
    ]);
    peaks.push(['exporting', peakMemory(server)]);
    for (const [doing, value] of peaks)
      note({
        id: `memory.${doing}`,
        what: `server's memory, peak after ${doing === 'ready' ? 'start' : doing}`,
        unit: 'MB',
        better: 'less',
        value,
      });
  } finally {
    await server.stop();
  }
}

async function searchOften(server: Served, apiKey: string): Promise<void> {
  const queries = KINDS.flatMap((kind) => kind.queries);
  for (let round = 0; round < SEARCHES; round += 1) {
    const q = encodeURIComponent(queries[round % queries.length]?.q ?? '');
    const answer = await fetch(`${server.url}/api/v1/messages?limit=50&q=${q}`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    if (answer.status !== 200) throw new Error(`a search was answered with ${answer.status}`);
    await answer.arrayBuffer();
  }
}

/** Most resident memory that a process had since it began, in MB. @source proc_pid_status(5), VmHWM */
function peakMemory({ process: { pid } }: Served): number {
  const [, kib = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return (Number(kib) * 1024) / 1e6;
}
