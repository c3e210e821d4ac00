/**
 * What a verification of a log can find, how findings are collected within bounds, and how altered entries are told from
 * moved, removed and added ones.
 */
import { equalBytes, formatHex } from './bytes.ts';

/** Codes of findings, and what each means. Stable, never reused. */
export const LOG_FAULTS = {
  'checkpoint-invalid': 'The checkpoint cannot be read, or no known key of the log signed it.',
  'earlier-checkpoint-invalid':
    'An earlier checkpoint cannot be read, is not signed by a known key, or is of another log.',
  'rolled-back': 'An earlier checkpoint covers more entries: the tail was cut off, or an old backup was put in place.',
  'history-rewritten':
    'An earlier checkpoint has another root for its size: entries before it were changed and signed anew.',
  'root-mismatch': 'The entries do not lead to the signed root, and no tile shows which of them were changed.',
  'entry-altered': 'The entry is not the one that was logged at this position.',
  'entry-moved': 'The entry was logged at another position.',
  'entry-removed': 'An entry was taken out here, and those after it moved up.',
  'entry-added': 'An entry was put in here, and those after it moved down.',
  'entries-missing': 'The bundle of entries cannot be read.',
  'entries-damaged': 'The bundle of entries is cut off, or is not a bundle.',
  'entries-tile-differ': 'The entries and their tile differ, and the levels above do not show which is right.',
  'subtree-altered': 'The entries below and their tiles were changed together; the level above still shows it.',
  'tile-missing': 'The tile cannot be read.',
  'tile-damaged': 'The tile does not hold what the entries below it give.',
} as const satisfies Record<string, string>;

/** A code of a finding. */
export type LogFaultCode = keyof typeof LOG_FAULTS;

/** A finding. `position` is the first leaf concerned and `count` how many; `path` the file concerned. */
export type LogFault = {
  readonly code: LogFaultCode;
  readonly position?: number;
  readonly count?: number;
  readonly path?: string;
  /** For `entry-moved`: the position at which the entry was logged. */
  readonly from?: number;
  readonly text: string;
};

/** Findings up to a limit; what is past it is only counted. */
export type FaultList = { readonly faults: LogFault[]; readonly faultsMax: number; total: number };

/** Where a finding is. `detail` is put into its text. */
type Place = Omit<LogFault, 'code' | 'text'> & { readonly detail?: string };

/** Adds a finding. One that goes on where the last one of its kind ended is joined to it, and keeps the first path. */
export function addFault(list: FaultList, code: LogFaultCode, { detail, ...place }: Place = {}): void {
  list.total += 1;
  const last = list.faults.at(-1);
  if (last !== undefined && isContinuation(last, code, place)) {
    list.faults[list.faults.length - 1] = { ...last, count: (last.count ?? 1) + (place.count ?? 1) };
  } else if (list.faults.length < list.faultsMax) {
    list.faults.push({ code, ...place, text: LOG_FAULTS[code] + (detail === undefined ? '' : ` (${detail})`) });
  }
}

function isContinuation(last: LogFault, code: LogFaultCode, place: Place): boolean {
  if (last.code !== code || last.position === undefined || place.from !== undefined) return false;
  return last.position + (last.count ?? 1) === place.position && levelOf(last.path) === levelOf(place.path);
}

/** The level in a tile's path: tiles of two levels are never one finding. */
function levelOf(path: string | undefined): string | undefined {
  return path?.split('/')[1];
}

/** Differing entries that are remembered in order to recognise those that were only moved. */
const DIFFERENCES_MAX = 10_000;
/** Entries taken out or put in at one place that are recognised as such. */
export const SHIFT_MAX = 32;

/** What is known of the entries that differ from their authentic tiles. */
export type Differences = {
  /** By how many places entries moved up (> 0: some were removed) or down (< 0: some were added) since the last right bundle. */
  shift: number;
  readonly single: { position: number; found: string; wanted: string }[];
};

/** No differences yet. */
export function noDifferences(): Differences {
  return { shift: 0, single: [] };
}

/** The leaf hashes found in a bundle, more or fewer than those of its authentic tile; `base` is the position of the first. */
type Bundle = { base: number; found: readonly Uint8Array[]; wanted: readonly Uint8Array[] };

/**
 * Compares the leaf hashes of a bundle with those of its authentic tile, which differ. Finds a shift, which removed or
 * added entries cause; other differences are kept for `reportDifferences`.
 */
export function compareBundle(list: FaultList, differences: Differences, bundle: Bundle): void {
  const { base, found, wanted } = bundle;
  const first = wanted.findIndex((hash, index) => !isHash(found[index], hash));
  const shift = findShift(bundle, first);
  if (shift !== 0) {
    // Entries after a removed one are all in the wrong place, in this bundle and those that follow: that is one finding.
    if (differences.shift !== shift || first > 0) {
      const position = first > 0 ? base + first : takeBack(differences, bundle, shift);
      addFault(list, shift > 0 ? 'entry-removed' : 'entry-added', { position, count: Math.abs(shift) });
    }
    differences.shift = shift;
    return;
  }
  const surplus = found.length - wanted.length;
  if (surplus < 0) addFault(list, 'entry-removed', { position: base + found.length, count: -surplus });
  if (surplus > 0) addFault(list, 'entry-added', { position: base + wanted.length, count: surplus });
  for (const [index, hash] of wanted.entries()) {
    const other = found[index];
    if (other === undefined || equalBytes(other, hash)) continue;
    if (differences.single.length < DIFFERENCES_MAX) {
      differences.single.push({ position: base + index, found: formatHex(other), wanted: formatHex(hash) });
    } else {
      addFault(list, 'entry-altered', { position: base + index });
    }
  }
}

/**
 * A shift that is found at the start of a bundle may have begun among the last entries of the one before, too few there to
 * be recognised. Takes those back from the single differences; returns where the shift began.
 */
function takeBack({ single }: Differences, { base, found, wanted }: Bundle, shift: number): number {
  let start = base;
  for (let last = single.at(-1); last !== undefined && last.position === start - 1; last = single.at(-1)) {
    // What was found there was logged here (entries moved up), or what was logged there is found here (they moved down).
    const other = shift > 0 ? wanted[last.position + shift - base] : found[last.position - shift - base];
    if (other === undefined || formatHex(other) !== (shift > 0 ? last.found : last.wanted)) break;
    start = last.position;
    single.pop();
  }
  return start;
}

/** By how many places all entries from `first` on stand too high (> 0) or too low (< 0); 0 when no such number fits. */
function findShift({ found, wanted }: Bundle, first: number): number {
  // One entry in another's place may be chance; a bundle of another length says by itself that it was taken from or added to.
  const matchesMin = found.length === wanted.length ? 2 : 1;
  for (let by = 1; by <= SHIFT_MAX; by += 1) {
    if (countShifted(found, wanted, first, by) >= matchesMin) return by;
    if (countShifted(found, wanted, first, -by) >= matchesMin) return -by;
  }
  return 0;
}

/** How many entries from `first` on were logged `by` places further down; 0 as soon as one was not. */
function countShifted(found: readonly Uint8Array[], wanted: readonly Uint8Array[], first: number, by: number): number {
  let matches = 0;
  for (let index = first; index < found.length; index += 1) {
    const hash = index + by < first ? undefined : wanted[index + by];
    if (hash === undefined) continue;
    if (!isHash(found[index], hash)) return 0;
    matches += 1;
  }
  return matches;
}

function isHash(found: Uint8Array | undefined, wanted: Uint8Array): boolean {
  return found !== undefined && equalBytes(found, wanted);
}

/** Reports the differences that no shift explains: an entry that another position lost was moved, any other altered. */
export function reportDifferences(list: FaultList, { single }: Differences): void {
  const lost = new Map(single.map(({ wanted, position }) => [wanted, position]));
  for (const { position, found } of single) {
    const from = lost.get(found);
    if (from === undefined) addFault(list, 'entry-altered', { position });
    else addFault(list, 'entry-moved', { position, from });
  }
}
