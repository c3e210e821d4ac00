/** What a fuzz target is, and how one is run. */
import * as fc from 'fast-check';

import { BundleFault } from '../../src/evidence/bundle-reader.ts';
import { UnreadableEnvelope } from '../../src/capture/unreadable.ts';
import { LedgerError } from '../../src/ledger/error.ts';
import { CartularyError } from '../../src/model/errors.ts';

/** A parser or decoder with the hostile input it is given. */
export type Target = {
  readonly name: string;
  /** Exported functions that this reaches, by name. */
  readonly covers: readonly string[];
  /** How many times as slow as the others: so many times fewer cases are run. */
  readonly cost?: number;
  /** Runs the property. @throws where it does not hold */
  readonly run: (parameters: fc.Parameters<unknown>) => Promise<RunResult>;
};

export type RunResult = { readonly cases: number; readonly accepted: number; readonly fault?: string };

/** A case that takes longer is a fault in the long form: nothing here may take more than milliseconds. */
const CASE_MS_MAX = 5_000;

/**
 * A target out of an arbitrary and what is done with each input.
 * @param read reads the input and checks what must hold of what it accepted; what it refuses must be a typed error
 */
export function defineTarget<Input>(
  name: string,
  covers: readonly string[],
  arbitrary: fc.Arbitrary<Input>,
  read: (input: Input) => unknown,
  options: { readonly cost?: number; readonly isAsync?: boolean } = {},
): Target {
  return {
    name,
    covers,
    ...(options.cost === undefined ? {} : { cost: options.cost }),
    async run(parameters) {
      let accepted = 0;
      let cases = 0;
      const check = (input: Input): void | Promise<void> => {
        cases += 1;
        const begun = performance.now();
        const end = (): void => {
          accepted += 1;
        };
        const after = (): void => {
          const tookMs = performance.now() - begun;
          if (tookMs > CASE_MS_MAX) throw new Error(`a case took ${Math.round(tookMs)} ms`);
          assertUnpolluted();
        };
        try {
          const result = read(input);
          if (result instanceof Promise) return result.then(end, assertTyped).then(after);
          end();
        } catch (thrown) {
          assertTyped(thrown);
        }
        after();
      };
      // The synchronous way costs a third.
      const property =
        options.isAsync === true
          ? fc.asyncProperty(arbitrary, async (input) => check(input))
          : fc.property(arbitrary, (input) => void check(input));
      const details = await fc.check(property as fc.IAsyncProperty<[Input]>, parameters as fc.Parameters<[Input]>);
      return details.failed ? { cases, accepted, fault: describe(details) } : { cases, accepted };
    },
  };
}

/** Thrown by a target where an input was accepted and something about it is wrong. */
export class Broken extends Error {}

/** What must hold of what was accepted. */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new Broken(what);
}

/** Are two values the same, byte strings by their bytes? */
export function mustEqual(one: unknown, other: unknown, what: string): void {
  must(fc.stringify(plain(one)) === fc.stringify(plain(other)), what);
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes:${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, member]) => [name, plain(member)]),
  );
}

function assertTyped(thrown: unknown): void {
  const isTyped =
    thrown instanceof CartularyError ||
    thrown instanceof LedgerError ||
    thrown instanceof UnreadableEnvelope ||
    thrown instanceof BundleFault;
  if (!isTyped || (thrown instanceof CartularyError && thrown.code === 'internal' && !isOurs(thrown))) throw thrown;
}

/** `internal` is what is said of values that only this program itself passes on. */
function isOurs({ message }: CartularyError): boolean {
  return message.includes('batch');
}

const OBJECT_NAMES = Object.getOwnPropertyNames(Object.prototype).length;
const ARRAY_NAMES = Object.getOwnPropertyNames(Array.prototype).length;

function assertUnpolluted(): void {
  must(
    Object.getOwnPropertyNames(Object.prototype).length === OBJECT_NAMES &&
      Object.getOwnPropertyNames(Array.prototype).length === ARRAY_NAMES,
    'a prototype was changed',
  );
}

function describe<Input>(details: fc.RunDetails<[Input]>): string {
  const { seed, counterexamplePath, counterexample, errorInstance } = details;
  const thrown =
    errorInstance instanceof Error ? (errorInstance.stack ?? errorInstance.message) : String(errorInstance);
  const input = fc.stringify(counterexample).slice(0, 1500);
  return `seed ${seed}, path ${counterexamplePath ?? ''}\n${input}\n${thrown.slice(0, 1500)}`;
}
