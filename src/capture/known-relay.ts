/** What an archive knows of its relays. */
import type { Logger } from 'pino';

import type { Archive } from '../archive/archive.ts';
import type { Relay } from '../archive/registry.ts';
import type { EdgeKeyring } from './edge-keyring.ts';
import type { Ring } from './ring.ts';
import type { SpoolState } from './spool.ts';

/** What fetching from relays needs. */
export type RelaysParts = {
  readonly archive: Archive;
  readonly ring: Ring;
  readonly now: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
};

/** What is known of a relay. */
export type KnownRelay = {
  /** The keyring that it was given last. */
  given?: EdgeKeyring;
  /** When it answered last, and since when it does not; ms since 1970. */
  heardMs?: number;
  failingSinceMs?: number;
  /** Why; for a person. */
  failure?: string;
  version?: string;
  spool?: SpoolState;
};

/** A relay with what is known of it. */
export type RelayView = { readonly relay: Relay } & Readonly<KnownRelay>;
