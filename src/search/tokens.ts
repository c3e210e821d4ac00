/**
 * What counts as a word, for texts and queries alike.
 *
 * The index tokenises with FTS5 `unicode61 remove_diacritics 2`, marks counted as letters. It takes ASCII and plain Latin text as it
 * is, and that is most of the traffic. Everything else goes through `prepareText`, which writes the tokens out, folded and separated
 * by spaces, in characters that unicode61 leaves alone:
 *
 *   letters     NFKD, lower case, accents dropped, composed again (é → e, ё → е, ﬁ → fi, ＡＢＣ → abc, أ → ا); letters that Unicode does not take
 *               apart, but keyboards and people do (ß → ss, ı → i, đ → d, ł → l, ø → o, æ → ae, œ → oe, þ → th)
 *   Han, kana, Hangul, Thai, Lao, Khmer, Myanmar
 *               no spaces between words: every character begins a pair with the next (配送中 → 配送 送中 中). A query of several
 *               characters is the phrase of its pairs, of one character a prefix; so any piece of a run is found
 *   emoji       a token each, skin tone and variation dropped; a ZWJ sequence is a phrase, a flag a phrase of first and second letter
 *
 * unicode61 knows Unicode 6 only and splits emoji by accident of its tables, so an emoji is written as two private-use characters.
 * Private-use characters of a text itself are dropped. ² ³ ¹ never survive (NFKD makes digits of them): terms.ts builds its markers on that.
 */
import { ALIASES_MAX } from './limits.ts';

/** The tokenizer of the index tables. Marks (M*) are letters, or every Hindi vowel sign would end a word. */
export const FTS_TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* N* Co M*'";

/** Raised when the tokens of a text change: an index of another version must be built anew. */
export const TOKENS_VERSION = 2;

// eslint-disable-next-line no-control-regex
const ASCII = /^[\u0000-\u007f]*$/;

// Latin-1 and Latin Extended-A without what NFKC changes (ª ² ³ ¹ º ¼ ½ ¾ Ĳ ĳ Ŀ ŀ ŉ), soft hyphen and ©®, plus the punctuation of phones.
const PLAIN =
  // eslint-disable-next-line no-control-regex
  /^[\u0001-\u00a8\u00ab\u00ac\u00af-\u00b1\u00b4-\u00b8\u00bb\u00bf-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u2010-\u2027\u20ac]*$/;
// Accents of Latin, Greek and Cyrillic; Hebrew points; Arabic vowel signs and tatweel; whatever has no width; skin tones; keycaps.
const DROPPED =
  /[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed]|[\u20d0-\u20f0]|[\u{1f3fb}-\u{1f3ff}]|[\p{Cf}\p{Variation_Selector}]/gv;

const PIECE =
  /(?<run>[[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Hang}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}]&&[\p{L}\p{N}\p{M}]]+)|(?<flag>\p{RI}\p{RI}?)|(?<emoji>[\p{Emoji_Presentation}\p{Extended_Pictographic}])|(?<word>[[\p{L}\p{N}\p{M}]--[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Hang}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}]]+)/gv;

// Lower case only in `foldText`; both where plain text is prepared without it.
const LATIN_LETTER = /[ßıđðłøæœħŧþÐĐŁØÆŒĦŦÞ]/g;
const LATIN_LETTERS: Readonly<Record<string, string>> = {
  ß: 'ss',
  ı: 'i',
  đ: 'd',
  ð: 'd',
  ł: 'l',
  ø: 'o',
  æ: 'ae',
  œ: 'oe',
  ħ: 'h',
  ŧ: 't',
  þ: 'th',
};

function foldLatinLetter(letter: string): string {
  return LATIN_LETTERS[letter] ?? LATIN_LETTERS[letter.toLowerCase()] ?? letter;
}

// Arabic-Indic, Persian, Devanagari, Bengali: order numbers are typed in the digits of the keyboard at hand.
const OTHER_DIGIT = /[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef]/g;
const DIGIT_ZEROES = [0x0660, 0x06f0, 0x0966, 0x09e6];

/** The tokens a query puts side by side; with `prefix` the last one stands for every word that begins with it. */
export type TokenPhrase = { readonly tokens: readonly string[]; readonly prefix: boolean };

/**
 * Makes a text ready for the index.
 * @param text any string; lone surrogates and NUL separate words
 * @returns text for the FTS tokenizer: ASCII untouched, plain Latin nearly so, otherwise the tokens separated by spaces
 */
export function prepareText(text: string): string {
  if (ASCII.test(text)) return text;
  return PLAIN.test(text) ? text.replaceAll(LATIN_LETTER, foldLatinLetter) : tokenize(text).join(' ');
}

/** The tokens of a text in order, exactly as the index holds them. */
export function tokenize(text: string): string[] {
  if (ASCII.test(text)) return text.toLowerCase().match(/[0-9a-z]+/g) ?? [];
  const tokens: string[] = [];
  forEachPiece(text, (piece, kind) => pushTokens(tokens, piece, kind));
  return tokens;
}

/**
 * The tokens by which a query finds a text: those of the text itself, but a run without spaces may go on behind its end.
 * @param open may the last word go on too (`refund*`)?
 */
export function tokenizeQuery(text: string, open = false): TokenPhrase {
  const tokens: string[] = [];
  let lastRunChars = 0;
  forEachPiece(text, (piece, kind) => {
    pushTokens(tokens, piece, kind);
    lastRunChars = kind === 'run' ? [...piece].length : 0;
  });
  if (lastRunChars >= 2) return { tokens: tokens.slice(0, -1), prefix: false };
  return { tokens, prefix: tokens.length > 0 && (lastRunChars === 1 || open) };
}

/** Is this one ordinary word, with which wildcards and fuzzy search work? Returns its folded form. */
export function findSingleWord(text: string): string | undefined {
  let word: string | undefined;
  let pieces = 0;
  forEachPiece(text, (piece, kind) => {
    pieces++;
    word = kind === 'word' ? piece : undefined;
  });
  return pieces === 1 ? word : undefined;
}

const JOINED_HINT = /[0-9A-Za-z][-_/][0-9A-Za-z]/;
const JOINED = /(?<![0-9A-Za-z])[0-9A-Za-z]+(?:(?:[-_]|(?<=[0-9])\/(?=[0-9]))[0-9A-Za-z]+)+/g;

/**
 * Joined spellings of numbers written with dashes, underscores or slashes: "#1001-A" is also "1001a", "408-247-8880" also "4082478880".
 * @returns without repetition, lower case, at most `ALIASES_MAX`
 */
export function findAliases(text: string): string[] {
  if (!JOINED_HINT.test(text)) return [];
  const aliases = new Set<string>();
  for (const [written] of text.matchAll(JOINED)) {
    if (!/[0-9]/.test(written)) continue;
    aliases.add(joinSpelling(written));
    if (aliases.size >= ALIASES_MAX) break;
  }
  return [...aliases];
}

/**
 * The joined spelling that a word of a query may be found by, if it holds a digit and is plain ASCII: "1001-A", "#1001-A", "1001A" → "1001a".
 */
export function findQueryAlias(word: string): string | undefined {
  if (!/^[!-/:-@[-`{-~]*[0-9A-Za-z]+(?:[-_/][0-9A-Za-z]+)*[!-/:-@[-`{-~]*$/.test(word) || !/[0-9]/.test(word))
    return undefined;
  return joinSpelling(word);
}

function joinSpelling(written: string): string {
  return written.replaceAll(/[^0-9A-Za-z]/g, '').toLowerCase();
}

const TEXT_NUMBER_HINT = /\+[0-9]|[0-9][ ()./\u00a0\u2010-\u2013-]{1,3}[0-9]/;
const TEXT_NUMBER = /(?<![0-9A-Za-z+])[+(]?[0-9][0-9 ()./\u00a0\u2010-\u2013-]{5,24}[0-9](?![0-9A-Za-z])/g;

/**
 * What in a text may be a phone number in pieces or with its country: "(408) 247-8880", "+49 171 1234567". Whether it is one is for others to say.
 * @returns as written, at most `ALIASES_MAX`; numbers in one piece without + are words and not among them
 */
export function findTextNumbers(text: string): string[] {
  if (!TEXT_NUMBER_HINT.test(text)) return [];
  const numbers = new Set<string>();
  for (const [written] of text.matchAll(TEXT_NUMBER)) {
    if (!/^[0-9]+$/.test(written)) numbers.add(written);
    if (numbers.size >= ALIASES_MAX) break;
  }
  return [...numbers];
}

type PieceKind = 'run' | 'flag' | 'emoji' | 'word';

function forEachPiece(text: string, take: (piece: string, kind: PieceKind) => void): void {
  for (const match of foldText(text).matchAll(PIECE)) {
    const groups = match.groups ?? {};
    const kind =
      groups['word'] !== undefined
        ? 'word'
        : groups['run'] !== undefined
          ? 'run'
          : groups['emoji'] !== undefined
            ? 'emoji'
            : 'flag';
    take(match[0], kind);
  }
}

/** NFKD, lower case, accents and zero-width characters dropped, composed again. */
export function foldText(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(DROPPED, '')
    .replaceAll('ς', 'σ')
    .replaceAll(LATIN_LETTER, foldLatinLetter)
    .replaceAll(OTHER_DIGIT, toAsciiDigit)
    .normalize('NFC');
}

function toAsciiDigit(digit: string): string {
  const code = digit.charCodeAt(0);
  const zero = DIGIT_ZEROES.find((start) => code >= start && code < start + 10) ?? code;
  return String(code - zero);
}

function pushTokens(tokens: string[], piece: string, kind: PieceKind): void {
  if (kind === 'word') {
    tokens.push(piece);
  } else if (kind === 'run') {
    const characters = [...piece];
    characters.forEach((character, index) => tokens.push(character + (characters[index + 1] ?? '')));
  } else {
    [...piece].forEach((symbol, index) => tokens.push(toPrivateUse(symbol.codePointAt(0) ?? 0, index)));
  }
}

/** Two private-use characters for one symbol; the second letter of a flag differs from the first, so that two flags never make a third. */
function toPrivateUse(codePoint: number, index: number): string {
  return String.fromCharCode((index === 0 ? 0xe000 : 0xe100) + (codePoint >> 10), 0xe400 + (codePoint & 0x3ff));
}
