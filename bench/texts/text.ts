/** One text as a customer or the shop would write it. */
import { pick } from '../random.ts';
import { makeWord, readCorpus, UNSEEN_SHARE } from './corpus.ts';
import type { Corpus } from './corpus.ts';
import { CUSTOMER_SAYS, EMOJI, EMOJI_SHARE, LANGUAGES, SHOP_SAYS } from './languages.ts';
import type { Language } from './languages.ts';

/** What a text depends on. */
export type TextAbout = {
  readonly language: Language;
  readonly isFromShop: boolean;
  /** Number of the text; a few of them carry a word that no other has. */
  readonly number: number;
  readonly order: number;
};

/** Share of English texts that speak of an order in words that searches look for. */
const SHOP_TALK_SHARE = 0.4;
/** Share of texts that name an order's number. */
const ORDER_SHARE = 0.05;
/** Each text of so many carries a needle. */
const NEEDLE_EVERY = 5000;

let corpus: Corpus | undefined;

/** Makes a text. */
export function makeText(random: () => number, { language, isFromShop, number, order }: TextAbout): string {
  corpus ??= readCorpus();
  const length = pick(random, corpus.lengths);
  const words: string[] = [];
  if (language.words.length === 0) {
    if (random() < SHOP_TALK_SHARE) words.push(pick(random, isFromShop ? SHOP_SAYS : CUSTOMER_SAYS));
    for (let index = words.length * 4; index < length; index += 1)
      words.push(random() < UNSEEN_SHARE ? makeWord(random) : pick(random, corpus.words));
  } else {
    for (let index = 0; index < length; index += 1)
      words.push(language.words[Math.floor(language.words.length ** random()) - 1] ?? '');
  }
  let text = words.join(language.join);
  if (number % NEEDLE_EVERY === 17) text += ` needle${number}`;
  if (number === 137 || random() < ORDER_SHARE) text += ` #${number === 137 ? 10_003 : order}`;
  if (random() < EMOJI_SHARE) text += ` ${pick(random, EMOJI)}`;
  return text === '' ? 'ok' : text;
}

/** The language of a customer: the same whenever she writes. */
export function languageOf(customer: number): Language {
  let left = (Math.imul(customer + 1, 0x9e3779b1) >>> 0) / 4_294_967_296;
  for (const language of LANGUAGES) {
    left -= language.share;
    if (left < 0) return language;
  }
  return LANGUAGES[0] as Language;
}
