/** Start: until an archive is open, and until a server says that it is ready, against an empty process. */
import { execFileSync } from 'node:child_process';

import { serve } from '../../test/support/cli.ts';
import { median, timeOf } from '../figure.ts';
import { openPlace } from '../place.ts';
import type { BenchRun } from '../run.ts';

/** Measures both. */
export async function measureStart({ options, place, note }: BenchRun): Promise<void> {
  const opened: number[] = [];
  const served: number[] = [];
  const empty: number[] = [];
  for (let run = 0; run <= options.runs; run += 1) {
    const box: { close?: () => Promise<void> } = {};
    const openMs = await timeOf(async () => {
      const service = await openPlace(place.data);
      box.close = () => service.close();
    });
    await box.close?.();
    const emptyMs = await timeOf(() => execFileSync(process.execPath, ['-e', '']));
    const serveMs = await timeOf(async () => {
      const server = await serve(place.data);
      box.close = async () => void (await server.stop());
    });
    await box.close?.();
    // The first is the warm-up: files that are not in memory yet are another matter.
    if (run === 0) continue;
    opened.push(openMs / 1000);
    served.push(serveMs / 1000);
    empty.push(emptyMs / 1000);
  }
  note({ id: 'start.open', what: 'start, archive open', unit: 's', better: 'less', value: opened });
  note({
    id: 'start.ready',
    what: 'start, process to ready',
    unit: 's',
    better: 'less',
    value: served,
    baseline: { what: 'empty Node process', value: median(empty) },
  });
}
