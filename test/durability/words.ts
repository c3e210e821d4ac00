/** Texts of letters only: nothing in them can be taken for a card, so that what is found must be, byte for byte, what was sent. */
import { makeWord } from '../../bench/texts/corpus.ts';

const WORDS_MIN = 6;
const WORDS_MORE = 16;

/** Some made-up words. @param random from 0 to below 1 */
export function makeWords(random: () => number): string {
  const count = WORDS_MIN + Math.floor(random() * WORDS_MORE);
  return Array.from({ length: count }, () => makeWord(random)).join(' ');
}
