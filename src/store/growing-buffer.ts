/**
 * A buffer that is written from front to back and grows as it must; for what crosses to another thread.
 */

/** A buffer with an `ArrayBuffer` of its own, so that it may be transferred. */
export type GrowingBuffer = {
  /** The buffer with room for `bytes` behind `used`; what stands before `used` is kept. Buffers that were given before are void. */
  ensure(used: number, bytes: number): Buffer;
};

const BYTES_MIN = 16 * 1024;

/** @param bytesExpected room from the start */
export function openGrowingBuffer(bytesExpected: number): GrowingBuffer {
  let target = Buffer.from(new ArrayBuffer(Math.max(BYTES_MIN, bytesExpected)));
  return {
    ensure(used, bytes) {
      if (used + bytes <= target.length) return target;
      const larger = Buffer.from(new ArrayBuffer(Math.max(target.length * 2, used + bytes)));
      target.copy(larger, 0, 0, used);
      releaseBuffer(target.buffer as ArrayBuffer);
      target = larger;
      return target;
    },
  };
}

/**
 * Gives a buffer's memory back at once; its views are void. Left to the garbage collector, up to 64 MB of them would lie about in each thread, since what is outside of the
 * heap hardly counts there.
 */
export function releaseBuffer(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}

/**
 * Copies byte strings into one buffer, so that they cross to another thread as one and are given back as one: as thousands of small buffers they would wait there for the
 * garbage collector.
 * @returns the buffer, and views of it in the order given
 */
export function gatherBytes(parts: readonly Uint8Array[]): {
  readonly buffer: ArrayBuffer;
  readonly views: Uint8Array[];
} {
  const buffer = new ArrayBuffer(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  const views = parts.map((part) => {
    const view = new Uint8Array(buffer, at, part.length);
    view.set(part);
    at += part.length;
    return view;
  });
  return { buffer, views };
}
