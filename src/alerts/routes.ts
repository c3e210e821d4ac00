/**
 * Whom to tell, and how: routes. Each has an owner, so that it is known whose night it is; what it must know is sealed, and no record, list or error repeats a secret or the path
 * of an address, which with Slack, Teams and heartbeats is the secret.
 */
import { randomBytes } from 'node:crypto';

import ipaddr from 'ipaddr.js';
import { z } from 'zod';

import { CartularyError } from '../model/errors.ts';
import { checkShape } from '../model/check-shape.ts';
import type { AlertRouteId } from '../model/ids.ts';
import { isPublicAddress } from '../capture/media/address-guard.ts';
import { isLoopback } from '../settings.ts';
import { SEVERITIES } from './conditions.ts';

/** The kinds of route. */
export const ROUTE_KINDS = ['mail', 'slack', 'teams', 'pagerduty', 'webhook', 'heartbeat'] as const;
export type RouteKind = (typeof ROUTE_KINDS)[number];

/** Routes of one archive at most. */
export const ROUTES_MAX = 20;

/** A name that is shown on screens and in messages: one line, nothing that moves a cursor or turns text around. */
export const label = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cf}\u2028\u2029]+$/u, 'is one line without control characters');

const address = z
  .string()
  .min(3)
  .max(254)
  .regex(/^[^\s<>@,;"]+@[^\s<>@,;"]+$/, 'is a mail address such as night@example.com');
const url = z.url({ protocol: /^https?$/ }).max(2048);
const port = z.coerce.number().int().min(1).max(65_535);

/** What each kind must know; the first word of a setting is what it is given as with `--set`. */
const SETTINGS = {
  mail: z.strictObject({
    host: z.string().min(1).max(253),
    port: port.default(587),
    tls: z.enum(['starttls', 'implicit', 'none']).optional(),
    user: z.string().max(254).optional(),
    from: address,
    to: z
      .string()
      .transform((text) => text.split(',').map((one) => one.trim()))
      .pipe(z.array(address).min(1).max(20)),
  }),
  slack: z.strictObject({}),
  teams: z.strictObject({}),
  pagerduty: z.strictObject({ apiBaseUrl: url.default('https://events.pagerduty.com') }),
  webhook: z.strictObject({ url }),
  heartbeat: z.strictObject({
    every: z.coerce.number().int().min(10).max(86_400).default(60),
    method: z.enum(['GET', 'POST']).default('GET'),
  }),
} as const satisfies Record<RouteKind, z.ZodType>;

type SettingsOf = { readonly [Kind in RouteKind]: z.output<(typeof SETTINGS)[Kind]> };

type Common = {
  readonly id: AlertRouteId;
  readonly name: string;
  /** Who is told over it: a person or a team. */
  readonly owner: string;
  /** Minutes without acknowledgement after which it is told; 0: at once. */
  readonly afterMinutes: number;
  /** What is less bad is not told over it. */
  readonly severity: (typeof SEVERITIES)[number];
  /** May it lead into the private network? */
  readonly isPrivate: boolean;
  /** Mail: the password. Slack, Teams, heartbeat: the address. PagerDuty: the routing key. Webhook: what it is signed with. */
  readonly secret: string;
  readonly createdAtMs: number;
};

/** A route of a kind. */
export type RouteOf<Kind extends RouteKind> = Common & { readonly kind: Kind; readonly settings: SettingsOf[Kind] };
export type AlertRoute = { [Kind in RouteKind]: RouteOf<Kind> }[RouteKind];

const common = {
  id: z.custom<AlertRouteId>((value) => typeof value === 'string'),
  name: label,
  owner: label,
  afterMinutes: z.number().int().min(0).max(10_080),
  severity: z.enum(SEVERITIES),
  isPrivate: z.boolean(),
  secret: z.string().max(4096),
  createdAtMs: z.number(),
};

/** A mail's recipients are kept as they were given, so that a stored route is read by the schema that it was made with. */
const stored = z.looseObject({ kind: z.enum(ROUTE_KINDS), settings: z.record(z.string(), z.unknown()), ...common });

/** What somebody asked for. */
export type RouteRequest = Omit<Common, 'id' | 'secret' | 'createdAtMs'> & {
  readonly kind: RouteKind;
  readonly secret: string | undefined;
  readonly settings: Readonly<Record<string, string>>;
};

/**
 * Makes a route of what somebody asked for.
 * @throws CartularyError `bad-input`, naming the setting and never its value
 */
export function makeRoute(request: RouteRequest, id: AlertRouteId, nowMs: number): AlertRoute {
  const { kind, settings, secret, ...rest } = request;
  const parsed = checkShape(SETTINGS[kind], settings);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const name = String(issue?.path[0] ?? (issue?.code === 'unrecognized_keys' ? issue.keys[0] : ''));
    const has = Object.keys(SETTINGS[kind].shape).join(', ');
    if (issue?.code === 'unrecognized_keys')
      throw new CartularyError(
        'bad-input',
        `${kind} has no setting "${name.slice(0, 40)}"; it has ${has === '' ? 'none' : has}`,
      );
    throw new CartularyError('bad-input', `${kind}: the setting "${name}" is missing or not valid`, {
      detail: { field: name },
    });
  }
  const route = {
    ...rest,
    id,
    kind,
    settings: parsed.data,
    secret: secret ?? (kind === 'webhook' ? `whsec_${randomBytes(32).toString('base64')}` : ''),
    createdAtMs: nowMs,
  } as AlertRoute;
  assertRoute(route);
  return route;
}

/** Reads a route that this archive stored; undefined where it is damaged. */
export function parseRoute(value: unknown): AlertRoute | undefined {
  const parsed = checkShape(stored, value);
  return parsed.success ? (parsed.data as AlertRoute) : undefined;
}

/** Where it leads, without what is secret in it. */
export function describeTarget(route: AlertRoute): string {
  return route.kind === 'mail' ? `${route.settings.host}:${route.settings.port}` : new URL(targetUrl(route)).host;
}

/** The address that is asked. */
export function targetUrl(route: Exclude<AlertRoute, RouteOf<'mail'>>): string {
  switch (route.kind) {
    case 'pagerduty':
      return `${route.settings.apiBaseUrl.replace(/\/+$/, '')}/v2/enqueue`;
    case 'webhook':
      return route.settings.url;
    case 'slack':
    case 'teams':
    case 'heartbeat':
      return route.secret;
  }
}

/** How a mail server is spoken to: encrypted, unless it is on this machine. */
export function mailTls({ host, port: at, tls }: RouteOf<'mail'>['settings']): 'starttls' | 'implicit' | 'none' {
  return tls ?? (at === 465 ? 'implicit' : isLoopback(host) ? 'none' : 'starttls');
}

const WHAT_SECRET: Readonly<Record<RouteKind, string>> = {
  mail: 'the password',
  slack: 'the address of the incoming webhook',
  teams: 'the address of the workflow',
  pagerduty: 'the integration key (32 characters) of an Events API v2 integration',
  webhook: 'what is signed with: "whsec_" and 24 to 64 bytes in base64',
  heartbeat: 'the address to be asked',
};

function assertRoute(route: AlertRoute): void {
  const refuse = (why: string): never => {
    throw new CartularyError('bad-input', `${route.kind}: ${why}`);
  };
  const badSecret = (): never => refuse(`--secret is ${WHAT_SECRET[route.kind]}`);
  if (route.kind === 'mail') {
    const { host, user } = route.settings;
    if (mailTls(route.settings) === 'none' && !isLoopback(host))
      refuse('only a mail server on this machine may be spoken to without TLS');
    if ((user === undefined) !== (route.secret === ''))
      refuse('the setting "user" and --secret, its password, are given together');
    return;
  }
  if (route.kind === 'pagerduty' && !/^[A-Za-z0-9]{32}$/.test(route.secret)) badSecret();
  if (route.kind === 'webhook' && !isSigningSecret(route.secret)) badSecret();
  const target = targetUrl(route);
  if (!checkShape(url, target).success) badSecret();
  assertReachable(new URL(target), route.isPrivate, refuse);
}

function assertReachable(target: URL, isPrivate: boolean, refuse: (why: string) => never): void {
  if (target.username + target.password !== '') refuse('an address with user and password in it is not asked');
  if (target.protocol !== 'https:' && !isLoopback(target.hostname)) refuse('the address begins with https://');
  const literal = target.hostname.replace(/^\[|\]$/g, '');
  const isInside = isLoopback(target.hostname) || (ipaddr.isValid(literal) && !isPublicAddress(literal));
  if (isInside && !isPrivate) refuse('the address leads into the private network; say --private if it is meant');
}

function isSigningSecret(text: string): boolean {
  const match = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text);
  const bytes = Buffer.from(match?.[1] ?? '', 'base64').length;
  return bytes >= 24 && bytes <= 64;
}
