/** Looking up: search, facets, one message, proofs; checking and rebuilding. */
import { z } from 'zod';

import { within } from '../../jobs/within.ts';
import { parseId } from '../../model/ids.ts';
import { defineOperation } from '../operation.ts';

/** Milliseconds that a search waits for the index. */
const REACH_MS_MAX = 10_000;

const search = defineOperation(
  'search',
  z.strictObject({
    q: z.string().max(200_000),
    limit: z.number().int().min(1).max(200).default(50),
    cursor: z.string().optional(),
  }),
  async (args, { service, caller }) => {
    // A command that was run after a message came in shall find it; where the index is far behind, it is told so.
    await within(REACH_MS_MAX, service.archive.reachIndex(), undefined);
    return service.archive.search(caller, args);
  },
);

const facets = defineOperation('facets', z.strictObject({ q: z.string().max(200_000) }), (args, { service, caller }) =>
  service.archive.facets(caller, args.q),
);

const show = defineOperation(
  'show',
  z.strictObject({ id: z.string(), atMs: z.number().optional() }),
  (args, { service, caller }) =>
    args.id.startsWith('cnv_')
      ? service.archive.openConversation(caller, parseId('conversation', args.id), { limit: 200 })
      : service.archive.openMessage(caller, parseId('message', args.id), args.atMs),
);

const proof = defineOperation('proof', z.strictObject({ id: z.string() }), (args, { service, caller }) =>
  service.archive.prove(caller, parseId('message', args.id)),
);

const verify = defineOperation(
  'verify',
  z.strictObject({ vkey: z.string().optional(), earlier: z.array(z.string()).default([]) }),
  (args, { service, caller, signal, progress }) =>
    service.archive.verify(
      caller,
      { earlier: args.earlier, ...(args.vkey === undefined ? {} : { vkey: args.vkey }) },
      { signal, onProgress: progress },
    ),
);

const rebuild = defineOperation('rebuild', z.strictObject({}), async (_args, { service, caller, progress }) => {
  const rebuilt = await service.archive.rebuild(caller, progress);
  return { ...rebuilt, index: await service.archive.compareIndex() };
});

/** Operations on messages. */
export const MESSAGE_OPERATIONS = [search, facets, show, proof, verify, rebuild];
