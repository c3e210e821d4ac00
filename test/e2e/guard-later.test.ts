/**
 * What is found later: a security code in a text of its own is destroyed with its message once it can be read beside the text before; a message that a person names goes too.
 */
import { afterAll, describe, expect, it } from 'vitest';

import { openService } from '../../src/api/service.ts';
import { hookUrlOf } from '../../src/api/operations/sources.ts';
import { OPERATIONS } from '../../src/api/operations/list.ts';
import { initHouse } from '../../src/archive/house.ts';
import type { Caller } from '../../src/archive/caller.ts';
import { workJobs } from '../../src/capture/work.ts';
import { receiveEnvelope } from '../../src/capture/receive.ts';
import { parseId } from '../../src/model/ids.ts';
import { readSettings } from '../../src/settings.ts';
import { makePlace } from '../support/cli.ts';
import { AUTH_TOKEN, inboundFields, signedForm } from '../support/twilio.ts';

const place = await makePlace('guard-later');
afterAll(() => place.remove());
const person: Caller = { kind: 'local', user: 'test' };
const MINUTE_MS = 60_000;

describe('card data that is found later', () => {
  it('destroys the message it is in, on record, and spares its neighbours', { timeout: 180_000 }, async () => {
    await initHouse({ directory: place.data, name: 'Later' });
    let nowMs = Date.parse('2026-11-22T10:00:00Z');
    const service = await openService(readSettings({}, { data: place.data }), { now: () => nowMs });
    const run = async <Result>(name: string, args: unknown): Promise<Result> => {
      const operation = OPERATIONS.find((known) => known.name === name);
      const signal = new AbortController().signal;
      return (await operation?.run(args, { service, caller: person, signal, progress: () => undefined })) as Result;
    };
    try {
      const { id } = await run<{ id: string }>('source.add', { connector: 'twilio', name: 'L', secret: AUTH_TOKEN });
      const source = service.archive.registry.findSource(parseId('source', id));
      if (source === undefined) throw new Error('there is no source');
      const hookUrl = hookUrlOf(service, source);
      const receive = async (sid: string, text: string, from: string): Promise<void> => {
        const request = signedForm(hookUrl, inboundFields(sid.padEnd(34, '0'), text, { From: from }));
        await receiveEnvelope(service.receive, source, {
          transport: 'webhook',
          method: 'POST',
          url: hookUrl,
          headers: Object.entries(request.headers as Record<string, string>),
          body: Buffer.from(request.body),
          receivedAtMs: nowMs,
        });
      };
      const find = async (q: string): Promise<number> => (await run<{ total: number }>('search', { q })).total;

      await receive('SM1', 'my card is 4111 1111 1111 1111 exp 12/27, cvv follows', '+15550100123');
      await receive('SM2', 'it is 987', '+15550100123');
      await receive('SM3', 'How many do you want of the ocelot?', '+15550100777');
      await receive('SM4', 'I want 120', '+15550100777');
      expect(await find('987')).toBe(1);
      await workJobs(service.work);
      expect(await find('987')).toBe(1);
      nowMs += 2 * MINUTE_MS;
      await workJobs(service.work);
      expect(await find('987')).toBe(0);
      expect(await find('follows')).toBe(1);
      expect(await find('120')).toBe(1);
      expect(await service.archive.countJobs()).toEqual([]);

      expect(await run('reprocess.guard', { destroy: true })).toMatchObject({ messages: 3, found: [], destroyed: 0 });
      const [item] = (await run<{ items: { id: string }[] }>('search', { q: 'ocelot' })).items;
      await run('destroy', { id: item?.id });
      expect(await find('ocelot')).toBe(0);
      expect(await run('verify', {})).toMatchObject({ ok: true, destroyed: 2, faults: [] });
    } finally {
      await service.close();
    }
  });
});
