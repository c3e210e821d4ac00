/** From what was found to alerts: opened once, held while it lasts, resolved when it is over. Pure but for the state that it is given. */
import type { AlertId } from '../model/ids.ts';
import { CONDITIONS } from './conditions.ts';
import type { ConditionCode, Facts } from './conditions.ts';
import { OPEN_MAX, PAST_MAX } from './state.ts';
import type { Alert, AlertState } from './state.ts';

/** Something that is so now. */
export type Finding = { readonly code: ConditionCode; readonly subject?: string; readonly facts: Facts };

/** What has changed, for the record and for whoever is told. */
export type Change = { readonly what: 'opened' | 'resolved'; readonly alert: Alert };

/** Decides what findings mean; remembers since when something is so, or is over. */
export type Watch = {
  /**
   * Takes in a look.
   * @param looked conditions that were looked for; of all others nothing new is known
   */
  take(state: AlertState, looked: readonly ConditionCode[], findings: readonly Finding[], nowMs: number): Change[];
};

/** Makes a watch. */
export function createWatch(newId: () => AlertId): Watch {
  /** Since when a condition holds that is not open yet, or is over that is still open. */
  const since = new Map<string, number>();
  const lasted = (key: string, nowMs: number): number => {
    const beganMs = since.get(key) ?? nowMs;
    since.set(key, beganMs);
    return nowMs - beganMs;
  };
  return {
    take(state, looked, findings, nowMs) {
      const changes: Change[] = [];
      const held = new Map(findings.map((finding) => [keyOf(finding), finding]));
      for (const [key, finding] of held) {
        const alert = state.open.find((one) => keyOf(one) === key);
        if (alert !== undefined) {
          alert.facts = { ...finding.facts };
          since.delete(key);
          continue;
        }
        if (lasted(key, nowMs) < CONDITIONS[finding.code].raiseAfterMs || state.open.length >= OPEN_MAX) continue;
        since.delete(key);
        const opened = openAlert(newId(), finding, nowMs);
        state.open.push(opened);
        changes.push({ what: 'opened', alert: opened });
      }
      forget(since, looked, held, state);
      for (const alert of [...state.open]) {
        const key = keyOf(alert);
        if (!looked.includes(alert.code) || held.has(key)) continue;
        if (lasted(key, nowMs) < CONDITIONS[alert.code].clearAfterMs) continue;
        since.delete(key);
        alert.resolvedAtMs = nowMs;
        state.open = state.open.filter((one) => one !== alert);
        state.past = [alert, ...state.past].slice(0, PAST_MAX);
        delete state.events[key];
        changes.push({ what: 'resolved', alert });
      }
      return changes;
    },
  };
}

/** What had begun and was over before it was told. */
function forget(
  since: Map<string, number>,
  looked: readonly ConditionCode[],
  held: ReadonlyMap<string, Finding>,
  state: AlertState,
): void {
  for (const key of since.keys()) {
    const code = key.split('/')[0];
    const isOpen = state.open.some((one) => keyOf(one) === key);
    if (!isOpen && !held.has(key) && looked.some((one) => one === code)) since.delete(key);
  }
}

/** One alert is open for each. */
export function keyOf({ code, subject }: { readonly code: ConditionCode; readonly subject?: string }): string {
  return subject === undefined ? code : `${code}/${subject}`;
}

function openAlert(id: AlertId, { code, subject, facts }: Finding, nowMs: number): Alert {
  return {
    id,
    code,
    ...(subject === undefined ? {} : { subject }),
    facts: { ...facts },
    openedAtMs: nowMs,
    told: {},
  };
}
