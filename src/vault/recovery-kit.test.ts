import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { CartularyError } from '../model/errors.ts';
import { restoreLocalRootFromKit } from './kit-shares.ts';
import { formatRecoveryKit, parseRecoveryKit } from './recovery-kit.ts';
import { createLocalRoot, openLocalRoot } from './root-provider.ts';
import { codeOf, codeOfAsync, testBytes, toHex } from './testing/vectors.ts';

const archive = {
  name: 'Blumen Müller & Töchter',
  id: '0192f0c1-7c1e-7d8a-9f00-aabbccddeeff',
  logKey: 'log.example/shop+1a2b3c4d+ATx8aVrNnFZzTGnYwqmUcCIvVLdyjAaPBOpGx1234567+',
};
const madeAt = Date.UTC(2026, 10, 22, 9, 30);
const rootKey = testBytes(32, 42);
const kit = formatRecoveryKit({ rootKey, archives: [archive], madeAt });
const keyLines = kit.split('\n').flatMap((line) => (/^\s*K\d: /.test(line) ? [line.trim()] : []));

/** The lines that an error names. */
function namedLines(text: string): string {
  try {
    parseRecoveryKit(text);
  } catch (error) {
    if (error instanceof CartularyError && error.code === 'bad-input') return String(error.detail['lines'] ?? 'none');
    throw error;
  }
  return 'no error';
}

describe('formatRecoveryKit', () => {
  it('is plain ASCII that fits on a page of A4', () => {
    expect(kit).toMatch(/^[\x20-\x7e\n]+$/);
    const lines = kit.split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(76);
    expect(lines.length).toBeLessThan(62);
    expect(keyLines).toHaveLength(7);
  });

  it('names archive, time, root and log', () => {
    expect(kit).toContain('Archive:      Blumen Muller & Tochter');
    expect(kit).toContain(archive.id);
    expect(kit).toContain('2026-11-22T09:30:00.000Z');
    expect(kit).toContain(parseRecoveryKit(kit).rootId);
    const logKey = kit.slice(kit.indexOf('Log key:')).split('\n\n')[0] ?? '';
    expect(logKey.replace(/\n\s+\| /g, '')).toContain(archive.logKey);
  });

  it('does not let a name pass for a line of the key', () => {
    for (const name of ['x\nK1: 0000-0000  0000', `${'x'.repeat(62)}K1: 0000-0000  0000`]) {
      const text = formatRecoveryKit({ rootKey, archives: [{ ...archive, name }], madeAt });
      expect(toHex(parseRecoveryKit(text).rootKey)).toBe(toHex(rootKey));
    }
  });

  it('wants a root key', () => {
    expect(codeOf(() => formatRecoveryKit({ rootKey: testBytes(31), archives: [], madeAt }))).toBe('internal');
  });
});

describe('parseRecoveryKit', () => {
  it('reads back any key from the whole kit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (key) => {
        const text = formatRecoveryKit({ rootKey: key, archives: [archive, archive], madeAt });
        expect(toHex(parseRecoveryKit(text).rootKey)).toBe(toHex(key));
      }),
      { seed: 1 },
    );
  });

  it('reads what people type: small letters, look-alikes, no dashes, other separators, any order, line numbers or none', () => {
    const forms: string[] = [
      keyLines.join('\r\n').toLowerCase(),
      keyLines.map((line) => line.replaceAll('-', ' ').replaceAll('0', 'O')).join('\n'),
      keyLines.map((line) => line.replaceAll('1', 'l')).join('\n'),
      keyLines.map((line) => line.replaceAll('1', 'I').replace(':', ' .')).join('\n'),
      keyLines.toReversed().join('\n\n'),
      keyLines.map((line) => line.slice(4)).join('\n'),
      `  \n${keyLines.map((line) => line.slice(4).replace(/[ -]/g, '')).join('\n')}\n`,
      keyLines.map((line) => `> ${line}`).join('\n'),
      [...keyLines, ...keyLines].join('\n'),
    ];
    for (const form of forms) expect(toHex(parseRecoveryKit(form).rootKey)).toBe(toHex(rootKey));
  });

  it('names the line of any wrong digit', () => {
    const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
    fc.assert(
      fc.property(fc.nat(6), fc.nat(11), fc.nat(30), (line, digit, shift) => {
        const lines = keyLines.map((text, index) => {
          if (index !== line) return text;
          const places = [4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 17, 18];
          const place = places[digit] ?? 4;
          const wrong = digits.charAt((digits.indexOf(text.charAt(place)) + 1 + shift) % 32);
          return text.slice(0, place) + wrong + text.slice(place + 1);
        });
        expect(namedLines(lines.join('\n'))).toBe(String(line + 1));
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  it('names lines that are swapped, missing, cut, doubled or unreadable', () => {
    const [one = '', two = '', three = '', ...rest] = keyLines;
    expect(namedLines([one, three.replace('K3', 'K2'), two.replace('K2', 'K3'), ...rest].join('\n'))).toBe('2,3');
    expect(namedLines([one, three, ...rest].join('\n'))).toBe('2');
    expect(namedLines([one.slice(4), two.slice(4)].join('\n'))).toBe('3,4,5,6,7');
    expect(namedLines([one.slice(0, -1), two, `${three}0`, ...rest].join('\n'))).toBe('1,3');
    expect(namedLines([one, two, three, two.slice(0, -1), ...rest].join('\n'))).toBe('2');
    expect(namedLines([one.replace(/.$/, 'U'), two, three.replace(/.$/, '*'), ...rest].join('\n'))).toBe('1,3');
    expect(namedLines('')).toBe('1,2,3,4,5,6,7');
    expect(() => parseRecoveryKit([one.slice(0, -1), two, three, ...rest].join('\n'))).toThrow(
      'line K1 has 11 characters instead of 12',
    );
  });

  it('notices lines of two kits, each of them right', () => {
    const other = formatRecoveryKit({ rootKey: testBytes(32, 43), archives: [], madeAt })
      .split('\n')
      .flatMap((line) => (/^\s*K1: /.test(line) ? [line] : []));
    expect(namedLines([...other, ...keyLines.slice(1)].join('\n'))).toBe('none');
  });

  it('does not put what was typed into the error', () => {
    const [one = ''] = keyLines;
    expect(() => parseRecoveryKit(one)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining(one.slice(4, 8)) as string }),
    );
  });

  it('refuses texts that are too long', () => {
    expect(codeOf(() => parseRecoveryKit('K'.repeat(2 * 1024 * 1024)))).toBe('bad-input');
  });
});

describe('restoreLocalRootFromKit', () => {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cartulary-kit-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it('makes a key file on a new disk that opens what the old one wrapped', async () => {
    const old = await createLocalRoot({
      path: join(directory, 'old', 'root.json'),
      passphrase: 'correct horse battery',
    });
    const wrapped = await old.wrap(testBytes(32), { purpose: 'keyring' });
    const printed = formatRecoveryKit({ rootKey: old.exportRootKey(), archives: [archive], madeAt });
    await rm(join(directory, 'old'), { recursive: true });
    const path = join(directory, 'new', 'root.json');
    const restored = await restoreLocalRootFromKit(printed, { path });
    expect(restored.rootId).toBe(old.rootId);
    expect(toHex(await (await openLocalRoot({ path })).unwrap(wrapped, { purpose: 'keyring' }))).toBe(
      toHex(testBytes(32)),
    );
    expect(await codeOfAsync(restoreLocalRootFromKit(printed, { path }))).toBe('conflict');
  });

  it('writes nothing for a mistyped kit', async () => {
    const path = join(directory, 'new', 'root.json');
    expect(await codeOfAsync(restoreLocalRootFromKit(keyLines.slice(1).join('\n'), { path }))).toBe('bad-input');
    expect(await codeOfAsync(openLocalRoot({ path }))).toBe('key-missing');
  });
});
