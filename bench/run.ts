/** What each subject of the benchmarks is given. */
import type { Measured } from './figure.ts';
import type { Place } from './place.ts';
import type { Mix } from './texts/shop.ts';

export type BenchOptions = {
  readonly messages: number;
  readonly seed: number;
  /** Times that a measurement is repeated. */
  readonly runs: number;
  readonly mix: Mix;
  /** Without the baseline beside it: to make an archive of ten million in half the time. */
  readonly alone: boolean;
};

export type BenchRun = {
  readonly options: BenchOptions;
  readonly place: Place;
  /** A directory on the same disk for what a measurement writes; gone after the run. */
  readonly scratch: string;
  /** Puts a figure into the table. */
  readonly note: (measured: Measured) => void;
  /** Says what could not be measured, and why. */
  readonly miss: (what: string) => void;
};

/** One subject: takes its measurements and notes them. The archive is closed when it begins and when it ends. */
export type Subject = (run: BenchRun) => Promise<void>;
