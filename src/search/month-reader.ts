/** Answers a compiled query from the file of one month. */
import type { Statement } from 'better-sqlite3';

import { assertNever, CartularyError } from '../model/errors.ts';
import type { EncryptedDatabase } from '../vault/page-encryption.ts';
import { resolveMatch, resolveTerms } from './compile.ts';
import type { CompiledQuery, Expand, ExpandTerm, Match, PhraseTerm, Plan } from './compile.ts';
import { EXPANSION_SCAN_MAX, EXPANSION_TERMS_MAX, ORDERED_CANDIDATES_MAX } from './limits.ts';
import { isSound, nameDamage, openMonthForReading } from './month-file.ts';
import type { Hit } from './document.ts';
import type { MonthFileOptions } from './month-file.ts';
import { monthBounds, UNDATED } from './months.ts';
import type { Month } from './months.ts';
import { intersectRows, listRows, NO_ROWS, readRows, uniteRows } from './rows.ts';
import type { Direction, RowBounds, RowSet } from './rows.ts';
import { fitsWord, wordRange } from './vocabulary.ts';

/** What the row table says of one message. */
export type MonthRow = {
  readonly id: number;
  readonly messageNo: number;
  readonly sentAtMs: number;
  readonly profile: number;
  readonly party: number | string | null;
};

/** What many messages of a month have in common. */
export type Profile = {
  readonly id: number;
  readonly channel: string;
  readonly direction: string;
  readonly state: string;
  readonly types: string;
  readonly listed: number;
  readonly unlisted: number;
};

/** One month, seen at one moment. */
export type MonthReader = {
  readonly month: Month;
  /** Runs `work` against one unchanging state of the file. */
  read<T>(work: () => T): T;
  /** The rows that fit a query, walked in a direction. Only inside `read`. */
  rows(query: CompiledQuery, direction: Direction): { readonly set: RowSet; readonly bounds: RowBounds };
  /** Messages of rows, in the order of `ids`. Only inside `read`. */
  messages(ids: readonly number[]): MonthRow[];
  profiles(): Profile[];
  /** Numbers of all messages with `fromNo ≤ no < toNo` that have both row and words, ascending. */
  messageNos(fromNo: number, toNo: number): number[];
  /** The same with when each was sent, in any order. */
  places(fromNo: number, toNo: number): Hit[];
  /** Words that belong to no row. */
  strays(): number;
  /** Transactions so far. */
  changes(): number;
  /** Can every page be read, and do they fit together? */
  isSound(): boolean;
  close(): void;
};

/** Above every row a month can have. */
const ROW_MAX = Number.MAX_SAFE_INTEGER;

type State = {
  readonly month: Month;
  readonly database: EncryptedDatabase;
  readonly statements: Map<string, Statement<unknown[]>>;
};

/** Opens a month for reading. @throws CartularyError `index-damaged` */
export function openMonthReader(month: Month, options: MonthFileOptions): MonthReader {
  const database = openMonthForReading(month, options);
  const state: State = { month, database, statements: new Map() };
  const begin = database.prepare('BEGIN');
  const commit = database.prepare('COMMIT');
  return {
    month,
    read(work) {
      begin.run();
      try {
        return nameDamage(work);
      } finally {
        commit.run();
      }
    },
    rows: (query, direction) => findRows(state, query, direction),
    messages: (ids) => readMessages(state, ids),
    profiles: () => readProfiles(state),
    messageNos: (fromNo, toNo) =>
      nameDamage(
        () =>
          prepare(
            state,
            'SELECT no FROM doc INDEXED BY doc_no WHERE no >= ? AND no < ? AND EXISTS (SELECT 1 FROM ft_docsize s WHERE s.id = doc.id) ORDER BY no',
          )
            .pluck()
            .all(fromNo, toNo) as number[],
      ),
    places: (fromNo, toNo) =>
      nameDamage(
        () =>
          prepare(
            state,
            `SELECT no AS messageNo, coalesce(at, id + ${startOf(month)}) AS sentAtMs FROM doc INDEXED BY doc_no WHERE no >= ? AND no < ? AND EXISTS (SELECT 1 FROM ft_docsize s WHERE s.id = doc.id)`,
          ).all(fromNo, toNo) as Hit[],
      ),
    strays: () =>
      count(state, 'SELECT count(*) FROM ft_docsize s WHERE NOT EXISTS (SELECT 1 FROM doc WHERE doc.id = s.id)'),
    changes: () => count(state, "SELECT value FROM meta WHERE name = 'changes'"),
    isSound: () => isSound(database),
    close: () => database.close(),
  };
}

function prepare(state: State, sql: string): Statement<unknown[]> {
  let statement = state.statements.get(sql);
  if (statement === undefined) {
    statement = state.database.prepare<unknown[]>(sql);
    state.statements.set(sql, statement);
  }
  return statement;
}

/** A single number; 0 where there is none. */
function count(state: State, sql: string): number {
  return nameDamage(() => Number(prepare(state, sql).pluck().get() ?? 0));
}

/** What a row's number counts from. */
function startOf(month: Month): number {
  return month === UNDATED ? 0 : monthBounds(month).startMs;
}

function readMessages(state: State, ids: readonly number[]): MonthRow[] {
  const sql = `
    SELECT d.id, d.no AS messageNo, coalesce(d.at, d.id + ${startOf(state.month)}) AS sentAtMs, d.profile, d.party
    FROM json_each(?) j CROSS JOIN doc d ON d.id = j.value ORDER BY j.key`;
  return ids.length === 0 ? [] : (prepare(state, sql).all(JSON.stringify(ids)) as MonthRow[]);
}

function readProfiles(state: State): Profile[] {
  return prepare(
    state,
    'SELECT id, channel, direction, state, types, listed, unlisted FROM profile',
  ).all() as Profile[];
}

type Walk = { readonly state: State; readonly direction: Direction; readonly bounds: RowBounds };

function findRows(state: State, query: CompiledQuery, direction: Direction): { set: RowSet; bounds: RowBounds } {
  const { month } = state;
  const { startMs, endMs } = monthBounds(month);
  const cuts = query.fromMs > startMs || query.toMs < endMs;
  // Rows say the time themselves, unless several messages shared a millisecond and moved on, or there is no credible time.
  const isExact = !cuts || (month !== UNDATED && !isDisplaced(state));
  const low = month === UNDATED ? 0 : Math.max(0, query.fromMs - startMs);
  const high = isExact && query.toMs < endMs ? query.toMs - startMs - 1 : ROW_MAX;
  const walk: Walk = { state, direction, bounds: { low, high } };
  const plan: Plan = isExact
    ? query.plan
    : { kind: 'and', parts: [query.plan, { kind: 'date', fromMs: query.fromMs, toMs: query.toMs }] };
  return { set: high < low ? NO_ROWS : planRows(walk, plan), bounds: walk.bounds };
}

function isDisplaced(state: State): boolean {
  return prepare(state, "SELECT value FROM meta WHERE name = 'displaced'").pluck().get() === 1;
}

function planRows(walk: Walk, plan: Plan): RowSet {
  switch (plan.kind) {
    case 'match':
      return matchRows(walk, plan.match);
    case 'all':
      return tableRows(walk);
    case 'state':
      return stateRows(walk, plan.value);
    case 'date':
      return dateRows(walk, plan.fromMs, plan.toMs);
    case 'ordered':
      return orderedRows(walk, plan);
    case 'and':
      return andRows(walk, plan.parts);
    case 'or':
      return uniteRows(
        walk.direction,
        plan.parts.map((part) => planRows(walk, part)),
      );
    case 'not':
      return intersectRows(walk.direction, [tableRows(walk)], [planRows(walk, plan.part)]);
    default:
      return assertNever(plan);
  }
}

function andRows(walk: Walk, parts: readonly Plan[]): RowSet {
  const [first, second] = parts;
  // The everyday case of words and a delivery state stays one statement, unless the state is rare enough to lead the way.
  if (parts.length === 2 && first?.kind === 'match' && second?.kind === 'state') {
    const profiles = profilesOfState(walk.state, second.value);
    if (profiles.some((profile) => profile.unlisted > 0)) return matchRows(walk, first.match, profiles);
  }
  const included = parts.flatMap((part) => (part.kind === 'not' ? [] : [planRows(walk, part)]));
  const excluded = parts.flatMap((part) => (part.kind === 'not' ? [planRows(walk, part.part)] : []));
  return intersectRows(walk.direction, included.length > 0 ? included : [tableRows(walk)], excluded);
}

type Source = {
  readonly from: string;
  readonly id: string;
  readonly where: string;
  readonly values: readonly unknown[];
};

/** One statement over FTS5 or the row table, with its bounds. Numbers are cast: FTS5 seeks by integers only, and all arrive as floats. */
function sourceRows(walk: Walk, source: Source): RowSet {
  const { state, direction, bounds } = walk;
  const { from, id, where, values } = source;
  const condition = `${where} AND ${id} >= CAST(? AS INTEGER) AND ${id} <= CAST(? AS INTEGER)`;
  const order = direction === 'newest' ? 'DESC' : 'ASC';
  const select = `SELECT ${id} FROM ${from} WHERE ${condition} ORDER BY ${id} ${order} LIMIT ?`;
  const counting = `SELECT count(*) FROM (SELECT 1 FROM ${from} WHERE ${condition} LIMIT ?)`;
  return readRows(
    direction,
    (start, limit) => {
      const low = direction === 'newest' ? bounds.low : Math.max(bounds.low, start);
      const high = direction === 'newest' ? Math.min(bounds.high, start) : bounds.high;
      return prepare(state, select)
        .pluck()
        .all(...values, low, high, limit) as number[];
    },
    (limit) =>
      Number(
        prepare(state, counting)
          .pluck()
          .get(...values, bounds.low, bounds.high, limit),
      ),
  );
}

function tableRows(walk: Walk): RowSet {
  return sourceRows(walk, { from: 'doc', id: 'id', where: '1', values: [] });
}

function dateRows(walk: Walk, fromMs: number, toMs: number): RowSet {
  const { month } = walk.state;
  const base = month === UNDATED ? 0 : monthBounds(month).startMs;
  const at = `coalesce(at, id + ${base})`;
  const clamp = (ms: number) => Math.min(ROW_MAX, Math.max(-ROW_MAX, ms));
  return sourceRows(walk, {
    from: 'doc',
    id: 'id',
    where: `${at} >= ? AND ${at} < ?`,
    values: [clamp(fromMs), clamp(toMs)],
  });
}

function profilesOfState(state: State, value: string): Profile[] {
  return readProfiles(state).filter((profile) => profile.state === value && profile.listed + profile.unlisted > 0);
}

function profileIds(profiles: readonly Profile[]): string {
  return JSON.stringify(profiles.map((profile) => profile.id));
}

function stateRows(walk: Walk, value: string): RowSet {
  const profiles = profilesOfState(walk.state, value);
  if (profiles.length === 0) return NO_ROWS;
  const ids = profileIds(profiles);
  if (profiles.every((profile) => profile.unlisted === 0)) {
    const sql =
      'SELECT id FROM doc INDEXED BY doc_listed WHERE listed = 1 AND profile IN (SELECT value FROM json_each(?))';
    const rows = prepare(walk.state, sql).pluck().all(ids) as number[];
    return listRows(
      rows.sort((a, b) => a - b),
      walk.direction,
      walk.bounds,
    );
  }
  return sourceRows(walk, {
    from: 'doc',
    id: 'id',
    where: '+profile IN (SELECT value FROM json_each(?))',
    values: [ids],
  });
}

function matchRows(walk: Walk, match: Match, profiles?: readonly Profile[]): RowSet {
  const expression = resolveMatch(match, expander(walk.state));
  if (expression === undefined) return NO_ROWS;
  if (profiles === undefined)
    return sourceRows(walk, { from: 'ft', id: 'ft.rowid', where: 'ft MATCH ?', values: [expression] });
  return sourceRows(walk, {
    from: 'ft CROSS JOIN doc ON doc.id = ft.rowid',
    id: 'ft.rowid',
    where: 'ft MATCH ? AND +doc.profile IN (SELECT value FROM json_each(?))',
    values: [expression, profileIds(profiles)],
  });
}

/** @throws CartularyError `too-large` where a wildcard or fuzzy word stands for too much, which has to be known rather than cut */
function expander(state: State): Expand {
  return (term: ExpandTerm) => {
    const { from, until } = wordRange(term);
    const statement = prepare(state, 'SELECT term FROM temp.vocabulary WHERE term >= ? AND term < ?').pluck();
    const found: string[] = [];
    let looked = 0;
    for (const word of statement.iterate(from, until) as Iterable<string>) {
      if (++looked > EXPANSION_SCAN_MAX) failExpansion();
      if (!fitsWord(term.fit, word.slice(term.mark.length))) continue;
      found.push(word);
      if (found.length > EXPANSION_TERMS_MAX) failExpansion();
    }
    return found;
  };
}

function failExpansion(): never {
  throw new CartularyError(
    'too-large',
    `a word with * ? or ~ stands for more than ${EXPANSION_TERMS_MAX} words; write more of its beginning`,
  );
}

/** FTS5 knows how near words are, but not which comes first; that is looked up in the places where they stand. */
function orderedRows(walk: Walk, plan: Extract<Plan, { kind: 'ordered' }>): RowSet {
  const { state } = walk;
  const expand = expander(state);
  const near = matchRows(
    { ...walk, direction: 'oldest' },
    { kind: 'near', sides: [plan.left, plan.right], between: plan.distance - 1 },
  );
  const candidates = near.whole?.read(walk.bounds.low, ORDERED_CANDIDATES_MAX + 1) ?? [];
  if (candidates.length > ORDERED_CANDIDATES_MAX) {
    throw new CartularyError(
      'too-large',
      `more than ${ORDERED_CANDIDATES_MAX} messages of a month have these words near each other; add words or use w/`,
    );
  }
  if (candidates.length === 0) return NO_ROWS;
  const rows = new Set(candidates);
  const left = phraseSpans(state, resolveTerms(plan.left, expand), rows);
  const right = phraseSpans(state, resolveTerms(plan.right, expand), rows);
  const isOrdered = (row: number) => {
    const firsts = left.get(row) ?? [];
    const seconds = right.get(row) ?? [];
    return firsts.some((a) => seconds.some((b) => b.start > a.end && b.start - a.end <= plan.distance));
  };
  return listRows(candidates.filter(isOrdered), walk.direction, walk.bounds);
}

type Span = { readonly start: number; readonly end: number };

function phraseSpans(state: State, phrases: readonly PhraseTerm[], rows: ReadonlySet<number>): Map<number, Span[]> {
  const spans = new Map<number, Span[]>();
  for (const { tokens, prefix } of phrases) {
    const places = tokens.map((token, index) => tokenPlaces(state, token, prefix && index === tokens.length - 1, rows));
    for (const [row, starts] of places[0] ?? []) {
      for (const start of starts) {
        if (!places.every((place, index) => place.get(row)?.has(start + index) === true)) continue;
        const list = spans.get(row) ?? [];
        list.push({ start, end: start + tokens.length - 1 });
        spans.set(row, list);
      }
    }
  }
  return spans;
}

function tokenPlaces(
  state: State,
  token: string,
  prefix: boolean,
  rows: ReadonlySet<number>,
): Map<number, Set<number>> {
  const places = new Map<number, Set<number>>();
  const condition = prefix ? 'term >= ? AND term < ?' : 'term = ?';
  const statement = prepare(state, `SELECT doc, "offset" FROM temp.instances WHERE ${condition}`).raw();
  const values = prefix ? [token, `${token}\u{10ffff}`] : [token];
  for (const [row, offset] of statement.iterate(...values) as Iterable<[number, number]>) {
    if (!rows.has(row)) continue;
    const offsets = places.get(row) ?? new Set();
    offsets.add(offset);
    places.set(row, offsets);
  }
  return places;
}
