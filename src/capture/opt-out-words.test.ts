import { describe, expect, it } from 'vitest';
import { isOptOutWord } from './opt-out-words.ts';

describe('isOptOutWord', () => {
  it.each([
    'STOP',
    'stop',
    ' Stop\n',
    'STOPALL',
    'unsubscribe',
    'Cancel',
    'END',
    'quit',
    'Revoke',
    'OPTOUT',
    'opt out',
    'Opt-Out',
  ])('%j is one', (text) => expect(isOptOutWord(text)).toBe(true));

  it.each(['', 'stop it', 'please stop', 'STOP!', 'START', 'HELP', 'stopp', 'end.', 'ѕtop', `stop${' '.repeat(100)}`])(
    '%j is none',
    (text) => expect(isOptOutWord(text)).toBe(false),
  );
});
