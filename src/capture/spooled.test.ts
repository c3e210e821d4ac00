import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Source } from '../archive/registry.ts';
import { LOCAL_CALLER, openTestService, PUBLIC_URL } from '../../test/support/service.ts';
import type { TestService } from '../../test/support/service.ts';
import { AUTH_TOKEN, inboundFields, signedForm } from '../../test/support/twilio.ts';
import { reprocessQuarantine } from './reprocess.ts';
import { fileSpooled } from './spooled.ts';
import type { SpooledEnvelope } from './spool-file.ts';

const OTHER_TOKEN = 'fedcba9876543210fedcba9876543210';
let t: TestService;
let source: Source;
beforeAll(async () => {
  t = await openTestService('spooled');
  source = await t.addSource({ connector: 'twilio', secrets: [AUTH_TOKEN] });
});
afterAll(() => t.close());

/** An envelope as an edge left it, which says that its signature fits. */
function spooled(id: string, fields: Record<string, string>, token: string): SpooledEnvelope {
  const url = `${PUBLIC_URL}/hooks/${source.id}`;
  const { headers, body } = signedForm(url, fields, token);
  return {
    id,
    source: source.id,
    verdict: { scheme: 'twilio', result: 'valid', key: 0 },
    envelope: {
      ...{ transport: 'webhook', method: 'POST', url, receivedAtMs: t.clock.ms },
      headers: Object.entries(headers as Record<string, string>),
      body: Buffer.from(body),
    },
  };
}
const text = (number: number, body: string, token = AUTH_TOKEN): SpooledEnvelope =>
  spooled(`id-${number}`, inboundFields(`SM${String(number).padStart(32, '0')}`, body), token);
const file = (one: SpooledEnvelope) => fileSpooled(t.service.archive, one);
const reprocess = () => reprocessQuarantine(t.service.receive, () => undefined);

describe('what waited in a spool', () => {
  it('is filed once, however often', async () => {
    expect(await file(text(1, 'lantern one'))).toMatchObject({ stored: 1, duplicates: 0 });
    expect(await file(text(1, 'lantern one'))).toMatchObject({ stored: 0, duplicates: 1 });
    expect(await t.open('lantern')).toHaveLength(1);
  });

  it('and cannot be read is kept once as well', async () => {
    const nothing = spooled('id-2', { AccountSid: 'AC1', Nothing: 'in it' }, AUTH_TOKEN);
    expect(await file(nothing)).toMatchObject({ stored: 1, quarantined: true });
    expect(await file(nothing)).toMatchObject({ stored: 0, duplicates: 1, quarantined: true });
    // Another of the same words is another.
    expect(await file({ ...nothing, id: 'id-3' })).toMatchObject({ stored: 1, quarantined: true });
  });

  it('is not believed on the word of the edge: what no secret fits is kept, found by nobody, and released by the right secret alone', async () => {
    expect(await file(text(4, 'candle forged', OTHER_TOKEN))).toMatchObject({ stored: 1, quarantined: true });
    expect(await file(text(4, 'candle forged', OTHER_TOKEN))).toMatchObject({ stored: 0, duplicates: 1 });
    const before = await reprocess();
    expect(before.stored).toBe(0);
    expect(await t.open('candle')).toEqual([]);
    await t.service.archive.putSource(LOCAL_CALLER, { ...source, secrets: [OTHER_TOKEN, AUTH_TOKEN] });
    expect(await reprocess()).toMatchObject({ stored: 1, stillUnreadable: before.stillUnreadable - 1 });
    expect(await t.open('candle')).toHaveLength(1);
  });

  it('counts by the word of the edge where guard took something out, since nothing can be checked again', async () => {
    const guarded = { ...text(5, 'kettle ****', 'e'.repeat(32)), findings: { 'security-code': 1 } };
    expect(await file(guarded)).toMatchObject({ stored: 1, quarantined: false });
    expect(await t.open('kettle')).toHaveLength(1);
  });

  it('waits where the archive does not know its source', async () => {
    const stranger = { ...text(6, 'x'), source: `src_${'0'.repeat(32)}` as Source['id'] };
    await expect(file(stranger)).rejects.toMatchObject({ code: 'not-found' });
  });
});
