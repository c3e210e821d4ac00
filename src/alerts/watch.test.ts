import { describe, expect, it } from 'vitest';

import type { AlertId } from '../model/ids.ts';
import { OPEN_MAX, emptyState, parseState } from './state.ts';
import { createWatch } from './watch.ts';
import type { Change, Finding } from './watch.ts';

const MINUTE = 60_000;

function makeWatch() {
  let count = 0;
  const watch = createWatch(() => `alt_${(count += 1)}` as AlertId);
  const state = emptyState();
  const look = (minute: number, findings: readonly Finding[], codes = findings.map(({ code }) => code)): string[] =>
    watch
      .take(state, codes, findings, minute * MINUTE)
      .map(({ what, alert }: Change) => `${what} ${alert.code} ${alert.subject ?? ''}`.trim());
  return { state, look };
}

const refused = (subject: string, waiting = 1): Finding => ({ code: 'bad-signatures', subject, facts: { waiting } });
const stalled: Finding = { code: 'signing-stalled', facts: { records: 3 } };

describe('the watch', () => {
  it('opens a condition once for each subject, and keeps what is known of it up to date', () => {
    const { state, look } = makeWatch();
    expect(look(0, [refused('src_a'), refused('src_b')])).toEqual([
      'opened bad-signatures src_a',
      'opened bad-signatures src_b',
    ]);
    expect(look(1, [refused('src_a', 7), refused('src_b')])).toEqual([]);
    expect(state.open.map(({ facts }) => facts['waiting'])).toEqual([7, 1]);
  });

  it('waits as long as the table says before it opens, and forgets what was over before', () => {
    const { look } = makeWatch();
    expect(look(0, [stalled])).toEqual([]);
    expect(look(0.5, [], ['signing-stalled'])).toEqual([]);
    expect(look(1.2, [stalled])).toEqual([]);
    expect(look(2.1, [stalled])).toEqual([]);
    expect(look(2.3, [stalled])).toEqual(['opened signing-stalled']);
  });

  it('resolves when a condition is over for as long as the table says, and begins anew where it comes back', () => {
    const { state, look } = makeWatch();
    look(0, [refused('src_a')]);
    expect(look(1, [], ['bad-signatures'])).toEqual([]);
    expect(look(1.5, [refused('src_a')])).toEqual([]);
    expect(look(2, [], ['bad-signatures'])).toEqual([]);
    expect(look(3, [], ['bad-signatures'])).toEqual(['resolved bad-signatures src_a']);
    expect(state).toMatchObject({ open: [], past: [{ code: 'bad-signatures', resolvedAtMs: 3 * MINUTE }] });
    expect(look(4, [refused('src_a')])).toEqual(['opened bad-signatures src_a']);
    expect(state.open[0]?.id).not.toBe(state.past[0]?.id);
  });

  it('takes what could not be looked for neither as over nor as new', () => {
    const { state, look } = makeWatch();
    look(0, [refused('src_a')]);
    for (const minute of [1, 10, 100]) expect(look(minute, [], ['disk-low'])).toEqual([]);
    expect(state.open).toHaveLength(1);
  });

  it('holds no more open alerts than the limit, and takes up another when there is room', () => {
    const { state, look } = makeWatch();
    const many = Array.from({ length: OPEN_MAX + 5 }, (_, index) => refused(`src_${index}`));
    expect(look(0, many)).toHaveLength(OPEN_MAX);
    expect(state.open).toHaveLength(OPEN_MAX);
    look(1, many.slice(5), ['bad-signatures']);
    expect(look(3, many.slice(5), ['bad-signatures']).filter((change) => change.startsWith('resolved'))).toHaveLength(
      5,
    );
    expect(look(4, many.slice(5), ['bad-signatures'])).toHaveLength(5);
  });
});

describe('the state', () => {
  it('is read as it was written, and begun anew where a later version wrote it', () => {
    const { state, look } = makeWatch();
    look(0, [refused('src_a')]);
    expect(parseState(JSON.parse(JSON.stringify(state)))).toEqual(state);
    expect(parseState({ v: 2, open: 'elsewhere' })).toEqual(emptyState());
  });
});
