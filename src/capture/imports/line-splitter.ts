/**
 * A stream of bytes cut into lines, with a limit on the length of a line: what is longer is skipped to its end and named.
 */

/** A line without its end (`\n` or `\r\n`). */
export type Line = {
  /** From 1. */
  readonly position: number;
  /** Where it begins in the file, bytes. */
  readonly offset: number;
  /** Undefined where the line is longer than the limit. */
  readonly bytes: Buffer | undefined;
};

/** A splitter in the middle of its work. */
export type LineSplitter = {
  readonly lineBytesMax: number;
  position: number;
  /** Where the current line begins in the file. */
  lineOffset: number;
  /** Where the current chunk begins in the file. */
  base: number;
  pieces: Buffer[];
  byteCount: number;
};

const NEWLINE = 0x0a;
const RETURN = 0x0d;

export function createLineSplitter(lineBytesMax: number): LineSplitter {
  return { lineBytesMax, position: 1, lineOffset: 0, base: 0, pieces: [], byteCount: 0 };
}

/** Takes a chunk and gives the lines that end in it. */
export function* splitLines(splitter: LineSplitter, chunk: Buffer): Generator<Line> {
  let from = 0;
  for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
    addPiece(splitter, chunk.subarray(from, end));
    yield takeLine(splitter);
    from = end + 1;
    splitter.lineOffset = splitter.base + from;
  }
  addPiece(splitter, chunk.subarray(from));
  splitter.base += chunk.length;
}

/** The file has ended: gives the last line where it has no end of its own. */
export function* finishLines(splitter: LineSplitter): Generator<Line> {
  if (splitter.byteCount > 0) yield takeLine(splitter);
}

function addPiece(splitter: LineSplitter, piece: Buffer): void {
  if (piece.length === 0) return;
  splitter.byteCount += piece.length;
  // One byte more is kept than the limit: it may be the return that belongs to the end of the line.
  if (splitter.byteCount > splitter.lineBytesMax + 1) splitter.pieces = [];
  // A copy: the source may use its memory again.
  else splitter.pieces.push(Buffer.from(piece));
}

function takeLine(splitter: LineSplitter): Line {
  const { pieces, position, lineOffset: offset, byteCount, lineBytesMax } = splitter;
  splitter.pieces = [];
  splitter.byteCount = 0;
  splitter.position += 1;
  if (byteCount > lineBytesMax + 1) return { position, offset, bytes: undefined };
  const whole = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  const bytes = whole.at(-1) === RETURN ? whole.subarray(0, -1) : whole;
  return { position, offset, bytes: bytes.length > lineBytesMax ? undefined : bytes };
}
