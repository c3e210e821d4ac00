/** How columns of many rows cross to the server: as one value each. */

/** `begins` and `ends` are places in `bytes`; a part that is null has no beginning. */
export type JoinedBytes = {
  readonly bytes: Buffer;
  readonly begins: readonly (number | null)[];
  readonly ends: readonly number[];
};

/**
 * Joins byte strings: as an array each would cross as hexadecimal text. In SQL a part is `substring(bytes FROM begins + 1 FOR ends - begins)`, which is null where it has no
 * beginning.
 */
export function joinBytes(parts: readonly (Uint8Array | null)[]): JoinedBytes {
  const begins: (number | null)[] = [];
  const ends: number[] = [];
  let end = 0;
  for (const part of parts) {
    begins.push(part === null ? null : end);
    ends.push((end += part?.length ?? 0));
  }
  return { bytes: Buffer.concat(parts.filter((part) => part !== null)), begins, ends };
}

/**
 * An array of numbers or of ids in hexadecimal as PostgreSQL reads it (its manual, "Array Input and Output Syntax"). The client library would quote and escape each element, which is
 * for texts and takes ten times as long.
 */
export function arrayText(values: readonly (number | string | null)[]): string {
  return `{${values.map((value) => value ?? 'NULL').join()}}`;
}
