/** Keeps the state of alerts, and puts on record what changed it, in one transaction. */
import type { Logger } from 'pino';

import type { Archive } from '../archive/archive.ts';
import type { WatchRecord, WatchSetting } from '../archive/watching.ts';
import { isDiskFailed } from '../store/thread.ts';
import { causeOf } from './probes.ts';
import type { AlertState } from './state.ts';
import { within } from '../jobs/within.ts';

/** Name of the setting that the state is kept in. */
export const STATE = 'alerts';

/** Records that wait to be kept at most; the oldest give way. */
const PENDING_MAX = 200;
/** Milliseconds that a write is waited for before the watch goes on without it. */
const WRITE_MS_MAX = 20_000;

/** A change that stands only where it is on record. */
export type Commit = {
  readonly records?: readonly WatchRecord[];
  /** Further settings. */
  readonly settings?: readonly WatchSetting[];
  /** Changes the state; `undo` takes it back where it could not be kept. Both run at once, so that nobody writes what is half done. */
  readonly apply?: () => void;
  readonly undo?: () => void;
};

export type Journal = {
  /** Adds to what the next write puts on record. */
  note(record: WatchRecord): void;
  /** Says that the state has changed. */
  touch(): void;
  /** Makes a change durable, with its records and the state, in one transaction. @throws what kept it from that; then the change is undone */
  commit(change: Commit): Promise<void>;
  /** Writes what was noted and touched, as far as it can be: whoever must be told is told in any case. */
  tryWrite(): Promise<void>;
};

/** Makes the journal of a state. */
export function createJournal(archive: Archive, state: AlertState, log: Logger): Journal {
  let pending: WatchRecord[] = [];
  let isTouched = false;
  let inTurn = 0;
  let turn: Promise<void> = Promise.resolve();
  const writeNow = async ({ records = [], settings = [], apply, undo }: Commit): Promise<void> => {
    const noted = pending;
    pending = [];
    isTouched = false;
    apply?.();
    try {
      const changes = [...settings, { name: STATE, value: state }];
      if (noted.length + records.length > 0) await archive.recordWatch([...noted, ...records], changes);
      else await archive.writeWatchSettings(changes);
    } catch (cause) {
      undo?.();
      pending = [...noted, ...pending].slice(-PENDING_MAX);
      isTouched = true;
      throw cause;
    }
  };
  const commit = (change: Commit): Promise<void> => {
    inTurn += 1;
    const mine = turn.then(() => writeNow(change)).finally(() => (inTurn -= 1));
    turn = mine.catch(() => undefined);
    return mine;
  };
  return {
    note(record) {
      pending.push(record);
      isTouched = true;
    },
    touch() {
      isTouched = true;
    },
    commit,
    async tryWrite() {
      // One that does not come to its end must not be joined by ever more.
      if (!isTouched || inTurn > 0) return;
      await within(
        WRITE_MS_MAX,
        commit({}).catch((cause: unknown) => {
          if (isDiskFailed(cause)) throw cause;
          log.error({ cause: causeOf(cause) }, 'alerts could not be put on record; they are told, and recorded later');
        }),
        undefined,
      );
    },
  };
}
