/**
 * # Exports
 *
 * What a format of evidence is to Cartulary: one file with a name and a `write(input, output)`. Adding one touches that file and one line
 * in `list.ts`.
 *
 * An exporter owns the form of a file. It must never: read the store, decide what may leave the archive, look at a clock, or take a name
 * in the file it writes from what somebody sent.
 * Invariants: the same input gives the same bytes; memory does not grow with the number of records; nothing readable touches the disk;
 * what is written was checked against the log on the way out.
 */
import type { Writable } from 'node:stream';

import type { ArchiveId } from '../../model/ids.ts';

/** A record with everything that proves it. */
export type ExportRecord = {
  /** Its place in the log. */
  readonly seq: number;
  readonly leaf: Uint8Array;
  /** The exact bytes that were sealed. */
  readonly recordBytes: Uint8Array;
  /** The blinding value of the commitment, 32 bytes. */
  readonly r: Uint8Array;
  /** Inclusion proof to `ExportInput.checkpoint`: the siblings from the leaf up. */
  readonly proof: readonly Uint8Array[];
  /** The bytes of the medium, of a `media.stored`; absent where they cannot be had, which the export then says. */
  readonly openMedium?: () => AsyncIterable<Uint8Array>;
};

/** What is exported, and what is said of it. */
export type ExportInput = {
  readonly archive: { readonly id: ArchiveId; readonly name: string };
  /** Verifier key of the log, as published. */
  readonly logKey: string;
  /** The signed checkpoint to which all proofs lead. */
  readonly checkpoint: string;
  /** The query as it was understood. */
  readonly query: string;
  readonly exportedAtMs: number;
  /** Who exports, by id. */
  readonly exportedBy: string;
  /** All records of one message at a time, oldest first; no message twice. Read once. */
  readonly messages: AsyncIterable<readonly ExportRecord[]>;
  /** Messages that the query found and that are left out, and why. */
  readonly withheld?: readonly { readonly reason: string; readonly messages: number }[];
};

/** What was written. */
export type ExportSummary = {
  readonly messages: number;
  readonly records: number;
  readonly media: number;
  readonly gaps: number;
  /** Hex SHA-256 of media that could not be had. */
  readonly missingMedia: readonly string[];
  /** Size and hex SHA-256 of the file as a whole. */
  readonly bytes: number;
  readonly sha256: string;
  /** Hex SHA-256 of the manifest, which fixes every other file: what the audit record of the export should name. */
  readonly manifestSha256: string;
};

/** Where an exporter may put what does not fit into memory, always encrypted under a key that it forgets. */
export type ExportPlace = { readonly spoolDirectory: string };

export type Exporter = {
  readonly name: string;
  readonly version: number;
  readonly title: string;
  /** Without the dot. */
  readonly extension: string;
  readonly contentType: string;
  /**
   * Writes the file and ends `output`. On any error `output` is destroyed, so that nobody takes a part for the whole.
   * @throws CartularyError `corrupt` where a record, proof or medium is not what the log says, `too-large` where a limit of the format is
   * reached; whatever `messages` or `output` throw
   */
  readonly write: (input: ExportInput, output: Writable, place: ExportPlace) => Promise<ExportSummary>;
};
