/** Fuzz targets of alerting: what it has stored, what other services answer. */
import { parseRoute } from '../../src/alerts/routes.ts';
import { readTeamsAnswer } from '../../src/alerts/senders/teams.ts';
import { emptyState, parseState } from '../../src/alerts/state.ts';
import type { AlertState } from '../../src/alerts/state.ts';
import { splitSetting } from '../../src/cli/given.ts';
import { hostileJson, hostileText } from './arbitraries.ts';
import { defineTarget, must, mustEqual } from './target.ts';
import type { Target } from './target.ts';

const NOW_MS = Date.UTC(2026, 10, 22);
const route = {
  ...{ id: 'rte_00000000000000000000000000000001', kind: 'webhook', name: 'w', owner: 'Ann', secret: 'whsec_x' },
  ...{
    afterMinutes: 0,
    severity: 'warning',
    isPrivate: false,
    createdAtMs: NOW_MS,
    settings: { url: 'https://x.example/' },
  },
};
const state: AlertState = {
  ...emptyState(),
  scanned: 7,
  events: { 'disk-low': { count: 1, lastAtMs: NOW_MS } },
};

const routes = defineTarget('route of alerts', ['parseRoute'], hostileJson([route]), (text) => {
  const parsed = parseRoute(JSON.parse(text));
  must(parsed === undefined || typeof parsed.name === 'string', 'a route without a name');
});

const states = defineTarget('state of alerts', ['parseState'], hostileJson([state]), (text) => {
  const parsed = parseState(JSON.parse(text));
  mustEqual(parseState(JSON.parse(JSON.stringify(parsed))), parsed, 'a state is read as another');
});

const SAMPLE = 'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429';
const answers = defineTarget('answer of Teams', ['readTeamsAnswer'], hostileText([SAMPLE]), (text) => {
  const answer = readTeamsAnswer(text);
  must(answer === undefined || (answer.status >= 0 && answer.status <= 999), 'a status that there is not');
});

const given = defineTarget(
  'setting on the command line',
  ['splitSetting'],
  hostileText(['url=https://x.example']),
  (text) => {
    mustEqual(splitSetting(text).join('='), text, 'a setting is split into something else');
  },
);

export const ALERT_TARGETS: readonly Target[] = [routes, states, answers, given];
