/** All scenarios, in the order in which they are run. */
import type { Scenario } from '../scenario.ts';
import { BACKUP } from './backup.ts';
import { CLOCK } from './clock.ts';
import { DISK_FULL } from './disk-full.ts';
import { FUZZ } from './fuzz.ts';
import { IO_ERROR } from './io-error.ts';
import { KILL } from './kill.ts';
import { LARGE } from './large.ts';
import { MIXED } from './mixed.ts';
import { MODEL } from './model.ts';
import { NETCUT } from './netcut.ts';
import { NODES } from './nodes.ts';
import { OVERLOAD } from './overload.ts';
import { POWER_CUT } from './power-cut.ts';
import { RELAY } from './relay.ts';
import { SOAK } from './soak.ts';
import { UNSYNCED } from './unsynced.ts';

export const SCENARIOS: readonly Scenario[] = [
  KILL,
  POWER_CUT,
  UNSYNCED,
  DISK_FULL,
  IO_ERROR,
  CLOCK,
  MIXED,
  BACKUP,
  NODES,
  RELAY,
  NETCUT,
  LARGE,
  OVERLOAD,
  SOAK,
  FUZZ,
  MODEL,
];
