/** One operation by its name, for a command that opens the archive itself: loaded with nothing but what it needs, since the others take longer to load than it takes. */
import { CartularyError } from '../../model/errors.ts';
import type { Operation } from '../operation.ts';

/** Where operations are, by the first word of their names. */
const GROUPS: Readonly<Record<string, () => Promise<readonly Operation[]>>> = {
  search: loadMessages,
  facets: loadMessages,
  show: loadMessages,
  proof: loadMessages,
  verify: loadMessages,
  rebuild: loadMessages,
  reprocess: loadReprocess,
  destroy: loadReprocess,
  source: async () => (await import('./sources.ts')).SOURCE_OPERATIONS,
  key: async () => (await import('./keys.ts')).KEY_OPERATIONS,
  import: async () => (await import('./imports.ts')).IMPORT_OPERATIONS,
  export: loadFiles,
  backup: loadFiles,
  doctor: async () => (await import('./doctor.ts')).DOCTOR_OPERATIONS,
  care: loadCare,
  handover: loadCare,
  capacity: async () => (await import('./capacity.ts')).CAPACITY_OPERATIONS,
  node: async () => (await import('./nodes.ts')).NODE_OPERATIONS,
  relay: async () => (await import('./relays.ts')).RELAY_OPERATIONS,
  unlock: async () => (await import('./unlock.ts')).UNLOCK_OPERATIONS,
  alert: async () => (await import('./alerts.ts')).ALERT_OPERATIONS,
};

/** Loads an operation. @throws CartularyError `internal` where there is none of that name */
export async function loadOperation(name: string): Promise<Operation> {
  const word = name.split('.')[0] ?? '';
  const group = Object.hasOwn(GROUPS, word) ? await GROUPS[word]?.() : undefined;
  const operation = group?.find((known) => known.name === name);
  if (operation === undefined) throw new CartularyError('internal', `there is no operation ${name}`);
  return operation;
}

async function loadMessages(): Promise<readonly Operation[]> {
  return (await import('./messages.ts')).MESSAGE_OPERATIONS;
}

async function loadReprocess(): Promise<readonly Operation[]> {
  return (await import('./reprocess.ts')).REPROCESS_OPERATIONS;
}

async function loadFiles(): Promise<readonly Operation[]> {
  return (await import('./files.ts')).FILE_OPERATIONS;
}

async function loadCare(): Promise<readonly Operation[]> {
  return (await import('./care.ts')).CARE_OPERATIONS;
}
