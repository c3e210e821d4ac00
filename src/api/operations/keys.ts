/** API keys: make, list, revoke. */
import { z } from 'zod';

import { createApiKey, parseScopes, READING_SCOPES } from '../../access/api-keys.ts';
import { CartularyError } from '../../model/errors.ts';
import { parseId } from '../../model/ids.ts';
import { defineOperation } from '../operation.ts';

const createKey = defineOperation(
  'key.create',
  z.strictObject({ name: z.string().min(1).max(200), scopes: z.array(z.string()).default([...READING_SCOPES]) }),
  async (args, { service, caller }) => {
    const { key, text } = createApiKey(args.name, parseScopes(args.scopes), service.now(), (bytes) =>
      service.archive.randomBytes(bytes),
    );
    await service.archive.putKey(caller, key);
    return { id: key.id, apiKey: text, scopes: key.scopes };
  },
);

const listKeys = defineOperation('key.list', z.strictObject({}), async (_args, { service }) =>
  service.archive.registry.listKeys().map(({ id, name, scopes, createdAtMs, revokedAtMs }) => ({
    id,
    name,
    scopes,
    createdAt: new Date(createdAtMs).toISOString(),
    revokedAt: revokedAtMs === undefined ? null : new Date(revokedAtMs).toISOString(),
  })),
);

const revokeKey = defineOperation(
  'key.revoke',
  z.strictObject({ id: z.string() }),
  async (args, { service, caller }) => {
    const key = service.archive.findKey(parseId('apiKey', args.id));
    if (key === undefined) throw new CartularyError('not-found', 'there is no such key');
    await service.archive.putKey(caller, { ...key, revokedAtMs: key.revokedAtMs ?? service.now() });
    return { id: key.id, revoked: true };
  },
);

const rotateEpoch = defineOperation('key.rotate-epoch', z.strictObject({}), async (_args, { service, caller }) =>
  service.archive.rotateEpoch(caller, false),
);

/** Operations on keys. */
export const KEY_OPERATIONS = [createKey, listKeys, revokeKey, rotateEpoch];
