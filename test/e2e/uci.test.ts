/**
 * The UCI SMS corpus through the Twilio hook: every text is sealed, found again by search, verified, exported, and the bundle verified offline.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { MessagePage } from '../../src/archive/views.ts';
import type { VerifyReport } from '../../src/archive/threads/verify-thread.ts';
import { fsckWithGo, removeGoTlog } from '../judges/go-tlog.ts';
import { makePlace, runCli, runJson, serve } from '../support/cli.ts';
import { AUTH_TOKEN, inboundFields, inParallel, signedForm } from '../support/twilio.ts';

const corpus = readFileSync(new URL('../data/uci-sms-spam.tsv', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.includes('\t'))
  .map((line) => line.slice(line.indexOf('\t') + 1).replace(/\r$/, ''));

const place = await makePlace('uci');
afterAll(async () => {
  await removeGoTlog();
  await place.remove();
});

const sidOf = (index: number): string => `SM${createHash('md5').update(`uci ${index}`).digest('hex')}`;

describe('the UCI corpus', () => {
  it('is sealed, found, verified, exported, and verified offline', { timeout: 300_000 }, async () => {
    expect(corpus).toHaveLength(5574);
    const made = await runJson<{ archiveId: string; apiKey: string; logKey: string }>([
      'init',
      '--data',
      place.data,
      '--name',
      'UCI',
    ]);
    const server = await serve(place.data);
    try {
      const source = await runJson<{ id: string; hookUrl: string }>([
        'source',
        'add',
        'twilio',
        '--data',
        place.data,
        '--name',
        'uci',
        '--secret',
        AUTH_TOKEN,
      ]);
      const statuses = new Map<number, number>();
      await inParallel(corpus, 32, async (text, index) => {
        const answer = await fetch(source.hookUrl, signedForm(source.hookUrl, inboundFields(sidOf(index), text)));
        await answer.arrayBuffer();
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      });
      expect([...statuses]).toEqual([[200, 5574]]);

      // Each is found again by its platform's id, with the text it was sent with.
      await runJson(['search', 'nothing', '--data', place.data]);
      const headers = { authorization: `Bearer ${made.apiKey}` };
      const wrong: number[] = [];
      await inParallel(corpus, 16, async (text, index) => {
        const answer = await fetch(`${server.url}/api/v1/messages?q=id:${sidOf(index)}`, { headers });
        const page = (await answer.json()) as MessagePage;
        if (page.total !== 1 || maskless(page.items[0]?.text ?? '') !== maskless(text)) wrong.push(index);
      });
      expect(wrong.map((index) => corpus[index])).toEqual([]);

      // Some of them by what they say.
      for (const [words, count] of countWords(corpus, ['jurong', 'wkly', 'lar', 'bugis'])) {
        const page = await runJson<MessagePage>(['search', words, '--data', place.data]);
        expect([words, page.total]).toEqual([words, count]);
      }

      const report = await runJson<VerifyReport>(['verify', '--data', place.data]);
      expect(report).toMatchObject({ ok: true, faults: [] });
      expect(report.size).toBeGreaterThan(5574);

      const bundle = join(place.path, 'bundle.zip');
      const exported = await runJson<{ messages: number }>(['export', '--data', place.data, '--out', bundle]);
      expect(exported.messages).toBe(5574);
      const offline = await runJson<{ ok: boolean; messages: number }>([
        'verify',
        '--bundle',
        bundle,
        '--log-key',
        made.logKey,
      ]);
      expect(offline).toMatchObject({ ok: true, messages: 5574 });
      const forged = await runCli([
        'verify',
        '--bundle',
        bundle,
        '--log-key',
        made.logKey.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
        '--json',
      ]);
      expect(forged.code).not.toBe(0);
    } finally {
      expect(await server.stop()).toBe(0);
    }
  });

  it('gives a log that a verifier written by others accepts', { timeout: 120_000 }, async (context) => {
    const { archiveId, vkey } = await readLogKey();
    const verdict = await fsckWithGo({ directory: join(place.data, 'archives', archiveId, 'log'), vkey });
    if ('skipped' in verdict) return context.skip(verdict.skipped);
    expect(verdict).toMatchObject({ ok: true });
  });
});

async function readLogKey(): Promise<{ archiveId: string; vkey: string }> {
  const house = JSON.parse(readFileSync(join(place.data, 'cartulary.json'), 'utf8')) as { archives: { id: string }[] };
  const archiveId = house.archives[0]?.id ?? '';
  return { archiveId, vkey: readFileSync(join(place.data, 'archives', archiveId, 'log', 'vkey'), 'utf8').trim() };
}

/** Guard may have masked what looks like a card number; the rest must be equal. */
function maskless(text: string): string {
  return text.replaceAll(/[\d*]/g, '0');
}

function countWords(texts: readonly string[], words: readonly string[]): [string, number][] {
  return words.map((word) => [
    word,
    texts.filter((text) =>
      text
        .toLowerCase()
        .split(/[^\p{L}\p{N}]+/u)
        .includes(word),
    ).length,
  ]);
}
