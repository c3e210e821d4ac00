/**
 * Words by which a customer withdraws consent to be texted. 47 CFR 64.1200(a)(10) names stop, quit, end, revoke, opt out, cancel and
 * unsubscribe as per se reasonable; carriers add STOPALL. Only a text that is such a word and nothing else counts: what a sentence means is
 * never guessed here.
 */
const OPT_OUT = /^\s*(?:stop|stopall|unsubscribe|cancel|end|quit|revoke|opt[ -]?out)\s*$/i;

/** Longest text that can be such a word with white space around it; a longer one is not looked into. */
const CHARS_MAX = 64;

/** Is the whole text one of the words, whatever its case? */
export function isOptOutWord(text: string): boolean {
  return text.length <= CHARS_MAX && OPT_OUT.test(text);
}
