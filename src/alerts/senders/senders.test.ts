import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';

import { CONDITIONS, CONDITION_CODES } from '../conditions.ts';
import { describeNotice } from '../notice.ts';
import type { Notice } from '../notice.ts';
import { showAnswer } from './answer.ts';
import { parseRetryAfter } from './send-http.ts';
import { formatSlack } from './slack.ts';
import { formatTeams, readTeamsAnswer } from './teams.ts';
import { signWebhook } from './webhook.ts';

const SPEAKER = { archiveId: 'arc_1', archiveName: 'North & <Sons>' };
const NOTICE: Notice = {
  kind: 'opened',
  alertId: 'alt_1',
  code: 'bad-signatures',
  facts: { source: 'src_1', connector: 'twilio', waiting: 3, refused: 4 },
  openedAtMs: 0,
  owner: 'Night_desk [1]',
  atMs: 0,
};

describe('what is said', () => {
  it.each(CONDITION_CODES)('%s: says what was found, what it means and what to do', (code) => {
    const names = [...`${CONDITIONS[code].text}${CONDITIONS[code].todo}`.matchAll(/\{(\w+)\}/g)].map(
      ([, name]) => name ?? '',
    );
    const facts = Object.fromEntries(names.map((name) => [name, `<${name}>`]));
    const { title, lines } = describeNotice({ ...NOTICE, code, facts }, SPEAKER);
    expect(title).toBe(`${CONDITIONS[code].severity.toUpperCase()} North & <Sons>: ${CONDITIONS[code].title}`);
    expect(lines.join('\n')).not.toContain('{');
    for (const name of names) expect(lines.join('\n')).toContain(`<${name}>`);
    expect(lines.at(-1)).toBe('For: Night_desk [1]. Acknowledge: cartulary alert ack alt_1 --by NAME');
  });

  it('calls nobody by markup', () => {
    const slack = JSON.stringify(formatSlack(describeNotice({ ...NOTICE, owner: '<!channel>' }, SPEAKER)));
    expect(slack).not.toMatch(/"text":"[^"]*<!channel>/);
    expect(slack).toContain('&lt;!channel&gt;');
    expect(JSON.stringify(formatTeams(describeNotice(NOTICE, SPEAKER)))).toContain('Night_desk [1]');
  });
});

describe('what is answered', () => {
  it('is shown without any secret, in one short line', () => {
    const secret = 'https://hooks.example/services/T1/B2/sEcReT?sig=abcdef';
    const text = `500 POST ${secret}\r\n/services/T1/B2/sEcReT\u202e ?sig=abcdef ${'x'.repeat(500)}`;
    const shown = showAnswer(text, [secret]);
    expect(shown).not.toMatch(/sEcReT|abcdef|[\r\n\u202e]/);
    expect(shown.length).toBeLessThanOrEqual(200);
  });

  it('is read where Teams hides a failure behind 200', () => {
    expect(readTeamsAnswer('1')).toBeUndefined();
    expect(readTeamsAnswer('')).toBeUndefined();
    const hidden =
      'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0';
    expect(readTeamsAnswer(hidden)).toEqual({ status: 429 });
    expect(
      readTeamsAnswer('Webhook message delivery failed with error: Error contacting Microsoft Teams endpoint'),
    ).toEqual({ status: 502 });
  });

  it('may say how long to wait, in seconds or as a date, an hour at most', () => {
    expect(parseRetryAfter('30', 0)).toBe(30_000);
    expect(parseRetryAfter('Thu, 01 Jan 1970 00:02:00 GMT', 60_000)).toBe(60_000);
    expect(parseRetryAfter('999999999', 0)).toBe(3_600_000);
    for (const none of [undefined, '', '-5', 'soon', 'Thu, 01 Jan 1970 00:00:00 GMT', ['1']])
      expect(parseRetryAfter(none, 60_000)).toBeUndefined();
  });
});

describe('a signed webhook', () => {
  it('is what the reference implementation of Standard Webhooks makes of it', () => {
    for (const bytes of [24, 32, 64]) {
      const secret = `whsec_${Buffer.alloc(bytes, bytes).toString('base64')}`;
      const body = '{"type":"alert.opened","text":"ü"}';
      expect(signWebhook(secret, 'ntc_1', 1_700_000_000, body)).toBe(
        new Webhook(secret).sign('ntc_1', new Date(1_700_000_000_000), body),
      );
    }
  });
});
