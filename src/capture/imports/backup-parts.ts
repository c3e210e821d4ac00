/**
 * The parts of an MMS: texts become the body, SMIL (the layout of the slides) is left out, everything else is a medium or says why it is
 * not one.
 */
import type { MediaPart, Part } from '../../model/event.ts';
import type { PartData } from './element-scan.ts';
import type { Attributes } from './element-parser.ts';

/** A medium of the element: `part` is the `index` of its `MediaPart`. */
export type BackupMedium = {
  readonly part: number;
  readonly data: PartData;
  readonly mimeDeclared: string | undefined;
};

export type ReadParts = {
  readonly texts: readonly string[];
  readonly parts: readonly Part[];
  readonly media: readonly BackupMedium[];
  /** Media whose data could not be taken. */
  readonly damaged: readonly BackupMedium[];
  /** Indices of media that the file names and does not hold. */
  readonly absent: readonly number[];
};

const NAME_CHARS_MAX = 255;

/** @param data decoded `data` attributes by the ordinal of their tag */
export function readParts(tags: readonly Attributes[], data: readonly PartData[]): ReadParts {
  const dataByTag = new Map(data.map((entry) => [entry.tag, entry]));
  const read = {
    texts: [] as string[],
    parts: [] as Part[],
    media: [] as BackupMedium[],
    damaged: [] as BackupMedium[],
    absent: [] as number[],
  };
  for (const [tag, attributes] of tags.entries()) {
    const type = (known(attributes['ct']) ?? '').toLowerCase();
    if (type === 'application/smil' || attributes['seq'] === '-1') continue;
    const entry = dataByTag.get(tag);
    const fault = entry?.result.fault;
    const text = attributes['text'];
    if (type === 'text/plain' && (entry === undefined || fault === 'empty')) {
      if (text !== undefined) read.texts.push(text);
      continue;
    }
    if ((entry === undefined || fault === 'empty') && known(text) !== undefined) {
      read.parts.push(textPart(type, text ?? ''));
      continue;
    }
    const index = read.parts.length;
    const mimeDeclared = type === '' ? undefined : type.slice(0, NAME_CHARS_MAX);
    read.parts.push(mediaPart(index, attributes, entry, mimeDeclared));
    if (entry === undefined || fault === 'empty') read.absent.push(index);
    else (fault === undefined ? read.media : read.damaged).push({ part: index, data: entry, mimeDeclared });
  }
  return read;
}

/** A part of another type that the file holds as text. */
function textPart(type: string, text: string): Part {
  return /^text\/(x-)?vcard$/.test(type) ? { kind: 'contact', text } : { kind: 'unsupported', type, text };
}

function mediaPart(
  index: number,
  attributes: Attributes,
  entry: PartData | undefined,
  mimeDeclared: string | undefined,
): MediaPart {
  const fileName = known(attributes['cl']) ?? known(attributes['name']) ?? known(attributes['fn']);
  const bytes = entry?.result.byteCount ?? 0;
  return {
    kind: 'media',
    index,
    ...(mimeDeclared === undefined ? {} : { mimeDeclared }),
    ...(bytes > 0 ? { bytesDeclared: bytes } : {}),
    ...(fileName === undefined ? {} : { fileName: fileName.slice(0, NAME_CHARS_MAX) }),
    role: roleOf(mimeDeclared ?? ''),
  };
}

function roleOf(type: string): NonNullable<MediaPart['role']> {
  if (type.startsWith('image/')) return 'image';
  if (type.startsWith('video/')) return 'video';
  return type.startsWith('audio/') ? 'audio' : 'document';
}

function known(value: string | undefined): string | undefined {
  return value === undefined || value === '' || value === 'null' ? undefined : value;
}
