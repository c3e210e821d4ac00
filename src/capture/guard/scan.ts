/**
 * Splits JSON and forms into their values by one pass without recursion. Accepts anything: where a source is not what it should be, that is
 * said, and the values found so far are values all the same.
 */

/** How a source is read. */
export type SourceKind = 'form' | 'json' | 'text';

/** What a scanner tells of a value: where it stands, and whether it is worth a look. */
export type Scanned = {
  readonly start: number;
  readonly end: number;
  /** Digits in it as written. */
  readonly digits: number;
  /** Escapes or characters beyond ASCII are in it. */
  readonly coded: boolean;
};

/** Called for each value in order. */
export type JsonVisitor = {
  readonly string: (value: Scanned, isKey: boolean) => void;
  readonly number: (value: Scanned) => void;
};

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const PERCENT = 0x25;

/**
 * Scans JSON text, or several behind each other.
 * @returns false where something stands outside of strings that JSON does not have, or a string does not end
 */
export function scanJson(source: string, visit: JsonVisitor): boolean {
  let wellFormed = true;
  let at = source.startsWith('\u00ef\u00bb\u00bf') ? 3 : source.startsWith('\ufeff') ? 1 : 0;
  while (at < source.length) {
    const code = source.charCodeAt(at);
    if (code === QUOTE) {
      const value = scanString(source, at + 1);
      const after = skipSpace(source, value.end + 1);
      if (value.end >= source.length) wellFormed = false;
      visit.string(value, source.charCodeAt(after) === COLON);
      at = after;
    } else if ((code >= 0x30 && code <= 0x39) || code === 0x2d) {
      const value = scanNumber(source, at);
      visit.number(value);
      at = Math.max(value.end, at + 1);
    } else if (code === 0x74 || code === 0x66 || code === 0x6e) {
      const length =
        source.startsWith('true', at) || source.startsWith('null', at) ? 4 : source.startsWith('false', at) ? 5 : 0;
      if (length === 0) wellFormed = false;
      at += Math.max(1, length);
    } else {
      if (!isStructure(code)) wellFormed = false;
      at += 1;
    }
  }
  return wellFormed;
}

/** White space, braces, brackets, comma, colon. */
function isStructure(code: number): boolean {
  return (
    code === 0x20 ||
    (code >= 0x09 && code <= 0x0d) ||
    code === 0x7b ||
    code === 0x7d ||
    code === 0x5b ||
    code === 0x5d ||
    code === 0x2c ||
    code === COLON
  );
}

function scanString(source: string, start: number): Scanned {
  let digits = 0;
  let coded = false;
  let at = start;
  while (at < source.length) {
    const code = source.charCodeAt(at);
    if (code === QUOTE) break;
    if (code === BACKSLASH) {
      coded = true;
      at += 1;
    } else if (code >= 0x30 && code <= 0x39) digits += 1;
    else if (code > 0x7e || code === PERCENT) coded = true;
    at += 1;
  }
  return { start, end: Math.min(at, source.length), digits, coded };
}

function scanNumber(source: string, start: number): Scanned {
  let digits = 0;
  let at = start;
  while (at < source.length) {
    const code = source.charCodeAt(at);
    if (code >= 0x30 && code <= 0x39) digits += 1;
    else if (code !== 0x2d && code !== 0x2b && code !== 0x2e && (code | 0x20) !== 0x65) break;
    at += 1;
  }
  return { start, end: at, digits, coded: false };
}

function skipSpace(source: string, from: number): number {
  let at = from;
  for (;;) {
    const code = source.charCodeAt(at);
    if (code !== 0x20 && !(code >= 0x09 && code <= 0x0d)) return at;
    at += 1;
  }
}

/** Called for each pair of a form, in order; a pair without `=` has no value. */
export type FormVisitor = (name: Scanned, value: Scanned | undefined) => void;

/**
 * Scans `application/x-www-form-urlencoded`.
 * @returns false where bytes stand in it that no browser and no platform leaves unescaped
 */
export function scanForm(source: string, visit: FormVisitor): boolean {
  let wellFormed = true;
  let equals = -1;
  for (let at = 0; at < source.length;) {
    const end = indexOrEnd(source, '&', at);
    // Looked for in the whole source and kept, so that a form without any `=` stays linear.
    if (equals < at) equals = indexOrEnd(source, '=', at);
    const name = scanComponent(source, at, Math.min(equals, end));
    const value = equals < end ? scanComponent(source, equals + 1, end) : undefined;
    // A number as name is no form but the stripe of a card, `;4111…=2712…?`.
    wellFormed &&= name.clean && name.digits < 12 && (value?.clean ?? true);
    visit(name, value);
    at = end + 1;
  }
  return wellFormed;
}

function indexOrEnd(source: string, char: string, from: number): number {
  const at = source.indexOf(char, from);
  return at === -1 ? source.length : at;
}

function scanComponent(source: string, start: number, end: number): Scanned & { readonly clean: boolean } {
  let digits = 0;
  let coded = false;
  let clean = true;
  for (let at = start; at < end; at += 1) {
    const code = source.charCodeAt(at);
    if (code >= 0x30 && code <= 0x39) digits += 1;
    else if (code === PERCENT) coded = true;
    else if (code <= 0x20 || code > 0x7e || code === QUOTE || code === 0x3c || code === 0x3e || code === 0x7b) {
      clean = false;
      coded = true;
    }
  }
  return { start, end, digits, coded, clean };
}
