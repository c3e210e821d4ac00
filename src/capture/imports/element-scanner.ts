/**
 * # Finding the elements of a message backup in a stream of bytes
 *
 * A backup is `<smses> <sms …/> <mms …><parts><part data="…"/></parts></mms> … </smses>`, gigabytes long. This scanner knows just enough
 * XML to find where each child of the root begins and ends, and hands over its exact bytes. The XML parser then reads one element at a
 * time (`element-parser.ts`), which gives three things a parser over the whole stream cannot give: a damaged element spoils no other, the
 * bytes of a row are known exactly, and memory is bounded by one element.
 *
 * The value of `data` of a `part` never reaches the parser, which would hold it as one string: it is decoded as it streams by and cut out of
 * the element's bytes (`data=""` stays).
 *
 * Everything here is controlled by whoever made the file. `<!DOCTYPE` and every other declaration end the reading: entities are defined
 * nowhere else, so that there are none. A tag inside a tag, an attribute that is no attribute or an element that does not end breaks that
 * element alone: reading goes on at the next `<sms`, `<mms` or `</smses>`, which never stand inside one.
 *
 * The scanner is a state machine whose steps take bytes from a chunk; each step may stop at the end of the chunk and go on in the next, so
 * that it never matters where chunks are cut.
 */
import { createBase64Sink, finishBase64, pushBase64 } from './base64-sink.ts';
import type { Base64Sink } from './base64-sink.ts';
import {
  breakElement,
  closeBroken,
  closeElement,
  ELEMENT_MEDIA_BYTES_MAX,
  ELEMENT_PARTS_MAX,
  keepPiece,
  limitElement,
  openElement,
  ROOT,
} from './element-scan.ts';
import type { Scan, ScanItem } from './element-scan.ts';

/** Bytes of the name of a tag or attribute. */
const NAME_BYTES_MAX = 64;
/** Elements within elements. */
const DEPTH_MAX = 16;
/** Characters of the XML declaration that are looked at. */
const DECLARATION_CHARS_MAX = 1024;

const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const EQUALS = 0x3d;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;
const BANG = 0x21;
const QUESTION = 0x3f;

const MESSAGE_NAMES = new Set(['sms', 'mms']);

export function createScan(): Scan {
  return {
    step: stepText,
    base: 0,
    depth: 0,
    ordinals: 0,
    element: undefined,
    from: -1,
    tagOffset: 0,
    name: '',
    closing: false,
    slash: false,
    attribute: '',
    quote: 0,
    sink: undefined,
    closer: '',
    tail: '',
    mark: '',
    declaration: '',
    nextTag: -1,
    rootSeen: false,
    rootOpen: false,
    stopped: false,
    found: [],
  };
}

/** Reads a chunk and gives what ended in it. After a declaration nothing more is read. */
export function* scanChunk(scan: Scan, chunk: Buffer): Generator<ScanItem> {
  scan.nextTag = -1;
  if (scan.element !== undefined && scan.element.fault === undefined && scan.sink === undefined) scan.from = 0;
  let at = 0;
  while (at < chunk.length && !scan.stopped) {
    at = scan.step(scan, chunk, at);
    // After every step, not only when bytes are kept: otherwise it would matter where the chunk ends.
    if (scan.element !== undefined && scan.from >= 0) limitElement(scan, scan.element, at - scan.from);
    if (scan.found.length > 0) yield* scan.found.splice(0);
  }
  keepPiece(scan, chunk, chunk.length);
  if (scan.found.length > 0) yield* scan.found.splice(0);
  scan.base += chunk.length;
}

/** The file has ended: gives the element that it ended in. */
export function* finishScan(scan: Scan): Generator<ScanItem> {
  if (scan.stopped || scan.element === undefined) return;
  const { name, fault } = scan.element;
  if (name === ROOT) return;
  breakElement(scan, fault ?? 'the file ends inside this element');
  closeBroken(scan);
  yield* scan.found.splice(0);
}

/** What stands here is not XML: the element is given up, and the bytes from `at` on are looked at as text. */
function malformed(scan: Scan, at: number): number {
  // A damaged root tag is no reason to refuse what stands in the root.
  if (scan.element?.name === ROOT) {
    scan.element = undefined;
    scan.depth = 1;
  }
  breakElement(scan, 'not well-formed XML');
  scan.step = stepText;
  return at;
}

// Steps

function stepText(scan: Scan, chunk: Buffer, at: number): number {
  const tag = nextTag(scan, chunk, at);
  if (tag >= chunk.length) return chunk.length;
  scan.tagOffset = scan.base + tag;
  scan.step = stepTag;
  return tag + 1;
}

function nextTag(scan: Scan, chunk: Buffer, at: number): number {
  if (scan.nextTag < at) {
    const found = chunk.indexOf(LT, at);
    scan.nextTag = found < 0 ? chunk.length : found;
  }
  return scan.nextTag;
}

/** After `<`. */
function stepTag(scan: Scan, chunk: Buffer, at: number): number {
  const byte = chunk[at];
  scan.name = '';
  scan.slash = false;
  scan.closing = byte === SLASH;
  const broken = scan.element?.fault !== undefined;
  if (byte === SLASH || isNameByte(byte)) {
    scan.step = stepName;
    return byte === SLASH ? at + 1 : at;
  }
  if (broken || (byte !== BANG && byte !== QUESTION)) return malformed(scan, at);
  scan.tail = '';
  scan.mark = '';
  scan.closer = '?';
  scan.step = byte === BANG ? stepBang : stepUntil;
  return at + 1;
}

/** After `<!`: a comment or a CDATA section; anything else is a declaration, and no declaration is accepted. */
function stepBang(scan: Scan, chunk: Buffer, at: number): number {
  scan.mark += String.fromCharCode(chunk[at] ?? 0);
  if (scan.mark === '--' || scan.mark === '[CDATA[') {
    scan.closer = scan.mark === '--' ? '--' : ']]';
    scan.step = stepUntil;
  } else if (!'--'.startsWith(scan.mark) && !'[CDATA['.startsWith(scan.mark)) {
    breakElement(scan, 'not well-formed XML');
    closeBroken(scan);
    scan.found.push({ kind: 'declaration', offset: scan.tagOffset });
    scan.stopped = true;
  }
  return at + 1;
}

/** Inside a comment, CDATA section or processing instruction. */
function stepUntil(scan: Scan, chunk: Buffer, at: number): number {
  const found = chunk.indexOf(GT, at);
  const end = found < 0 ? chunk.length : found;
  if (scan.closer === '?' && !scan.rootSeen && scan.declaration.length < DECLARATION_CHARS_MAX) {
    scan.declaration += chunk.toString('latin1', at, Math.min(end, at + DECLARATION_CHARS_MAX));
  }
  scan.tail = (scan.tail + chunk.toString('latin1', Math.max(at, end - 2), end)).slice(-2);
  if (found < 0) return chunk.length;
  if (scan.tail.endsWith(scan.closer)) scan.step = stepText;
  else scan.tail = '>';
  return found + 1;
}

function stepName(scan: Scan, chunk: Buffer, at: number): number {
  const end = skipName(chunk, at);
  scan.name += chunk.toString('latin1', at, end);
  if (scan.name.length > NAME_BYTES_MAX || scan.name === '') return malformed(scan, end);
  if (end === chunk.length) return end;
  return scan.closing ? enterEndTag(scan, end) : enterStartTag(scan, end);
}

/** The name of a start tag is known; `at` stands behind it. */
function enterStartTag(scan: Scan, at: number): number {
  const { element, name } = scan;
  if (element !== undefined && MESSAGE_NAMES.has(name)) {
    breakElement(scan, 'the element does not end before the next one begins');
    closeBroken(scan);
    scan.depth = 1;
    openElement(scan, at);
  } else if (element?.fault !== undefined) {
    scan.step = stepText;
    return at;
  } else if (element === undefined && scan.depth <= 1) {
    if (scan.depth === 0 && name === ROOT) scan.rootSeen = scan.rootOpen = true;
    if (scan.depth === 0 && name !== ROOT && !MESSAGE_NAMES.has(name)) {
      scan.found.push({ kind: 'foreign', offset: scan.tagOffset });
      scan.stopped = true;
      return at;
    }
    // A file whose beginning was cut off has no root any more; its rows are as good as any.
    if (MESSAGE_NAMES.has(name)) scan.depth = 1;
    openElement(scan, at);
  } else if (element !== undefined && name === 'part') {
    element.parts += 1;
    if (element.parts > ELEMENT_PARTS_MAX) {
      breakElement(scan, `more than ${ELEMENT_PARTS_MAX} parts`);
      scan.step = stepText;
      return at;
    }
  }
  scan.step = stepInTag;
  return at;
}

/** The name of an end tag is known; `at` stands behind it. */
function enterEndTag(scan: Scan, at: number): number {
  const { element, name } = scan;
  if (element !== undefined && name === ROOT) {
    breakElement(scan, 'the element does not end before the next one begins');
    closeBroken(scan);
    scan.depth = 1;
  } else if (element?.fault !== undefined && name !== element.name) {
    scan.step = stepText;
    return at;
  }
  scan.step = stepEndTag;
  return at;
}

function stepEndTag(scan: Scan, chunk: Buffer, at: number): number {
  const end = skipSpace(chunk, at);
  if (end === chunk.length) return end;
  if (chunk[end] !== GT) return malformed(scan, end);
  scan.step = stepText;
  const { element, name } = scan;
  if (element === undefined) {
    if (name === ROOT && scan.depth === 1) {
      scan.depth = 0;
      scan.rootOpen = false;
    }
    return end + 1;
  }
  scan.depth -= 1;
  if (scan.depth > 1 && !(MESSAGE_NAMES.has(name) && name === element.name)) return end + 1;
  scan.depth = 1;
  closeElement(scan, chunk, end + 1);
  return end + 1;
}

/** Between the attributes of a start tag. */
function stepInTag(scan: Scan, chunk: Buffer, at: number): number {
  const end = skipSpace(chunk, at);
  if (end === chunk.length) return end;
  const byte = chunk[end];
  if (byte === GT) return endStartTag(scan, chunk, end + 1);
  if (scan.slash) return malformed(scan, end);
  if (byte === SLASH) {
    scan.slash = true;
    return end + 1;
  }
  if (!isNameByte(byte)) return malformed(scan, end);
  scan.attribute = '';
  scan.step = stepAttribute;
  return end;
}

/** A start tag has ended; `at` stands behind its `>`. */
function endStartTag(scan: Scan, chunk: Buffer, at: number): number {
  scan.step = stepText;
  if (scan.element?.name === ROOT && scan.depth === 0) {
    scan.depth = scan.slash ? 0 : 1;
    if (scan.slash) scan.rootOpen = false;
    closeElement(scan, chunk, at);
    return at;
  }
  if (!scan.slash) scan.depth += 1;
  if (scan.depth > DEPTH_MAX) breakElement(scan, `elements nested deeper than ${DEPTH_MAX}`);
  if (scan.depth === 1) closeElement(scan, chunk, at);
  return at;
}

function stepAttribute(scan: Scan, chunk: Buffer, at: number): number {
  const end = skipName(chunk, at);
  scan.attribute += chunk.toString('latin1', at, end);
  if (scan.attribute.length > NAME_BYTES_MAX) return malformed(scan, end);
  if (end < chunk.length) scan.step = stepEquals;
  return end;
}

function stepEquals(scan: Scan, chunk: Buffer, at: number): number {
  const end = skipSpace(chunk, at);
  if (end === chunk.length) return end;
  if (chunk[end] !== EQUALS) return malformed(scan, end);
  scan.step = stepQuote;
  return end + 1;
}

function stepQuote(scan: Scan, chunk: Buffer, at: number): number {
  const end = skipSpace(chunk, at);
  if (end === chunk.length) return end;
  const byte = chunk[end];
  if (byte !== DOUBLE_QUOTE && byte !== SINGLE_QUOTE) return malformed(scan, end);
  scan.quote = byte;
  scan.step = stepValue;
  const element = scan.element;
  if (element !== undefined && scan.depth > 1 && scan.name === 'part' && scan.attribute === 'data') {
    keepPiece(scan, chunk, end + 1);
    scan.sink = createBase64Sink(Math.max(0, ELEMENT_MEDIA_BYTES_MAX - element.mediaBytes));
    // The piece may have been the one too many.
    if (element.fault !== undefined) scan.sink = undefined;
  }
  return end + 1;
}

function stepValue(scan: Scan, chunk: Buffer, at: number): number {
  const quote = chunk.indexOf(scan.quote, at);
  const end = quote < 0 ? chunk.length : quote;
  if (nextTag(scan, chunk, at) < end) return malformed(scan, scan.nextTag);
  if (scan.sink !== undefined && end > at) pushBase64(scan.sink, chunk.subarray(at, end));
  if (quote < 0) return end;
  if (scan.sink !== undefined) endData(scan, scan.sink, end);
  scan.step = stepInTag;
  return end + 1;
}

function endData(scan: Scan, sink: Base64Sink, at: number): void {
  scan.sink = undefined;
  const element = scan.element;
  if (element === undefined) return;
  const result = finishBase64(sink);
  for (const chunk of result.chunks) element.mediaBytes += chunk.length;
  element.data.push({ tag: element.parts - 1, result });
  scan.from = at;
}

// Characters

function isSpaceByte(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Bytes of names: ASCII letters, digits, `-._:`, and everything beyond ASCII. The XML parser is strict about the rest. */
function isNameByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  if (byte >= 0x61 && byte <= 0x7a) return true;
  return (
    (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x2d && byte <= 0x3a && byte !== SLASH) || byte === 0x5f || byte >= 0x80
  );
}

function skipName(chunk: Buffer, at: number): number {
  let end = at;
  while (end < chunk.length && isNameByte(chunk[end])) end += 1;
  return end;
}

function skipSpace(chunk: Buffer, at: number): number {
  let end = at;
  while (end < chunk.length && isSpaceByte(chunk[end])) end += 1;
  return end;
}
