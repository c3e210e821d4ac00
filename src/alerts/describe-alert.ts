/** An alert as it is shown to whoever asks: by the command line, over HTTP. */
import { z } from 'zod';

import { CONDITION_CODES, CONDITIONS, fill, SEVERITIES, titleOf } from './conditions.ts';
import { isoTime } from './notice.ts';
import type { Alert } from './state.ts';

/** The shape of it. */
export const alertView = z
  .strictObject({
    id: z.string(),
    code: z.enum(CONDITION_CODES).describe('Stable; branch on this.'),
    severity: z.enum(SEVERITIES),
    subject: z.string().nullable().describe('The source, route, kind of job or node that it is about.'),
    title: z.string(),
    text: z.string().describe('What was found.'),
    meaning: z.string(),
    todo: z.string().describe('What to do.'),
    openedAt: z.string(),
    resolvedAt: z.string().nullable(),
    acknowledgedBy: z.string().nullable(),
    acknowledgedAt: z.string().nullable(),
    told: z.number().int().describe('Notices about it, over all routes, without acknowledgement and end.'),
  })
  .meta({ id: 'Alert' });

/** Shows an alert. */
export function describeAlert(alert: Alert): z.output<typeof alertView> {
  const { severity, text, meaning, todo } = CONDITIONS[alert.code];
  return {
    id: alert.id,
    code: alert.code,
    severity,
    subject: alert.subject ?? null,
    title: titleOf(alert.code, alert.facts),
    text: fill(text, alert.facts),
    meaning,
    todo: fill(todo, alert.facts),
    openedAt: isoTime(alert.openedAtMs),
    resolvedAt: alert.resolvedAtMs === undefined ? null : isoTime(alert.resolvedAtMs),
    acknowledgedBy: alert.acknowledged?.by ?? null,
    acknowledgedAt: alert.acknowledged === undefined ? null : isoTime(alert.acknowledged.atMs),
    told: Object.values(alert.told).reduce((sum, { times }) => sum + times, 0),
  };
}
