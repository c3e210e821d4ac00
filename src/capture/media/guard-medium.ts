/**
 * Guard on media that are nothing but text (a note, a contact card): what must not become durable is taken out before they are sealed. Pictures, sound and long files pass as
 * they are; what is seen in them later is a person's to destroy.
 */
import { isUtf8 } from 'node:buffer';

import { guardText } from '../guard/guard.ts';
import type { GuardCounts, GuardOptions } from '../guard/guard.ts';

/** Longest text looked at, bytes; a contact card with a picture in it is shorter. */
const TEXT_BYTES_MAX = 256 * 1024;

export type GuardedMedium = {
  readonly body: AsyncIterable<Uint8Array>;
  /** What was taken out; to be asked when the body has ended. */
  readonly findings: () => GuardCounts | undefined;
};

/** A medium without what must not be kept. @param body bytes of whatever kind, controlled by whoever sent them */
export function guardMedium(body: AsyncIterable<Uint8Array>, options: GuardOptions): GuardedMedium {
  let findings: GuardCounts | undefined;
  async function* guarded(): AsyncIterable<Uint8Array> {
    let gathered: Uint8Array[] | undefined = [];
    let bytes = 0;
    for await (const chunk of body) {
      if (gathered === undefined) {
        yield chunk;
        continue;
      }
      gathered.push(chunk);
      bytes += chunk.length;
      // NUL stands in pictures and sound, and in no text.
      if (bytes > TEXT_BYTES_MAX || chunk.includes(0)) {
        yield* gathered;
        gathered = undefined;
      }
    }
    if (gathered === undefined) return;
    const whole = Buffer.concat(gathered);
    const found = isUtf8(whole) ? guardText(whole.toString('utf8'), options) : undefined;
    findings = found?.findings;
    yield found?.findings === undefined ? whole : Buffer.from(found.text, 'utf8');
  }
  return { body: guarded(), findings: () => findings };
}
