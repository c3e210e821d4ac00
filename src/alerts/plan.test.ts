import { describe, expect, it } from 'vitest';

import type { AlertId, AlertRouteId } from '../model/ids.ts';
import type { ConditionCode } from './conditions.ts';
import { dueDeliveries, planNews, planNotices, settleDelivery } from './plan.ts';
import type { TellingRoute } from './plan.ts';
import type { Answer } from './senders/answer.ts';
import { DELIVERIES_MAX, emptyState } from './state.ts';
import type { Alert, AlertState } from './state.ts';

const MINUTE = 60_000;
const OK: Answer = { ok: true, text: '200 ok' };
const BUSY: Answer = { ok: false, permanent: false, text: '503' };

function route(id: string, more: Partial<TellingRoute> = {}): TellingRoute {
  return {
    id: id as AlertRouteId,
    kind: 'slack',
    name: id,
    owner: `owner of ${id}`,
    afterMinutes: 0,
    severity: 'warning',
    isPrivate: false,
    secret: 'https://hooks.example/x',
    settings: {},
    createdAtMs: 0,
    ...more,
  } as TellingRoute;
}

function openIn(state: AlertState, code: ConditionCode, subject?: string): Alert {
  const alert: Alert = { id: `alt_${state.open.length}` as AlertId, code, facts: {}, openedAtMs: 0, told: {} };
  if (subject !== undefined) alert.subject = subject;
  state.open.push(alert);
  return alert;
}

let ids = 0;
const newId = (): string => `ntc_${(ids += 1)}`;

/** Plans at a minute, and tells all of it with success. @returns what was told to whom */
function tell(state: AlertState, routes: readonly TellingRoute[], minute: number): string[] {
  planNotices(state, routes, minute * MINUTE, newId);
  const told: string[] = [];
  for (let due = dueDeliveries(state, minute * MINUTE); due.length > 0; due = dueDeliveries(state, minute * MINUTE))
    for (const one of due) {
      told.push(`${one.route}: ${one.notice.kind} ${one.notice.code} for ${one.notice.owner}`);
      settleDelivery(state, one, OK, { nowMs: minute * MINUTE, chance: 0 });
    }
  return told;
}

describe('who is told what', () => {
  it('tells at once, again at the intervals of the severity, and others when nobody has acknowledged', () => {
    const state = emptyState();
    openIn(state, 'not-keeping');
    const routes = [route('desk'), route('boss', { afterMinutes: 45 })];
    expect(tell(state, routes, 0)).toEqual(['desk: opened not-keeping for owner of desk']);
    expect(tell(state, routes, 29)).toEqual([]);
    expect(tell(state, routes, 30)).toEqual(['desk: repeated not-keeping for owner of desk']);
    expect(tell(state, routes, 45)).toEqual(['boss: escalated not-keeping for owner of boss']);
    expect(tell(state, routes, 60)).toEqual(['desk: repeated not-keeping for owner of desk']);
    expect(tell(state, routes, 75)).toEqual(['boss: repeated not-keeping for owner of boss']);
  });

  it('says what was escalated, once for each route', () => {
    const state = emptyState();
    openIn(state, 'not-keeping');
    const routes = [route('boss', { afterMinutes: 10 })];
    expect(planNotices(state, routes, 9 * MINUTE, newId)).toEqual([]);
    expect(planNotices(state, routes, 10 * MINUTE, newId).map(({ route: { id } }) => id)).toEqual(['boss']);
    expect(planNotices(state, routes, 90 * MINUTE, newId)).toEqual([]);
  });

  it('repeats a warning once a day', () => {
    const state = emptyState();
    openIn(state, 'backup-old');
    expect([0, 60, 1439, 1440].flatMap((minute) => tell(state, [route('desk')], minute).map(() => minute))).toEqual([
      0, 1440,
    ]);
  });

  it('tells nobody again once it is acknowledged, and those who were told what became of it', () => {
    const state = emptyState();
    const alert = openIn(state, 'not-keeping');
    const routes = [route('desk'), route('boss', { afterMinutes: 10 })];
    tell(state, routes, 0);
    alert.acknowledged = { by: 'Ann', atMs: 5 * MINUTE };
    planNews(state, routes, { alert, kind: 'acknowledged' }, 5 * MINUTE, newId);
    expect(tell(state, routes, 5)).toEqual(['desk: acknowledged not-keeping for Ann']);
    expect(tell(state, routes, 500)).toEqual([]);
    planNews(state, routes, { alert, kind: 'resolved' }, 500 * MINUTE, newId);
    expect(tell(state, routes, 500)).toEqual(['desk: resolved not-keeping for Ann']);
  });

  it('tells a route neither what is less bad than it asks for, nor that it fails itself', () => {
    const state = emptyState();
    openIn(state, 'backup-old');
    openIn(state, 'route-failing', 'desk');
    expect(tell(state, [route('desk'), route('pager', { severity: 'error' })], 0)).toEqual([
      'desk: opened backup-old for owner of desk',
      'pager: opened route-failing for owner of pager',
    ]);
  });

  it('lets no more wait than the limit', () => {
    const state = emptyState();
    for (let index = 0; index < 90; index += 1) openIn(state, 'jobs-overdue', `kind-${index}`);
    planNotices(
      state,
      Array.from({ length: 10 }, (_, index) => route(`r${index}`)),
      0,
      newId,
    );
    expect(state.deliveries).toHaveLength(DELIVERIES_MAX);
  });
});

describe('a notice that does not arrive', () => {
  it('is tried again with growing waits and jitter, in order, and given up after a night', () => {
    const state = emptyState();
    const alert = openIn(state, 'not-keeping');
    const routes = [route('desk')];
    planNotices(state, routes, 0, newId);
    planNews(state, routes, { alert, kind: 'resolved' }, 0, newId);
    const [first] = dueDeliveries(state, 0);
    if (first === undefined) throw new Error('nothing is due');
    const waits: number[] = [];
    let nowMs = 0;
    while (settleDelivery(state, first, BUSY, { nowMs, chance: 1 }) === 'again') {
      // The end waits behind the beginning.
      expect(dueDeliveries(state, first.dueAtMs).map(({ notice }) => notice.kind)).toEqual(['opened']);
      waits.push((first.dueAtMs - nowMs) / 1000);
      nowMs = first.dueAtMs;
    }
    expect(waits.slice(0, 5)).toEqual([2.6, 6.5, 19.5, 78, 390]);
    expect(waits).toHaveLength(13);
    expect(nowMs).toBeGreaterThan(8 * 60 * MINUTE);
    expect(state.health['desk']).toEqual({ failingSinceMs: 0, answer: '503', givenUp: 1 });
    expect(dueDeliveries(state, nowMs).map(({ notice }) => notice.kind)).toEqual(['resolved']);
  });

  it('is left alone as long as the other side asks, and given up at once where it is refused for good', () => {
    const state = emptyState();
    openIn(state, 'not-keeping');
    planNotices(state, [route('desk'), route('mail')], 0, newId);
    const [one, other] = dueDeliveries(state, 0);
    if (one === undefined || other === undefined) throw new Error('nothing is due');
    const limited: Answer = { ok: false, permanent: false, text: '429', afterMs: 90_000 };
    expect(settleDelivery(state, one, limited, { nowMs: 0, chance: 0 })).toBe('again');
    expect(one.dueAtMs).toBe(90_000);
    const refused: Answer = { ok: false, permanent: true, text: '404 no_service' };
    expect(settleDelivery(state, other, refused, { nowMs: 0, chance: 0 })).toBe('given-up');
    expect(state.deliveries).toEqual([one]);
    expect(settleDelivery(state, one, OK, { nowMs: 100_000, chance: 0 })).toBe('told');
    expect(state.health).toEqual({
      desk: { lastOkMs: 100_000, answer: '200 ok', givenUp: 0 },
      mail: { failingSinceMs: 0, answer: '404 no_service', givenUp: 1 },
    });
  });
});
