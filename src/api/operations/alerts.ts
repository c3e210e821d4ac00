/** Alerts: routes over which people are told, open alerts, acknowledgement, tests. */
import { z } from 'zod';

import type { KnownRoute } from '../../alerts/alerts.ts';
import { SEVERITIES } from '../../alerts/conditions.ts';
import { describeAlert } from '../../alerts/describe-alert.ts';
import { isoTime } from '../../alerts/notice.ts';
import { label, ROUTE_KINDS } from '../../alerts/routes.ts';
import { callerActor } from '../../archive/caller.ts';
import { parseId } from '../../model/ids.ts';
import { defineOperation } from '../operation.ts';

const addRoute = defineOperation(
  'alert.add',
  z.strictObject({
    kind: z.enum(ROUTE_KINDS),
    name: label,
    owner: label.optional(),
    secret: z.string().min(1).max(4096).optional(),
    settings: z.record(z.string(), z.string().max(4096)).default({}),
    afterMinutes: z.number().int().min(0).max(10_080).default(0),
    severity: z.enum(SEVERITIES).default('warning'),
    isPrivate: z.boolean().default(false),
  }),
  async ({ owner, secret, ...args }, { service, caller }) => {
    const alerts = await service.lead.alertsFor('changing');
    const route = await alerts.addRoute(caller, { ...args, owner: owner ?? args.name, secret });
    // The other side must know what is signed with; it is shown this once where it was made here.
    const isMade = route.kind === 'webhook' && secret === undefined;
    return { id: route.id, kind: route.kind, ...(isMade ? { signingSecret: route.secret } : {}) };
  },
);

const listAlerts = defineOperation('alert.list', z.strictObject({}), async (_args, { service, caller }) => {
  await service.archive.allow(caller, 'settings:read', 'list-alerts');
  const alerts = await service.lead.alertsFor('reading');
  return {
    alerts: alerts.listAlerts().map(describeAlert),
    routes: alerts.listRoutes().map(showRoute),
  };
});

const testRoutes = defineOperation(
  'alert.test',
  z.strictObject({ route: z.string().optional() }),
  async ({ route }, { service, caller }) => {
    const id = route === undefined ? undefined : parseId('alertRoute', route);
    const results = await (await service.lead.alertsFor('changing')).test(caller, id);
    return {
      ok: results.length > 0 && results.every(({ ok }) => ok),
      routes: results.map(({ route: { id, kind, name }, ok, answer, ms }) => ({ id, kind, name, ok, answer, ms })),
    };
  },
);

const acknowledgeAlert = defineOperation(
  'alert.ack',
  z.strictObject({ id: z.string(), by: label.optional() }),
  async ({ id, by }, { service, caller }) => {
    const alerts = await service.lead.alertsFor('changing');
    return describeAlert(await alerts.acknowledge(caller, parseId('alert', id), by ?? callerActor(caller).name));
  },
);

const removeRoute = defineOperation(
  'alert.remove',
  z.strictObject({ route: z.string() }),
  async ({ route }, { service, caller }) => {
    await (await service.lead.alertsFor('changing')).removeRoute(caller, parseId('alertRoute', route));
    return { id: route, removed: true };
  },
);

/** Operations on alerts. */
export const ALERT_OPERATIONS = [addRoute, listAlerts, testRoutes, acknowledgeAlert, removeRoute];

function showRoute({ route, target, health, waiting }: KnownRoute) {
  const { id, kind, name, owner, afterMinutes, severity, isPrivate } = route;
  return {
    ...{ id, kind, name, owner, afterMinutes, severity, isPrivate, target, waiting },
    answer: health?.answer ?? null,
    lastOkAt: timeOrNull(health?.lastOkMs),
    failingSince: timeOrNull(health?.failingSinceMs),
    givenUp: health?.givenUp ?? 0,
  };
}

function timeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : isoTime(ms);
}
