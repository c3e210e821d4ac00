import { describe, expect, it } from 'vitest';

import type { AlertRouteId } from '../model/ids.ts';
import { describeTarget, mailTls, makeRoute, parseRoute } from './routes.ts';
import type { AlertRoute, RouteKind } from './routes.ts';

const ID = 'rte_00' as AlertRouteId;
const MAIL = { host: 'mail.example.com', from: 'a@example.com', to: 'b@example.com, c@example.com' };

function make(
  kind: RouteKind,
  secret: string | undefined,
  settings: Record<string, string> = {},
  isPrivate = false,
): AlertRoute {
  return makeRoute(
    { kind, secret, settings, isPrivate, name: 'n', owner: 'o', afterMinutes: 0, severity: 'warning' },
    ID,
    5,
  );
}

describe('a route', () => {
  it('is read as it was stored', () => {
    const routes = [
      make('mail', 'p', { ...MAIL, user: 'u', port: '465' }),
      make('slack', 'https://hooks.slack.com/services/T/B/x'),
      make('teams', 'https://prod-1.westeurope.logic.azure.com:443/workflows/x/paths/invoke?sig=y'),
      make('pagerduty', 'e93facc04764012d7bfb002500d5d1a6', { apiBaseUrl: 'https://events.eu.pagerduty.com' }),
      make('webhook', undefined, { url: 'https://ops.example.com/in' }),
      make('heartbeat', 'https://hc-ping.com/uuid', { every: '30', method: 'POST' }),
    ];
    for (const route of routes) expect(parseRoute(JSON.parse(JSON.stringify(route)))).toEqual(route);
    expect(routes.map(describeTarget)).toEqual([
      'mail.example.com:465',
      'hooks.slack.com',
      'prod-1.westeurope.logic.azure.com',
      'events.eu.pagerduty.com',
      'ops.example.com',
      'hc-ping.com',
    ]);
  });

  it('makes what a webhook is signed with where nothing is given: 32 random bytes', () => {
    const secrets = [1, 2].map(() => make('webhook', undefined, { url: 'https://ops.example.com/in' }).secret);
    for (const secret of secrets) expect(Buffer.from(secret.replace(/^whsec_/, ''), 'base64')).toHaveLength(32);
    expect(secrets[0]).not.toBe(secrets[1]);
  });

  it.each<[string, () => AlertRoute]>([
    ['plain http', () => make('slack', 'http://hooks.slack.com/services/T/B/x')],
    ['plain http into the private network', () => make('webhook', undefined, { url: 'http://10.0.0.5/in' }, true)],
    ['the private network unasked', () => make('webhook', undefined, { url: 'https://10.0.0.5/in' })],
    ['this machine unasked', () => make('heartbeat', 'http://127.0.0.1:9/ping')],
    ['the metadata service', () => make('webhook', undefined, { url: 'https://169.254.169.254/in' })],
    ['mapped addresses', () => make('webhook', undefined, { url: 'https://[::ffff:10.0.0.5]/in' })],
    ['user and password in an address', () => make('webhook', undefined, { url: 'https://u:p@ops.example.com/in' })],
    ['a short routing key', () => make('pagerduty', 'abc')],
    ['a short signing secret', () => make('webhook', 'whsec_c2hvcnQ=', { url: 'https://ops.example.com/in' })],
    ['no address', () => make('slack', undefined)],
    ['mail without TLS elsewhere', () => make('mail', undefined, { ...MAIL, tls: 'none' })],
    ['a user without a password', () => make('mail', undefined, { ...MAIL, user: 'u' })],
    [
      'a recipient that is two lines',
      () => make('mail', undefined, { ...MAIL, to: 'a@b.example\r\nBcc: c@d.example' }),
    ],
    ['an unknown setting', () => make('slack', 'https://hooks.slack.com/services/T/B/x', { channel: 'x' })],
    ['heartbeats without pause', () => make('heartbeat', 'https://hc-ping.com/u', { every: '1' })],
  ])('refuses %s, and repeats no secret', (_what, attempt) => {
    let thrown: unknown;
    try {
      attempt();
    } catch (cause) {
      thrown = cause;
    }
    expect(thrown).toMatchObject({ code: 'bad-input' });
    expect(String(thrown)).not.toMatch(/services|c2hvcnQ|u:p|abc|d\.example/);
  });

  it('speaks to mail servers encrypted unless they are on this machine', () => {
    const tlsOf = (more: Record<string, string>): string => {
      const route = make('mail', undefined, { ...MAIL, ...more });
      return route.kind === 'mail' ? mailTls(route.settings) : '';
    };
    expect([
      tlsOf({}),
      tlsOf({ port: '465' }),
      tlsOf({ host: '127.0.0.1' }),
      tlsOf({ host: 'localhost', tls: 'starttls' }),
    ]).toEqual(['starttls', 'implicit', 'none', 'starttls']);
    expect(tlsOf({ host: '127.0.0.1.example.com' })).toBe('starttls');
  });
});
