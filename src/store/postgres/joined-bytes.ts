/** Byte strings on their way to the server as one value with their places in it: as an array each would cross as hexadecimal text. */

/** `begins` and `ends` are places in `bytes`; a part that is null has no beginning. */
export type JoinedBytes = {
  readonly bytes: Buffer;
  readonly begins: readonly (number | null)[];
  readonly ends: readonly number[];
};

/** Joins byte strings. In SQL a part is `substring(bytes FROM begins + 1 FOR ends - begins)`, which is null where it has no beginning. */
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
