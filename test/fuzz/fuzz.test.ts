/** The short form of the fuzzing, and proof that no parser was forgotten. The long form: `npm run test:durability -- fuzz`. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { EXCEPTIONS } from './exceptions.ts';
import { TARGETS } from './targets.ts';

const root = join(import.meta.dirname, '..', '..');
const SEED = 20_261_122;
const CASES = 1_000;

/** Names of exported functions that take something apart. */
function findParsers(): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of globSync('src/**/*.ts', { cwd: root })) {
    if (file.endsWith('.test.ts')) continue;
    const text = readFileSync(join(root, file), 'utf8');
    const exported =
      /^export (?:async )?function\*? ((?:parse|decode|read|open|unpack|unwrap|sniff|split|slice|scan)[A-Z]\w*)/gm;
    for (const [, name = ''] of text.matchAll(exported)) found.set(name, file);
  }
  return found;
}

describe('hostile input', () => {
  it.each(TARGETS.map((target) => [target.name, target] as const))('%s', { timeout: 60_000 }, async (_name, target) => {
    const { fault, cases } = await target.run({
      numRuns: Math.max(3, Math.ceil(CASES / (target.cost ?? 1))),
      seed: SEED,
    });
    expect(fault).toBeUndefined();
    expect(cases).toBeGreaterThan(2);
  });
});

describe('the table of targets', () => {
  const parsers = findParsers();
  const covered = new Set(TARGETS.flatMap(({ covers }) => covers));
  it('names every exported function that takes something apart, or says why not', () => {
    expect(parsers.size).toBeGreaterThan(80);
    const missing = [...parsers].filter(([name]) => !covered.has(name) && !Object.hasOwn(EXCEPTIONS, name));
    expect(missing).toEqual([]);
  });
  it('names none that is gone or covered', () => {
    expect(Object.keys(EXCEPTIONS).filter((name) => !parsers.has(name) || covered.has(name))).toEqual([]);
  });
  it('gives each target a name of its own', () => {
    expect(new Set(TARGETS.map(({ name }) => name)).size).toBe(TARGETS.length);
  });
});
