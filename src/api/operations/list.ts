import type { Operation } from '../operation.ts';
import { ALERT_OPERATIONS } from './alerts.ts';
import { CAPACITY_OPERATIONS } from './capacity.ts';
import { CARE_OPERATIONS } from './care.ts';
import { DOCTOR_OPERATIONS } from './doctor.ts';
import { FILE_OPERATIONS } from './files.ts';
import { IMPORT_OPERATIONS } from './imports.ts';
import { KEY_OPERATIONS } from './keys.ts';
import { MESSAGE_OPERATIONS } from './messages.ts';
import { NODE_OPERATIONS } from './nodes.ts';
import { RELAY_OPERATIONS } from './relays.ts';
import { REPROCESS_OPERATIONS } from './reprocess.ts';
import { SOURCE_OPERATIONS } from './sources.ts';
import { UNLOCK_OPERATIONS } from './unlock.ts';

/** Everything the command line can ask of a running archive. A command that opens the archive itself loads its own (`find.ts`). */
export const OPERATIONS: readonly Operation[] = [
  ...MESSAGE_OPERATIONS,
  ...REPROCESS_OPERATIONS,
  ...SOURCE_OPERATIONS,
  ...KEY_OPERATIONS,
  ...IMPORT_OPERATIONS,
  ...FILE_OPERATIONS,
  ...DOCTOR_OPERATIONS,
  ...CAPACITY_OPERATIONS,
  ...ALERT_OPERATIONS,
  ...NODE_OPERATIONS,
  ...RELAY_OPERATIONS,
  ...UNLOCK_OPERATIONS,
  ...CARE_OPERATIONS,
];
