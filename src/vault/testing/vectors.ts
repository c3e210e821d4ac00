/** Reads the published vectors of test/vectors for the tests of the vault. */
import { readFileSync } from 'node:fs';

/** A file of Wycheproof with the fields that a kind of test has. */
export type WycheproofFile<Group, Test> = {
  readonly numberOfTests: number;
  readonly testGroups: readonly (Group & { readonly tests: readonly (Test & WycheproofTest)[] })[];
};

/** What every Wycheproof test has. */
export type WycheproofTest = {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  readonly result: 'valid' | 'invalid' | 'acceptable';
};

/** Reads a JSON file below test/vectors. */
export function readVectors(path: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../../test/vectors/${path}`, import.meta.url), 'utf8'));
}

/** Reads a Wycheproof file and checks that it holds as many tests as it says. */
export function readWycheproof<Group, Test>(name: string): WycheproofFile<Group, Test> {
  const file = readVectors(`wycheproof/${name}`) as WycheproofFile<Group, Test>;
  const count = file.testGroups.reduce((sum, group) => sum + group.tests.length, 0);
  if (count !== file.numberOfTests || count === 0)
    throw new Error(`${name} holds ${count} tests, not ${file.numberOfTests}`);
  return file;
}

/** Bytes of a hexadecimal text. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** Hexadecimal text of bytes. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

/** `length` bytes that look random and are the same in every run. */
export function testBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

/** The code of the CartularyError that a call throws; fails where it throws nothing or another error. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.name === 'CartularyError') return String(error.code);
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** The same for a promise. */
export async function codeOfAsync(promise: Promise<unknown>): Promise<string> {
  let failure: unknown;
  try {
    await promise;
  } catch (error) {
    failure = error;
  }
  return codeOf(() => {
    if (failure !== undefined) throw failure;
  });
}
