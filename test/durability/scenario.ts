/** What a durability scenario is: one kind of fault, done again and again to a server under load. */
import type { CheckResult } from './checker.ts';
import type { Sample } from './soak-watch.ts';

/** A program or a right that a scenario cannot do without. */
export type Need = Tool | 'root' | 'linux' | 'faketime' | 'postgres' | 'standby' | 'namespace' | 's3';
export type Tool = 'strace' | 'xfs_io' | 'mkfs.ext4' | 'openssl';

/** One run of a scenario. */
export type ScenarioRun = {
  readonly rounds: number;
  readonly seed: number;
  /** An empty directory for the archive. */
  readonly data: string;
  /** An empty directory on another file system, for journals and checkpoints. */
  readonly journal: string;
  /** New messages a second of each of the two clients; as fast as it goes where absent. */
  readonly perSecond?: number;
  /** Only what is named so within the scenario, where it consists of parts. */
  readonly only?: string;
  /** Is told how far it is. */
  report(line: string): void;
};

/** What a run did and found. */
export type ScenarioResult = CheckResult & {
  /** How often the fault happened, by kind; each kind must have happened. */
  readonly faults: Readonly<Record<string, number>>;
  /** How figures went over time, where that is what a scenario is about. */
  readonly samples?: readonly Sample[];
};

/** A kind of fault. */
export type Scenario = {
  readonly name: string;
  /** One sentence. */
  readonly proves: string;
  readonly needs: readonly Need[];
  /** Rounds of the short form and of the long one. */
  readonly rounds: { readonly short: number; readonly long: number };
  run(run: ScenarioRun): Promise<ScenarioResult>;
};
