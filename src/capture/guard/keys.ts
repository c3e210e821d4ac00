/**
 * What the name of a form field or JSON member says about its value. `cvv=123` has no words in its value; `"from":"5421765437890129"` is an
 * address however well it would pass for a card.
 */
import { isCardWord, SECURITY_INDEX } from './context.ts';
import { fold } from './fold.ts';
import { findLabels, indexLabels } from './labels.ts';
import { AMBIGUOUS_SHORT_LABELS, NEUTRAL_KEYS, ONE_TIME_LABELS, SHORT_SECURITY_LABELS, SPARED_KEYS } from './words.ts';

/** What a name says. */
export type KeyKind = 'security' | 'one-time' | 'card' | 'spared' | 'neutral' | 'plain';

const ONE_TIME_INDEX = indexLabels(ONE_TIME_LABELS);
const SHORT: ReadonlySet<string> = new Set(SHORT_SECURITY_LABELS);
const SPARED_ENDINGS: ReadonlySet<string> = new Set(
  'id ids sid sids uuid guid ts timestamp phone msisdn mobile token hash iban'.split(' '),
);

const KEY_CHARS_MAX = 128;
const CACHE_MAX = 2_048;
const cache = new Map<string, KeyKind>();

/** Tells what a name says about its value. */
export function classifyKey(key: string): KeyKind {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const kind = classifySlowly(key.slice(0, KEY_CHARS_MAX));
  if (key.length <= KEY_CHARS_MAX) {
    if (cache.size >= CACHE_MAX) cache.clear();
    cache.set(key, kind);
  }
  return kind;
}

function classifySlowly(key: string): KeyKind {
  const spaced = fold(key.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')).chars;
  const words = spaced.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
  if (isSecurityName(spaced, words)) return 'security';
  const compact = words.join('');
  if (NEUTRAL_KEYS.has(compact)) return 'neutral';
  const last = words.at(-1) ?? '';
  if (SPARED_KEYS.has(compact) || SPARED_ENDINGS.has(last.replace(/\d+$/, ''))) return 'spared';
  if (findLabels(spaced, ONE_TIME_INDEX).length > 0) return 'one-time';
  return words.some(isCardWord) ? 'card' : 'plain';
}

function isSecurityName(spaced: string, words: readonly string[]): boolean {
  return findLabels(spaced, SECURITY_INDEX).some(
    (match) => !SHORT.has(match.label) || (words.includes(match.label) && !AMBIGUOUS_SHORT_LABELS.has(match.label)),
  );
}
