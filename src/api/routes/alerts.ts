/** Alerts for programs: what is open, and taking one upon oneself. */
import { z } from 'zod';

import { alertView, describeAlert } from '../../alerts/describe-alert.ts';
import { label } from '../../alerts/routes.ts';
import { parseId } from '../../model/ids.ts';
import { defineRoute } from '../route.ts';
import type { Route } from '../route.ts';

const listAlerts = defineRoute({
  method: 'GET',
  path: '/api/v1/alerts',
  summary: 'List open alerts, then those that are over, newest first',
  scope: 'settings:read',
  tag: 'alerts',
  example: '`GET /api/v1/alerts`.',
  schemas: {},
  response: {
    description: 'Alerts, without any content of messages.',
    schema: z.strictObject({ alerts: z.array(alertView) }).meta({ id: 'Alerts' }),
  },
  async handle({ service, caller }) {
    await service.archive.allow(caller, 'settings:read', 'list-alerts');
    const alerts = await service.lead.alertsFor('reading');
    return { alerts: alerts.listAlerts().map(describeAlert) };
  },
});

const acknowledgeAlert = defineRoute({
  method: 'POST',
  path: '/api/v1/alerts/{id}/acknowledge',
  summary: 'Take an alert upon oneself: no more repetitions, no escalation',
  scope: 'operate',
  tag: 'alerts',
  example: '`POST /api/v1/alerts/alt_…/acknowledge?by=Ann`.',
  schemas: {
    params: z.strictObject({ id: z.string().describe('Id of the alert.') }),
    query: z.strictObject({ by: label.describe('Who sees to it; on record beside the key.') }),
  },
  response: { description: 'The alert.', schema: alertView },
  async handle({ service, caller, params, query }) {
    const alerts = await service.lead.alertsFor('changing');
    return describeAlert(await alerts.acknowledge(caller, parseId('alert', params.id), query.by));
  },
});

/** Operations on alerts. */
export const ALERT_ROUTES: readonly Route[] = [listAlerts, acknowledgeAlert];
