/**
 * One element of a message backup as attributes and child elements.
 *
 * The phone app writes what XML 1.0 does not allow: emoji as a pair of references to surrogates (`&#55357;&#56396;`), control characters
 * raw and as references. A strict parser refuses the whole file for it and a lax one silently drops the character, so the text is repaired
 * before it is parsed:
 * - a high and a low surrogate reference, decimal or hexadecimal, become one reference to the character they mean; a lone one becomes
 *   U+FFFD and is counted, because UTF-8 cannot carry it any further;
 * - characters that XML forbids travel through the parser as the noncharacters U+FDD0 to U+FDEF (32 of them, as many as there are control
 *   characters) and are put back in the values.
 */
import { SaxesParser } from 'saxes';

/** Attributes of a tag as the file has them, references resolved. */
export type Attributes = Readonly<Record<string, string>>;

/** An element with the children that a backup has. */
export type ParsedElement = {
  readonly name: string;
  readonly attributes: Attributes;
  /** `part` tags in their order, which is that of the scanner's ordinals. */
  readonly parts: readonly Attributes[];
  readonly addresses: readonly Attributes[];
  /** References to half of a surrogate pair that were replaced by U+FFFD. */
  readonly loneSurrogates: number;
  /** The bytes were not UTF-8; what could not be read became U+FFFD. */
  readonly invalidUtf8: boolean;
};

/** Why an element cannot be read; texts of ours, since the parser's own quote names and positions of the content. */
export type ElementFault =
  | 'an entity that is not defined'
  | 'an attribute given twice'
  | 'an end tag that does not match'
  | 'not well-formed XML'
  | `more than ${number} addresses`;

/** Addresses of one message. */
export const ADDRESSES_MAX = 1024;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenientUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads the bytes of one element; gives the fault where they are not well-formed XML. */
export function parseElement(bytes: Uint8Array): ParsedElement | ElementFault {
  const { text, invalidUtf8 } = decodeUtf8(bytes);
  const repaired = repairXml(text);
  if (repaired === undefined) return 'an entity that is not defined';
  const tags = readTags(repaired.text);
  if (typeof tags === 'string') return tags;
  const [top, ...inner] = repaired.mapped ? tags.map(restoreTag) : tags;
  if (top === undefined) return 'not well-formed XML';
  const addresses = attributesOf(inner, 'addr');
  if (addresses.length > ADDRESSES_MAX) return `more than ${ADDRESSES_MAX} addresses`;
  return {
    name: top.name,
    attributes: top.attributes,
    parts: attributesOf(inner, 'part'),
    addresses,
    loneSurrogates: repaired.loneSurrogates,
    invalidUtf8,
  };
}

function decodeUtf8(bytes: Uint8Array): { text: string; invalidUtf8: boolean } {
  try {
    return { text: strictUtf8.decode(bytes), invalidUtf8: false };
  } catch {
    return { text: lenientUtf8.decode(bytes), invalidUtf8: true };
  }
}

type Tag = { readonly name: string; readonly attributes: Attributes };

function attributesOf(tags: readonly Tag[], name: string): Attributes[] {
  return tags.filter((tag) => tag.name === name).map((tag) => tag.attributes);
}

// One parser for all elements of well-formed files: making one costs more than a short element does.
let idleParser: SaxesParser | undefined;

function readTags(text: string): Tag[] | ElementFault {
  const parser = idleParser ?? new SaxesParser();
  idleParser = undefined;
  const tags: Tag[] = [];
  parser.on('opentag', ({ name, attributes }) => void tags.push({ name, attributes }));
  // Throwing ends the parser's work at the first fault: an element full of faults would otherwise cost an error object for each.
  parser.on('error', (error) => {
    throw error;
  });
  try {
    parser.write(text).close();
  } catch (error) {
    return faultOf(error);
  }
  idleParser = parser;
  return tags;
}

function faultOf(error: unknown): ElementFault {
  const text = error instanceof Error ? error.message : '';
  if (/undefined entity|entity name/.test(text)) return 'an entity that is not defined';
  if (/duplicate attribute/.test(text)) return 'an attribute given twice';
  if (/unmatched closing tag|unexpected close tag|unclosed tag/.test(text)) return 'an end tag that does not match';
  return 'not well-formed XML';
}

// Repair

// oxlint-disable no-control-regex -- control characters are what is looked for
/** A reference, or a character that XML 1.0 forbids (production `Char`). */
const SUSPECTS =
  /&(?:#(?:(\d{1,10})|[xX]([0-9a-fA-F]{1,8}));|(?!(?:amp|lt|gt|quot|apos);)[^#])|[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\ufdd0-\ufdef]/g;
const NEEDS_REPAIR =
  /&#|&(?!(?:amp|lt|gt|quot|apos);)|[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\ufdd0-\ufdef]/;
// oxlint-enable no-control-regex
const CARRIER_FIRST = 0xfdd0;

type Repaired = { readonly text: string; readonly loneSurrogates: number; readonly mapped: boolean };

/** @returns undefined where the text names an entity other than the five of XML itself */
export function repairXml(text: string): Repaired | undefined {
  if (!NEEDS_REPAIR.test(text)) return { text, loneSurrogates: 0, mapped: false };
  // Where the noncharacters are taken by the text itself, forbidden characters can only be replaced.
  const carrying = !/[\ufdd0-\ufdef]/.test(text);
  let loneSurrogates = 0;
  let mapped = false;
  let undefinedEntity = false;
  let repaired = '';
  let last = 0;
  let high: number | undefined;
  const endPair = (): void => {
    if (high !== undefined) {
      repaired += '\ufffd';
      loneSurrogates += 1;
    }
    high = undefined;
  };
  for (const match of text.matchAll(SUSPECTS)) {
    const code = codeOf(match);
    const between = match.index > last;
    if (between) endPair();
    repaired += text.slice(last, match.index);
    last = match.index + match[0].length;
    if (code === undefined) {
      undefinedEntity = true;
      break;
    }
    if (high !== undefined && isLow(code)) {
      repaired += `&#${(high - 0xd800) * 0x400 + (code - 0xdc00) + 0x10000};`;
      high = undefined;
      continue;
    }
    endPair();
    if (isHigh(code)) high = code;
    else if (isLow(code)) {
      repaired += '\ufffd';
      loneSurrogates += 1;
    } else if (isForbidden(code)) {
      const carried = carrying && code < 0x20;
      mapped ||= carried;
      repaired += carried ? String.fromCharCode(CARRIER_FIRST + code) : '\ufffd';
    } else repaired += match[0];
  }
  endPair();
  return undefinedEntity ? undefined : { text: repaired + text.slice(last), loneSurrogates, mapped };
}

/** The character that was matched, raw or as a reference; undefined for an entity. */
function codeOf(match: RegExpMatchArray): number | undefined {
  const [whole, decimal, hex] = match;
  if (decimal !== undefined) return Number.parseInt(decimal, 10);
  if (hex !== undefined) return Number.parseInt(hex, 16);
  return whole.startsWith('&') ? undefined : whole.charCodeAt(0);
}

function isHigh(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLow(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

/** What production `Char` of XML 1.0 leaves out, surrogates aside. */
function isForbidden(code: number): boolean {
  if (code < 0x20) return code !== 0x09 && code !== 0x0a && code !== 0x0d;
  return code === 0xfffe || code === 0xffff || code > 0x10ffff;
}

function restoreTag({ name, attributes }: Tag): Tag {
  const restored = Object.create(null) as Record<string, string>;
  for (const [key, value] of Object.entries(attributes)) {
    restored[key] = value.replace(/[\ufdd0-\ufdef]/g, (carrier) =>
      String.fromCharCode(carrier.charCodeAt(0) - CARRIER_FIRST),
    );
  }
  return { name, attributes: restored };
}
