/** Reading again what was kept: quarantined envelopes, and all messages with the guard of this version; destroying what must not be kept. */
import { z } from 'zod';

import { FOUND_LATER, guardAgain } from '../../capture/guard-later.ts';
import { reprocessQuarantine } from '../../capture/reprocess.ts';
import { parseId } from '../../model/ids.ts';
import { defineOperation } from '../operation.ts';

const reprocess = defineOperation('reprocess', z.strictObject({}), (_args, { service, caller, progress }) =>
  service.archive.act(
    caller,
    'operate',
    'reprocess',
    {},
    () => reprocessQuarantine(service.receive, (done, total) => progress({ done, total })),
    (result) => ({ ...result }),
  ),
);

const reprocessGuard = defineOperation(
  'reprocess.guard',
  z.strictObject({ destroy: z.boolean().default(false) }),
  ({ destroy }, { service, caller, signal, progress }) =>
    service.archive.act(
      caller,
      'operate',
      'guard-again',
      { destroy },
      () =>
        guardAgain(
          service.archive,
          caller,
          { destroy },
          { signal, onProgress: (done, total) => progress({ done, total }) },
        ),
      ({ messages, found, destroyed }) => ({ messages, found: found.length, destroyed }),
    ),
);

const destroy = defineOperation('destroy', z.strictObject({ id: z.string() }), async ({ id }, { service, caller }) => {
  await service.archive.destroyMessage(caller, parseId('message', id), FOUND_LATER);
  return { id, destroyed: true };
});

/** Operations that read again. */
export const REPROCESS_OPERATIONS = [reprocess, reprocessGuard, destroy];
