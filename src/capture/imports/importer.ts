/**
 * # Imports
 *
 * What a file format of old messages is to Cartulary: one file with a name and a pure `read(source, options) → items`. Adding a format
 * touches that file, its fixtures, and one line in `list.ts`.
 *
 * An importer owns the meaning of a file's rows. It must never: open a file or a socket, read a clock, keep state between two files, drop
 * a row silently, or quote a row's content in a reason.
 * Invariants: the same bytes and options give the same items however the bytes are cut into chunks; memory is bounded by the limits named
 * beside each format and not by the size of the file; every event has a `dedupe` text that depends on the row alone, so that a file can be
 * read again, and an overlapping one after it, without duplicates.
 */
import type { EnvelopePart } from '../../model/envelope.ts';

/** A file as an importer sees it. Its bytes are controlled by whoever made the file. */
export type ImportSource = {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Hex SHA-256 of the whole file, for provenance; the caller computes it before or keeps the items until it has. */
  readonly fileSha256: string;
  /** Size of the file, for progress. */
  readonly bytesTotal: number;
};

/** What the person who imports says about the file. */
export type ImportOptions = {
  /** Region for numbers without a country code (ISO 3166-1 alpha-2). */
  readonly region?: string;
  /** The shop's own number or address, where the file does not say it. */
  readonly ownAddress?: string;
  /** Account under which the messages are kept; the own address where it is not given. Part of every message's identity. */
  readonly account?: string;
};

/** A medium that lies in the file itself. */
export type ImportMedium = {
  /** `index` of the `MediaPart` in the content of the item's `message.created`. */
  readonly part: number;
  /** Can be read once. */
  readonly bytes: Uint8Array | AsyncIterable<Uint8Array>;
  readonly byteCount: number;
  /** Hex SHA-256 of the bytes. */
  readonly sha256: string;
  readonly mimeDeclared?: string;
};

/**
 * What comes out of a file, in the order of the file.
 * - `event`: a row that was understood. `part.body` is the row's exact bytes in the file (a format may leave out what is stored as a
 *   medium, and says so). `media` must be taken before the next item is asked for.
 * - `rejected`: a row, or a piece of a row that was otherwise imported (`partial`), that could not be; position 0 means the whole file.
 *   An import with a rejection has failed in part.
 * - `warning`: something a person should know that lost nothing.
 * - `progress`: how much was read; at most one for each mebibyte.
 */
export type ImportItem =
  | {
      readonly kind: 'event';
      /** Line or ordinal of the element, from 1. */
      readonly position: number;
      /** Where the row begins, in bytes from the beginning of the file. */
      readonly offset: number;
      readonly part: EnvelopePart & { readonly body: Uint8Array };
      readonly media?: readonly ImportMedium[];
    }
  | {
      readonly kind: 'rejected';
      readonly position: number;
      readonly offset: number;
      readonly reason: string;
      readonly partial?: true;
    }
  | { readonly kind: 'warning'; readonly position: number; readonly reason: string }
  | { readonly kind: 'progress'; readonly bytesRead: number };

export type Importer = {
  readonly name: string;
  /** Raised whenever `read` gives other events for the same bytes. */
  readonly version: number;
  readonly title: string;
  /** Reads a file to its end. Throws only what `source.chunks` throws; whatever is wrong in the file is an item. */
  readonly read: (source: ImportSource, options: ImportOptions) => AsyncIterable<ImportItem>;
};

/** Bytes between two `progress` items. */
export const PROGRESS_BYTES = 1024 * 1024;

/** Counts bytes and says when it is time for a `progress` item. */
export type ProgressMeter = { bytesRead: number; reported: number };

/** Adds a chunk; gives the `progress` item that is due, if one is. */
export function meterChunk(meter: ProgressMeter, byteCount: number): ImportItem | undefined {
  meter.bytesRead += byteCount;
  if (meter.bytesRead - meter.reported < PROGRESS_BYTES) return undefined;
  meter.reported = meter.bytesRead;
  return { kind: 'progress', bytesRead: meter.bytesRead };
}

/** The same bytes as a `Buffer`, without a copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
