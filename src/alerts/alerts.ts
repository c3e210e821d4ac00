/**
 * Alerting: looks for what a person must know, tells it over the routes, until somebody has acknowledged it or it is over.
 *
 * Owns: routes, open alerts, what is still to be told, heartbeats. Never: sends content (conditions.ts), or keeps silent because its own state cannot be written: what cannot be put on
 * record is told all the same and put on record later.
 * Invariants: one alert is open for one condition and subject; opened, escalated, acknowledged, resolved and not delivered stand in the log, with the state in one transaction; a
 * restart goes on where it was; everything that grows has a limit.
 */
import type { Logger } from 'pino';

import type { Archive } from '../archive/archive.ts';
import { callerActor } from '../archive/caller.ts';
import type { Caller } from '../archive/caller.ts';
import { SYSTEM_ACTOR } from '../archive/recorder.ts';
import type { RecordActor } from '../archive/recorder.ts';
import type { WatchRecord } from '../archive/watching.ts';
import type { Ring } from '../capture/ring.ts';
import type { MediaFailing } from '../capture/work.ts';
import { CartularyError } from '../model/errors.ts';
import type { AuditAct } from '../model/event.ts';
import { formatId, ID_BYTES } from '../model/ids.ts';
import type { AlertId, AlertRouteId } from '../model/ids.ts';
import { CONDITIONS } from './conditions.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createJournal, STATE } from './journal.ts';
import type { Journal } from './journal.ts';
import { dropRoute, dueDeliveries, noteAnswer, planNews, planNotices, settleDelivery } from './plan.ts';
import type { TellingRoute } from './plan.ts';
import { createLookout } from './node-look.ts';
import { causeOf, isAtRisk } from './probes.ts';
import type { Machine, ProbeParts } from './probes.ts';
import { describeTarget, makeRoute, parseRoute, ROUTES_MAX } from './routes.ts';
import type { AlertRoute, RouteOf, RouteRequest } from './routes.ts';
import type { Answer } from './senders/answer.ts';
import { emptyState, parseState } from './state.ts';
import type { Alert, AlertState, Delivery, RouteHealth } from './state.ts';
import { createWatch } from './watch.ts';
import type { Change } from './watch.ts';

/** What alerting needs. */
export type AlertsParts = {
  readonly archive: Archive;
  readonly ring: Ring;
  readonly spools: ProbeParts['spools'];
  readonly relays: ProbeParts['relays'];
  /** Does this node keep an index? */
  readonly follows: boolean;
  readonly machine: Machine;
  readonly now: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** What became of a test of one route. */
export type RouteTest = {
  readonly route: AlertRoute;
  readonly ok: boolean;
  /** What the other side answered. */
  readonly answer: string;
  readonly ms: number;
};

/** A route with what is known of it. */
export type KnownRoute = {
  readonly route: AlertRoute;
  /** Host and port it leads to. */
  readonly target: string;
  readonly health: RouteHealth | undefined;
  /** Notices that wait to be told over it. */
  readonly waiting: number;
};

/** Open alerting. */
export type Alerts = Awaited<ReturnType<typeof openAlerts>>;

const ROUTE_PREFIX = 'alert-route/';
/** Milliseconds without a look after which the watch itself counts as dead. */
const WATCHING_MS_MAX = 120_000;

/** What the parts of alerting share. */
type Desk = AlertsParts & {
  readonly state: AlertState;
  readonly routes: Map<AlertRouteId, AlertRoute>;
  readonly journal: Journal;
  readonly newId: () => string;
};

/** Opens alerting: reads what was known. Nothing goes on by itself before it is asked to. */
export async function openAlerts(parts: AlertsParts) {
  const { archive, log } = parts;
  const routes = new Map<AlertRouteId, AlertRoute>();
  const state = emptyState();
  await load(parts, routes, state);
  const newId = (): string => `ntc_${Buffer.from(archive.randomBytes(ID_BYTES)).toString('hex')}`;
  const desk: Desk = { ...parts, state, routes, journal: createJournal(archive, state, log), newId };
  return {
    ...routeCare(desk),
    ...alertCare(desk),
    ...watching(desk),
    ...telling(desk),
    ...beating(desk),
    /** Reads again what another node may have changed that gave the alerts until now. */
    refresh: (): Promise<void> => load(parts, routes, state),
  };
}

async function load(
  { archive, log }: AlertsParts,
  routes: Map<AlertRouteId, AlertRoute>,
  state: AlertState,
): Promise<void> {
  const known = await archive.listWatchSettings(ROUTE_PREFIX);
  const kept = (await archive.listWatchSettings(STATE)).find(({ name }) => name === STATE);
  routes.clear();
  for (const { name, value } of known) {
    const route = parseRoute(value);
    if (route !== undefined) routes.set(route.id, route);
    // An archive that did not start for it would be the worse damage.
    else log.error({ setting: name }, 'a route of alerts is damaged, and nobody is told over it; add it anew');
  }
  delete state.scanned;
  Object.assign(state, parseState(kept?.value));
}

function routeCare(desk: Desk) {
  const { archive, routes, state, journal, now } = desk;
  const recordOf = (caller: Caller, id: AlertRouteId, value: Record<string, unknown>): WatchRecord => ({
    actor: callerActor(caller),
    body: { kind: 'settings.changed', name: ROUTE_PREFIX + id, value },
  });
  return {
    /** @throws CartularyError `bad-input`, `too-large` */
    async addRoute(caller: Caller, request: RouteRequest): Promise<AlertRoute> {
      await archive.allow(caller, 'settings:write', 'change-alert-route');
      if (routes.size >= ROUTES_MAX) throw new CartularyError('too-large', `there may be ${ROUTES_MAX} routes`);
      const route = makeRoute(request, formatId('alertRoute', archive.randomBytes(ID_BYTES)), now());
      await journal.commit({
        records: [recordOf(caller, route.id, showRoute(route))],
        settings: [{ name: ROUTE_PREFIX + route.id, value: route }],
      });
      routes.set(route.id, route);
      return route;
    },

    /** @throws CartularyError `not-found` */
    async removeRoute(caller: Caller, id: AlertRouteId): Promise<void> {
      await archive.allow(caller, 'settings:write', 'change-alert-route');
      getRoute(routes, id);
      await journal.commit({
        records: [recordOf(caller, id, { removed: true })],
        settings: [{ name: ROUTE_PREFIX + id, value: undefined }],
      });
      routes.delete(id);
      dropRoute(state, id);
      journal.touch();
      await journal.tryWrite();
    },

    listRoutes: (): KnownRoute[] =>
      [...routes.values()].map((route) => ({
        route,
        target: describeTarget(route),
        health: state.health[route.id],
        waiting: state.deliveries.filter((one) => one.route === route.id).length,
      })),

    /** Sends a real test over every route, or one, and says what the other side answered. */
    async test(caller: Caller, id: AlertRouteId | undefined): Promise<RouteTest[]> {
      await archive.allow(caller, 'operate', 'test-alerts');
      const tested = id === undefined ? [...routes.values()] : [getRoute(routes, id)];
      const results = await Promise.all(tested.map((route) => testRoute(desk, route)));
      const records = results.map(({ route, ok }) =>
        auditOf(callerActor(caller), 'test-alert-route', { route: route.id, arrived: ok }),
      );
      if (results.length > 0) await journal.commit({ records });
      return results;
    },
  };
}

async function testRoute(desk: Desk, route: AlertRoute): Promise<RouteTest> {
  const nowMs = desk.now();
  const startedMs = performance.now();
  const id = desk.newId();
  const notice = {
    kind: 'test',
    alertId: id,
    code: 'test',
    facts: {},
    openedAtMs: nowMs,
    owner: route.owner,
    atMs: nowMs,
  } as const;
  const { sendNotice } = await loadSenders();
  const answer = await sendNotice(route, { ...sendingOf(desk), notice, deliveryId: id });
  noteAnswer(desk.state, route.id, answer, nowMs);
  return { route, ok: answer.ok, answer: answer.text, ms: Math.round(performance.now() - startedMs) };
}

function alertCare(desk: Desk) {
  const { archive, state, journal, now } = desk;
  return {
    /** Open alerts, then those that are over, newest first. */
    listAlerts: (): readonly Alert[] => [...[...state.open].reverse(), ...state.past],

    /**
     * Takes an alert upon oneself, on record: nobody is told of it again, and it goes no further.
     * @param by who sees to it
     * @throws CartularyError `not-found`, `conflict` where it is over
     */
    async acknowledge(caller: Caller, id: AlertId, by: string): Promise<Alert> {
      await archive.allow(caller, 'operate', 'acknowledge-alert', { alert: id });
      const alert = state.open.find((one) => one.id === id);
      if (alert === undefined) {
        if (state.past.some((one) => one.id === id)) throw new CartularyError('conflict', 'this alert is over already');
        throw new CartularyError('not-found', 'there is no such alert');
      }
      const before = alert.acknowledged;
      let known: ReadonlySet<Delivery> = new Set();
      await journal.commit({
        records: [auditOf(callerActor(caller), 'alert-acknowledged', { ...factsOf(alert), by })],
        apply() {
          known = new Set(state.deliveries);
          alert.acknowledged = { by, atMs: now() };
          planNews(state, tellingRoutes(desk), { alert, kind: 'acknowledged' }, now(), desk.newId);
        },
        // Who is told that it stands must be able to rely on it.
        undo() {
          state.deliveries = state.deliveries.filter((one) => known.has(one));
          if (before === undefined) delete alert.acknowledged;
          else alert.acknowledged = before;
        },
      });
      return alert;
    },
  };
}

function watching(desk: Desk) {
  const { archive, now, state, routes, journal, log } = desk;
  const failingMedia = new Map<string, MediaFailing>();
  const lookout = createLookout({ ...desk, failingMedia, routes: () => [...routes.values()] }, log);
  const watch = createWatch(() => formatId('alert', archive.randomBytes(ID_BYTES)));
  return {
    lookHere: () => lookout.lookHere(),
    tellCondition: () => lookout.tellCondition(),

    /** Told of media that fail; the one of a source that is lost first stands for all. */
    noteMediaFailing(failing: MediaFailing): void {
      const subject = failing.source ?? 'import';
      if (!isAtRisk(failing, now())) return;
      const known = failingMedia.get(subject);
      const isWorse =
        known === undefined ||
        known.nextTryMs <= now() ||
        (failing.lossAtMs ?? Infinity) <= (known.lossAtMs ?? Infinity);
      if (isWorse) failingMedia.set(subject, failing);
    },

    /** One look for everything whose time has come: what is found is opened, what is over is resolved, and who must be told is going to be. */
    async look(): Promise<void> {
      const scanned = state.scanned;
      const { codes, findings } = await lookout.lookEverywhere();
      for (const change of watch.take(state, codes, findings, now())) noteChange(desk, change);
      for (const { alert, route } of planNotices(state, tellingRoutes(desk), now(), desk.newId))
        journal.note(
          auditOf(SYSTEM_ACTOR, 'alert-escalated', { ...factsOf(alert), route: route.id, owner: route.owner }),
        );
      if (state.scanned !== scanned) journal.touch();
      lastLookMs.set(desk, now());
      await journal.tryWrite();
    },
  };
}

/** When the watch of a desk last looked. */
const lastLookMs = new WeakMap<Desk, number>();

function noteChange(desk: Desk, { what, alert }: Change): void {
  const { state, journal, log, now } = desk;
  const { severity, title } = CONDITIONS[alert.code];
  journal.note(auditOf(SYSTEM_ACTOR, `alert-${what}`, { ...factsOf(alert), severity }));
  const line = {
    alert: alert.id,
    code: alert.code,
    ...(alert.subject === undefined ? {} : { subject: alert.subject }),
  };
  if (what === 'opened') log.warn(line, `alert: ${title}`);
  else {
    log.info(line, `alert is over: ${title}`);
    planNews(state, tellingRoutes(desk), { alert, kind: 'resolved' }, now(), desk.newId);
  }
}

function telling(desk: Desk) {
  const { state, routes, journal, log, signal, now } = desk;
  const flights = new Map<string, Promise<void>>();
  const tell = async (delivery: Delivery): Promise<void> => {
    const route = routes.get(delivery.route);
    if (route === undefined) return dropRoute(state, delivery.route);
    const { notice, id } = delivery;
    const { sendNotice } = await loadSenders();
    const answer = await sendNotice(route, { ...sendingOf(desk), notice, deliveryId: id });
    const outcome = settleDelivery(state, delivery, answer, { nowMs: now(), chance: Math.random() });
    journal.touch();
    const line = { route: route.id, alert: notice.alertId, notice: notice.kind };
    if (outcome === 'again') log.warn(line, 'an alert was not delivered; it is tried again');
    if (outcome === 'given-up') {
      log.error(line, 'an alert could not be delivered; see "cartulary doctor"');
      const detail = {
        alert: notice.alertId,
        code: notice.code,
        notice: notice.kind,
        route: route.id,
        tries: delivery.attempts,
      };
      journal.note(auditOf(SYSTEM_ACTOR, 'alert-not-delivered', detail));
    }
    await journal.tryWrite();
  };
  return {
    /** Begins to tell what is due, one notice a route at a time, and does not wait: a slow route keeps no other waiting. */
    startTelling(): void {
      for (const delivery of dueDeliveries(state, now())) {
        if (signal.aborted || flights.has(delivery.route)) continue;
        const flight = tell(delivery)
          .catch((cause: unknown) => {
            if (!signal.aborted) log.error({ route: delivery.route, cause: causeOf(cause) }, 'telling an alert failed');
          })
          .finally(() => flights.delete(delivery.route));
        flights.set(delivery.route, flight);
      }
    },
    /** Waits for what has begun to be told. */
    async settled(): Promise<void> {
      await Promise.all(flights.values());
    },
  };
}

function beating(desk: Desk) {
  const { archive, now, routes, state, journal, log, signal } = desk;
  const beat = createHeartbeat({
    archive,
    now,
    isWatching: () => now() - (lastLookMs.get(desk) ?? Number.NEGATIVE_INFINITY) < WATCHING_MS_MAX,
    send: async (route) => (await loadSenders()).sendBeat(route, { signal, nowMs: now() }),
    onAnswer(route, answer: Answer) {
      const wasFailing = state.health[route.id]?.failingSinceMs !== undefined;
      noteAnswer(state, route.id, answer, now());
      // A state for every beat would be written all day; what matters is when it begins to fail, and when it works again.
      if (wasFailing === answer.ok) journal.touch();
    },
    onWithheld(isWithheld) {
      if (isWithheld) log.error('no heartbeat is given: nothing can be kept, or the log is not being signed');
      else log.info('heartbeats are given again');
    },
  });
  return {
    /** Gives the heartbeats that are due, while the archive really works. */
    beat: (): Promise<void> =>
      beat([...routes.values()].filter((route): route is RouteOf<'heartbeat'> => route.kind === 'heartbeat')),
  };
}

/** Loaded by who tells somebody something: mail and HTTP take longer to load than most commands take. */
const loadSenders = () => import('./senders/send.ts');

function sendingOf({ archive, signal, now }: Desk) {
  return { speaker: { archiveId: archive.id, archiveName: archive.name }, signal, nowMs: now() };
}

function tellingRoutes({ routes }: Desk): TellingRoute[] {
  return [...routes.values()].filter((route): route is TellingRoute => route.kind !== 'heartbeat');
}

function getRoute(routes: ReadonlyMap<AlertRouteId, AlertRoute>, id: AlertRouteId): AlertRoute {
  const route = routes.get(id);
  if (route === undefined) throw new CartularyError('not-found', 'there is no such route');
  return route;
}

/** What the log says of a route: names of settings, never values. */
function showRoute({
  kind,
  name,
  owner,
  afterMinutes,
  severity,
  isPrivate,
  settings,
}: AlertRoute): Record<string, unknown> {
  return { kind, name, owner, afterMinutes, severity, isPrivate, settings: Object.keys(settings) };
}

function factsOf({ id, code, subject }: Alert): AuditAct['detail'] {
  return { alert: id, code, ...(subject === undefined ? {} : { subject }) };
}

function auditOf(actor: RecordActor, action: string, detail: AuditAct['detail']): WatchRecord {
  return { actor, body: { kind: 'audit', act: { action, outcome: 'allowed', detail } } };
}
