/**
 * What is known of alerts: one sealed setting, so that it is whole or not there. Everything in it is limited. Pure: what changes it is in watch.ts and plan.ts, what keeps it in
 * alerts.ts.
 */
import { z } from 'zod';

import { checkShape } from '../model/check-shape.ts';
import type { AlertId, AlertRouteId } from '../model/ids.ts';
import { CONDITION_CODES } from './conditions.ts';
import { NOTICE_KINDS } from './notice.ts';

/** Open alerts at most; further ones wait for room. */
export const OPEN_MAX = 100;
/** Resolved alerts that are still listed; all of them stand in the log. */
export const PAST_MAX = 50;
/** Notices that wait to be told at most. */
export const DELIVERIES_MAX = 300;

const alertId = z.custom<AlertId>((value) => typeof value === 'string');
const routeId = z.custom<AlertRouteId>((value) => typeof value === 'string');
const facts = z.record(z.string(), z.union([z.string(), z.number()]));

const told = z.object({ firstMs: z.number(), lastMs: z.number(), times: z.number() });

const alert = z.object({
  id: alertId,
  code: z.enum(CONDITION_CODES),
  /** What it is about, where there are several: a source, a route, a kind of job. */
  subject: z.string().exactOptional(),
  facts,
  openedAtMs: z.number(),
  /** Routes over which it was told, or is to be. */
  told: z.record(z.string(), told),
  acknowledged: z.object({ by: z.string(), atMs: z.number() }).exactOptional(),
  resolvedAtMs: z.number().exactOptional(),
});

const delivery = z.object({
  id: z.string(),
  route: routeId,
  notice: z.object({
    kind: z.enum(NOTICE_KINDS),
    alertId: z.string(),
    code: z.enum([...CONDITION_CODES, 'test']),
    facts,
    openedAtMs: z.number(),
    owner: z.string(),
    acknowledgedBy: z.string().exactOptional(),
    atMs: z.number(),
  }),
  dueAtMs: z.number(),
  attempts: z.number(),
});

const health = z.object({
  lastOkMs: z.number().exactOptional(),
  failingSinceMs: z.number().exactOptional(),
  /** What the other side said last. */
  answer: z.string(),
  /** Notices given up since it last worked. */
  givenUp: z.number(),
});

const state = z.object({
  v: z.literal(1),
  /** Place in the log up to which it was looked through. */
  scanned: z.number().exactOptional(),
  /** Events that are news for a while, by condition and subject. */
  events: z.record(z.string(), z.object({ count: z.number(), lastAtMs: z.number() })),
  open: z.array(alert),
  /** Newest first. */
  past: z.array(alert),
  /** In the order in which they are to be told. */
  deliveries: z.array(delivery),
  health: z.record(z.string(), health),
});

export type Alert = z.output<typeof alert>;
export type Delivery = z.output<typeof delivery>;
export type RouteHealth = z.output<typeof health>;
export type AlertState = z.output<typeof state>;

/** Nothing is known yet. */
export function emptyState(): AlertState {
  return { v: 1, events: {}, open: [], past: [], deliveries: [], health: {} };
}

/** Reads what was kept; where nothing was, or it is damaged, or a later version has written it in another way, it is begun anew: the conditions are looked for again anyway. */
export function parseState(value: unknown): AlertState {
  const parsed = checkShape(state, value);
  return parsed.success ? parsed.data : emptyState();
}
