/** What can be measured, in the order in which it is. */
import type { Subject } from './run.ts';
import { measureAck } from './steps/ack.ts';
import { measureBackup } from './steps/backup.ts';
import { measureCaptureAtSize } from './steps/capture-at-size.ts';
import { measureDisk } from './steps/disk.ts';
import { measureExport } from './steps/export.ts';
import { measureImport } from './steps/import.ts';
import { measureLimits } from './steps/limits.ts';
import { measureMemory } from './steps/memory.ts';
import { measureNodes } from './steps/nodes.ts';
import { measureOthers } from './steps/others.ts';
import { measurePostgres } from './steps/postgres.ts';
import { measureProofs } from './steps/proof.ts';
import { measureRebuild } from './steps/rebuild.ts';
import { measureSearch } from './steps/search.ts';
import { measureShares } from './steps/shares.ts';
import { measureStart } from './steps/start.ts';
import { measureVerify } from './steps/verify.ts';

/** Subjects that make the archive themselves: it is measured while it is made. */
export const MAKING: readonly string[] = ['capture', 'searchable'];

/** Subjects that are measured only where they are named: what `capture` says of an archive that is being made, this says of one that is there. */
export const BY_NAME_ONLY: readonly string[] = ['at-size'];

/** Subjects of an archive that is there. */
export const SUBJECTS: ReadonlyMap<string, Subject> = new Map([
  ['start', measureStart],
  ['search', measureSearch],
  ['proof', measureProofs],
  ['verify', measureVerify],
  ['export', measureExport],
  ['disk', measureDisk],
  ['rebuild', measureRebuild],
  ['backup', measureBackup],
  ['ack', measureAck],
  ['memory', measureMemory],
  ['import', measureImport],
  ['shares', measureShares],
  ['limits', measureLimits],
  ['others', measureOthers],
  ['postgres', measurePostgres],
  ['nodes', measureNodes],
  ['at-size', measureCaptureAtSize],
]);
