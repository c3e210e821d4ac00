/** All scenarios, in the order in which they are run. */
import type { Scenario } from '../scenario.ts';
import { KILL } from './kill.ts';
import { OVERLOAD } from './overload.ts';
import { POWER_CUT } from './power-cut.ts';
import { SOAK } from './soak.ts';

export const SCENARIOS: readonly Scenario[] = [KILL, POWER_CUT, OVERLOAD, SOAK];
