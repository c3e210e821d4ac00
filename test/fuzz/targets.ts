/** Every parser and decoder of the product, each with the input it is given. */
import { ALERT_TARGETS } from './alerts.ts';
import { API_TARGETS } from './api.ts';
import { CAPTURE_TARGETS } from './capture.ts';
import { EDGE_TARGETS } from './edge.ts';
import { IMPORT_TARGETS } from './imports.ts';
import { LEDGER_TARGETS } from './ledger.ts';
import { MODEL_TARGETS, SEARCH_TARGETS, STORE_TARGETS } from './store.ts';
import type { Target } from './target.ts';
import { VAULT_TARGETS } from './vault.ts';

export const TARGETS: readonly Target[] = [
  ...LEDGER_TARGETS,
  ...VAULT_TARGETS,
  ...MODEL_TARGETS,
  ...SEARCH_TARGETS,
  ...STORE_TARGETS,
  ...CAPTURE_TARGETS,
  ...IMPORT_TARGETS,
  ...API_TARGETS,
  ...EDGE_TARGETS,
  ...ALERT_TARGETS,
];
