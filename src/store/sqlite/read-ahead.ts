/**
 * Reads the database file ahead of whoever reads the log from front to back, so that its pages lie in the system's cache by then. SQLite asks for one page after the other and waits for
 * each; between those of the records stand those of other trees, so the system does not see where it goes (10 million records from a cold disk: half of the time was waiting).
 *
 * Rows are added at the end, so a share of the records lies at about the same share of the file. In a file that was copied table by table that is not so; then it helps less and harms nothing.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

/** Bytes ahead: some seconds of reading. */
const AHEAD_BYTES = 128 * 1024 * 1024;
/** Bytes that are read at once, off the calling thread. */
const PIECE_BYTES = 1024 * 1024;
/** Reads one after the other from which on somebody is taken to read on. */
const READS_IN_A_ROW = 4;

export type ReadAhead = {
  /** Notes that records were read: `from` up to but not including `to`. @param sizeOf how many there are in all; asked only where somebody reads on */
  note(from: number, to: number, sizeOf: () => number): void;
  /** How far the file was read. */
  position(): number;
  close(): Promise<void>;
};

/** Opens the reading ahead of a file; nothing is read until somebody reads on. */
export function openReadAhead(path: string): ReadAhead {
  let next = -1;
  let inARow = 0;
  let position = 0;
  let target = 0;
  let bytes = 0;
  let file: FileHandle | undefined;
  let running: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    file ??= await open(path, 'r');
    ({ size: bytes } = await file.stat());
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    while (position < Math.min(target, bytes)) {
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, position);
      if (bytesRead === 0) break;
      position += bytesRead;
    }
  };
  return {
    note(from, to, sizeOf) {
      inARow = from === next ? inARow + 1 : 0;
      next = to;
      if (inARow === 0) position = 0;
      if (inARow < READS_IN_A_ROW) return;
      const place = Math.floor((to / Math.max(1, sizeOf())) * bytes);
      position = Math.max(position, place);
      target = place + AHEAD_BYTES;
      // What goes wrong here is found out by whoever reads for the content.
      running ??= run()
        .catch(() => undefined)
        .finally(() => (running = undefined));
    },
    position: () => position,
    async close() {
      target = 0;
      await running;
      await file?.close();
    },
  };
}
