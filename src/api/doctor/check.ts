/** What a step of `doctor` says. */
import type { Service } from '../service.ts';

/** One finding; `hint` says what to do where it is not well. */
export type Check = {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly text: string;
  readonly hint?: string;
};

/** A step. It may find several things; it ends within `msMax`. */
export type Step = {
  readonly name: string;
  readonly msMax: number;
  readonly look: (service: Service, signal: AbortSignal) => Promise<Check | readonly Check[]>;
};

/** Something is well. */
export function well(name: string, text: string): Check {
  return { name, state: 'ok', text };
}
