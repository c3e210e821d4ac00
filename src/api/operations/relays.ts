/** Relays: machines in front of the archive's network that take in what platforms send. Add, list, remove. */
import { z } from 'zod';

import type { RelayView } from '../../capture/known-relay.ts';
import { CartularyError } from '../../model/errors.ts';
import { formatId, ID_BYTES, parseId } from '../../model/ids.ts';
import { isLoopback } from '../../settings.ts';
import { describeSpool } from '../edge.ts';
import { defineOperation } from '../operation.ts';

const RELAYS_MAX = 20;
const KEY_BYTES = 32;

const address = z
  .url({
    protocol: /^https?$/,
    error: 'is the address under which this archive reaches the relay, as https://HOST:PORT',
  })
  .refine((text) => {
    const { protocol, hostname, username, password, search, hash } = new URL(text);
    return (protocol === 'https:' || isLoopback(hostname)) && username + password + search + hash === '';
  }, 'is https, without user, password, query and fragment')
  .transform((text) => text.replace(/\/+$/, ''));

const addRelay = defineOperation(
  'relay.add',
  z.strictObject({ name: z.string().min(1).max(100), url: address }),
  async ({ name, url }, { service, caller }) => {
    const { archive, now } = service;
    if (archive.registry.listRelays().length >= RELAYS_MAX)
      throw new CartularyError('too-large', `an archive has at most ${RELAYS_MAX} relays`);
    const id = formatId('relay', archive.randomBytes(ID_BYTES));
    const key = Buffer.from(archive.randomBytes(KEY_BYTES)).toString('base64');
    await archive.putRelay(caller, id, { id, name, url, key, createdAtMs: now() });
    // Shown this once: the relay is given it.
    return { id, edgeKey: key };
  },
);

const listRelays = defineOperation('relay.list', z.strictObject({}), async (_args, { service, caller }) => {
  await service.archive.allow(caller, 'settings:read', 'list-relays');
  return { relays: service.relays.list().map((view) => showRelay(view, service.lead.isHere())) };
});

const removeRelay = defineOperation(
  'relay.remove',
  z.strictObject({ id: z.string(), yes: z.boolean().default(false) }),
  async ({ id: text, yes }, { service, caller }) => {
    const id = parseId('relay', text);
    const view = service.relays.list().find(({ relay }) => relay.id === id);
    if (view === undefined) throw new CartularyError('not-found', 'there is no such relay');
    const isEmpty = view.failure === undefined && view.spool?.envelopes === 0;
    if (!isEmpty && !yes)
      throw new CartularyError(
        'conflict',
        'what waits on this relay, or may wait there, could never be fetched any more; say --yes if it is meant',
      );
    await service.archive.putRelay(caller, id, undefined);
    return { id, removed: true };
  },
);

function showRelay({ relay, heardMs, failingSinceMs, failure, version, spool }: RelayView, isFetching: boolean) {
  const iso = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());
  return {
    id: relay.id,
    name: relay.name,
    url: relay.url,
    /** Another node fetches from it, and knows how it is. */
    state: !isFetching ? 'unknown' : failure === undefined && heardMs !== undefined ? 'answers' : 'away',
    heardAt: iso(heardMs),
    failingSince: iso(failingSinceMs),
    failure: failure ?? null,
    version: version ?? null,
    spool: spool === undefined ? null : describeSpool(spool),
  };
}

/** Operations on relays. */
export const RELAY_OPERATIONS = [addRelay, listRelays, removeRelay];
