/**
 * What the scanner of message backups (`element-scanner.ts`) knows between two steps, and how it keeps, closes and gives up elements.
 */
import type { Base64Result, Base64Sink } from './base64-sink.ts';

/** Bytes of one element without its media. */
export const ELEMENT_BYTES_MAX = 4 * 1024 * 1024;
/** Decoded bytes of the media of one element together. */
export const ELEMENT_MEDIA_BYTES_MAX = 100 * 1024 * 1024;
/** `part` elements with data in one element. */
export const ELEMENT_PARTS_MAX = 256;

/** The root of a backup. */
export const ROOT = 'smses';

/** Why an element was given up; a closed list, so that no reason can quote the file. */
export type ScanFault =
  | 'not well-formed XML'
  | 'the file ends inside this element'
  | 'the element does not end before the next one begins'
  | `an element larger than ${number} bytes without its media`
  | `more than ${number} parts`
  | `elements nested deeper than ${number}`;

/** Data of the `part`s of an element, by the ordinal of the `part` tag from 0. */
export type PartData = { readonly tag: number; readonly result: Base64Result };

/** What the scanner finds. Ordinals count the children of the root from 1; offsets are bytes from the beginning of the file. */
export type ScanItem =
  | { readonly kind: 'root'; readonly bytes: Buffer }
  | {
      readonly kind: 'element';
      readonly name: string;
      readonly ordinal: number;
      readonly offset: number;
      readonly bytes: Buffer;
      readonly data: readonly PartData[];
    }
  | { readonly kind: 'broken'; readonly ordinal: number; readonly offset: number; readonly fault: ScanFault }
  /** A document type or entity declaration: nothing after it is read. */
  | { readonly kind: 'declaration'; readonly offset: number }
  /** The root is that of another kind of file: nothing after it is read. */
  | { readonly kind: 'foreign'; readonly offset: number };

export type Element = {
  readonly name: string;
  readonly ordinal: number;
  readonly offset: number;
  pieces: Buffer[];
  byteCount: number;
  fault: ScanFault | undefined;
  /** `part` tags seen. */
  parts: number;
  mediaBytes: number;
  readonly data: PartData[];
};

/** A step takes bytes of the chunk from `at` and says where the next step goes on. */
export type Step = (scan: Scan, chunk: Buffer, at: number) => number;

export type Scan = {
  step: Step;
  /** Where the current chunk begins in the file. */
  base: number;
  /** 0 outside the root, 1 in it, 2 and more inside an element. */
  depth: number;
  ordinals: number;
  element: Element | undefined;
  /** Where in the current chunk the bytes begin that are not yet in `element.pieces`; -1 when nothing is kept. */
  from: number;
  /** Offset of the last `<`. */
  tagOffset: number;
  name: string;
  closing: boolean;
  slash: boolean;
  attribute: string;
  quote: number;
  sink: Base64Sink | undefined;
  /** What closes the comment, CDATA section or processing instruction, before its `>`. */
  closer: string;
  tail: string;
  mark: string;
  /** What the XML declaration says, for its encoding. */
  declaration: string;
  /** The next `<` in the current chunk at or after what was read; looked up once, so that values cannot make it quadratic. */
  nextTag: number;
  rootSeen: boolean;
  rootOpen: boolean;
  stopped: boolean;
  readonly found: ScanItem[];
};

export function keepPiece(scan: Scan, chunk: Buffer, end: number): void {
  const { element, from } = scan;
  scan.from = -1;
  if (element === undefined || from < 0 || end <= from) return;
  limitElement(scan, element, end - from);
  if (element.fault !== undefined) return;
  element.byteCount += end - from;
  // A copy: the source may use its memory again, and a view would keep a whole chunk alive for a few bytes.
  element.pieces.push(Buffer.from(chunk.subarray(from, end)));
}

export function limitElement(scan: Scan, element: Element, more: number): void {
  if (element.byteCount + more > ELEMENT_BYTES_MAX) {
    breakElement(scan, `an element larger than ${ELEMENT_BYTES_MAX} bytes without its media`);
  }
}

export function openElement(scan: Scan, at: number): void {
  const opening = Buffer.from(`<${scan.name}`, 'latin1');
  const isRoot = scan.name === ROOT;
  if (!isRoot) scan.ordinals += 1;
  scan.element = {
    name: scan.name,
    ordinal: scan.ordinals,
    offset: scan.tagOffset,
    pieces: [opening],
    byteCount: opening.length,
    fault: undefined,
    parts: 0,
    mediaBytes: 0,
    data: [],
  };
  scan.from = at;
}

export function closeElement(scan: Scan, chunk: Buffer, end: number): void {
  keepPiece(scan, chunk, end);
  const element = scan.element;
  if (element === undefined) return;
  if (element.fault !== undefined) {
    closeBroken(scan);
    return;
  }
  scan.element = undefined;
  const bytes = element.pieces.length === 1 ? element.pieces[0] : Buffer.concat(element.pieces);
  if (bytes === undefined) return;
  const { name, ordinal, offset, data } = element;
  scan.found.push(name === ROOT ? { kind: 'root', bytes } : { kind: 'element', name, ordinal, offset, bytes, data });
}

/** Gives the element up; what it held is freed at once. Outside an element there is nothing to give up. */
export function breakElement(scan: Scan, fault: ScanFault): void {
  const element = scan.element;
  scan.sink = undefined;
  scan.from = -1;
  if (element === undefined) return;
  element.fault ??= fault;
  element.pieces = [];
  element.data.length = 0;
}

export function closeBroken(scan: Scan): void {
  const element = scan.element;
  scan.element = undefined;
  scan.from = -1;
  if (element?.fault === undefined || element.name === ROOT) return;
  scan.found.push({ kind: 'broken', ordinal: element.ordinal, offset: element.offset, fault: element.fault });
}
