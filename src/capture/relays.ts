/**
 * The relays of an archive, seen from inside: each is asked again and again for what it has taken in, which is filed by the ordinary way, and is told then. What is filed twice, because
 * somebody was killed in between, is known the second time.
 */
import type { Relay } from '../archive/registry.ts';
import { CartularyError } from '../model/errors.ts';
import type { RelayId } from '../model/ids.ts';
import type { KnownRelay, RelaysParts, RelayView } from './known-relay.ts';
import type { SpoolState } from './spool.ts';

export type Relays = {
  /** Begins to fetch from every relay that is not being fetched from, and does not wait. */
  visit(): Promise<void>;
  list(): RelayView[];
  /** What waits on relays, as far as they were heard of. */
  spools(): { readonly subject: RelayId; readonly state: SpoolState }[];
  /** Waits for what has begun. */
  settled(): Promise<void>;
};

/** Makes what fetches from the relays of an archive. */
export function createRelays(parts: RelaysParts): Relays {
  const { archive, now, log, signal } = parts;
  const known = new Map<RelayId, KnownRelay>();
  const flights = new Map<RelayId, Promise<void>>();
  const knownOf = (id: RelayId): KnownRelay => {
    const one = known.get(id) ?? {};
    known.set(id, one);
    return one;
  };
  const fetchFrom = async (relay: Relay): Promise<void> => {
    const one = knownOf(relay.id);
    try {
      // Loaded by who has a relay.
      const { visitRelay } = await import('./relay-fetch.ts');
      await visitRelay(parts, relay, one);
      if (one.failingSinceMs !== undefined) log.info({ relay: relay.id }, 'the relay answers again');
      delete one.failingSinceMs;
      delete one.failure;
    } catch (cause) {
      if (signal.aborted) return;
      one.failure = cause instanceof CartularyError ? cause.message : 'it cannot be reached';
      if (one.failingSinceMs === undefined)
        log.warn({ relay: relay.id, cause: one.failure }, 'nothing can be fetched from the relay; it is tried again');
      one.failingSinceMs ??= now();
    }
  };
  const list = (): RelayView[] => archive.registry.listRelays().map((relay) => ({ relay, ...known.get(relay.id) }));
  return {
    list,
    async visit() {
      const relays = archive.registry.listRelays();
      for (const id of known.keys()) if (!relays.some((relay) => relay.id === id)) known.delete(id);
      for (const relay of relays) {
        if (signal.aborted || flights.has(relay.id)) continue;
        flights.set(
          relay.id,
          fetchFrom(relay).finally(() => flights.delete(relay.id)),
        );
      }
    },
    spools: () =>
      list().flatMap(({ relay, spool }) => (spool === undefined ? [] : [{ subject: relay.id, state: spool }])),
    settled: async () => void (await Promise.all(flights.values())),
  };
}
