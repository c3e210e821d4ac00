/**
 * The server killed at random moments under load: nothing acknowledged is lost, nothing is doubled, every published checkpoint is continued.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { MessagePage } from '../../src/archive/views.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import { createRandom } from '../../bench/random.ts';
import { freePort, makePlace, runJson, serve } from '../support/cli.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from '../support/twilio.ts';

const KILLS = 50;
const SEED = 20_261_122;
const place = await makePlace('crash');
afterAll(() => place.remove());

/** What the client knows of each text it sent. */
type Sent = { readonly sid: string; readonly text: string; acknowledged: boolean };

describe('a server that is killed', () => {
  it(`${KILLS} times under load loses nothing it acknowledged and doubles nothing`, { timeout: 600_000 }, async () => {
    const random = createRandom(SEED);
    const made = await runJson<{ archiveId: string; apiKey: string }>([
      'init',
      '--data',
      place.data,
      '--name',
      'Crash',
    ]);
    const port = await freePort();
    const env = { CARTULARY_PUBLIC_URL: `http://127.0.0.1:${port}` };
    const source = await runJson<{ hookUrl: string }>(
      ['source', 'add', 'twilio', '--data', place.data, '--name', 'c', '--secret', AUTH_TOKEN],
      env,
    );
    const journal: Sent[] = [];
    const checkpoints: string[] = [];
    let unacknowledged: Sent[] = [];
    for (let round = 0; round < KILLS; round += 1) {
      const server = await serve(place.data, { port, env });
      const batch = Array.from({ length: 400 }, (_none, index) => newText(round, index));
      // What was not acknowledged is sent again, as a platform does; some of what was, too.
      const again = [...unacknowledged, ...journal.filter(() => random() < 0.02)];
      journal.push(...batch);
      const killAfter = 20 + random() * 400;
      const timer = setTimeout(() => void server.kill(), killAfter);
      await inParallel([...again, ...batch], 16, (sent) => send(source.hookUrl, sent));
      clearTimeout(timer);
      await server.kill();
      unacknowledged = journal.filter((sent) => !sent.acknowledged).slice(-50);
      const checkpoint = await readFile(
        join(place.data, 'archives', made.archiveId, 'log', 'checkpoint'),
        'utf8',
      ).catch(() => undefined);
      if (checkpoint !== undefined) checkpoints.push(checkpoint);
    }
    const server = await serve(place.data, { port, env });
    try {
      await runJson(['search', 'warm', '--data', place.data]);
      const headers = { authorization: `Bearer ${made.apiKey}` };
      const lost: string[] = [];
      const doubled: string[] = [];
      await inParallel(journal, 16, async (sent) => {
        const answer = await fetch(`${server.url}/api/v1/messages?q=id:${sent.sid}`, { headers });
        const page = (await answer.json()) as MessagePage;
        if (page.total > 1) doubled.push(sent.sid);
        if (sent.acknowledged && (page.total === 0 || page.items[0]?.text !== sent.text)) lost.push(sent.sid);
      });
      const acknowledged = journal.filter((sent) => sent.acknowledged).length;
      console.log(
        `${KILLS} kills, ${journal.length} sent, ${acknowledged} acknowledged, ${lost.length} lost, ${doubled.length} doubled, ${checkpoints.length} checkpoints`,
      );
      expect({ lost, doubled }).toEqual({ lost: [], doubled: [] });
      expect(acknowledged).toBeGreaterThan(KILLS);
    } finally {
      await server.stop();
    }
    const earlier: string[] = [];
    for (const [index, text] of [...new Set(checkpoints)].entries()) {
      const path = join(place.path, `checkpoint-${index}`);
      await writeFile(path, text);
      earlier.push('--checkpoint', path);
    }
    expect(await runJson<VerifyReport>(['verify', '--data', place.data, ...earlier])).toMatchObject({
      ok: true,
      faults: [],
    });
  });
});

function newText(round: number, index: number): Sent {
  const sid = `SM${createHash('md5').update(`${SEED} ${round} ${index}`).digest('hex')}`;
  return { sid, text: `round ${round} text ${index} of the shop`, acknowledged: false };
}

async function send(hookUrl: string, sent: Sent): Promise<void> {
  try {
    const answer = await fetch(hookUrl, signedForm(hookUrl, inboundFields(sent.sid, sent.text)));
    await answer.arrayBuffer();
    if (answer.status === 200) sent.acknowledged = true;
  } catch {
    // The connection broke: whether it was kept is unknown, and it is sent again.
  }
}
