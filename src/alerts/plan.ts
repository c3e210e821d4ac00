/** Who is told what, and when: at once or after so many minutes without acknowledgement, again at intervals until somebody acknowledges, and of the end. Pure but for the state. */
import { nextTry } from '../jobs/run-jobs.ts';
import { CONDITIONS, isAtLeast, REPEAT_AFTER_MS } from './conditions.ts';
import type { NoticeKind } from './notice.ts';
import type { AlertRoute, RouteOf } from './routes.ts';
import { DELIVERIES_MAX } from './state.ts';
import type { Alert, AlertState, Delivery, RouteHealth } from './state.ts';
import type { Answer } from './senders/answer.ts';

/** A route that is told alerts. */
export type TellingRoute = Exclude<AlertRoute, RouteOf<'heartbeat'>>;

/** An alert that reached a route because nobody had acknowledged it. */
export type Escalation = { readonly alert: Alert; readonly route: TellingRoute };

/** Tries to tell one notice at most; they span about a night. */
const TRIES_MAX = 14;
/** By so much a wait is longer at most, so that not everybody comes back at once. */
const JITTER = 0.3;

/** Adds what is due to be told about open alerts. @returns what was escalated by it */
export function planNotices(
  state: AlertState,
  routes: readonly TellingRoute[],
  nowMs: number,
  newId: () => string,
): Escalation[] {
  const escalations: Escalation[] = [];
  for (const alert of state.open) {
    if (alert.acknowledged !== undefined) continue;
    for (const route of routes) {
      if (!concerns(route, alert) || nowMs < alert.openedAtMs + route.afterMinutes * 60_000) continue;
      const told = alert.told[route.id];
      const isDue = told === undefined || nowMs - told.lastMs >= REPEAT_AFTER_MS[CONDITIONS[alert.code].severity];
      if (!isDue || isWaiting(state, alert, route)) continue;
      const kind = told !== undefined ? 'repeated' : route.afterMinutes > 0 ? 'escalated' : 'opened';
      if (!enqueue(state, newId(), route, alert, kind, nowMs)) continue;
      alert.told[route.id] = { firstMs: told?.firstMs ?? nowMs, lastMs: nowMs, times: (told?.times ?? 0) + 1 };
      if (kind === 'escalated') escalations.push({ alert, route });
    }
  }
  return escalations;
}

/** Tells those who were told of an alert what became of it. */
export function planNews(
  state: AlertState,
  routes: readonly TellingRoute[],
  { alert, kind }: { readonly alert: Alert; readonly kind: 'acknowledged' | 'resolved' },
  nowMs: number,
  newId: () => string,
): void {
  for (const route of routes)
    if (alert.told[route.id] !== undefined) enqueue(state, newId(), route, alert, kind, nowMs);
}

/** Whether a route is told of an alert at all: bad enough, and not about itself. */
function concerns(route: TellingRoute, alert: Alert): boolean {
  if (alert.code === 'route-failing' && alert.subject === route.id) return false;
  return isAtLeast(CONDITIONS[alert.code].severity, route.severity);
}

function isWaiting(state: AlertState, alert: Alert, route: TellingRoute): boolean {
  return state.deliveries.some((one) => one.route === route.id && one.notice.alertId === alert.id);
}

function enqueue(
  state: AlertState,
  id: string,
  route: TellingRoute,
  alert: Alert,
  kind: NoticeKind,
  nowMs: number,
): boolean {
  if (state.deliveries.length >= DELIVERIES_MAX) return false;
  const { code, facts, openedAtMs, acknowledged } = alert;
  state.deliveries.push({
    id,
    route: route.id,
    notice: {
      ...{ kind, alertId: alert.id, code, facts: { ...facts }, openedAtMs },
      owner: acknowledged?.by ?? route.owner,
      ...(acknowledged === undefined ? {} : { acknowledgedBy: acknowledged.by }),
      atMs: nowMs,
    },
    dueAtMs: nowMs,
    attempts: 0,
  });
  return true;
}

/** The next delivery of each route, where its time has come: one after the other, so that nobody hears of an end before the beginning. */
export function dueDeliveries(state: AlertState, nowMs: number): Delivery[] {
  const first = new Map<string, Delivery>();
  for (const one of state.deliveries) if (!first.has(one.route)) first.set(one.route, one);
  return [...first.values()].filter(({ dueAtMs }) => dueAtMs <= nowMs);
}

/**
 * Takes in what was answered.
 * @param chance 0 to 1, for the jitter
 * @returns whether it is settled: told, given up, or waiting for another try
 */
export function settleDelivery(
  state: AlertState,
  delivery: Delivery,
  answer: Answer,
  { nowMs, chance }: { readonly nowMs: number; readonly chance: number },
): 'told' | 'given-up' | 'again' {
  noteAnswer(state, delivery.route, answer, nowMs);
  delivery.attempts += 1;
  const job = { attempts: delivery.attempts };
  const again =
    answer.ok || answer.permanent
      ? undefined
      : nextTry(job, {
          nowMs,
          triesMax: TRIES_MAX,
          ...(answer.afterMs === undefined ? {} : { afterMs: answer.afterMs }),
        });
  if (again !== undefined) {
    delivery.dueAtMs = Math.ceil(again + (again - nowMs) * JITTER * chance);
    return 'again';
  }
  state.deliveries = state.deliveries.filter((one) => one !== delivery);
  if (answer.ok) return 'told';
  const health = state.health[delivery.route];
  if (health !== undefined) health.givenUp += 1;
  return 'given-up';
}

/** Remembers whether a route works. */
export function noteAnswer(state: AlertState, route: string, answer: Answer, nowMs: number): void {
  const known: RouteHealth | undefined = state.health[route];
  state.health[route] = answer.ok
    ? { lastOkMs: nowMs, answer: answer.text, givenUp: 0 }
    : {
        ...(known?.lastOkMs === undefined ? {} : { lastOkMs: known.lastOkMs }),
        failingSinceMs: known?.failingSinceMs ?? nowMs,
        answer: answer.text,
        givenUp: known?.givenUp ?? 0,
      };
}

/** Forgets a route that was removed, and what waited for it. */
export function dropRoute(state: AlertState, route: string): void {
  state.deliveries = state.deliveries.filter((one) => one.route !== route);
  delete state.health[route];
}
