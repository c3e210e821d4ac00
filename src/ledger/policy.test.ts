import { describe, expect, test } from 'vitest';
import { cosignCheckpoint, signCheckpoint } from './checkpoint.ts';
import { LedgerError } from './error.ts';
import { SIGNATURE_COSIGNATURE, createNoteSigner, formatVkey, parseNote, signNote } from './note.ts';
import type { NoteSigner } from './note.ts';
import { POLICY_BYTES_MAX, POLICY_ITEMS_MAX, evaluatePolicy, parsePolicy, verifyPolicy } from './policy.ts';
import { codeOf } from './testing/code-of.ts';
import { testSeed } from './testing/memory-log.ts';

const origin = 'archive.example/log';
const log = createNoteSigner({ name: origin, seed: testSeed(1) });
const witnessKey = (index: number): NoteSigner =>
  createNoteSigner({ name: `witness.example/${index}`, seed: testSeed(100 + index), type: SIGNATURE_COSIGNATURE });
const witnesses = [1, 2, 3, 4, 5, 6].map(witnessKey);
const [w1, w2, w3, w4, w5, w6] = witnesses.map(formatVkey);

// The example of the standard, with a comment, tabs and spaces, and URLs.
const EXAMPLE = `# who may say what
log ${formatVkey(log)} https://archive.example/log

witness X1 ${w1}
witness X2\t${w2} https://witness.example/2
  witness X3 ${w3}\t
group X-witnesses 2 X1 X2 X3

witness Y1 ${w4}
witness Y2 ${w5}
witness Y3 ${w6}
group Y-witnesses any Y1 Y2 Y3
  # and both
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`;

const note = signCheckpoint({ origin, size: 3, root: new Uint8Array(32).fill(3) }, log);

function cosigned(...indexes: number[]): string {
  return indexes.reduce(
    (checkpoint, index) => cosignCheckpoint({ checkpoint, signer: witnessKey(index), timeSeconds: 1000 + index }),
    note,
  );
}

describe('the example of the standard', () => {
  const policy = parsePolicy(EXAMPLE);

  test('is read, from bytes too', () => {
    expect(policy.logs).toMatchObject([{ key: { name: origin }, url: 'https://archive.example/log' }]);
    expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual([
      ['X1', undefined],
      ['X2', 'https://witness.example/2'],
      ['X3', undefined],
      ['Y1', undefined],
      ['Y2', undefined],
      ['Y3', undefined],
    ]);
    expect(policy.groups).toEqual([
      { name: 'X-witnesses', threshold: 2, members: ['X1', 'X2', 'X3'] },
      { name: 'Y-witnesses', threshold: 1, members: ['Y1', 'Y2', 'Y3'] },
      { name: 'X-and-Y', threshold: 2, members: ['X-witnesses', 'Y-witnesses'] },
    ]);
    expect(parsePolicy(new TextEncoder().encode(EXAMPLE))).toEqual(policy);
  });

  test.each([
    [[], false],
    [[1], false],
    [[1, 2], false],
    [[4], false],
    [[1, 4], false],
    [[4, 5, 6], false],
    [[1, 2, 4], true],
    [[2, 3, 6], true],
    [[1, 2, 3, 4, 5, 6], true],
  ])('cosigned by %j: %s', (indexes, ok) => {
    const verdict = evaluatePolicy(policy, cosigned(...indexes));
    expect(verdict.ok).toBe(ok);
    expect(verdict.witnesses).toHaveLength(indexes.length);
    expect(verdict.groups.includes('X-and-Y')).toBe(ok);
    expect(verdict.checkpoint).toMatchObject({ origin, size: 3 });
    expect(codeOf(() => verifyPolicy(policy, cosigned(...indexes)))).toBe(ok ? 'ok' : 'quorum-missing');
  });

  test('a false cosignature is an error, not merely one less', () => {
    const { text, signatures } = parseNote(cosigned(1, 2, 4));
    const forged = signatures.map((line) =>
      line.name.endsWith('/4') ? { ...line, signature: new Uint8Array(72) } : line,
    );
    expect(codeOf(() => evaluatePolicy(policy, { text, signatures: forged }))).toBe('bad-signature');
  });

  test('witnesses alone do not make a checkpoint', () => {
    const { text } = parseNote(note);
    const unsigned = signNote(text, witnesses, { timeSeconds: 5 });
    expect(codeOf(() => evaluatePolicy(policy, unsigned))).toBe('not-signed');
  });
});

test('a policy without witnesses or without logs', () => {
  expect(verifyPolicy(parsePolicy(`log ${formatVkey(log)}\nquorum none`), note)).toMatchObject({ size: 3 });
  const none = parsePolicy('quorum none\n');
  expect(codeOf(() => verifyPolicy(none, note))).toBe('not-signed');
  expect(verifyPolicy(none, note, { logKeys: formatVkey(log) })).toMatchObject({ size: 3 });
  const single = parsePolicy(`witness a ${w1}\nquorum a\nlog ${formatVkey(log)}\n`);
  expect(evaluatePolicy(single, cosigned(1)).ok).toBe(true);
  expect(evaluatePolicy(single, cosigned(2)).ok).toBe(false);
});

test('names are opaque: the Kelvin sign is no K, and é has two spellings', () => {
  const text = `witness K ${w1}\nwitness \u212a ${w2}\nwitness \u00e9 ${w3}\nwitness e\u0301 ${w4}\nquorum \u212a\n`;
  const policy = parsePolicy(`log ${formatVkey(log)}\n${text}`);
  expect(evaluatePolicy(policy, cosigned(2)).ok).toBe(true);
  expect(evaluatePolicy(policy, cosigned(1)).ok).toBe(false);
});

describe('refuses', () => {
  const base = `log ${formatVkey(log)}\nwitness a ${w1}\nwitness b ${w2}\n`;

  test.each([
    ['no quorum', base, undefined],
    ['two quorums', `${base}quorum a\nquorum b\n`, 5],
    ['a quorum of nothing', `${base}quorum\n`, 4],
    ['a quorum of two', `${base}quorum a b\n`, 4],
    ['an unknown quorum', `${base}quorum c\n`, 4],
    ['a quorum that is defined below', `${base}quorum c\nwitness c ${w3}\n`, 4],
    ['an unknown line', `${base}quorums a\n`, 4],
    ['a log without a key', 'log\n', 1],
    ['a log with too much', `log ${formatVkey(log)} url more\n`, 1],
    ['a log with a broken key', 'log x+y+z\n', 1],
    ['a log with the key of a witness', `log ${w1}\n`, 1],
    ['a log twice', `log ${formatVkey(log)}\nlog ${formatVkey(log)} url\n`, 2],
    ['a witness without a key', 'witness a\n', 1],
    ['a witness without a name', 'witness\n', 1],
    ['a witness with too much', `witness a ${w1} url more\n`, 1],
    ['a witness with the key of a log', `witness a ${formatVkey(log)}\n`, 1],
    ['a witness twice under two names', `witness a ${w1}\nwitness b ${w1}\n`, 2],
    ['a name twice', `witness a ${w1}\nwitness a ${w2}\n`, 2],
    ['a witness called none', `witness none ${w1}\n`, 1],
    ['a group called none', `${base}group none any a\n`, 4],
    ['a group called as a witness', `${base}group a any b\n`, 4],
    ['a group of nothing', `${base}group g any\n`, 4],
    ['a group without a count', `${base}group g\n`, 4],
    ['a group without a name', `${base}group\n`, 4],
    ['a group of unknown members', `${base}group g any c\n`, 4],
    ['a group with the member none', `${base}group g any none\n`, 4],
    ['a group of itself', `${base}group g any g\n`, 4],
    ['a member twice', `${base}group g any a a\n`, 4],
    ['a member of two groups', `${base}group g any a\ngroup h any a b\n`, 5],
    ['a threshold of 0', `${base}group g 0 a\n`, 4],
    ['a threshold of 01', `${base}group g 01 a\n`, 4],
    ['a threshold of 3 in 2', `${base}group g 3 a b\n`, 4],
    ['a threshold that is a word', `${base}group g some a b\n`, 4],
    ['a carriage return', `${base}quorum a\r\n`, 4],
    ['a control character in a comment', `# \u0007\nquorum none\n`, 1],
  ])('%s, and names the line', (_, text, position) => {
    let error: unknown;
    try {
      parsePolicy(text);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(LedgerError);
    expect(error).toMatchObject({ code: 'bad-policy', position });
  });

  test('too much of anything', () => {
    expect(codeOf(() => parsePolicy('#'.repeat(POLICY_BYTES_MAX + 1)))).toBe('limit');
    expect(codeOf(() => parsePolicy(Uint8Array.of(0xff)))).toBe('bad-format');
    const lines = Array.from({ length: POLICY_ITEMS_MAX + 1 }, (_, index) => {
      const seed = new Uint8Array(32)
        .fill(1)
        .with(0, index & 0xff)
        .with(1, index >> 8);
      const key = createNoteSigner({ name: `w${index}`, seed, type: SIGNATURE_COSIGNATURE });
      return `witness n${index} ${formatVkey(key)}`;
    });
    expect(codeOf(() => parsePolicy([...lines.slice(1), 'quorum none'].join('\n')))).toBe('ok');
    expect(codeOf(() => parsePolicy([...lines, 'quorum none'].join('\n')))).toBe('bad-policy');
    const groups = Array.from(
      { length: POLICY_ITEMS_MAX + 1 },
      (_, index) => `group g${index} any ${index === 0 ? 'a' : `g${index - 1}`}`,
    );
    expect(codeOf(() => parsePolicy([base, ...groups.slice(1, 0), ...groups, 'quorum none'].join('\n')))).toBe(
      'bad-policy',
    );
    expect(codeOf(() => parsePolicy([base, ...groups.slice(0, -1), 'quorum none'].join('\n')))).toBe('ok');
  });
});
