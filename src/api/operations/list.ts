import type { Operation } from '../operation.ts';
import { ALERT_OPERATIONS } from './alerts.ts';
import { CAPACITY_OPERATIONS } from './capacity.ts';
import { CARE_OPERATIONS } from './care.ts';
import { DOCTOR_OPERATIONS } from './doctor.ts';
import { FILE_OPERATIONS } from './files.ts';
import { KEY_OPERATIONS } from './keys.ts';
import { MESSAGE_OPERATIONS } from './messages.ts';
import { SOURCE_OPERATIONS } from './sources.ts';

/** Everything the command line can ask of a running archive. */
export const OPERATIONS: readonly Operation[] = [
  ...MESSAGE_OPERATIONS,
  ...SOURCE_OPERATIONS,
  ...KEY_OPERATIONS,
  ...FILE_OPERATIONS,
  ...DOCTOR_OPERATIONS,
  ...CAPACITY_OPERATIONS,
  ...ALERT_OPERATIONS,
  ...CARE_OPERATIONS,
];
