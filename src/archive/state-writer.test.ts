import { describe, expect, it } from 'vitest';

import { CartularyError } from '../model/errors.ts';
import type { StateRow } from '../store/store.ts';
import { createStateWriter } from './state-writer.ts';

const rows: StateRow[] = [{ messageNo: 1, version: 1, sealed: new Uint8Array(3) }];

function openWriter(answers: (CartularyError | undefined)[]) {
  const fatal: unknown[] = [];
  let tries = 0;
  const writer = createStateWriter(
    {
      async putStates() {
        const answer = answers[Math.min(tries, answers.length - 1)];
        tries += 1;
        if (answer !== undefined) throw answer;
      },
    },
    { onFatal: (cause) => fatal.push(cause), retryMs: 1 },
  );
  return { writer, fatal, tries: () => tries };
}

describe('state rows', () => {
  // A full disk ended the whole process: reports could not be followed, so nobody was answered at all.
  it('wait while the disk is full, and are written when there is room', async () => {
    const full = new CartularyError('overloaded', 'the disk is full');
    const { writer, fatal, tries } = openWriter([full, full, undefined]);
    await writer.write(rows);
    expect({ fatal, tries: tries() }).toEqual({ fatal: [], tries: 3 });
  });

  it('end the process where they fail for another reason', async () => {
    const { writer, fatal, tries } = openWriter([new CartularyError('internal', 'a part failed')]);
    await writer.write(rows);
    expect({ count: fatal.length, tries: tries() }).toEqual({ count: 1, tries: 1 });
  });

  it('are given up when the archive is closed', async () => {
    const { writer, fatal } = openWriter([new CartularyError('overloaded', 'the disk is full')]);
    const written = writer.write(rows);
    writer.stop();
    await written;
    expect(fatal).toEqual([]);
  });
});
